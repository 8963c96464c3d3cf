"""What kvmppc writes for libvirt, read by libvirt's own programs.

Needs virsh and virt-xml-validate (Debian: libvirt-clients, libxml2-utils). No daemon is needed:
the schemas are files, and libvirt's test driver lives inside virsh.
"""

import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

MODES = ("power9", "power10", "power11")
KVMPPC = Path(sys.executable).with_name("kvmppc")

# As virsh dumpxml prints a pseries guest that virt-install has made, and what people add to it.
GUEST = """\
<?xml version='1.0' encoding='UTF-8'?>
<!-- <cpu mode='host-passthrough'/> as it was before -->
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>guest</name>
  <uuid>2a5b6d3e-6f0c-4d55-9d3b-0f4f5b2f8f11</uuid>
  <title>A guest &amp; its title</title>
  <metadata>
    <app:cpu xmlns:app='urn:example:app' mode='custom'><app:model>POWER9</app:model></app:cpu>
  </metadata>
  <memory unit='KiB'>4194304</memory>
  <currentMemory unit='KiB'>4194304</currentMemory>
  <vcpu placement='static'>8</vcpu>
  <os>
    <type arch='ppc64le' machine='pseries'>hvm</type>
    <boot dev='hd'/>
  </os>
  <features>
    <nested-hv state='off'/>
  </features>
  CPU
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-ppc64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/var/lib/libvirt/images/guest &lt;1&gt;.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <controller type='pci' index='0' model='pci-root'>
      <model name='spapr-pci-host-bridge'/>
      <target index='0'/>
    </controller>
    <interface type='user'>
      <mac address='52:54:00:12:34:56'/>
      <model type='virtio'/>
    </interface>
    <console type='pty'>
      <target type='serial' port='0'/>
      <address type='spapr-vio' reg='0x30000000'/>
    </console>
    <memballoon model='virtio'/>
    <panic model='pseries'/>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-name'/>
    <qemu:arg value='debug-threads=on'/>
  </qemu:commandline>
</domain>
"""

NOT_GRANTED = {
    "none": "",
    "passthrough": "<cpu mode='host-passthrough'/>",
    "passthrough that is migratable": "<cpu mode='host-passthrough' check='none' migratable='on'/>",
    "passthrough with a topology": (
        '<cpu mode="host-passthrough">\n'
        '    <topology sockets="1" dies="1" cores="2" threads="4"/>\n'
        "    <numa>\n      <cell id='0' cpus='0-7' memory='4194304' unit='KiB'/>\n    </numa>\n"
        "  </cpu>"
    ),
    "a topology alone": "<cpu><topology sockets='1' cores='2' threads='4'/></cpu>",
    "host-model": "<cpu mode='host-model' check='partial'/>",
    "a newer mode": "<cpu mode='host-model'><model fallback='forbid'>power11</model></cpu>",
    "an empty model": "<cpu mode='host-model'><model fallback='allow' /></cpu>",
    "custom": "<cpu mode='custom' match='exact' check='full'><model>POWER11</model></cpu>",
}


@pytest.fixture(scope="session", autouse=True)
def _programs():
    """Fails, and does not skip, where libvirt's programs are missing: this is their test."""
    for program in ("virsh", "virt-xml-validate", "xmllint"):
        if shutil.which(program) is None:
            pytest.fail(
                f"{program} is missing: install libvirt's programs "
                "(Debian: apt-get install libvirt-clients libxml2-utils)"
            )


def guest(cpu):
    return GUEST.replace("CPU", cpu).encode()


def kvmppc(*words, data=None):
    """What the installed command prints."""
    done = subprocess.run([KVMPPC, *words], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def complaints(tmp_path):
    """What libvirt's schemas have against a domain; nothing where it is valid."""

    def validate(data):
        path = tmp_path / "guest.xml"
        path.write_bytes(data)
        done = subprocess.run(
            ["virt-xml-validate", path, "domain"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return "" if done.returncode == 0 else done.stdout

    return validate


@pytest.fixture
def cpu_read_by_libvirt(tmp_path):
    """The <cpu> that libvirt makes of a domain: defined in its test driver, and dumped."""

    def define(data):
        path = tmp_path / "guest.xml"
        path.write_bytes(data)
        done = subprocess.run(
            ["virsh", "--quiet", "--connect", "test:///default", "define guest.xml; dumpxml guest"],
            capture_output=True,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr.decode()
        cpu = ElementTree.fromstring(done.stdout[done.stdout.index(b"<domain") :]).find("cpu")
        return cpu.attrib, cpu.findtext("model")

    return define


def test_the_schemas_tell_what_is_wrong(complaints):
    assert "fails to validate" in complaints(guest("<cpu mode='power10'/>"))


@pytest.mark.parametrize("cpu", NOT_GRANTED.values(), ids=NOT_GRANTED)
def test_the_domains_of_this_test_are_valid_themselves(cpu, complaints):
    assert complaints(guest(cpu)) == ""


@pytest.mark.parametrize("mode", MODES)
def test_the_advised_element_is_valid_and_gives_the_mode(mode, complaints, cpu_read_by_libvirt):
    words = ("advise", "--for", "libvirt", "--simulate", "power11", "--mode", mode)
    data = guest(kvmppc(*words).decode().strip())
    assert complaints(data) == ""
    assert cpu_read_by_libvirt(data) == ({"mode": "host-model", "check": "none"}, mode)


@pytest.mark.parametrize("cpu", NOT_GRANTED.values(), ids=NOT_GRANTED)
def test_a_fixed_domain_is_valid_and_asks_for_the_mode(cpu, complaints, cpu_read_by_libvirt):
    words = ("check", "-", "--fix", "--simulate", "power11-as-power10")
    fixed = kvmppc(*words, data=guest(cpu))
    assert complaints(fixed) == ""
    assert cpu_read_by_libvirt(fixed) == ({"mode": "host-model", "check": "none"}, "power10")


def test_what_libvirt_writes_back_is_granted_too(tmp_path):
    """libvirt writes a domain in its own words; those are checked as well as ours."""
    (tmp_path / "guest.xml").write_bytes(
        kvmppc(
            "check",
            "-",
            "--fix",
            "--simulate",
            "power10",
            data=guest("<cpu mode='host-model'><model>power11</model></cpu>"),
        )
    )
    written = subprocess.run(
        ["virsh", "--quiet", "--connect", "test:///default", "define guest.xml; dumpxml guest"],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        check=True,
    ).stdout
    written = written[written.index(b"<domain") :]
    assert kvmppc("check", "-", "--simulate", "power10", data=written).startswith(b"yes: ")
