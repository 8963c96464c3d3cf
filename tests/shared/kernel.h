/* SPDX-License-Identifier: MIT */
/*
 * A kernel for libraries that are preloaded (LD_PRELOAD): open and ioctl in the
 * place of libc's. The file that includes this defines what they do with KVM:
 * open_kvm opens /dev/kvm, answer takes each ioctl.
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

#define GET_COMPAT_CAPS _IO(KVMIO, 0xb8)

static int open_kvm(int flags);
static int answer(int fd, unsigned long request, uintptr_t argument);

/* A descriptor in the place of KVM's own, on a machine without KVM. */
static int null_device(void)
{
	return (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
}

int open(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;

	va_start(rest, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	if (strcmp(path, "/dev/kvm") == 0)
		return open_kvm(flags);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open"), nonnull(1)));

int ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	uintptr_t argument;

	va_start(rest, request);
	argument = va_arg(rest, uintptr_t);
	va_end(rest);
	return answer(fd, request, argument);
}
