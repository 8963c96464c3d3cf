/* SPDX-License-Identifier: MIT */
/*
 * A kernel that answers what no kernel should. Preloaded (LD_PRELOAD), it stands
 * before libc's open and ioctl; the test sets what it answers in odd_kernel, by
 * ctypes.
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

/* A call's result, or -1 and an errno; and how often, 0 for always, until it is answered as is right. */
struct odd_answer {
	int result;
	int error;
	int times;
	int calls;
};

struct odd_kernel {
	struct odd_answer open;
	struct odd_answer version;
	struct odd_answer capability_250;
	struct odd_answer capability_of_vm;
	struct odd_answer create_vm;
	struct odd_answer get;
	uint64_t size;                /* what get leaves in the struct */
	uint64_t flags;
	uint64_t capabilities;
} odd_kernel;

/* Whether the odd answer is to be given; counts. */
static int is_odd(struct odd_answer *answer)
{
	return answer->calls++ < answer->times || answer->times == 0;
}

static int give(const struct odd_answer *answer)
{
	errno = answer->error;
	return answer->result;
}

int open(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;

	va_start(rest, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	if (strcmp(path, "/dev/kvm") == 0) {
		if (is_odd(&odd_kernel.open) && odd_kernel.open.error != 0)
			return give(&odd_kernel.open);
		path = "/dev/null";
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* The question itself: an odd result with an odd struct, then a right one of as many bytes as were sent. */
static int get(uint64_t *wire)
{
	int odd = is_odd(&odd_kernel.get);

	if (!odd || odd_kernel.get.error != EINVAL) {
		wire[0] = odd ? odd_kernel.size : wire[0];
		wire[1] = odd_kernel.flags;
		wire[2] = odd_kernel.capabilities;
	}
	return odd ? give(&odd_kernel.get) : 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	static int vm = -1;
	uintptr_t argument;
	va_list rest;

	va_start(rest, request);
	argument = va_arg(rest, uintptr_t);
	va_end(rest);
	switch (request) {
	case KVM_GET_API_VERSION:
		return is_odd(&odd_kernel.version) ? give(&odd_kernel.version) : KVM_API_VERSION;
	case KVM_CREATE_VM:
		if (is_odd(&odd_kernel.create_vm))
			return vm = give(&odd_kernel.create_vm);
		return vm = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
	case KVM_CHECK_EXTENSION:
		if (argument != 250)
			return 0;
		if (fd == vm)
			return is_odd(&odd_kernel.capability_of_vm) ? give(&odd_kernel.capability_of_vm) : 1;
		return is_odd(&odd_kernel.capability_250) ? give(&odd_kernel.capability_250) : 1;
	case _IO(KVMIO, 0xb8):
		/* A closed or recycled descriptor is not asked: it is a fault of the test then. */
		return fd == vm ? get((uint64_t *)argument) : (errno = EBADF, -1);
	default:
		return (int)syscall(SYS_ioctl, fd, request, argument);
	}
}
