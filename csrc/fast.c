/* SPDX-License-Identifier: MIT */
/*
 * The two calls that programs make in loops, KVM_CHECK_EXTENSION and
 * KVM_PPC_GET_COMPAT_CAPS, for a module of their own that holds the GIL
 * (kvmppc._fast). cffi's code releases the GIL around every call. That takes
 * longer than the rest of the path from Python to the kernel, and can make two
 * threads together slower than one.
 *
 * Why holding it is safe: both calls only read data in the kernel's memory. They
 * take no lock that is held for long, never sleep, never wait for another thread
 * of this process, and return in less than a microsecond. Other threads wait for
 * the GIL no longer than for any other short function. This code does not call
 * Python.
 *
 * What would make it unsafe: a call that can sleep or block, such as
 * KVM_CREATE_VM, open and close, which therefore stay in kvmppc._native; a
 * descriptor that is not KVM's and whose ioctl can block (Kvm and Vm make the
 * first call on every descriptor through kvmppc._native, and reject descriptors
 * that are not KVM's); a call into Python; or a lock that a thread holds while
 * it waits for the GIL.
 *
 * cffi's code and the whole shim are one translation unit here, which makes
 * calls faster. cffi includes Python.h, then this file, then its own code. In
 * that code the macros redefined below enclose each call: two for the GIL, and
 * two that save and restore errno, which the shim returns in its results.
 */
#include "fast.h"

/*
 * The descriptor of a handle must not be closed between reading its number and
 * the system call. While this thread holds the GIL, no other thread can close
 * it. If there is no GIL (free-threaded Python), or if it is released (PyPy,
 * kvmppc._simhost), the call counts itself in and out.
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

/* Checks a capability: returns the kernel's answer, or a negative errno. */
int kvmppc_fast_check_extension(struct kvmppc_question *question)
{
	struct kvmppc_handle *handle = question->handle;
	int result = kvmppc_check_extension(kvmppc_handle_enter(handle), question->capability);

	kvmppc_handle_leave(handle);
	return result;
}

/* Asks for the modes: returns the small number of kvmppc_get_plain. */
int kvmppc_fast_get_compat_caps(struct kvmppc_handle *vm)
{
	int result = kvmppc_get_plain(kvmppc_handle_enter(vm), vm->revision);

	kvmppc_handle_leave(vm);
	return result;
}
