/* SPDX-License-Identifier: MIT */
/*
 * The two questions that loops ask, KVM_CHECK_EXTENSION and
 * KVM_PPC_GET_COMPAT_CAPS, for a module of their own that keeps the GIL
 * (kvmppc._fast). cffi's code gives it back around every call and takes it
 * again, which costs more than the rest of the way from Python to the kernel,
 * and makes two threads that ask slower than one.
 *
 * Why keeping it is safe: both calls only read what the kernel has in memory.
 * They take no lock that is held for long, never sleep, never wait for another
 * thread of this process, and come back in less than a microsecond, so nobody
 * waits longer for the GIL than for any other short function. Nothing in here
 * calls Python.
 *
 * What would make it unsafe: a call that can sleep or block, as KVM_CREATE_VM,
 * open and close can, which therefore stay in kvmppc._native; a descriptor of
 * something else than KVM whose ioctl can (Kvm and Vm ask every descriptor once
 * through kvmppc._native, and refuse what is not KVM); a call into Python, or a
 * lock that a thread holds while it waits for the GIL.
 *
 * Here cffi's code and all of the shim are one translation unit, which makes the
 * way short. cffi includes Python.h first, then this file, then has its own
 * code, in which the macros that are redefined below stand around each call: the
 * two for the GIL, and the two that keep errno, which the shim gives back in its
 * results.
 */
#include "fast.h"

/*
 * The descriptor of a handle must not be closed between reading its number and
 * asking. With the GIL held no other thread can close it; where there is none,
 * as in a free-threaded Python, or it is given back, as by PyPy and in
 * kvmppc._simhost, the question counts itself in and out.
 */
#ifdef Py_PYTHON_H
#include "kvmppc.c"
#if defined(Py_GIL_DISABLED) || defined(Py_TARGET_ABI3T) || defined(PYPY_VERSION)
#include "handle.c"
#else
#undef Py_BEGIN_ALLOW_THREADS
#undef Py_END_ALLOW_THREADS
#undef _cffi_restore_errno
#undef _cffi_save_errno
#define Py_BEGIN_ALLOW_THREADS {
#define Py_END_ALLOW_THREADS }
#define _cffi_restore_errno() ((void)0)
#define _cffi_save_errno() ((void)0)
#define kvmppc_handle_enter(handle) ((handle)->fd)
#define kvmppc_handle_leave(handle) ((void)0)
#endif
#endif

/* Asks for a capability: what the kernel answers, or a negative errno. */
int kvmppc_fast_check_extension(struct kvmppc_question *question)
{
	struct kvmppc_handle *handle = question->handle;
	int result = kvmppc_check_extension(kvmppc_handle_enter(handle), question->capability);

	kvmppc_handle_leave(handle);
	return result;
}

/* Asks for the modes: kvmppc_get_plain's small number. */
int kvmppc_fast_get_compat_caps(struct kvmppc_handle *vm)
{
	int result = kvmppc_get_plain(kvmppc_handle_enter(vm), vm->revision);

	kvmppc_handle_leave(vm);
	return result;
}
