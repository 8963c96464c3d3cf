/* SPDX-License-Identifier: MIT */
/*
 * A simulated host: answers the shim's system calls as the kernel of a Power host
 * would. It is compiled only into kvmppc._simhost, never into kvmppc._native. The
 * path to open selects the host ("NAME:/dev/kvm"), so nothing outside the program
 * can switch a simulation on.
 *
 * There is no table of open descriptors. A simulated /dev/kvm or VM is a real
 * descriptor of a small sealed file in memory with its type and host. dup, close,
 * fork, passing it to another process and use after close therefore behave as
 * with the kernel's own descriptors.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create, F_ADD_SEALS, process_vm_readv */
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kvm_uapi.h"
#include "simhost.h"

/* How a kernel treats the size in the struct. */
enum simhost_rule {
	RULE_NO_IOCTL,        /* before 7.3 */
	RULE_LINUX_7_3,       /* that of copy_struct_from_user: shorter and longer structs are accepted */
	RULE_PATCH_POSTED,    /* patch-v4 as posted: longer is accepted, the kernel returns its own size */
	RULE_PATCH_STRICT,    /* patch-v4 as agreed in review: this size and no other */
};

struct simhost {
	const char *name;
	enum simhost_rule rule;
	int open_error;              /* of /dev/kvm */
	int create_vm_error;
	int backend_error;           /* -ENOTTY: there is no get_compat_caps operation; -EINVAL: it fails */
	int capability;              /* returned for the capability of its revision */
	int nested_v1;               /* KVM_CAP_PPC_NESTED_HV: 1 under nested API v1 */
	int no_hv;                   /* KVM_CAP_PPC_GET_PVINFO: 1 without kvm_hv */
	size_t struct_size;          /* of the kernel's struct */
	uint64_t compat_capabilities;
	uint64_t later_capabilities; /* from a VM's second call on, if not 0 */
};

#define P9 KVMPPC_BIT_POWER9
#define P10 KVMPPC_BIT_POWER10
#define P11 KVMPPC_BIT_POWER11
#define MAINLINE .rule = RULE_LINUX_7_3, .capability = 1, .struct_size = KVMPPC_WIRE_SIZE
#define V1 .nested_v1 = 1
/* kvm.ko without kvm-hv.ko: there is a /dev/kvm, but no backend that can create a VM. */
#define NO_BACKEND                                                             \
	.rule = RULE_LINUX_7_3, .no_hv = 1, .struct_size = KVMPPC_WIRE_SIZE, .create_vm_error = -EINVAL

static const struct simhost simhosts[] = {
	{"power9", MAINLINE, V1, .compat_capabilities = P9},
	{"power10", MAINLINE, V1, .compat_capabilities = P9 | P10},
	{"power11", MAINLINE, V1, .compat_capabilities = P9 | P10 | P11},
	{"power11-v2", MAINLINE, .compat_capabilities = P9 | P10 | P11},
	{"power11-as-power10", MAINLINE, .compat_capabilities = P9 | P10},
	{"power11-as-power9", MAINLINE, .compat_capabilities = P9},
	{"powervm-power11", MAINLINE, .compat_capabilities = P10 | P11},
	/* On bare metal VMs can be created, but they are not nested guests. */
	{"powernv10", .rule = RULE_LINUX_7_3, .struct_size = KVMPPC_WIRE_SIZE, V1, .backend_error = -EINVAL},
	{"linux-6.12", .rule = RULE_NO_IOCTL, V1},
	{"linux-6.12-as-power10", .rule = RULE_NO_IOCTL},
	{"no-nesting", NO_BACKEND},
	/* kvm-hv.ko does not load if the MMU is not radix. */
	{"power8-mode", NO_BACKEND},
	/* VMs can be created, but kvm_hv has nested=N: v1 then looks like v2. */
	{"nested-off", MAINLINE, .compat_capabilities = P9 | P10},
	/* kvm-pr.ko has no get_compat_caps operation. */
	{"kvm-pr", .rule = RULE_LINUX_7_3, .no_hv = 1, .struct_size = KVMPPC_WIRE_SIZE, .backend_error = -ENOTTY},
	{"power12", MAINLINE, .compat_capabilities = P9 | P10},
	{"migrating", MAINLINE, .compat_capabilities = P9 | P10 | P11, .later_capabilities = P9 | P10},
	{"migrated", MAINLINE, .compat_capabilities = P9 | P10},
	{"no-operation", MAINLINE, .backend_error = -ENOTTY},
	{"backend-refuses", MAINLINE, .backend_error = -EINVAL},
	{"no-device", .open_error = -ENOENT},
	{"container", .open_error = -ENOENT},
	{"no-permission", .open_error = -EACCES},
	{"patch-v4", .rule = RULE_PATCH_POSTED, .capability = 1, .struct_size = KVMPPC_WIRE_SIZE,
	 .compat_capabilities = P9 | P10},
	{"patch-v4-strict", .rule = RULE_PATCH_STRICT, .capability = 1, .struct_size = KVMPPC_WIRE_SIZE,
	 .compat_capabilities = P9 | P10},
	{"patch-v4-short", .rule = RULE_PATCH_POSTED, .capability = 1,
	 .struct_size = offsetof(struct kvmppc_wire_patch_v4, compat_capabilities)},
	{"struct-32", .rule = RULE_LINUX_7_3, .capability = 1, .struct_size = 32,
	 .compat_capabilities = P9 | P10 | P11},
	{"unknown-bit", MAINLINE, .compat_capabilities = P9 | P10 | P11 | 1ULL << 56},
	{"future", .rule = RULE_LINUX_7_3, .capability = 1, .struct_size = 32,
	 .compat_capabilities = P9 | P10 | P11 | 1ULL << 56},
};

#define SIMHOST_COUNT (sizeof(simhosts) / sizeof(simhosts[0]))

/* The content of the file behind a simulated descriptor. */
struct simhost_object {
	char magic[8];
	uint32_t host;               /* index into simhosts */
	uint32_t is_vm;
	int64_t owner;               /* the process whose memory a VM belongs to */
};

static const char magic[8] = "kvmppc1";

/* Any file in memory may have some seal, but only a simulated descriptor has all of these. */
#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

/* Since Linux 6.3. It adds another seal, and so does the sysctl vm.memfd_noexec. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

/* Creates a file in memory, marked as not executable if the kernel supports that. */
static int make_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	return fd >= 0 || errno != EINVAL ? fd : memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

/* Creates a descriptor whose content cannot change, like that of a kernel object. */
static int make_object(uint32_t host, bool is_vm)
{
	struct simhost_object object = {.host = host, .is_vm = is_vm, .owner = getpid()};
	int fd = make_file(is_vm ? "simulated-kvm-vm" : "simulated-kvm");
	int error;

	if (fd < 0)
		return -errno;
	memcpy(object.magic, magic, sizeof(magic));
	/* The offset stays 0: answered_before uses it to count the calls. */
	if (pwrite(fd, &object, sizeof(object), 0) == (ssize_t)sizeof(object) &&
	    fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

/* Reads what a descriptor is; fails with the kernel's errno for one that is not simulated. */
static int read_object(int fd, struct simhost_object *object)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 && errno == EBADF)
		return -EBADF;
	if ((seals & ~F_SEAL_EXEC) != SEALS ||
	    pread(fd, object, sizeof(*object), 0) != (ssize_t)sizeof(*object) ||
	    memcmp(object->magic, magic, sizeof(magic)) != 0 || object->host >= SIMHOST_COUNT)
		return -ENOTTY;
	return 0;
}

/*
 * Returns whether a VM was asked before, and counts the call. Of a sealed file
 * only the offset can change. Like the state of a VM, it is shared by all who
 * share the descriptor.
 */
static bool answered_before(int fd)
{
	return lseek(fd, 1, SEEK_CUR) > 1;
}

/*
 * Copies memory that may not be mapped through a pipe: write and read return
 * EFAULT and do not crash. This is for systems without process_vm_readv: qemu-user
 * does not have it, and some containers forbid it.
 */
static int copy_by_pipe(void *to, const void *from, size_t size)
{
	int ends[2];
	int error = -EFAULT;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return error;
	if (write(ends[1], from, size) == (ssize_t)size && read(ends[0], to, size) == (ssize_t)size)
		error = 0;
	close(ends[0]);
	close(ends[1]);
	return error;
}

/* The type of process_vm_readv and process_vm_writev. */
typedef ssize_t (*copier)(pid_t pid, const struct iovec *local, unsigned long locals, const struct iovec *remote,
			  unsigned long remotes, unsigned long flags);

static int copy(copier copy_by_kernel, void *local, uintptr_t remote, size_t size)
{
	struct iovec here = {local, size};
	struct iovec there = {(void *)remote, size};
	ssize_t copied = copy_by_kernel(getpid(), &here, 1, &there, 1, 0);

	if (copied < 0 && (errno == ENOSYS || errno == EPERM))
		return copy_by_kernel == process_vm_readv ? copy_by_pipe(local, (void *)remote, size)
							  : copy_by_pipe((void *)remote, local, size);
	return copied == (ssize_t)size ? 0 : -EFAULT;
}

/* copy_from_user. */
static int copy_in(void *to, uintptr_t from, size_t size)
{
	return copy(process_vm_readv, to, from, size);
}

/* copy_to_user. */
static int copy_out(uintptr_t to, const void *from, size_t size)
{
	return copy(process_vm_writev, (void *)(uintptr_t)from, to, size);
}

/*
 * put_user is one store: if a word crosses a page boundary, either all of it is
 * written or nothing. The second part is written first, because it is the one
 * that can fail: the first part was readable before.
 */
static int put_word(uintptr_t to, uint64_t word)
{
	const unsigned char *bytes = (const unsigned char *)&word;
	size_t first = sizeof(word) - (to + sizeof(word)) % (uintptr_t)sysconf(_SC_PAGESIZE);

	if (first > 0 && first < sizeof(word) && copy_out(to + first, bytes + first, sizeof(word) - first) != 0)
		return -EFAULT;
	return copy_out(to, &word, sizeof(word));
}

/* Both versions of the patch use the same capability and request. */
static bool speaks_patch_v4(const struct simhost *host)
{
	return host->rule == RULE_PATCH_POSTED || host->rule == RULE_PATCH_STRICT;
}

/* KVM_CHECK_EXTENSION: returns 0 for a capability that the host lacks, as every kernel does. */
static int check_extension(const struct simhost *host, uintptr_t capability)
{
	switch (capability) {
	case KVM_CAP_PPC_NESTED_HV:
		return host->nested_v1;
	case KVM_CAP_PPC_GET_PVINFO:
		return host->no_hv;
	case KVMPPC_CAP_LINUX_7_3:
		return host->rule == RULE_LINUX_7_3 ? host->capability : 0;
	case KVMPPC_CAP_PATCH_V4:
		return speaks_patch_v4(host) ? host->capability : 0;
	default:
		return 0;
	}
}

/*
 * The size of a piece of the caller's memory that is either entirely accessible
 * or not at all: the functions below go piece by piece, as the kernel goes word
 * by word.
 */
#define PIECE 64

static size_t piece_at(uintptr_t address, size_t size)
{
	size_t rest = PIECE - address % PIECE;

	return rest < size ? rest : size;
}

/* check_zeroed_user: fails at the first byte that is not zero or not accessible. */
static int check_tail(uintptr_t tail, size_t size)
{
	static const unsigned char zero[PIECE];
	unsigned char bytes[PIECE];

	for (size_t piece; size > 0; tail += piece, size -= piece) {
		piece = piece_at(tail, size);
		if (copy_in(bytes, tail, piece) != 0)
			return -EFAULT;
		if (memcmp(bytes, zero, piece) != 0)
			return -E2BIG;
	}
	return 0;
}

/* clear_user: the tail is zero already, but writing fails if the caller's memory is read-only. */
static int clear_tail(uintptr_t tail, size_t size)
{
	static const unsigned char zero[PIECE];

	for (size_t piece; size > 0; tail += piece, size -= piece) {
		piece = piece_at(tail, size);
		if (copy_out(tail, zero, piece) != 0)
			return -EFAULT;
	}
	return 0;
}

/*
 * The ioctl of linux-7.3: the checks in the kernel's order, then the part of the
 * answer for which the caller has room. The page size is that of this machine.
 */
static int get_linux_7_3(const struct simhost *host, int fd, uintptr_t argument)
{
	unsigned char answer[PIECE] = {0}; /* as large as the largest struct here, and more */
	struct kvmppc_wire_linux_7_3 wire;
	uint64_t size;
	uint64_t ours = host->struct_size;
	int error;

	if (copy_in(&size, argument, sizeof(size)) != 0)
		return -EFAULT;
	if (size > (uint64_t)sysconf(_SC_PAGESIZE))
		return -E2BIG;
	if (size < KVMPPC_WIRE_SIZE)
		return -EINVAL;
	error = size > ours ? check_tail(argument + ours, size - ours) : 0;
	if (error == -E2BIG && put_word(argument, ours) != 0)
		error = -EFAULT;
	if (error != 0)
		return error;
	if (copy_in(answer, argument, size < ours ? size : ours) != 0)
		return -EFAULT;
	memcpy(&wire, answer, sizeof(wire));
	if (wire.flags != 0)
		return -EINVAL;
	if (host->backend_error != 0)
		return host->backend_error;
	wire.size = size < ours ? size : ours;
	wire.compat_capabilities = host->later_capabilities != 0 && answered_before(fd)
					   ? host->later_capabilities
					   : host->compat_capabilities;
	memset(answer, 0, sizeof(answer)); /* fields of a later kernel are 0 */
	memcpy(answer, &wire, sizeof(wire));
	if (size > ours && clear_tail(argument + ours, size - ours) != 0)
		return -EFAULT;
	return copy_out(argument, answer, wire.size);
}

/* The ioctl of patch-v4, with the size rule as posted or as agreed in review. */
static int get_patch_v4(const struct simhost *host, uintptr_t argument)
{
	struct kvmppc_wire_patch_v4 wire = {.size = host->struct_size,
					    .compat_capabilities = host->compat_capabilities};
	uint64_t size;

	if (copy_in(&size, argument + offsetof(struct kvmppc_wire_patch_v4, size), sizeof(size)) != 0)
		return -EFAULT;
	if (size < host->struct_size || (host->rule == RULE_PATCH_STRICT && size != host->struct_size))
		return -EINVAL;
	return copy_out(argument, &wire, host->struct_size);
}

/* What /dev/kvm answers. */
static int ioctl_kvm(const struct simhost_object *kvm, unsigned long request, uintptr_t argument)
{
	const struct simhost *host = &simhosts[kvm->host];

	switch (request) {
	case KVM_GET_API_VERSION:
		return argument == 0 ? KVM_API_VERSION : -EINVAL;
	case KVM_CHECK_EXTENSION:
		return check_extension(host, argument);
	case KVM_CREATE_VM:
		if (host->create_vm_error != 0)
			return host->create_vm_error;
		/* Type 0 is the default, 1 HV and 2 PR; no simulated host has both. */
		return argument == 0 || argument == (host->no_hv ? 2 : 1) ? make_object(kvm->host, true)
									  : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* What a VM answers. */
static int ioctl_vm(const struct simhost_object *vm, int fd, unsigned long request, uintptr_t argument)
{
	const struct simhost *host = &simhosts[vm->host];

	if (vm->owner != getpid())
		return -EIO;
	if (request == KVM_CHECK_EXTENSION)
		return check_extension(host, argument);
	if (request == KVMPPC_GET_LINUX_7_3 && host->rule == RULE_LINUX_7_3)
		return get_linux_7_3(host, fd, argument);
	if (request == KVMPPC_GET_PATCH_V4 && speaks_patch_v4(host))
		return get_patch_v4(host, argument);
	return -ENOTTY;
}

/* Replaces ioctl in the shim; public, so that tests can make calls that the shim never makes. */
int kvmppc_simhost_ioctl(int fd, unsigned long request, uintptr_t argument)
{
	struct simhost_object object;
	int error = read_object(fd, &object);

	if (error != 0)
		return error;
	request = (unsigned int)request; /* as the system call takes it */
	return object.is_vm ? ioctl_vm(&object, fd, request, argument) : ioctl_kvm(&object, request, argument);
}

/* Replaces open in the shim: "NAME:/dev/kvm" is a host's device; no other path exists. */
static int simhost_open(const char *path)
{
	for (uint32_t i = 0; i < SIMHOST_COUNT; i++) {
		size_t length = strlen(simhosts[i].name);

		if (strncmp(path, simhosts[i].name, length) == 0 && strcmp(path + length, ":/dev/kvm") == 0)
			return simhosts[i].open_error != 0 ? simhosts[i].open_error : make_object(i, false);
	}
	return -ENOENT;
}

/* Returns the name of a host, NULL after the last, to compare Python's table with this one. */
const char *kvmppc_simhost_name(unsigned int index)
{
	return index < SIMHOST_COUNT ? simhosts[index].name : NULL;
}

/* The shim itself, with the simulated kernel in place of system calls, and as on powerpc. */
#define KVMPPC_SYS_DEFINED
#define KVMPPC_IS_POWERPC 1
#define kvmppc_sys_open(path, flags) ((void)(flags), simhost_open(path))
#define kvmppc_sys_ioctl kvmppc_simhost_ioctl
#include "kvmppc.c"
