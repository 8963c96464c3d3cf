/* SPDX-License-Identifier: MIT */
/*
 * The shim's declarations, which both the C compiler and build_ffi.py read.
 * build_ffi.py passes the text between the two "cdef" lines to cffi, so that
 * part contains only plain declarations.
 *
 * If a system call fails, a function returns a negative errno (-1 from
 * kvmppc_get_plain). errno itself is not used: after a success it is stale, and
 * Python may change it before it is read.
 */
#ifndef KVMPPC_H
#define KVMPPC_H

#include <stdint.h>

/* cdef begins */
/* One for each row of the table in kvmppc.c, in the order in which they are checked. */
enum kvmppc_revision {
	KVMPPC_REVISION_NONE,
	KVMPPC_REVISION_LINUX_7_3,
	KVMPPC_REVISION_PATCH_V4,
	KVMPPC_REVISIONS,             /* their number */
};

#define KVMPPC_PLAIN_SHIFT 56         /* a plain answer is the capabilities, shifted right by this */

struct kvmppc_answer {
	int error;                    /* 0 or a negative errno; on error, only size may be valid */
	int valid;                    /* whether the returned size covers compat_capabilities */
	uint64_t size;                /* as the kernel returned it */
	uint64_t flags;
	uint64_t compat_capabilities;
};

int kvmppc_open(const char *path);
int kvmppc_get_api_version(int kvm_fd);
int kvmppc_check_extension(int fd, unsigned int capability);
int kvmppc_create_vm(int kvm_fd);
const char *kvmppc_revision_name(int revision);
unsigned int kvmppc_revision_capability(int revision);
int kvmppc_get_revision(int fd);
struct kvmppc_answer kvmppc_get_compat_caps(int vm_fd, int revision);
int kvmppc_get_plain(int vm_fd, int revision);

const char *kvmppc_platform(void);
const char *kvmppc_base_platform(void);
uint32_t kvmppc_pvr(void);
/* cdef ends */

#endif
