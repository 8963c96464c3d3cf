/* SPDX-License-Identifier: MIT */
/* The two questions that loops ask. Read by the C compiler and by build_ffi.py, like kvmppc.h. */
#ifndef KVMPPC_FAST_H
#define KVMPPC_FAST_H

#include "handle.h"

/* cdef begins */
int kvmppc_fast_check_extension(struct kvmppc_question *question);
int kvmppc_fast_get_compat_caps(struct kvmppc_handle *vm);
/* cdef ends */

#endif
