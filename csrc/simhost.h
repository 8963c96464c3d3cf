/* SPDX-License-Identifier: MIT */
/*
 * Simulated hosts: a kernel of our own behind the shim's choke point. Read by
 * the C compiler and by build_ffi.py, like kvmppc.h.
 */
#ifndef KVMPPC_SIMHOST_H
#define KVMPPC_SIMHOST_H

#include <stdint.h>

/* cdef begins */
const char *kvmppc_simhost_name(unsigned int index);
int kvmppc_simhost_ioctl(int fd, unsigned long request, uintptr_t argument);
/* cdef ends */

#endif
