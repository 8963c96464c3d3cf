/* SPDX-License-Identifier: MIT */
/*
 * What Python's Kvm and Vm do with their descriptors. A descriptor that the
 * kernel makes is in its handle before this code returns, where a signal's
 * handler that raises cannot lose it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* as in kvmppc.c */
#endif
#include <unistd.h>

#include "handle.h"

/* Closes the descriptor if it is ours, and if it has not been closed: whoever takes it out does it. */
static void close_owned(struct kvmppc_handle *handle)
{
	int fd = __atomic_exchange_n(&handle->owned, -1, __ATOMIC_SEQ_CST);

	if (fd >= 0)
		close(fd);
}

/* A question begins: what is to be asked, -1 where the handle is closed. */
int kvmppc_handle_enter(struct kvmppc_handle *handle)
{
	int before = __atomic_fetch_add(&handle->users, 1, __ATOMIC_SEQ_CST);

	return before & KVMPPC_HANDLE_CLOSED ? -1 : __atomic_load_n(&handle->fd, __ATOMIC_SEQ_CST);
}

/*
 * A question has ended. If the handle was closed meanwhile, the last one closes
 * the descriptor. That there are no users and that it is closed must be seen at
 * once, so both are in one number: else a question could begin in between.
 */
void kvmppc_handle_leave(struct kvmppc_handle *handle)
{
	if (__atomic_sub_fetch(&handle->users, 1, __ATOMIC_SEQ_CST) == KVMPPC_HANDLE_CLOSED)
		close_owned(handle);
}

/*
 * Closes a handle; may be called again, and by many at once. Python's close()
 * has set fd to -1 before, with the GIL held, for the questions of fast.c.
 */
void kvmppc_handle_close(struct kvmppc_handle *handle)
{
	int before = __atomic_fetch_or(&handle->users, KVMPPC_HANDLE_CLOSED, __ATOMIC_SEQ_CST);

	__atomic_store_n(&handle->fd, -1, __ATOMIC_SEQ_CST);
	if ((before & ~KVMPPC_HANDLE_CLOSED) == 0)
		close_owned(handle);
}

/* A descriptor that was made here becomes a handle's; a negative errno is only passed on. */
static int keep(struct kvmppc_handle *handle, int fd)
{
	if (fd < 0)
		return fd;
	handle->owned = fd;
	__atomic_store_n(&handle->fd, fd, __ATOMIC_SEQ_CST);
	return 0;
}

/* Opens a device into an empty handle; 0, or a negative errno. */
int kvmppc_handle_open(struct kvmppc_handle *kvm, const char *path)
{
	return keep(kvm, kvmppc_open(path));
}

/* Makes a VM into an empty handle; 0, or a negative errno. */
int kvmppc_handle_create_vm(struct kvmppc_handle *kvm, struct kvmppc_handle *vm)
{
	int result = keep(vm, kvmppc_create_vm(kvmppc_handle_enter(kvm)));

	kvmppc_handle_leave(kvm);
	return result;
}

/* The questions of kvmppc.c, counted. */
int kvmppc_handle_get_api_version(struct kvmppc_handle *kvm)
{
	int result = kvmppc_get_api_version(kvmppc_handle_enter(kvm));

	kvmppc_handle_leave(kvm);
	return result;
}

/* Likewise. */
int kvmppc_handle_check_extension(struct kvmppc_handle *handle, unsigned int capability)
{
	int result = kvmppc_check_extension(kvmppc_handle_enter(handle), capability);

	kvmppc_handle_leave(handle);
	return result;
}

/* Likewise. */
int kvmppc_handle_get_revision(struct kvmppc_handle *handle)
{
	int result = kvmppc_get_revision(kvmppc_handle_enter(handle));

	kvmppc_handle_leave(handle);
	return result;
}

/* Likewise. */
struct kvmppc_answer kvmppc_handle_get_compat_caps(struct kvmppc_handle *vm)
{
	struct kvmppc_answer answer = kvmppc_get_compat_caps(kvmppc_handle_enter(vm), vm->revision);

	kvmppc_handle_leave(vm);
	return answer;
}
