/* SPDX-License-Identifier: MIT */
/*
 * Simulated hosts: a simulated kernel in place of the shim's system calls. Both
 * the C compiler and build_ffi.py read this file, like kvmppc.h.
 */
#ifndef KVMPPC_SIMHOST_H
#define KVMPPC_SIMHOST_H

#include <stdint.h>

/* cdef begins */
const char *kvmppc_simhost_name(unsigned int index);
int kvmppc_simhost_ioctl(int fd, unsigned long request, uintptr_t argument);
/* cdef ends */

#endif
