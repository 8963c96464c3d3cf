"""Errors: kinds, numbers, words."""

import errno
import os
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc.errors import closed, refusal

KINDS = [
    ("open", errno.ENOENT, kvmppc.DeviceNotFoundError),
    ("open", errno.ENODEV, kvmppc.NoModuleError),
    ("open", errno.ENXIO, kvmppc.NoModuleError),
    ("open", errno.EACCES, kvmppc.DevicePermissionError),
    ("open", errno.EPERM, kvmppc.DevicePermissionError),
    ("open", errno.EISDIR, kvmppc.NotKvmDeviceError),
    ("open", errno.ENOTDIR, kvmppc.KvmError),
    ("open", errno.ELOOP, kvmppc.KvmError),
    ("open", errno.ENAMETOOLONG, kvmppc.KvmError),
    ("open", errno.EMFILE, kvmppc.KvmError),
    ("KVM_GET_API_VERSION", errno.ENOTTY, kvmppc.NotKvmDeviceError),
    ("KVM_GET_API_VERSION", errno.EINVAL, kvmppc.NotKvmDeviceError),
    ("KVM_CHECK_EXTENSION", errno.EBADF, kvmppc.KvmError),
    ("KVM_CHECK_EXTENSION", errno.ENOTTY, kvmppc.KvmError),
    ("KVM_CHECK_EXTENSION", errno.EIO, kvmppc.KvmError),
    ("KVM_CREATE_VM", errno.EINVAL, kvmppc.VmCreationError),
    ("KVM_CREATE_VM", errno.ENOMEM, kvmppc.VmCreationError),
    ("KVM_CREATE_VM", errno.EPERM, kvmppc.VmCreationError),
    ("KVM_CREATE_VM", errno.EBUSY, kvmppc.VmCreationError),
    ("KVM_CREATE_VM", errno.EMFILE, kvmppc.VmCreationError),
    ("KVM_PPC_GET_COMPAT_CAPS", errno.ENOTTY, kvmppc.UnsupportedError),
    ("KVM_PPC_GET_COMPAT_CAPS", errno.EINVAL, kvmppc.InvalidError),
    ("KVM_PPC_GET_COMPAT_CAPS", errno.E2BIG, kvmppc.TooBigError),
    ("KVM_PPC_GET_COMPAT_CAPS", errno.EFAULT, kvmppc.KvmError),
    ("KVM_PPC_GET_COMPAT_CAPS", errno.EIO, kvmppc.KvmError),
]
CALLS = {operation for operation, _, _ in KINDS}


@pytest.mark.parametrize(("operation", "number", "kind"), KINDS)
def test_each_refusal_is_told_apart(operation, number, kind):
    error = refusal(number, operation)
    assert type(error) is kind
    assert error.errno == number
    assert error.operation == operation
    assert error.name == errno.errorcode[number]
    for part in (operation, os.strerror(number), error.name, error.reason, error.remedy):
        assert part
        assert part in str(error)


@pytest.mark.parametrize(("operation", "number", "kind"), KINDS)
def test_an_error_survives_pickle(operation, number, kind):
    error = pickle.loads(pickle.dumps(refusal(number, operation, "/dev/kvm")))
    assert type(error) is kind
    assert str(error) == str(refusal(number, operation, "/dev/kvm"))


def test_the_api_version_error_survives_pickle_with_its_number_and_device():
    error = pickle.loads(pickle.dumps(kvmppc.ApiVersionError(11, "/dev/kvm")))
    assert (error.api_version, error.errno, error.filename) == (11, errno.EPROTO, "/dev/kvm")
    assert "11" in str(error)


@given(st.integers(1, 4095), st.sampled_from(["open", "KVM_CREATE_VM", "KVM_CHECK_EXTENSION"]))
def test_every_number_makes_an_error_that_keeps_it(number, operation):
    error = refusal(number, operation)
    assert isinstance(error, kvmppc.KvmError)
    assert error.errno == number
    assert error.reason
    assert error.name in str(error)


@pytest.mark.parametrize("number", [errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG])
def test_a_path_that_no_file_can_have_is_told_from_a_refusal_of_the_kernel(number):
    assert "Give the KVM device" in refusal(number, "open", "/dev/null/kvm").remedy


def test_a_descriptor_that_was_never_open_is_not_said_to_have_been_closed():
    assert "closed it" not in str(refusal(errno.EBADF, "KVM_CHECK_EXTENSION"))


def test_only_a_vm_is_said_to_be_dead():
    dead = {call for call in CALLS if "VM is dead" in str(refusal(errno.EIO, call))}
    assert dead == {"KVM_CHECK_EXTENSION", "KVM_PPC_GET_COMPAT_CAPS"}


def test_the_usual_exceptions_catch_what_their_names_say():
    assert issubclass(kvmppc.KvmError, OSError)
    assert issubclass(kvmppc.DeviceNotFoundError, FileNotFoundError)
    assert issubclass(kvmppc.DevicePermissionError, PermissionError)
    assert issubclass(kvmppc.ClosedError, ValueError)


def test_use_after_close_says_so():
    error = closed("KVM_CREATE_VM", "Kvm")
    assert error.errno == errno.EBADF
    assert "This Kvm is closed." in str(error)


def test_an_error_of_open_names_the_device():
    error = refusal(errno.ENOENT, "open", "/dev/kvm")
    assert error.filename == "/dev/kvm"
    assert str(error).startswith("open /dev/kvm: No such file or directory (ENOENT). ")
