"""probe(): the whole record of every simulated host, and hosts made of copied files."""

import os
import re
import subprocess
import sys
import time

import pytest

import kvmppc
from kvmppc.host import Source, use_source
from kvmppc.testing import simulated_host, simulated_hosts

# What is common to the hosts, and where each differs. Reasons and remedies are looked at below.
COMMON = {
    "schema": 1,
    "version": kvmppc.__version__,
    "machine": "ppc64le",
    "kernel": "7.3.0",
    "platform": "kvm",
    "cpu_physical": "power10",
    "cpu_effective": "power10",
    "pvr": "0x00801200",
    "cpu_version": "0x0f000006",
    "mmu": "radix",
    "page_size": 65536,
    "nested_api": 1,
    "device": "/dev/kvm",
    "api_version": 12,
    "capability": 1,
    "revision": "linux-7.3",
    "status": "known",
    "source": "kvm",
    "compat_capabilities": "0x6000000000000000",
    "modes": ["power9", "power10"],
    "newest": "power10",
    "hint": None,
    "unknown_bits": "0x0",
    "errno": None,
}
NO_ANSWER = {
    "revision": None,
    "nested_api": None,
    "source": None,
    "compat_capabilities": None,
    "modes": [],
    "newest": None,
    "unknown_bits": None,
}
ALL_MODES = {
    "compat_capabilities": "0x7000000000000000",
    "modes": ["power9", "power10", "power11"],
    "newest": "power11",
}
UNKNOWN_BIT = {
    "compat_capabilities": "0x7100000000000000",
    "unknown_bits": "0x100000000000000",
}
POWER11 = {
    "cpu_physical": "power11",
    "cpu_effective": "power11",
    "pvr": "0x00821200",
    "cpu_version": "0x0f000007",
}
AS_POWER10 = {**POWER11, "cpu_effective": "power10", "cpu_version": "0x0f000006"}
V2 = {"nested_api": 2}
NOT_ASKED = {**NO_ANSWER, "api_version": None, "capability": None}
NO_VM = {**NO_ANSWER, "capability": 0, "status": "unavailable", "errno": "EINVAL"}
NO_DEVICE = {**NOT_ASKED, "status": "unavailable", "errno": "ENOENT"}
EXPECTED = {
    "power9": {
        "cpu_physical": "power9",
        "cpu_effective": "power9",
        "pvr": "0x004e1202",
        "cpu_version": "0x0f000005",
        "compat_capabilities": "0x4000000000000000",
        "modes": ["power9"],
        "newest": "power9",
    },
    "power10": {"page_size": 4096},
    "power11": {**POWER11, **ALL_MODES},
    "power11-v2": {**POWER11, **ALL_MODES, **V2},
    "power11-as-power10": {**AS_POWER10, **V2},
    "power11-as-power9": {
        **POWER11,
        **V2,
        "cpu_effective": "power9",
        "cpu_version": "0x0f000005",
        "compat_capabilities": "0x4000000000000000",
        "modes": ["power9"],
        "newest": "power9",
    },
    "powervm-power11": {
        **POWER11,
        **V2,
        "platform": "powervm",
        "compat_capabilities": "0x3000000000000000",
        "modes": ["power10", "power11"],
        "newest": "power11",
    },
    "powernv10": {
        **NO_ANSWER,
        "platform": "powernv",
        "cpu_version": "0x00801200",
        "capability": 0,
        "status": "known",
        "source": "processor",
        "modes": ["power9", "power10"],
        "newest": "power10",
    },
    "linux-6.12": {
        **NO_ANSWER,
        "kernel": "6.12.0",
        "page_size": 4096,
        "nested_api": 1,
        "capability": 0,
        "status": "hint",
        "source": "auxv",
        "hint": "power10",
    },
    "linux-6.12-as-power10": {
        **NO_ANSWER,
        **AS_POWER10,
        **V2,
        "kernel": "6.12.0",
        "capability": 0,
        "status": "hint",
        "source": "auxv",
        "hint": "power10",
    },
    "no-nesting": NO_VM,
    "power8-mode": {
        **NO_VM,
        "cpu_effective": "power8",
        "cpu_version": "0x0f000004",
        "mmu": "hash",
    },
    "nested-off": {"nested_api": None},
    "kvm-pr": {**NO_ANSWER, "capability": 0, "status": "unsupported"},
    "power12": {
        **V2,
        "cpu_physical": "power12",
        "cpu_effective": "power12",
        "pvr": "0x00831200",
        "cpu_version": "0x0f000008",
    },
    "migrating": {**POWER11, **ALL_MODES, **V2},
    "migrated": {**AS_POWER10, **V2},
    "no-operation": {
        **NO_ANSWER,
        **V2,
        "revision": "linux-7.3",
        "status": "unsupported",
        "errno": "ENOTTY",
    },
    "backend-refuses": {
        **NO_ANSWER,
        **V2,
        "revision": "linux-7.3",
        "status": "error",
        "errno": "EINVAL",
    },
    "no-device": NO_DEVICE,
    "container": {**NO_DEVICE, "cpu_version": None},
    "no-permission": {**NOT_ASKED, "status": "denied", "errno": "EACCES"},
    "patch-v4": {**V2, "revision": "patch-v4"},
    "patch-v4-strict": {**V2, "revision": "patch-v4"},
    "patch-v4-short": {**NO_ANSWER, **V2, "revision": "patch-v4", "status": "error"},
    "struct-32": {**POWER11, **ALL_MODES, **V2, "kernel": "8.0.0"},
    "unknown-bit": {**POWER11, **ALL_MODES, **V2, **UNKNOWN_BIT, "kernel": "8.0.0"},
    "future": {**POWER11, **ALL_MODES, **V2, **UNKNOWN_BIT, "kernel": "8.0.0"},
}
REASONS = {
    "power9": "derived from the device tree (nested API v1)",
    "power11-as-power10": "negotiated with the hypervisor (nested API v2)",
    "powervm-power11": "negotiated with the hypervisor (nested API v2)",
    "powernv10": "Bare metal: KVM gives guests",
    "linux-6.12": "which is not a grant",
    "linux-6.12-as-power10": "which is not a grant",
    "no-nesting": "No VM can be created",
    "power8-mode": "KVM_CREATE_VM: The host runs in POWER8 mode",
    "nested-off": "which one is not known",
    "power12": "has no bit for the host's own mode, Power12",
    "kvm-pr": "use kvm_pr, which cannot set a processor mode",
    "no-operation": "does not support this ioctl",
    "backend-refuses": "could not retrieve or map the capabilities",
    "no-device": "open /dev/kvm: The device does not exist: kvm_hv is not loaded",
    "container": "although kvm_hv is loaded: this is probably a container",
    "no-permission": "It belongs to root:kvm, mode 0660",
    "patch-v4-short": "16 bytes",
}
REMEDIES = {
    "linux-6.12": "Linux 7.3",
    "linux-6.12-as-power10": "Linux 7.3",
    "no-nesting": "KVM Capable setting",
    "power8-mode": "processor compatibility mode",
    "kvm-pr": "use kvm_hv",
    "no-operation": "kvm_hv",
    "backend-refuses": "Update the kernel and the firmware",
    "no-device": "modprobe kvm_hv",
    "container": "--device /dev/kvm",
    "no-permission": "usermod -aG kvm",
    "patch-v4-short": "vendor",
}


@pytest.mark.parametrize("name", [host.name for host in simulated_hosts()])
def test_the_record_is_that_hosts_throughout(name):
    with simulated_host(name):
        record = kvmppc.probe().to_dict()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(record.pop("time")))
    assert REASONS.get(name, "The kernel answered") in str(record.pop("reason"))
    remedy = record.pop("remedy")
    assert (REMEDIES[name] in str(remedy)) if name in REMEDIES else remedy is None
    assert record == {**COMMON, "hostname": name, "simulated": name, **EXPECTED[name]}


def test_a_partition_of_powervm_with_an_older_kernel_has_a_hint_and_not_its_own_mode():
    powervm = next(host for host in simulated_hosts() if host.name == "powervm-power11")
    with simulated_host("linux-6.12"):
        before = use_source(powervm.source())
        try:
            report = kvmppc.probe()
        finally:
            use_source(before)
    assert (report.platform, report.status) == ("powervm", "hint")
    assert (report.hint, report.modes) == ("power11", ())


def test_the_time_is_now_in_utc():
    before = time.time()
    with simulated_host("power10"):
        stamp = kvmppc.probe().time
    seconds = time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    assert int(before) <= seconds <= time.time()


def test_each_report_has_its_own_second(monkeypatch):
    for second, written in [
        (0, "00:00:00"),
        (59, "00:00:59"),
        (86_399, "23:59:59"),
        (1, "00:00:01"),
    ]:
        monkeypatch.setattr(time, "time", lambda second=second: second + 0.9)
        assert kvmppc.probe("/dev/null").time == f"1970-01-01T{written}Z"


class ChangingSource(Source):
    """What another source tells, until it is told otherwise."""

    def __init__(self, source):
        super().__init__(uname=source.uname(), simulated=source.simulated)
        self._source = source
        self.files = {}
        self.name = source.uname()
        self.chip = source.processor()

    def uname(self):
        return self.name

    def processor(self):
        return self.chip

    def page_size(self):
        return self._source.page_size()

    def entries(self, path):
        return self._source.entries(path)

    def read(self, path, limit=4096):
        return self.files.get(path, self._source.read(path, limit))


@pytest.fixture
def changing():
    """The source of a Power11 under nested API v2, where a test may change the facts."""
    with simulated_host("power11-v2"):
        source = ChangingSource(use_source(Source()))
        use_source(source)
        yield source


def migrate(source):
    source.chip = ("power10", "power10", 0x00801200)


def rename(source):
    source.name = ("other", *source.name[1:])


def update(source):
    source.name = (source.name[0], "8.0.0", source.name[2])


def forbid_nesting(source):
    source.files["/sys/module/kvm_hv/parameters/nested"] = b"N\n"


def move_to_powervm(source):
    source.files["/proc/device-tree/compatible"] = b"IBM,9080-HEX\0"
    source.files["/proc/device-tree/ibm,powervm-partition"] = b""


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (migrate, {"cpu_physical": "power10", "cpu_effective": "power10", "pvr": 0x00801200}),
        (rename, {"hostname": "other"}),
        (update, {"kernel": "8.0.0"}),
        (forbid_nesting, {"nested_api": None}),
        (move_to_powervm, {"platform": "powervm"}),
    ],
)
def test_what_changes_between_two_reports_is_in_the_second(changing, change, changed):
    first = kvmppc.probe()
    assert kvmppc.probe().same_answer(first)
    change(changing)
    second = kvmppc.probe()
    assert {name: getattr(second, name) for name in changed} == changed
    assert all(getattr(first, name) != value for name, value in changed.items())


def test_a_device_that_answers_otherwise_is_told_anew(tmp_path):
    device = tmp_path / "kvm"
    found = [kvmppc.probe(device).errno]
    for target in ("/dev/null", "/", "/dev/null"):
        device.unlink(missing_ok=True)
        device.symlink_to(target)
        found.append(kvmppc.probe(device).errno)
    assert found == ["ENOENT", "ENOTTY", "EISDIR", "ENOTTY"]


def test_reports_share_nothing_that_can_be_changed():
    first, second = kvmppc.probe("/dev/null"), kvmppc.probe("/dev/null")
    vars(first)["status"] = "known"
    assert (second.status, kvmppc.probe("/dev/null").status) == ("error", "error")


def test_a_report_is_equal_to_what_is_read_of_its_record():
    with simulated_host("power10"):
        report = kvmppc.probe()
    read = kvmppc.HostReport.from_json(report.to_json())
    assert (read, hash(read)) == (report, hash(report))


@pytest.mark.parametrize("name", [host.name for host in simulated_hosts()])
def test_a_machine_that_is_not_power_reports_what_its_device_answers_to_a_handle(name):
    with simulated_host(name):
        before = use_source(Source(uname=("node", "7.3.0", "x86_64")))
        try:
            report = kvmppc.probe()
        finally:
            use_source(before)
        answer = {"api_version": None, "revision": None, "capability": None, "errno": None}
        try:
            with kvmppc.Kvm() as kvm:
                capability = kvmppc.Cap.PPC_COMPAT_CAPS
                answer["revision"] = revision = kvm.get_revision()
                if revision == "patch-v4":
                    capability = kvmppc.Cap.PPC_COMPAT_CAPS_PATCH_V4
                answer["capability"] = kvm.check_extension(capability)
                answer["api_version"] = kvm.get_api_version()
        except kvmppc.KvmError as error:
            answer["errno"] = error.name
    assert {key: report.to_dict()[key] for key in answer} == answer
    assert report.status in ("unsupported", "unavailable", "denied")
    assert ("Run kvmppc on an IBM Power host" in report.remedy) == (report.status != "denied")


def test_a_device_that_is_not_there_is_unavailable_on_any_host(tmp_path):
    report = kvmppc.probe(tmp_path / "kvm")
    assert (report.status, report.errno) == ("unavailable", "ENOENT")
    assert report.device == str(tmp_path / "kvm")


@pytest.mark.parametrize(
    ("device", "number"), [("/dev/null", "ENOTTY"), ("/", "EISDIR"), ("/dev/null/kvm", "ENOTDIR")]
)
def test_what_is_not_kvm_is_an_error_with_its_errno(device, number):
    report = kvmppc.probe(device)
    assert (report.status, report.errno) == ("error", number)


def test_a_file_that_may_not_be_opened_is_denied(tmp_path):
    device = tmp_path / "kvm"
    device.touch(mode=0)
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.seteuid(65534)  # root may open everything
        report = kvmppc.probe(device)
        os._exit((report.status, report.errno) != ("denied", "EACCES"))
    assert os.waitpid(child, 0)[1] == 0


def test_a_path_with_a_null_is_refused():
    with pytest.raises(ValueError, match="null character"):
        kvmppc.probe("/dev/kvm\0")


PROGRAMS = """
import sys
started = []
sys.addaudithook(lambda name, _: started.append(name) if name.startswith(STARTS) else None)
STARTS = ("subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")
import kvmppc
from kvmppc.testing import simulated_host
kvmppc.probe()
with simulated_host("power11-as-power10"):
    kvmppc.probe()
assert not started, started
import os
os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
assert started == ["os.posix_spawn"]
"""


def test_asking_starts_no_program(tmp_path):
    subprocess.run([sys.executable, "-c", PROGRAMS], cwd=tmp_path, check=True)
