/* SPDX-License-Identifier: MIT */
/* The two calls that programs make in loops. Both the C compiler and build_ffi.py read this file. */
#ifndef KVMPPC_FAST_H
#define KVMPPC_FAST_H

#include "handle.h"

/* cdef begins */
int kvmppc_fast_check_extension(struct kvmppc_question *question);
int kvmppc_fast_get_compat_caps(struct kvmppc_handle *vm);
/* cdef ends */

#endif
