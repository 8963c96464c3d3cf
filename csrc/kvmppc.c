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
#include <sys/auxv.h>
#include <sys/ioctl.h>

#include "kvm_uapi.h"
#include "kvmppc.h"

#ifndef KVMPPC_SYS_DEFINED

/*
 * Turns libc's errno into the result at once. Only -1 stands for it: any other
 * negative number is one that libc took for no errno, and goes on as it is. A
 * failure is never made an answer of 0, whatever errno says.
 */
static int result_of(int result)
{
	return result == -1 && errno != 0 ? -errno : result;
}

/* The choke point for open. */
static int kvmppc_sys_open(const char *path, int flags)
{
	return result_of(open(path, flags));
}

/* The choke point for ioctl. */
static int kvmppc_sys_ioctl(int fd, unsigned long request, uintptr_t argument)
{
	return result_of(ioctl(fd, request, argument));
}

/* What a row of the table below needs that is only for powerpc. */
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
 * Makes a VM of the default type; the kernel sets O_CLOEXEC by itself. EINTR
 * goes back to the caller, which can let its signal handlers run before it
 * tries again.
 */
int kvmppc_create_vm(int kvm_fd)
{
	return kvmppc_sys_ioctl(kvm_fd, KVM_CREATE_VM, 0);
}

/*
 * The revisions of the interface, a row for each: how a kernel tells that it
 * speaks it, and how it is spoken to. Whatever depends on the revision is read
 * here and nowhere else.
 */
struct kvmppc_layout {
	const char *name;
	unsigned int capability;
	int powerpc_only;            /* elsewhere another capability has the number */
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

/* The row of a revision, NULL where the number is none. */
static const struct kvmppc_layout *layout_of(int revision)
{
	return revision > KVMPPC_REVISION_NONE && revision < KVMPPC_REVISIONS ? &layouts[revision] : NULL;
}

/* What Python and the record call a revision; NULL where the number is none. */
const char *kvmppc_revision_name(int revision)
{
	const struct kvmppc_layout *layout = layout_of(revision);

	return layout != NULL ? layout->name : NULL;
}

/* The capability that tells a revision; 0 where the number is none. */
unsigned int kvmppc_revision_capability(int revision)
{
	const struct kvmppc_layout *layout = layout_of(revision);

	return layout != NULL ? layout->capability : 0;
}

/*
 * Decides which revision of the interface the kernel speaks. The capabilities
 * tell; a trial of the requests would not, since both can fail for other reasons.
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
	const struct kvmppc_layout *layout = layout_of(revision);

	return layout != NULL ? ask(vm_fd, layout) : (struct kvmppc_answer){.error = -ENOTTY};
}

/*
 * The answer as one small number, which is what a loop can afford: the upper
 * eight bits of the capabilities, where all known modes are, if nothing else is
 * to be said, and -1 if there is (an error, another size, flags, a lower bit),
 * for which the caller asks kvmppc_get_compat_caps.
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
 * What the kernel tells every powerpc program of the processor, without a file:
 * containers mask files, and /proc/cpuinfo is not updated when a partition is
 * migrated. AT_PLATFORM is the mode ("power10"); NULL on other architectures.
 */
const char *kvmppc_platform(void)
{
	return KVMPPC_FROM_AUXV(AT_PLATFORM);
}

/* AT_BASE_PLATFORM is the processor itself ("power11"); NULL likewise. */
const char *kvmppc_base_platform(void)
{
	return KVMPPC_FROM_AUXV(AT_BASE_PLATFORM);
}

/*
 * The processor version register as it is now, also after a migration. Reading
 * it is privileged; the kernel does it for programs. 0 on other architectures.
 */
uint32_t kvmppc_pvr(void)
{
	unsigned long pvr = 0;

#ifdef __powerpc__
	__asm__ volatile("mfspr %0, 287" : "=r"(pvr));
#endif
	return (uint32_t)pvr;
}
