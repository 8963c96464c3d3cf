/* SPDX-License-Identifier: MIT */
/*
 * The operations of Python's Kvm and Vm on their descriptors. A new descriptor is
 * in its handle before this code returns. An exception in a signal handler
 * therefore cannot leak it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* as in kvmppc.c */
#endif
#include <unistd.h>

#include "handle.h"
#include "kvm_uapi.h"

/* Closes the descriptor if it is ours and still open; the exchange lets only one caller close it. */
static void close_owned(struct kvmppc_handle *handle)
{
	int fd = __atomic_exchange_n(&handle->owned, -1, __ATOMIC_SEQ_CST);

	if (fd >= 0)
		close(fd);
}

/* Begins a call: returns the descriptor to use, -1 if the handle is closed. */
int kvmppc_handle_enter(struct kvmppc_handle *handle)
{
	int before = __atomic_fetch_add(&handle->users, 1, __ATOMIC_SEQ_CST);

	return before & KVMPPC_HANDLE_CLOSED ? -1 : __atomic_load_n(&handle->fd, __ATOMIC_SEQ_CST);
}

/*
 * Ends a call. If the handle was closed meanwhile, the last call closes the
 * descriptor. Both facts, no users and closed, must be read at the same time:
 * otherwise a call could begin in between. They are therefore in one number.
 */
void kvmppc_handle_leave(struct kvmppc_handle *handle)
{
	if (__atomic_sub_fetch(&handle->users, 1, __ATOMIC_SEQ_CST) == KVMPPC_HANDLE_CLOSED)
		close_owned(handle);
}

/*
 * Closes a handle; may be called repeatedly, and by several threads at once.
 * Python's close() has already set fd to -1 while holding the GIL, for the calls
 * in fast.c.
 */
void kvmppc_handle_close(struct kvmppc_handle *handle)
{
	int before = __atomic_fetch_or(&handle->users, KVMPPC_HANDLE_CLOSED, __ATOMIC_SEQ_CST);

	__atomic_store_n(&handle->fd, -1, __ATOMIC_SEQ_CST);
	if ((before & ~KVMPPC_HANDLE_CLOSED) == 0)
		close_owned(handle);
}

/*
 * For a child after fork, before it asks anything. The other threads of its
 * parent do not exist in it, so that their calls never end there: without this
 * none would be the last one out, and the child would keep the descriptor.
 */
void kvmppc_handle_forked(struct kvmppc_handle *handle)
{
	int before = __atomic_fetch_and(&handle->users, KVMPPC_HANDLE_CLOSED, __ATOMIC_SEQ_CST);

	if (before > KVMPPC_HANDLE_CLOSED)
		close_owned(handle);
}

/* Stores a new descriptor in its handle and returns 0; passes a negative errno on. */
static int keep(struct kvmppc_handle *handle, int fd)
{
	if (fd < 0)
		return fd;
	handle->owned = fd;
	__atomic_store_n(&handle->fd, fd, __ATOMIC_SEQ_CST);
	return 0;
}

/* Opens a device into an empty handle; returns 0 or a negative errno. */
int kvmppc_handle_open(struct kvmppc_handle *kvm, const char *path)
{
	return keep(kvm, kvmppc_open(path));
}

/* Creates a VM into an empty handle; returns 0 or a negative errno. */
int kvmppc_handle_create_vm(struct kvmppc_handle *kvm, struct kvmppc_handle *vm)
{
	int result = keep(vm, kvmppc_create_vm(kvmppc_handle_enter(kvm)));

	kvmppc_handle_leave(kvm);
	return result;
}

/* As in kvmppc.c, with the call counted. */
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

/*
 * Opens a device, gets the revision and closes the device: the whole query where
 * no VM is created. One call takes half the time of a handle and a call for each
 * step. Returns a negative number if a step fails; the caller then takes the
 * steps with a handle, which shows the error.
 */
int kvmppc_revision_of_device(const char *path)
{
	int fd = kvmppc_open(path);
	int result = -1;

	if (fd < 0)
		return fd;
	if (kvmppc_get_api_version(fd) == KVM_API_VERSION)
		result = kvmppc_get_revision(fd);
	close(fd);
	return result;
}
