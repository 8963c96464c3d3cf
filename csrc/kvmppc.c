/* SPDX-License-Identifier: MIT */
/*
 * The shim: one function for each thing that is asked of KVM.
 *
 * All system calls go through kvmppc_sys_open and kvmppc_sys_ioctl. simhost.c
 * includes this file with KVMPPC_SYS_DEFINED and puts a simulated kernel there;
 * the shim above that line is the same code in both extension modules, and
 * there is no switch at run time.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_CLOEXEC under -std=c11 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm_uapi.h"
#include "kvmppc.h"

#ifndef KVMPPC_SYS_DEFINED

/* The choke point for open: turns libc's errno into the return value at once. */
static int kvmppc_sys_open(const char *path, int flags)
{
	int fd = open(path, flags);

	return fd < 0 ? -errno : fd;
}

/* The choke point for ioctl: likewise. */
static int kvmppc_sys_ioctl(int fd, unsigned long request, uintptr_t argument)
{
	int result = ioctl(fd, request, argument);

	return result < 0 ? -errno : result;
}

/* 249 is powerpc's only in patch-v4; elsewhere another capability has that number. */
#ifdef __powerpc__
#define KVMPPC_IS_POWERPC 1
#else
#define KVMPPC_IS_POWERPC 0
#endif

#endif

/* Opens /dev/kvm for asking: read and write as KVM requires, and not inherited by programs we start. */
int kvmppc_open(const char *path)
{
	return kvmppc_sys_open(path, O_RDWR | O_CLOEXEC);
}

/* Tells a KVM device from any other file, and the one API version there is (12) from a stranger. */
int kvmppc_get_api_version(int kvm_fd)
{
	return kvmppc_sys_ioctl(kvm_fd, KVM_GET_API_VERSION, 0);
}

/* Asks for one capability, on /dev/kvm or on a VM; the two may answer differently. */
int kvmppc_check_extension(int fd, unsigned int capability)
{
	return kvmppc_sys_ioctl(fd, KVM_CHECK_EXTENSION, capability);
}

/*
 * The fast form of the same: descriptor and capability in one number. A call
 * from Python with one argument costs half of one with two, and a number of up
 * to 30 bits, one digit of Python's, less than a longer one.
 */
int kvmppc_check_packed(int question)
{
	return kvmppc_check_extension(question >> KVMPPC_PACKED_BITS,
				      (unsigned int)question & ((1U << KVMPPC_PACKED_BITS) - 1));
}

/*
 * Makes a VM of the default type; the kernel sets O_CLOEXEC by itself. EINTR
 * goes back to the caller, which can let its signal handlers run before it
 * tries again.
 */
int kvmppc_create_vm(int kvm_fd)
{
	return kvmppc_sys_ioctl(kvm_fd, KVM_CREATE_VM, 0);
}

/*
 * Decides which revision of the interface the kernel speaks. The capabilities
 * tell; a trial of the requests would not, since both can fail for other reasons.
 */
int kvmppc_get_revision(int fd)
{
	int result = kvmppc_check_extension(fd, KVMPPC_CAP_LINUX_7_3);

	if (result != 0)
		return result < 0 ? result : KVMPPC_REVISION_LINUX_7_3;
	if (!KVMPPC_IS_POWERPC)
		return KVMPPC_REVISION_NONE;
	result = kvmppc_check_extension(fd, KVMPPC_CAP_PATCH_V4);
	if (result != 0)
		return result < 0 ? result : KVMPPC_REVISION_PATCH_V4;
	return KVMPPC_REVISION_NONE;
}

/* What a revision's struct looks like, so that one function can speak both. */
struct kvmppc_layout {
	unsigned long request;
	size_t size_at;
	size_t flags_at;
	size_t capabilities_at;
};

static const struct kvmppc_layout layout_linux_7_3 = {
	.request = KVMPPC_GET_LINUX_7_3,
	.size_at = offsetof(struct kvmppc_wire_linux_7_3, size),
	.flags_at = offsetof(struct kvmppc_wire_linux_7_3, flags),
	.capabilities_at = offsetof(struct kvmppc_wire_linux_7_3, compat_capabilities),
};

static const struct kvmppc_layout layout_patch_v4 = {
	.request = KVMPPC_GET_PATCH_V4,
	.size_at = offsetof(struct kvmppc_wire_patch_v4, size),
	.flags_at = offsetof(struct kvmppc_wire_patch_v4, flags),
	.capabilities_at = offsetof(struct kvmppc_wire_patch_v4, compat_capabilities),
};

/* As large as a struct may become before the kernel refuses it whatever the page size. */
#define KVMPPC_WIRE_MAX 4096

/* One call with a struct of the given size, all zero but its size; size is left as the kernel left it. */
static int ask_once(int vm_fd, const struct kvmppc_layout *layout, unsigned char *wire, uint64_t *size)
{
	int error;

	memset(wire, 0, *size);
	memcpy(wire + layout->size_at, size, sizeof(*size));
	error = kvmppc_sys_ioctl(vm_fd, layout->request, (uintptr_t)wire);
	memcpy(size, wire + layout->size_at, sizeof(*size));
	return error;
}

/*
 * The question itself. A kernel that wants another size says so (E2BIG, its own
 * size written back) and is asked once more. A field beyond the returned size
 * was not filled in: it is reported as 0, and the answer as not valid where the
 * capabilities are such a field.
 */
static struct kvmppc_answer ask(int vm_fd, const struct kvmppc_layout *layout)
{
	_Alignas(uint64_t) unsigned char wire[KVMPPC_WIRE_MAX];
	struct kvmppc_answer answer = {.size = KVMPPC_WIRE_SIZE};

	answer.error = ask_once(vm_fd, layout, wire, &answer.size);
	if (answer.error == -E2BIG && answer.size > KVMPPC_WIRE_SIZE && answer.size <= KVMPPC_WIRE_MAX)
		answer.error = ask_once(vm_fd, layout, wire, &answer.size);
	if (answer.error < 0)
		return answer;
	answer.error = 0;
	if (answer.size >= layout->flags_at + sizeof(answer.flags))
		memcpy(&answer.flags, wire + layout->flags_at, sizeof(answer.flags));
	if (answer.size >= layout->capabilities_at + sizeof(answer.compat_capabilities)) {
		memcpy(&answer.compat_capabilities, wire + layout->capabilities_at,
		       sizeof(answer.compat_capabilities));
		answer.valid = 1;
	}
	return answer;
}

/* The whole answer, for every case; revision is what kvmppc_get_revision said of this descriptor. */
struct kvmppc_answer kvmppc_get_compat_caps(int vm_fd, int revision)
{
	if (revision == KVMPPC_REVISION_LINUX_7_3)
		return ask(vm_fd, &layout_linux_7_3);
	if (revision == KVMPPC_REVISION_PATCH_V4)
		return ask(vm_fd, &layout_patch_v4);
	return (struct kvmppc_answer){.error = -ENOTTY};
}

/*
 * The answer as one small number, which is what a loop can afford: the upper
 * eight bits of the capabilities, where all known modes are, if nothing else is
 * to be said, and -1 if there is (an error, another size, flags, a lower bit),
 * for which the caller asks kvmppc_get_compat_caps.
 */
static int as_plain_number(struct kvmppc_answer answer)
{
	uint64_t upper = answer.compat_capabilities >> KVMPPC_PLAIN_SHIFT;

	if (answer.error != 0 || answer.size != KVMPPC_WIRE_SIZE || answer.flags != 0 ||
	    answer.compat_capabilities != upper << KVMPPC_PLAIN_SHIFT)
		return -1;
	return (int)upper;
}

/* The fast question for a VM of a linux-7.3 kernel. */
int kvmppc_ask_linux_7_3(int vm_fd)
{
	return as_plain_number(ask(vm_fd, &layout_linux_7_3));
}

/* The fast question for a VM of a patch-v4 kernel. */
int kvmppc_ask_patch_v4(int vm_fd)
{
	return as_plain_number(ask(vm_fd, &layout_patch_v4));
}
