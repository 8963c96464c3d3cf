/* SPDX-License-Identifier: MIT */
/*
 * Handles: a descriptor together with who uses it, so that threads can ask while
 * another one closes, and so that no descriptor is ever in nobody's hands. Read
 * by the C compiler and by build_ffi.py, like kvmppc.h.
 *
 * A descriptor's number is given to the next file as soon as it is closed. So a
 * question reads the number and asks with nothing in between that could close
 * it: it counts itself in and out, and the last one out of a closed handle
 * closes the descriptor. The questions of fast.c hold the GIL instead.
 */
#ifndef KVMPPC_HANDLE_H
#define KVMPPC_HANDLE_H

#include "kvmppc.h"

/* cdef begins */
#define KVMPPC_HANDLE_CLOSED 1073741824       /* in users: more than there can be threads */

struct kvmppc_handle {
	int fd;                       /* what is asked; -1 once closed, which the kernel refuses by itself */
	int owned;                    /* what is to be closed; -1 where that is somebody else's, or done */
	int users;                    /* questions that are under way, and whether it is closed */
	int revision;                 /* of a VM, once it is decided */
};

/* One number for check_extension to take: a call from Python with one argument costs half of one with two. */
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
int kvmppc_handle_enter(struct kvmppc_handle *handle);
void kvmppc_handle_leave(struct kvmppc_handle *handle);
/* cdef ends */

#endif
