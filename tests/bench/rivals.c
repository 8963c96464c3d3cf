/* SPDX-License-Identifier: MIT */
/*
 * The rivals that are written in C, for the benchmark alone: a CPython extension
 * that does just the two calls, as one would write it by hand, and loops without
 * Python, the floor. All make the call that everybody makes, libc's ioctl.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <linux/kvm.h>

#define GET_COMPAT_CAPS _IO(KVMIO, 0xb8)

static PyObject *check_extension(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	unsigned long capability;
	long fd;
	int result;

	(void)self;
	if (count != 2) {
		PyErr_SetString(PyExc_TypeError, "a descriptor and a capability");
		return NULL;
	}
	fd = PyLong_AsLong(args[0]);
	if (fd == -1 && PyErr_Occurred())
		return NULL;
	capability = PyLong_AsUnsignedLong(args[1]);
	if (capability == (unsigned long)-1 && PyErr_Occurred())
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	result = ioctl((int)fd, KVM_CHECK_EXTENSION, capability);
	Py_END_ALLOW_THREADS
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

/* The system calls of probe() where the kernel has no such question. */
static int probe_once(void)
{
	struct utsname name;
	int fd;
	int result;

	uname(&name);
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	result = ioctl(fd, KVM_GET_API_VERSION, 0) == ioctl(fd, KVM_GET_API_VERSION, 0) &&
		 ioctl(fd, KVM_CHECK_EXTENSION, 250) == ioctl(fd, KVM_CHECK_EXTENSION, 250);
	close(fd);
	return result ? 0 : -1;
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
