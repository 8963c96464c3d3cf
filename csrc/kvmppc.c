/* SPDX-License-Identifier: MIT */
/*
 * The shim: one function for each request to KVM.
 *
 * All system calls go through kvmppc_sys_open and kvmppc_sys_ioctl. simhost.c
 * includes this file with KVMPPC_SYS_DEFINED and replaces these two with a
 * simulated kernel. The rest of the shim is the same code in both extension
 * modules, and there is no switch at run time.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_CLOEXEC under -std=c11 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>

#include "kvm_uapi.h"
#include "kvmppc.h"

#ifndef KVMPPC_SYS_DEFINED

/*
 * Converts -1 from libc to a negative errno at once. libc returns other negative
 * numbers unchanged if they are not an errno, and so does this. A failure never
 * becomes an answer of 0, whatever errno is.
 */
static int result_of(int result)
{
	return result == -1 && errno != 0 ? -errno : result;
}

/* The only place that calls open. */
static int kvmppc_sys_open(const char *path, int flags)
{
	return result_of(open(path, flags));
}

/* The only place that calls ioctl. */
static int kvmppc_sys_ioctl(int fd, unsigned long request, uintptr_t argument)
{
	return result_of(ioctl(fd, request, argument));
}

/* For rows of the table below that apply only to powerpc. */
#ifdef __powerpc__
#define KVMPPC_IS_POWERPC 1
#else
#define KVMPPC_IS_POWERPC 0
#endif

#endif

#ifdef __powerpc__
#define KVMPPC_FROM_AUXV(type) ((const char *)getauxval(type))
#else
#define KVMPPC_FROM_AUXV(type) NULL
#endif

/* Opens /dev/kvm for reading and writing, as KVM requires; child programs do not inherit it. */
int kvmppc_open(const char *path)
{
	return kvmppc_sys_open(path, O_RDWR | O_CLOEXEC);
}

/* Returns the API version, which is always 12; fails on a file that is not a KVM device. */
int kvmppc_get_api_version(int kvm_fd)
{
	return kvmppc_sys_ioctl(kvm_fd, KVM_GET_API_VERSION, 0);
}

/* Checks one capability, on /dev/kvm or on a VM; the two may return different values. */
int kvmppc_check_extension(int fd, unsigned int capability)
{
	return kvmppc_sys_ioctl(fd, KVM_CHECK_EXTENSION, capability);
}

/*
 * Creates a VM of the default type; the kernel sets O_CLOEXEC. EINTR is returned
 * to the caller, so that its signal handlers can run before it tries again.
 */
int kvmppc_create_vm(int kvm_fd)
{
	return kvmppc_sys_ioctl(kvm_fd, KVM_CREATE_VM, 0);
}

/*
 * The revisions of the interface, one row for each: the capability by which a
 * kernel reports it, its request and its struct. Everything that depends on the
 * revision is in this table.
 */
struct kvmppc_layout {
	const char *name;
	unsigned int capability;
	int powerpc_only;            /* elsewhere the number is another capability */
	unsigned long request;
	size_t size_at;
	size_t flags_at;
	size_t capabilities_at;
};

#define KVMPPC_FIELDS_OF(wire)                                                 \
	.size_at = offsetof(wire, size), .flags_at = offsetof(wire, flags),    \
	.capabilities_at = offsetof(wire, compat_capabilities)

static const struct kvmppc_layout layouts[] = {
	[KVMPPC_REVISION_LINUX_7_3] = {"linux-7.3", KVMPPC_CAP_LINUX_7_3, 0, KVMPPC_GET_LINUX_7_3,
				       KVMPPC_FIELDS_OF(struct kvmppc_wire_linux_7_3)},
	[KVMPPC_REVISION_PATCH_V4] = {"patch-v4", KVMPPC_CAP_PATCH_V4, 1, KVMPPC_GET_PATCH_V4,
				      KVMPPC_FIELDS_OF(struct kvmppc_wire_patch_v4)},
};

_Static_assert(sizeof(layouts) / sizeof(layouts[0]) == KVMPPC_REVISIONS, "a row for each revision");

/* Returns the row of a revision, NULL if there is none. */
static const struct kvmppc_layout *layout_of(int revision)
{
	return revision > KVMPPC_REVISION_NONE && revision < KVMPPC_REVISIONS ? &layouts[revision] : NULL;
}

/* Returns the name of a revision in Python and in the record, NULL if there is none. */
const char *kvmppc_revision_name(int revision)
{
	const struct kvmppc_layout *layout = layout_of(revision);

	return layout != NULL ? layout->name : NULL;
}

/* Returns the capability of a revision, 0 if there is none. */
unsigned int kvmppc_revision_capability(int revision)
{
	const struct kvmppc_layout *layout = layout_of(revision);

	return layout != NULL ? layout->capability : 0;
}

/*
 * Determines which revision of the interface the kernel supports, from the
 * capabilities. Trying the requests would not tell: both can fail for other
 * reasons.
 */
int kvmppc_get_revision(int fd)
{
	for (int revision = KVMPPC_REVISION_NONE + 1; revision < KVMPPC_REVISIONS; revision++) {
		int result;

		if (layouts[revision].powerpc_only && !KVMPPC_IS_POWERPC)
			continue;
		result = kvmppc_check_extension(fd, layouts[revision].capability);
		if (result != 0)
			return result < 0 ? result : revision;
	}
	return KVMPPC_REVISION_NONE;
}

/* The largest struct that a kernel with any page size accepts. */
#define KVMPPC_WIRE_MAX 4096

/* Makes one call with a struct of zeros and the given size; returns the kernel's size in size. */
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
 * The call with all its cases. If the kernel requires another size, it fails with
 * E2BIG and returns its own size, and the call is made once more. A field beyond
 * the returned size was not filled in: it is 0 in the answer. If that is the
 * field of the capabilities, the answer is not valid.
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

/* Returns the complete answer; revision is the result of kvmppc_get_revision for this descriptor. */
struct kvmppc_answer kvmppc_get_compat_caps(int vm_fd, int revision)
{
	const struct kvmppc_layout *layout = layout_of(revision);

	return layout != NULL ? ask(vm_fd, layout) : (struct kvmppc_answer){.error = -ENOTTY};
}

/*
 * Returns the answer as a small number, which is fast enough for loops: the upper
 * eight bits of the capabilities, which include all known modes. If there is
 * anything else (an error, another size, flags, a lower bit), it returns -1, and
 * the caller calls kvmppc_get_compat_caps.
 */
int kvmppc_get_plain(int vm_fd, int revision)
{
	const struct kvmppc_layout *layout = layout_of(revision);
	uint64_t size = KVMPPC_WIRE_SIZE;
	unsigned char wire[KVMPPC_WIRE_SIZE];
	uint64_t flags;
	uint64_t capabilities;

	if (layout == NULL || ask_once(vm_fd, layout, wire, &size) != 0 || size != KVMPPC_WIRE_SIZE)
		return -1;
	memcpy(&flags, wire + layout->flags_at, sizeof(flags));
	memcpy(&capabilities, wire + layout->capabilities_at, sizeof(capabilities));
	if (flags != 0 || capabilities << (64 - KVMPPC_PLAIN_SHIFT) != 0)
		return -1;
	return (int)(capabilities >> KVMPPC_PLAIN_SHIFT);
}

/*
 * The kernel passes these facts about the processor to every powerpc program.
 * They need no file: containers mask files, and /proc/cpuinfo is not updated when
 * a partition is migrated. AT_PLATFORM is the mode ("power10"); NULL on other
 * architectures.
 */
const char *kvmppc_platform(void)
{
	return KVMPPC_FROM_AUXV(AT_PLATFORM);
}

/* AT_BASE_PLATFORM is the physical processor ("power11"); NULL on other architectures. */
const char *kvmppc_base_platform(void)
{
	return KVMPPC_FROM_AUXV(AT_BASE_PLATFORM);
}

/*
 * Reads the processor version register live, so it is right after a migration
 * too. Reading it is privileged; the kernel emulates it for programs. Returns 0
 * on other architectures.
 */
uint32_t kvmppc_pvr(void)
{
	unsigned long pvr = 0;

#ifdef __powerpc__
	__asm__ volatile("mfspr %0, 287" : "=r"(pvr));
#endif
	return (uint32_t)pvr;
}
