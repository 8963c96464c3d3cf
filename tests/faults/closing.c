/* SPDX-License-Identifier: MIT */
/*
 * A close that does close, as the kernel's does, and fails all the same. Preloaded
 * (LD_PRELOAD); strace cannot do that, whose failing call is not made.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

struct {
	int calls;                    /* so far */
	int fails_at;                 /* the call that fails */
	int error;
	int strangers;                /* closed again, or never opened */
} closing;

int close(int fd)
{
	int result = (int)syscall(SYS_close, fd);

	closing.strangers += result != 0;
	if (++closing.calls != closing.fails_at)
		return result;
	errno = closing.error;
	return -1;
}
