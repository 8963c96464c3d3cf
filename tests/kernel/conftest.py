"""Which simulated host is this machine's kernel's twin."""

from __future__ import annotations

import errno
import os

import pytest
import rawcalls

from kvmppc import KvmError


def twin_of_this_kernel() -> str | None:
    """The simulated host that must answer as this kernel does, None where nobody has said."""
    if "KVMPPC_TWIN" in os.environ:
        return os.environ["KVMPPC_TWIN"]
    # Any other architecture's kernel is one that does not have the ioctl.
    return None if os.uname().machine.startswith("ppc") else "linux-6.12"


@pytest.fixture(scope="module")
def twin():
    """The name of this kernel's twin."""
    name = twin_of_this_kernel()
    if name is None:
        pytest.skip("KVMPPC_TWIN does not say which simulated host is this kernel's twin")
    return name


@pytest.fixture(scope="module")
def kernel():
    """This machine's kernel, to make raw calls on."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("there is no /dev/kvm here that may be used")
    try:
        target = rawcalls.real()
    except KvmError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOTTY):
            raise
        pytest.skip(f"this kernel is a user emulator, which knows no KVM: {error}")
    yield target
    target.close()
