/* SPDX-License-Identifier: MIT */
/*
 * A kernel that tells who keeps the GIL. Preloaded (LD_PRELOAD), it stands
 * before libc's open, ioctl and close. In each call it wakes a thread of Python's
 * through one pipe and waits for that thread's word in another: "heard" if it
 * came, so that somebody else could run, and "alone" if it did not.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/kvm.h>

#define WAKE 100                      /* descriptors that the test has made: written to here, */
#define WORD 101                      /* and read from here */
#define VM 102                        /* what a VM's descriptor is */

/* What must be heard has long; what must not gets as long as anybody could need. */
static void meet(const char *call, int milliseconds)
{
	struct pollfd word = {.fd = WORD, .events = POLLIN};
	char byte = 0;
	int heard;

	if (write(WAKE, &byte, 1) != 1)
		abort();
	heard = poll(&word, 1, milliseconds) == 1 && read(WORD, &byte, 1) == 1;
	dprintf(STDERR_FILENO, "%s %s\n", call, heard ? "heard" : "alone");
}

int open(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;

	va_start(rest, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	if (strcmp(path, "/dev/kvm") == 0) {
		meet("open", 30000);
		path = "/dev/null";
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int ioctl(int fd, unsigned long request, ...)
{
	uint64_t *wire;
	va_list rest;

	va_start(rest, request);
	wire = va_arg(rest, uint64_t *);
	va_end(rest);
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_CREATE_VM:
		meet("create_vm", 30000);
		return dup2(fd, VM);
	case KVM_CHECK_EXTENSION:
		meet("check_extension", 500);
		return 1;
	case _IO(KVMIO, 0xb8):
		meet("get_compat_caps", 500);
		wire[2] = 3ULL << 61;
		return 0;
	default:
		return (int)syscall(SYS_ioctl, fd, request, wire);
	}
}

int close(int fd)
{
	if (fd == VM)
		meet("close", 30000);
	return (int)syscall(SYS_close, fd);
}
