/* SPDX-License-Identifier: MIT */
/*
 * The shim and the simulated hosts without Python, for what looks at memory,
 * undefined behaviour, threads and coverage: test_selftest.py compiles it with
 * each of them. NATIVE is the shim on the real system's calls.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm_uapi.h"
#include "kvmppc.h"
#include "handle.h"
#include "fast.h"
#include "bench.h"
#include "simhost.h"

#define P9_P10 (KVMPPC_BIT_POWER9 | KVMPPC_BIT_POWER10)

static int failures;

#define CHECK(what)                                                                     \
	do {                                                                            \
		if (!(what)) {                                                          \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			failures++;                                                     \
		}                                                                       \
	} while (0)

static struct kvmppc_handle empty(void)
{
	return (struct kvmppc_handle){.fd = -1, .owned = -1};
}

/* The table of revisions, and what is no row of it. */
static void check_revisions(void)
{
	CHECK(strcmp(kvmppc_revision_name(KVMPPC_REVISION_LINUX_7_3), "linux-7.3") == 0);
	CHECK(kvmppc_revision_capability(KVMPPC_REVISION_PATCH_V4) == 249);
	CHECK(strcmp(kvmppc_revision_name(KVMPPC_REVISION_PATCH_V4), "patch-v4") == 0);
	CHECK(kvmppc_revision_name(KVMPPC_REVISIONS) == NULL);
	CHECK(kvmppc_revision_name(1 << 20) == NULL);
	CHECK(kvmppc_revision_name(-1) == NULL);
	CHECK(kvmppc_revision_capability(KVMPPC_REVISION_NONE) == 0);
	CHECK(kvmppc_get_compat_caps(-1, KVMPPC_REVISION_NONE).error == -ENOTTY);
	CHECK(kvmppc_get_plain(-1, KVMPPC_REVISIONS) == -1);
	CHECK(kvmppc_get_plain(-1, KVMPPC_REVISION_LINUX_7_3) == -1);
}

/* What only powerpc's kernels tell. */
static void check_processor(void)
{
#ifdef __powerpc__
	CHECK(kvmppc_pvr() >> 16 >= 0x004e);
#else
	CHECK(kvmppc_platform() == NULL && kvmppc_base_platform() == NULL && kvmppc_pvr() == 0);
#endif
}

/* Where each bucket begins, and that none is empty. */
static void check_histogram(void)
{
	for (unsigned int bucket = 1; bucket < KVMPPC_BENCH_BUCKETS; bucket++)
		CHECK(kvmppc_bench_start(bucket - 1) < kvmppc_bench_start(bucket));
}

#ifdef NATIVE

/* The kernel that is asked here, before libc's ioctl, on any descriptor that is open. */
static struct {
	int result;                   /* of each call: -1 with the errno, or what it answers */
	int error;
	uint64_t wants;               /* the only size that it takes; 0 for any */
	uint64_t size;                /* what it leaves in the struct */
	uint64_t flags;
	uint64_t capabilities;
	unsigned long odd_capability; /* answered with the result; 0 is had by none */
	int calls;                    /* of the question itself */
	int version;                  /* of KVM's API; 0 is not KVM */
	uintptr_t vm_type;
} kernel;

static int refuse(int error)
{
	errno = error;
	return -1;
}

int ioctl(int fd, unsigned long request, ...)
{
	uint64_t *wire;
	va_list rest;

	va_start(rest, request);
	wire = va_arg(rest, uint64_t *);
	va_end(rest);
	if (fcntl(fd, F_GETFD) < 0)
		return -1;
	if (request == KVM_CHECK_EXTENSION && (uintptr_t)wire == kernel.odd_capability)
		return kernel.result == -1 ? refuse(kernel.error) : kernel.result;
	if (request == KVM_CHECK_EXTENSION)
		return (uintptr_t)wire == 0 ? refuse(EIO) : 0;
	if (request == KVM_GET_API_VERSION && kernel.version != 0)
		return kernel.version;
	if (request == KVM_CREATE_VM) {
		kernel.vm_type = (uintptr_t)wire;
		return refuse(EPERM);
	}
	if (request != KVMPPC_GET_LINUX_7_3 && request != KVMPPC_GET_PATCH_V4)
		return refuse(ENOTTY);
	kernel.calls++;
	/* The two revisions have the first two words the other way round. */
	if (kernel.wants != 0 && wire[request == KVMPPC_GET_PATCH_V4] != kernel.wants) {
		wire[request == KVMPPC_GET_PATCH_V4] = kernel.wants;
		return refuse(E2BIG);
	}
	wire[request == KVMPPC_GET_PATCH_V4] = kernel.size;
	wire[request != KVMPPC_GET_PATCH_V4] = kernel.flags;
	wire[2] = kernel.capabilities;
	errno = kernel.error;
	return kernel.result;
}

/* What of an answer is believed: as far as its size, its flags and its capabilities tell. */
static void check_answers(int fd)
{
	static const struct {
		int revision;
		int result;
		uint64_t size;
		uint64_t flags;
		uint64_t capabilities;
		int plain;
		struct kvmppc_answer answer;
	} expected[] = {
#define BOTH(...) {KVMPPC_REVISION_LINUX_7_3, __VA_ARGS__}, {KVMPPC_REVISION_PATCH_V4, __VA_ARGS__}
		BOTH(0, 24, 0, P9_P10, 0x60, {0, 1, 24, 0, P9_P10}),
		BOTH(0, 24, 0, 0xffULL << 56, 0xff, {0, 1, 24, 0, 0xffULL << 56}),
		BOTH(0, 24, 0, P9_P10 | 1, -1, {0, 1, 24, 0, P9_P10 | 1}),
		BOTH(0, 24, 0, P9_P10 | 1ULL << 55, -1, {0, 1, 24, 0, P9_P10 | 1ULL << 55}),
		BOTH(0, 24, 1, P9_P10, -1, {0, 1, 24, 1, P9_P10}),
		BOTH(0, 25, 5, P9_P10, -1, {0, 1, 25, 5, P9_P10}),
		BOTH(0, 32, 0, P9_P10, -1, {0, 1, 32, 0, P9_P10}),
		BOTH(0, 23, 5, P9_P10, -1, {0, 0, 23, 5, 0}),
		BOTH(0, 7, 5, P9_P10, -1, {0, 0, 7, 0, 0}),
		BOTH(7, 24, 0, P9_P10, -1, {0, 1, 24, 0, P9_P10}),
		BOTH(-5000, 24, 0, P9_P10, -1, {-5000, 0, 24, 0, 0}),
		{KVMPPC_REVISION_LINUX_7_3, 0, 15, 5, P9_P10, -1, {0, 0, 15, 0, 0}},
		{KVMPPC_REVISION_LINUX_7_3, 0, 16, 5, P9_P10, -1, {0, 0, 16, 5, 0}},
		{KVMPPC_REVISION_PATCH_V4, 0, 8, 5, P9_P10, -1, {0, 0, 8, 5, 0}},
	};

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct kvmppc_answer answer;

		/* An errno that is left from earlier is no part of an answer. */
		kernel.error = EIO;
		kernel.result = expected[i].result;
		kernel.size = expected[i].size;
		kernel.flags = expected[i].flags;
		kernel.capabilities = expected[i].capabilities;
		answer = kvmppc_get_compat_caps(fd, expected[i].revision);
		CHECK(answer.error == expected[i].answer.error && answer.valid == expected[i].answer.valid);
		CHECK(answer.size == expected[i].answer.size && answer.flags == expected[i].answer.flags);
		CHECK(answer.compat_capabilities == expected[i].answer.compat_capabilities);
		CHECK(kvmppc_get_plain(fd, expected[i].revision) == expected[i].plain);
	}
}

/* A kernel that wants a larger struct gets it once, where there is room; any other refusal stays. */
static void check_sizes(int fd)
{
	static const struct {
		int error;
		uint64_t wants;
		int calls;
		uint64_t size;
		int expected;
	} sizes[] = {
		{0, 32, 2, 32, 0},
		{0, 4096, 2, 4096, 0},
		{0, 4097, 1, 4097, -E2BIG},
		{0, 1ULL << 63, 1, 1ULL << 63, -E2BIG},
		{0, 23, 1, 23, -E2BIG},
		{E2BIG, 0, 1, 24, -E2BIG},
		{E2BIG, 32, 2, 24, -E2BIG},
		{EINTR, 0, 1, 32, -EINTR},
		{EINVAL, 0, 1, 32, -EINVAL},
		{EPERM, 0, 1, 32, -EPERM},
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct kvmppc_answer answer;

		kernel.error = sizes[i].error;
		kernel.result = sizes[i].error != 0 ? -1 : 0;
		kernel.wants = sizes[i].wants;
		kernel.size = sizes[i].size;
		kernel.calls = 0;
		answer = kvmppc_get_compat_caps(fd, KVMPPC_REVISION_LINUX_7_3);
		CHECK(answer.error == sizes[i].expected && answer.size == sizes[i].size);
		CHECK(answer.valid == (answer.error == 0) && kernel.calls == sizes[i].calls);
		kernel.wants = 0;
	}
}

/* Which capability tells a revision, and that a refusal tells none: EPERM, and one without an errno. */
static void check_capabilities(int fd)
{
	CHECK(kvmppc_get_revision(fd) == KVMPPC_REVISION_NONE);
	kernel.result = 1;
	kernel.odd_capability = 250;
	CHECK(kvmppc_get_revision(fd) == KVMPPC_REVISION_LINUX_7_3);
	/* Elsewhere than on powerpc this is another capability. */
	kernel.odd_capability = 249;
#ifdef __powerpc__
	CHECK(kvmppc_get_revision(fd) == KVMPPC_REVISION_PATCH_V4);
#else
	CHECK(kvmppc_get_revision(fd) == KVMPPC_REVISION_NONE);
#endif
	kernel.result = -1;
	kernel.odd_capability = 250;
	kernel.error = EPERM;
	CHECK(kvmppc_get_revision(fd) == -EPERM);
	kernel.error = 0;
	CHECK(kvmppc_get_revision(fd) == -1);
	CHECK(kvmppc_check_extension(fd, 250) == -1);
}

/* A device in one call: its revision where every step succeeds, and nothing stays open, not even 0. */
static void check_devices(void)
{
	int input;

	memset(&kernel, 0, sizeof(kernel));
	kernel.version = KVM_API_VERSION;
	CHECK(kvmppc_revision_of_device("/dev/null") == KVMPPC_REVISION_NONE);
	input = dup(STDIN_FILENO);
	close(STDIN_FILENO);
	CHECK(kvmppc_revision_of_device("/dev/null") == KVMPPC_REVISION_NONE);
	CHECK(kvmppc_revision_of_device("/nonexistent/kvm") == -ENOENT);
	kernel.version = 0;
	CHECK(kvmppc_revision_of_device("/dev/null") == -1);
	kernel.version = KVM_API_VERSION + 1;
	CHECK(kvmppc_revision_of_device("/dev/null") == -1);
	kernel.version = KVM_API_VERSION;
	kernel.odd_capability = 250;
	kernel.result = 1;
	CHECK(kvmppc_revision_of_device("/dev/null") == KVMPPC_REVISION_LINUX_7_3);
	kernel.result = -1;
	kernel.error = EACCES;
	CHECK(kvmppc_revision_of_device("/dev/null") == -EACCES);
	CHECK(open("/dev/null", O_RDWR | O_CLOEXEC) == STDIN_FILENO);
	dup2(input, STDIN_FILENO);
	close(input);
}

static void check_system_calls(void)
{
	struct kvmppc_handle handle = empty();
	struct kvmppc_handle vm = empty();
	struct kvmppc_question question = {&handle, 250};

	CHECK(kvmppc_handle_open(&handle, "/nonexistent/kvm") == -ENOENT && handle.fd == -1);
	CHECK(kvmppc_handle_open(&handle, "/dev/null") == 0 && handle.fd >= 0);
	CHECK((fcntl(handle.fd, F_GETFL) & O_ACCMODE) == O_RDWR && fcntl(handle.fd, F_GETFD) == FD_CLOEXEC);
	CHECK(kvmppc_handle_get_api_version(&handle) == -ENOTTY);
	kernel.vm_type = 99;
	CHECK(kvmppc_handle_create_vm(&handle, &vm) == -EPERM && vm.fd == -1 && kernel.vm_type == 0);
	CHECK(kvmppc_fast_check_extension(&question) == 0);
	CHECK(kvmppc_handle_check_extension(&handle, 250) == 0);
	CHECK(kvmppc_handle_get_revision(&handle) == KVMPPC_REVISION_NONE);
	CHECK(handle.users == 0);
	check_capabilities(handle.fd);
	check_answers(handle.fd);
	check_sizes(handle.fd);
	kvmppc_handle_close(&handle);
	CHECK(kvmppc_handle_check_extension(&handle, 250) == -EBADF);
	CHECK(kvmppc_handle_get_revision(&handle) == -EBADF);
}

/* A child in which a call of another thread never ends, on a handle that was closed before or not. */
static void check_forking(int closed_before)
{
	struct kvmppc_handle handle = empty();

	CHECK(kvmppc_handle_open(&handle, "/dev/null") == 0 && handle.fd == 0);
	CHECK(kvmppc_handle_enter(&handle) == 0);
	if (closed_before)
		kvmppc_handle_close(&handle);
	CHECK(fcntl(0, F_GETFD) == FD_CLOEXEC);
	kvmppc_handle_forked(&handle);
	kvmppc_handle_close(&handle);
	CHECK(fcntl(0, F_GETFD) == -1);
}

/* A descriptor is closed by the last who uses it and by nobody else, the number 0 too. */
static void check_closing(void)
{
	struct kvmppc_handle handle = empty();

	close(0);
	CHECK(kvmppc_handle_open(&handle, "/dev/null") == 0 && handle.fd == 0);
	CHECK(kvmppc_handle_enter(&handle) == 0 && kvmppc_handle_enter(&handle) == 0);
	kvmppc_handle_close(&handle);
	CHECK(handle.fd == -1 && kvmppc_handle_enter(&handle) == -1);
	kvmppc_handle_leave(&handle);
	kvmppc_handle_leave(&handle);
	CHECK(fcntl(0, F_GETFD) == FD_CLOEXEC);
	kvmppc_handle_leave(&handle);
	CHECK(fcntl(0, F_GETFD) == -1);
	check_forking(0);
	check_forking(1);
	handle = (struct kvmppc_handle){.fd = 2, .owned = -1};
	kvmppc_handle_close(&handle);
	CHECK(fcntl(2, F_GETFD) == 0);
}

int main(void)
{
	check_revisions();
	check_processor();
	check_histogram();
	check_system_calls();
	check_devices();
	check_closing();
	return failures != 0;
}

#else

/* A VM of a simulated host, with its /dev/kvm. */
struct machine {
	struct kvmppc_handle kvm;
	struct kvmppc_handle vm;
};

static struct machine start(const char *path)
{
	struct machine machine = {empty(), empty()};

	CHECK(kvmppc_handle_open(&machine.kvm, path) == 0);
	CHECK(kvmppc_handle_get_api_version(&machine.kvm) == KVM_API_VERSION);
	CHECK(kvmppc_handle_create_vm(&machine.kvm, &machine.vm) == 0);
	machine.vm.revision = kvmppc_handle_get_revision(&machine.vm);
	return machine;
}

static void stop(struct machine *machine)
{
	int vm = machine->vm.fd;

	kvmppc_handle_close(&machine->vm);
	kvmppc_handle_close(&machine->vm);
	kvmppc_handle_close(&machine->kvm);
	CHECK(machine->vm.users == KVMPPC_HANDLE_CLOSED && machine->vm.owned == -1);
	CHECK(machine->kvm.users == KVMPPC_HANDLE_CLOSED && machine->kvm.owned == -1);
	CHECK(machine->vm.fd == -1 && fcntl(vm, F_GETFD) == -1);
}

/* The answers of the hosts, fast and in full. */
static void check_answers(void)
{
	static const struct {
		const char *path;
		int revision;
		int plain;
		struct kvmppc_answer answer;
	} expected[] = {
		{"power10:/dev/kvm", KVMPPC_REVISION_LINUX_7_3, 0x60, {0, 1, 24, 0, P9_P10}},
		{"future:/dev/kvm", KVMPPC_REVISION_LINUX_7_3, 0x71, {0, 1, 24, 0, 0x71ULL << 56}},
		{"struct-32:/dev/kvm", KVMPPC_REVISION_LINUX_7_3, 0x70, {0, 1, 24, 0, 0x7ULL << 60}},
		{"patch-v4:/dev/kvm", KVMPPC_REVISION_PATCH_V4, 0x60, {0, 1, 24, 0, P9_P10}},
		{"patch-v4-strict:/dev/kvm", KVMPPC_REVISION_PATCH_V4, 0x60, {0, 1, 24, 0, P9_P10}},
		{"patch-v4-short:/dev/kvm", KVMPPC_REVISION_PATCH_V4, -1, {0, 0, 16, 0, 0}},
		{"linux-6.12:/dev/kvm", KVMPPC_REVISION_NONE, -1, {-ENOTTY, 0, 0, 0, 0}},
		{"no-operation:/dev/kvm", KVMPPC_REVISION_LINUX_7_3, -1, {-ENOTTY, 0, 24, 0, 0}},
	};

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct machine machine = start(expected[i].path);
		struct kvmppc_answer answer = kvmppc_handle_get_compat_caps(&machine.vm);

		CHECK(machine.vm.revision == expected[i].revision);
		CHECK(kvmppc_check_extension(machine.vm.fd, kvmppc_revision_capability(machine.vm.revision)) ==
		      (machine.vm.revision != KVMPPC_REVISION_NONE));
		CHECK(kvmppc_fast_get_compat_caps(&machine.vm) == expected[i].plain);
		CHECK(answer.error == expected[i].answer.error && answer.valid == expected[i].answer.valid);
		CHECK(answer.size == expected[i].answer.size && answer.flags == 0);
		CHECK(answer.compat_capabilities == expected[i].answer.compat_capabilities);
		stop(&machine);
	}
}

/* Which answers change, and which belong to another process. */
static void check_vms(void)
{
	struct machine machine = start("migrating:/dev/kvm");
	int status = 0;
	pid_t child;

	CHECK(kvmppc_fast_get_compat_caps(&machine.vm) == 0x70);
	CHECK(kvmppc_fast_get_compat_caps(&machine.vm) == 0x60);
	child = fork();
	if (child == 0)
		exit(-kvmppc_handle_check_extension(&machine.vm, 250));
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == EIO);
	stop(&machine);
}

/* What is refused, by the device and before it. */
static void check_refusals(void)
{
	struct machine machine = start("patch-v4:/dev/kvm");
	struct kvmppc_handle handle = empty();
	int file = open("/dev/null", O_RDWR | O_CLOEXEC);

	CHECK(kvmppc_handle_open(&handle, "no-device:/dev/kvm") == -ENOENT);
	CHECK(kvmppc_handle_open(&handle, "nothing:/dev/kvm") == -ENOENT);
	CHECK(kvmppc_handle_open(&handle, "power10:/dev/other") == -ENOENT);
	CHECK(kvmppc_handle_open(&handle, "no-nesting:/dev/kvm") == 0);
	CHECK(kvmppc_handle_create_vm(&handle, &handle) == -EINVAL);
	CHECK(kvmppc_handle_check_extension(&handle, KVM_CAP_PPC_GET_PVINFO) == 1);
	kvmppc_handle_close(&handle);
	CHECK(kvmppc_simhost_ioctl(machine.kvm.fd, 0xae99, 0) == -EINVAL);
	CHECK(kvmppc_simhost_ioctl(machine.kvm.fd, KVM_CREATE_VM, 2) == -EINVAL);
	handle = empty();
	CHECK(kvmppc_handle_open(&handle, "kvm-pr:/dev/kvm") == 0);
	CHECK(kvmppc_simhost_ioctl(handle.fd, KVM_CREATE_VM, 1) == -EINVAL);
	CHECK(close(kvmppc_simhost_ioctl(handle.fd, KVM_CREATE_VM, 2)) == 0);
	CHECK(close(kvmppc_simhost_ioctl(machine.kvm.fd, KVM_CREATE_VM, 1)) == 0);
	kvmppc_handle_close(&handle);
	CHECK(kvmppc_simhost_ioctl(machine.kvm.fd, KVM_GET_API_VERSION, 1) == -EINVAL);
	CHECK(kvmppc_simhost_ioctl(machine.vm.fd, 0xae99, 0) == -ENOTTY);
	CHECK(kvmppc_simhost_ioctl(machine.vm.fd, KVMPPC_GET_LINUX_7_3, 0) == -ENOTTY);
	CHECK(kvmppc_check_extension(machine.vm.fd, 249) == 1);
	CHECK(kvmppc_check_extension(machine.vm.fd, 250) == 0);
	CHECK(kvmppc_check_extension(machine.vm.fd, 160) == 0);
	CHECK(kvmppc_check_extension(machine.vm.fd, 3) == 0);
	CHECK(kvmppc_check_extension(file, 250) == -ENOTTY);
	CHECK(kvmppc_check_extension(-1, 250) == -EBADF);
	CHECK(kvmppc_get_revision(-1) == -EBADF);
	close(file);
	stop(&machine);
}

/* The rules of linux-7.3 for sizes, tails, flags and memory, at the ioctl itself. */
static void check_rules(void)
{
	struct machine machine = start("struct-32:/dev/kvm");
	long page = sysconf(_SC_PAGESIZE);
	unsigned char *memory = mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t *wire = (uint64_t *)memory;
	int vm = machine.vm.fd;
	uint64_t size;
#define ASK(at) kvmppc_simhost_ioctl(vm, KVMPPC_GET_LINUX_7_3, (uintptr_t)(at))
#define ASK_V4(at) kvmppc_simhost_ioctl(other.vm.fd, KVMPPC_GET_PATCH_V4, (uintptr_t)(at))
	struct machine other = start("patch-v4-strict:/dev/kvm");

	/* Neither revision's request is the other's, and a VM has no other. */
	CHECK(kvmppc_simhost_ioctl(vm, KVMPPC_GET_PATCH_V4, (uintptr_t)wire) == -ENOTTY);
	CHECK(kvmppc_simhost_ioctl(other.vm.fd, KVMPPC_GET_LINUX_7_3, (uintptr_t)wire) == -ENOTTY);
	for (int i = 0; i < 2; i++) {
		int fd = i == 0 ? vm : other.vm.fd;

		CHECK(kvmppc_simhost_ioctl(fd, KVM_GET_API_VERSION, 0) == -ENOTTY);
		CHECK(kvmppc_simhost_ioctl(fd, KVM_CREATE_VM, 0) == -ENOTTY);
		CHECK(kvmppc_simhost_ioctl(fd, 0xae99, 0) == -ENOTTY);
		CHECK(kvmppc_simhost_ioctl(fd, 0xffffffff, 0) == -ENOTTY);
	}
	wire[0] = 40;
	CHECK(ASK(wire) == 0 && wire[0] == 32);
	wire[0] = 40;
	wire[4] = 1;
	CHECK(ASK(wire) == -E2BIG && wire[0] == 32);
	wire[0] = 23;
	CHECK(ASK(wire) == -EINVAL);
	wire[0] = (uint64_t)page + 1;
	CHECK(ASK(wire) == -E2BIG && wire[0] == (uint64_t)page + 1);
	wire[0] = 24;
	wire[1] = 1;
	CHECK(ASK(wire) == -EINVAL);
	CHECK(ASK(0) == -EFAULT && ASK_V4(0) == -EFAULT);
	wire[1] = 32;
	CHECK(ASK_V4(wire) == -EINVAL);
	wire[1] = 16;
	CHECK(ASK_V4(wire) == -EINVAL);
	CHECK(kvmppc_simhost_ioctl(vm, KVMPPC_GET_PATCH_V4, (uintptr_t)wire) == -ENOTTY);
	/* The last byte of a tail counts as any other, and what is behind it stays. */
	for (unsigned char last = 64; last < 200; last++) {
		memset(wire, 0, 256);
		wire[0] = last + 1U;
		memory[last] = 1;
		CHECK(ASK(wire) == -E2BIG && wire[0] == 32);
		wire[0] = last;
		CHECK(ASK(wire) == 0 && wire[0] == 32 && memory[last] == 1);
	}
	/* A size over the border, of which only the beginning can be written. */
	for (long first = 1; first < 8; first++) {
		unsigned char *over = memory + page - first;

		CHECK(mprotect(memory + page, (size_t)page, PROT_READ | PROT_WRITE) == 0);
		memset(over, 0, 48);
		memcpy(over, &(uint64_t){48}, 8);
		over[47] = 1;
		CHECK(ASK(over) == -E2BIG && over[0] == 32 && over[8] == 0 && over[47] == 1);
		over[0] = 48;
		CHECK(mprotect(memory + page, (size_t)page, PROT_READ) == 0);
		CHECK(ASK(over) == -EFAULT);
		memcpy(&size, over, sizeof(size));
		CHECK(size == 48);
	}
	CHECK(mprotect(memory + page, (size_t)page, PROT_READ | PROT_WRITE) == 0);
	memset(memory + page - 64, 0, 192);
	wire = (uint64_t *)(memory + page + 64);
	wire[0] = wire[1] = 24;
	CHECK(mprotect(memory + page, (size_t)page, PROT_READ) == 0);
	/* All there but what is written, or a part of it. */
	CHECK(ASK_V4(wire) == -EFAULT);
	wire = (uint64_t *)(memory + page - 32);
	wire[0] = 33;
	CHECK(ASK(wire) == -EFAULT);
	wire = (uint64_t *)(memory + page - 16);
	wire[0] = 24;
	CHECK(ASK(wire) == -EFAULT);
	/* All there but a tail that cannot be written. */
	wire = (uint64_t *)(memory + page - 32);
	wire[0] = 48;
	wire[1] = wire[2] = wire[3] = 0;
	CHECK(ASK(wire) == -EFAULT && wire[2] == 0);
	memset(memory + page - 128, 0, 128);
	wire = (uint64_t *)(memory + page - 128);
	wire[0] = 160;
	CHECK(ASK(wire) == -EFAULT);
	wire = (uint64_t *)(memory + page - 32);
	wire[0] = 48;
	CHECK(mprotect(memory + page, (size_t)page, PROT_NONE) == 0);
	CHECK(ASK(wire) == -EFAULT && wire[0] == 48);
	wire = (uint64_t *)(memory + page - 24);
	wire[0] = 24;
	wire[1] = 0;
	CHECK(ASK(wire) == 0);
	/* What comes first counts: a byte that is not zero, or memory that is not there. */
	wire = (uint64_t *)(memory + page - 64);
	wire[0] = 100;
	memory[page - 1] = 1;
	memory[page / 2] = 0x55;
	CHECK(ASK(wire) == -E2BIG && wire[0] == 32 && memory[page / 2] == 0x55);
	wire = (uint64_t *)(memory + page - 16);
	wire[0] = 24;
	CHECK(ASK(wire) == -EFAULT);
	munmap(memory, (size_t)page * 2);
	stop(&other);
	stop(&machine);
}

/* A descriptor that has all seals but is not a simulation's. */
static void check_strangers(void)
{
	/* Its first word, the number of its host, and how much of it there is. */
	struct {
		char word[8];
		uint32_t host;
		uint32_t rest[5];
		size_t size;
	} strangers[] = {
		{"kvmppc0", 0, {0}, 32},
		{"kvmppc2", 0, {0}, 32},
		{"kvmppc1", 0, {0}, 12},
		{"kvmppc1", UINT32_MAX, {0}, 32},
		{"kvmppc1", 0, {0}, 32},
	};

	/* The last has the first number that is no host's. */
	while (kvmppc_simhost_name(strangers[4].host) != NULL)
		strangers[4].host++;
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		int fd = memfd_create("stranger", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		CHECK(write(fd, &strangers[i], strangers[i].size) == (ssize_t)strangers[i].size);
		CHECK(kvmppc_check_extension(fd, 250) == -ENOTTY);
		CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
		CHECK(kvmppc_check_extension(fd, 250) == -ENOTTY);
		close(fd);
	}
}

/* How many descriptors are open: as many as before, where none was left. */
static int open_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Sets a limit, at most to what it may be. */
static void limit(int resource, rlim_t value)
{
	struct rlimit limits;

	CHECK(getrlimit(resource, &limits) == 0);
	limits.rlim_cur = value < limits.rlim_max ? value : limits.rlim_max;
	CHECK(setrlimit(resource, &limits) == 0);
}

/* No room in files, then no descriptors. */
static void check_shortages(void)
{
	struct kvmppc_handle handle = empty();

	int before = open_descriptors();

	signal(SIGXFSZ, SIG_IGN);
	limit(RLIMIT_FSIZE, 0);
	CHECK(kvmppc_handle_open(&handle, "power10:/dev/kvm") == -EFBIG);
	limit(RLIMIT_FSIZE, RLIM_INFINITY);
	CHECK(open_descriptors() == before);
	limit(RLIMIT_NOFILE, 3);
	CHECK(kvmppc_handle_open(&handle, "power10:/dev/kvm") == -EMFILE);
	limit(RLIMIT_NOFILE, RLIM_INFINITY);
}

/*
 * Lets a system call fail from now on where its second argument is at least as
 * large as this; 0 under qemu-user, which has no filters.
 */
static int forbid(long call, unsigned int least, unsigned int error)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, least, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(steps) / sizeof(steps[0]), steps};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Where there is no process_vm_readv and writev, with and without descriptors for pipes. */
static void check_pipes(void)
{
	struct machine machine = start("power10:/dev/kvm");
	struct machine older;
	int before = open_descriptors();

	/* As a container forbids it, and as where there is none; qemu-user has neither. */
	forbid(SYS_process_vm_readv, 0, EPERM);
	forbid(SYS_process_vm_writev, 0, ENOSYS);
	/* As before Linux 6.3: files in memory know no flag from 8 on. */
	forbid(SYS_memfd_create, 8, EINVAL);
	check_answers();
	check_rules();
	CHECK(open_descriptors() == before);
	older = start("power10:/dev/kvm");
	CHECK(fcntl(older.vm.fd, F_GETFD) == FD_CLOEXEC);
	stop(&older);
	limit(RLIMIT_NOFILE, 3);
	CHECK(kvmppc_handle_get_compat_caps(&machine.vm).error == -EFAULT);
	limit(RLIMIT_NOFILE, RLIM_INFINITY);
	stop(&machine);
}

/* There are no files in memory: the last check, since filters stay. */
static void check_no_files(void)
{
	struct kvmppc_handle handle = empty();

	if (forbid(SYS_memfd_create, 0, EINVAL))
		CHECK(kvmppc_handle_open(&handle, "power10:/dev/kvm") == -EINVAL);
}

static struct kvmppc_handle shared;

static void *ask_until_closed(void *nothing)
{
	struct kvmppc_question question = {&shared, 250};
	int result;

	do {
		result = kvmppc_fast_check_extension(&question);
		CHECK(result == 1 || result == -EBADF);
	} while (result == 1);
	return nothing;
}

static void *open_and_close(void *stop_now)
{
	while (!__atomic_load_n((int *)stop_now, __ATOMIC_SEQ_CST)) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		CHECK(close(fd) == 0);
	}
	return NULL;
}

/* Threads ask while one closes and another takes every free descriptor. */
static void check_threads(void)
{
	pthread_t askers[3];
	pthread_t closer;
	int stop_now = 0;

	CHECK(pthread_create(&closer, NULL, open_and_close, &stop_now) == 0);
	for (int round = 0; round < 200; round++) {
		struct machine machine = start("power10:/dev/kvm");

		shared = machine.vm;
		for (int i = 0; i < 3; i++)
			CHECK(pthread_create(&askers[i], NULL, ask_until_closed, NULL) == 0);
		kvmppc_handle_close(&shared);
		for (int i = 0; i < 3; i++)
			pthread_join(askers[i], NULL);
		CHECK(shared.owned == -1 && shared.users == KVMPPC_HANDLE_CLOSED);
		kvmppc_handle_close(&machine.kvm);
	}
	__atomic_store_n(&stop_now, 1, __ATOMIC_SEQ_CST);
	pthread_join(closer, NULL);
}

static void check_bench(void)
{
	struct machine machine = start("power10:/dev/kvm");
	struct kvmppc_bench bench = kvmppc_bench_timed(machine.vm.fd, machine.vm.revision, 100, 1U << 30);

	CHECK(bench.error == 0 && bench.calls == 100 && bench.longest > 0);
	bench = kvmppc_bench_floor(machine.vm.fd, KVMPPC_REVISION_NONE, 100);
	CHECK(bench.error == 0 && bench.calls == 100);
	bench = kvmppc_bench_timed(machine.vm.fd, machine.vm.revision, 100, 1);
	CHECK(bench.error == 0 && bench.calls == 1);
	bench = kvmppc_bench_timed(-1, KVMPPC_REVISION_NONE, 100, 1U << 30);
	CHECK(bench.error == -EBADF && bench.calls == 0);
	stop(&machine);
	machine = start("no-operation:/dev/kvm");
	bench = kvmppc_bench_floor(machine.vm.fd, machine.vm.revision, 100);
	CHECK(bench.error == -ENOTTY && bench.calls == 0);
	stop(&machine);
}

/* With a word on the command line: threads only, for what looks at them. */
int main(int count, char **words)
{
	(void)words;
	check_threads();
	if (count > 1)
		return failures != 0;
	CHECK(strcmp(kvmppc_simhost_name(0), "power9") == 0 && kvmppc_simhost_name(1000) == NULL);
	check_revisions();
	check_processor();
	check_histogram();
	check_answers();
	check_vms();
	check_refusals();
	check_rules();
	check_strangers();
	check_bench();
	check_shortages();
	check_pipes();
	check_no_files();
	return failures != 0;
}

#endif
