/* SPDX-License-Identifier: MIT */
/*
 * A kernel that tells who keeps the GIL. Preloaded (LD_PRELOAD), it stands
 * before libc's open, ioctl and close. In each call it wakes a thread of Python's
 * through one pipe and waits for that thread's word in another: "heard" if it
 * came, so that somebody else could run, and "alone" if it did not.
 */
#include "../shared/kernel.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

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

static int open_kvm(int flags)
{
	(void)flags;
	meet("open", 30000);
	return null_device();
}

static int answer(int fd, unsigned long request, uintptr_t argument)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_CREATE_VM:
		meet("create_vm", 30000);
		return dup2(fd, VM);
	case KVM_CHECK_EXTENSION:
		meet("check_extension", 500);
		return 1;
	case GET_COMPAT_CAPS:
		meet("get_compat_caps", 500);
		((uint64_t *)argument)[2] = 3ULL << 61;
		return 0;
	default:
		return (int)syscall(SYS_ioctl, fd, request, argument);
	}
}

int close(int fd)
{
	if (fd == VM)
		meet("close", 30000);
	return (int)syscall(SYS_close, fd);
}
