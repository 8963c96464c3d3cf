/* SPDX-License-Identifier: MIT */
/*
 * Handles: a descriptor with a count of its users. Threads can use a handle
 * while another one closes it, and no descriptor is ever without an owner. Both
 * the C compiler and build_ffi.py read this file, like kvmppc.h.
 *
 * After a descriptor is closed, the next file can get its number. Therefore
 * nothing may close the descriptor between reading its number and the system
 * call. Each call counts itself in and out, and the last one out of a closed
 * handle closes the descriptor. The calls in fast.c hold the GIL instead.
 */
#ifndef KVMPPC_HANDLE_H
#define KVMPPC_HANDLE_H

#include "kvmppc.h"

/* cdef begins */
#define KVMPPC_HANDLE_CLOSED 1073741824       /* a bit in users, above any number of threads */

struct kvmppc_handle {
	int fd;                       /* the descriptor to use; -1 once closed, which the kernel rejects with EBADF */
	int owned;                    /* the descriptor to close; -1 if it is not ours or already closed */
	int users;                    /* calls in progress, and the bit KVMPPC_HANDLE_CLOSED */
	int revision;                 /* of a VM, once it is known */
};

/* The arguments of check_extension in one struct: for Python, a call with one argument takes half the time. */
struct kvmppc_question {
	struct kvmppc_handle *handle;
	unsigned int capability;
};

int kvmppc_handle_open(struct kvmppc_handle *kvm, const char *path);
int kvmppc_handle_get_api_version(struct kvmppc_handle *kvm);
int kvmppc_handle_check_extension(struct kvmppc_handle *handle, unsigned int capability);
int kvmppc_handle_create_vm(struct kvmppc_handle *kvm, struct kvmppc_handle *vm);
int kvmppc_handle_get_revision(struct kvmppc_handle *handle);
struct kvmppc_answer kvmppc_handle_get_compat_caps(struct kvmppc_handle *vm);
void kvmppc_handle_close(struct kvmppc_handle *handle);
void kvmppc_handle_forked(struct kvmppc_handle *handle);
int kvmppc_handle_enter(struct kvmppc_handle *handle);
void kvmppc_handle_leave(struct kvmppc_handle *handle);
int kvmppc_revision_of_device(const char *path);
/* cdef ends */

#endif
