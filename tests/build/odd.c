/* SPDX-License-Identifier: MIT */
/*
 * A kernel that answers what no kernel should. Preloaded (LD_PRELOAD), it stands
 * before libc's open and ioctl; the test sets what it answers in odd_kernel, by
 * ctypes.
 */
#include "../shared/kernel.h"

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

static int open_kvm(int flags)
{
	(void)flags;
	if (is_odd(&odd_kernel.open) && odd_kernel.open.error != 0)
		return give(&odd_kernel.open);
	return null_device();
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

static int answer(int fd, unsigned long request, uintptr_t argument)
{
	static int vm = -1;

	switch (request) {
	case KVM_GET_API_VERSION:
		return is_odd(&odd_kernel.version) ? give(&odd_kernel.version) : KVM_API_VERSION;
	case KVM_CREATE_VM:
		if (is_odd(&odd_kernel.create_vm))
			return vm = give(&odd_kernel.create_vm);
		return vm = null_device();
	case KVM_CHECK_EXTENSION:
		if (argument != 250)
			return 0;
		if (fd == vm)
			return is_odd(&odd_kernel.capability_of_vm) ? give(&odd_kernel.capability_of_vm) : 1;
		return is_odd(&odd_kernel.capability_250) ? give(&odd_kernel.capability_250) : 1;
	case GET_COMPAT_CAPS:
		/* A closed or recycled descriptor is not asked: it is a fault of the test then. */
		return fd == vm ? get((uint64_t *)argument) : (errno = EBADF, -1);
	default:
		return (int)syscall(SYS_ioctl, fd, request, argument);
	}
}
