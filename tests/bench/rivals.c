/* SPDX-License-Identifier: MIT */
/*
 * The rivals that are written in C, for the benchmark alone: a CPython extension
 * that does just the two calls, as one would write it by hand, and loops without
 * Python, the floor. All make the call that everybody makes, libc's ioctl.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <linux/kvm.h>

#define GET_COMPAT_CAPS _IO(KVMIO, 0xb8)

/* The arguments of the next two: 0, or -1 with an exception. */
static inline int read_arguments(PyObject *const *args, Py_ssize_t count, int *fd, unsigned long *capability)
{
	long number;

	if (count != 2) {
		PyErr_SetString(PyExc_TypeError, "a descriptor and a capability");
		return -1;
	}
	number = PyLong_AsLong(args[0]);
	if (number == -1 && PyErr_Occurred())
		return -1;
	*fd = (int)number;
	*capability = PyLong_AsUnsignedLong(args[1]);
	return *capability == (unsigned long)-1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *check_extension(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	unsigned long capability;
	int fd;
	int result;

	(void)self;
	if (read_arguments(args, count, &fd, &capability) < 0)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	result = ioctl(fd, KVM_CHECK_EXTENSION, capability);
	Py_END_ALLOW_THREADS
	return result < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLong(result);
}

/* The same, but it keeps the GIL: what threads gain by that, or lose, in any extension. */
static PyObject *check_extension_held(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	unsigned long capability;
	int fd;
	int result;

	(void)self;
	if (read_arguments(args, count, &fd, &capability) < 0)
		return NULL;
	result = ioctl(fd, KVM_CHECK_EXTENSION, capability);
	return result < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLong(result);
}

static PyObject *get_compat_caps(PyObject *self, PyObject *arg)
{
	uint64_t wire[3] = {sizeof(wire), 0, 0};
	long fd = PyLong_AsLong(arg);
	int result;

	(void)self;
	if (fd == -1 && PyErr_Occurred())
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	result = ioctl((int)fd, GET_COMPAT_CAPS, wire);
	Py_END_ALLOW_THREADS
	return result < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromUnsignedLongLong(wire[2]);
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* floor_check_extension(fd, capability, calls): nanoseconds. */
static PyObject *floor_check_extension(PyObject *self, PyObject *args)
{
	unsigned long capability;
	long long start;
	long calls;
	int fd;

	(void)self;
	if (!PyArg_ParseTuple(args, "ikl", &fd, &capability, &calls))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	start = now();
	while (calls > 0 && ioctl(fd, KVM_CHECK_EXTENSION, capability) >= 0)
		calls--;
	start = now() - start;
	Py_END_ALLOW_THREADS
	return calls > 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLongLong(start);
}

/* floor_get_compat_caps(fd, calls): nanoseconds. */
static PyObject *floor_get_compat_caps(PyObject *self, PyObject *args)
{
	long long start;
	long calls;
	int fd;

	(void)self;
	if (!PyArg_ParseTuple(args, "il", &fd, &calls))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	for (start = now(); calls > 0; calls--) {
		uint64_t wire[3] = {sizeof(wire), 0, 0};

		if (ioctl(fd, GET_COMPAT_CAPS, wire) < 0)
			break;
	}
	start = now() - start;
	Py_END_ALLOW_THREADS
	return calls > 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLongLong(start);
}

#ifdef __powerpc__
/* Reads the beginning of a file, as probe() does. */
static void read_start(const char *path)
{
	char data[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, data, sizeof(data)) < 0)
		errno = 0; /* only the time matters */
	close(fd);
}

/* The files that probe() reads on a Power host. */
static void read_host(void)
{
	char path[512];
	struct dirent *entry;
	DIR *cpus = opendir("/proc/device-tree/cpus");

	read_start("/proc/cpuinfo");
	read_start("/proc/device-tree/compatible");
	while (cpus != NULL && (entry = readdir(cpus)) != NULL) {
		if (strncmp(entry->d_name, "PowerPC", 7) == 0) {
			snprintf(path, sizeof(path), "/proc/device-tree/cpus/%s/cpu-version", entry->d_name);
			read_start(path);
			break;
		}
	}
	if (cpus != NULL)
		closedir(cpus);
}

/* What probe() asks a VM, where the kernel has the question. */
static int probe_vm(int kvm)
{
	uint64_t wire[3] = {sizeof(wire), 0, 0};
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	int result;

	if (vm < 0)
		return -1;
	result = ioctl(vm, KVM_CHECK_EXTENSION, 250);
	if (result >= 0)
		result = ioctl(vm, GET_COMPAT_CAPS, wire);
	if (result >= 0)
		result = ioctl(kvm, KVM_CHECK_EXTENSION, 160);
	close(vm);
	return result;
}
#endif

/* The system calls of probe(). */
static int probe_once(void)
{
	struct utsname name;
	int kvm;
	int result;

	uname(&name);
#ifdef __powerpc__
	read_host();
#endif
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return -1;
	result = ioctl(kvm, KVM_GET_API_VERSION, 0);
	if (result >= 0)
		result = ioctl(kvm, KVM_CHECK_EXTENSION, 250);
	if (result > 0)
		result = ioctl(kvm, KVM_CHECK_EXTENSION, 250);
#ifdef __powerpc__
	if (result > 0)
		result = probe_vm(kvm);
#endif
	close(kvm);
	return result < 0 ? -1 : 0;
}

/* floor_probe(calls): nanoseconds. */
static PyObject *floor_probe(PyObject *self, PyObject *args)
{
	long long start;
	long calls;

	(void)self;
	if (!PyArg_ParseTuple(args, "l", &calls))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	start = now();
	while (calls > 0 && probe_once() == 0)
		calls--;
	start = now() - start;
	Py_END_ALLOW_THREADS
	return calls > 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLongLong(start);
}

static PyMethodDef methods[] = {
	{"check_extension", (PyCFunction)(void (*)(void))check_extension, METH_FASTCALL, NULL},
	{"check_extension_held", (PyCFunction)(void (*)(void))check_extension_held, METH_FASTCALL, NULL},
	{"get_compat_caps", get_compat_caps, METH_O, NULL},
	{"floor_check_extension", floor_check_extension, METH_VARARGS, NULL},
	{"floor_get_compat_caps", floor_get_compat_caps, METH_VARARGS, NULL},
	{"floor_probe", floor_probe, METH_VARARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "rivals", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit_rivals(void)
{
	PyObject *made = PyModule_Create(&module);

#ifdef Py_GIL_DISABLED
	if (made != NULL)
		PyUnstable_Module_SetGIL(made, Py_MOD_GIL_NOT_USED);
#endif
	return made;
}
