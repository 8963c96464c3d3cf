/* SPDX-License-Identifier: MIT */
/*
 * A kernel that has the question, for machines whose own has not. Preloaded
 * (LD_PRELOAD), it stands before libc's open and ioctl for whoever calls them:
 * the rivals and kvmppc alike, and kvmppc as it is on a real host. Each answer
 * comes after one real system call, so that the cost of entering a kernel is
 * in all of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/kvm.h>

/* What stands for a descriptor of KVM's on a machine without KVM. */
static int null_device(void)
{
	return (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
}

/* Devices and VMs are real ones where they can be had: what they cost is what they cost. */
static int or_null_device(long fd)
{
	return fd < 0 ? null_device() : (int)fd;
}

static int open_file(const char *path, int flags, mode_t mode)
{
	if (strcmp(path, "/dev/kvm") == 0)
		return or_null_device(syscall(SYS_openat, AT_FDCWD, path, flags));
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;

	va_start(rest, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;

	va_start(rest, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	return open_file(path, flags, mode);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	uintptr_t argument;
	uint64_t *wire;

	va_start(rest, request);
	argument = va_arg(rest, uintptr_t);
	va_end(rest);
	wire = (uint64_t *)argument;
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_CREATE_VM:
		return or_null_device(syscall(SYS_ioctl, fd, request, argument));
	case KVM_CHECK_EXTENSION:
		syscall(SYS_getppid);
		return argument == 250;
	case _IO(KVMIO, 0xb8):
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
