/* SPDX-License-Identifier: MIT */
/*
 * A kernel that has the question, for machines whose own has not. Preloaded
 * (LD_PRELOAD), it stands before libc's open and ioctl for whoever calls them:
 * the rivals and kvmppc alike, and kvmppc as it is on a real host. Each answer
 * comes after one real system call, so that the cost of entering a kernel is
 * in all of them.
 */
#include "../shared/kernel.h"

/* Devices and VMs are real ones where they can be had: what they cost is what they cost. */
static int or_null_device(long fd)
{
	return fd < 0 ? null_device() : (int)fd;
}

static int open_kvm(int flags)
{
	return or_null_device(syscall(SYS_openat, AT_FDCWD, "/dev/kvm", flags));
}

static int answer(int fd, unsigned long request, uintptr_t argument)
{
	uint64_t *wire = (uint64_t *)argument;

	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_CREATE_VM:
		return or_null_device(syscall(SYS_ioctl, fd, request, argument));
	case KVM_CHECK_EXTENSION:
		syscall(SYS_getppid);
		return argument == 250;
	case GET_COMPAT_CAPS:
		syscall(SYS_getppid);
		if (wire[0] != 3 * sizeof(*wire) || wire[1] != 0) {
			errno = EINVAL;
			return -1;
		}
		wire[2] = 3ULL << 61;
		return 0;
	default:
		return (int)syscall(SYS_ioctl, fd, request, argument);
	}
}
