"""No privilege is needed but to open the device."""

import json
import os
import stat
import tempfile

import pytest

from kvmppc import probe


@pytest.fixture
def device():
    """KVM's device, once more, for everybody to open; where it can be made."""
    if os.geteuid() != 0 or not os.path.exists("/dev/kvm"):
        pytest.skip("only root can make a second /dev/kvm, and only where there is a first")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)
        path = os.path.join(folder, "kvm")
        try:
            os.mknod(path, stat.S_IFCHR, os.stat("/dev/kvm").st_rdev)
            os.chmod(path, 0o666)
            os.close(os.open(path, os.O_RDWR))
        except OSError as error:
            pytest.skip(f"a second /dev/kvm cannot be used here: {error}")
        yield path


def answered_to(user, device):
    """The record's keys that come from asking, as another user without any privilege."""
    probe(device)  # loads all there is to load: the other user may not be able to
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if user:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            record = probe(device).to_dict()
            names = ("status", "api_version", "capability", "compat_capabilities", "errno")
            os.write(theirs, json.dumps({name: record[name] for name in names}).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        answer = json.loads(pipe.read())
    os.waitpid(child, 0)
    return answer


def test_who_may_open_the_device_gets_the_same_answer_as_root(device):
    assert answered_to(65534, device) == answered_to(0, device)
    assert answered_to(65534, device)["status"] != "denied"
