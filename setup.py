"""The part of the build that pyproject.toml cannot say: cffi's modules and the wheel's tag."""

import sys
import sysconfig

if not sys.platform.startswith("linux"):
    sys.exit(f"kvmppc needs Linux: it asks KVM through /dev/kvm, and this is {sys.platform}.")

from setuptools import setup

# cffi compiles for the limited API by itself, except where there is none: on a free-threaded
# CPython. The wheel's tag has to say the same.
limited = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    cffi_modules=["build_ffi.py:native", "build_ffi.py:simhost"],
    options={"bdist_wheel": {"py_limited_api": "cp39"}} if limited else {},
)
