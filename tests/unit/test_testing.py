"""Simulated hosts: how they are switched on and off."""

import subprocess
import sys
import threading

import pytest

import kvmppc
from kvmppc import _public
from kvmppc.testing import simulated_host, simulated_hosts

NAMES = [host.name for host in simulated_hosts()]


def test_python_and_c_know_the_same_hosts():
    from kvmppc._simhost import ffi, lib

    names = [ffi.string(lib.kvmppc_simhost_name(index)).decode() for index in range(len(NAMES))]
    assert names == NAMES
    assert lib.kvmppc_simhost_name(len(NAMES)) == ffi.NULL


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"unknown simulated host 'power8'; .*power11-as"):
        simulated_host("power8").__enter__()


def test_the_block_before_is_back_after_a_block():
    with simulated_host("power11"):
        with simulated_host("power9"):
            assert kvmppc.probe().simulated == "power9"
        assert kvmppc.probe().newest == "power11"
    assert kvmppc.probe().simulated is None


def test_blocks_may_end_in_any_order():
    one, other = simulated_host("power9"), simulated_host("power11")
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert kvmppc.probe().simulated == "power11"
    other.__exit__(None, None, None)
    assert kvmppc.probe().simulated is None


def test_blocks_of_many_threads_leave_the_real_host_behind():
    def work(name):
        for _ in range(50):
            with simulated_host(name):
                assert kvmppc.probe().simulated is not None

    threads = [threading.Thread(target=work, args=(name,)) for name in ("power9", "power11")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kvmppc.probe().simulated is None


def test_the_real_host_is_back_after_an_exception():
    with pytest.raises(ZeroDivisionError), simulated_host("power9"):
        _ = 1 / 0
    assert kvmppc.probe().simulated is None


def test_a_handle_goes_on_after_its_block():
    with simulated_host("power9"), kvmppc.Kvm() as kvm:
        vm = kvm.create_vm()
    with vm:
        assert vm.get_compat_caps().newest == "power9"


def test_the_fixture_moves_from_host_to_host(kvmppc_host):
    assert kvmppc_host("power9").name == "power9"
    assert kvmppc.probe().simulated == "power9"
    kvmppc_host("future")
    assert kvmppc.probe().simulated == "future"


def test_the_fixture_leaves_the_real_host_behind():
    assert kvmppc.probe().simulated is None


def run_python(folder, *words):
    """Runs Python away from the sources, which would hide the installed package."""
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_plain_import_loads_no_simulation(tmp_path):
    code = "import kvmppc, sys; kvmppc.probe(); print('kvmppc._simhost' in sys.modules)"
    assert run_python(tmp_path, "-c", code) == ["False"]


def test_plain_import_loads_no_slow_module(tmp_path):
    # -S: what the environment's own start-up loads is not ours.
    path = [entry for entry in sys.path if entry.endswith("-packages")]
    slow = {"dataclasses", "typing", "argparse", "json", "cffi", "re", "inspect"}
    for use, is_loaded in (("", False), ("kvmppc.Kvm", True)):
        code = f"import sys; sys.path += {path!r}; import kvmppc; {use}\nprint(*sys.modules)"
        loaded = set(run_python(tmp_path, "-S", "-c", code))
        assert ("kvmppc.kvm" in loaded) is is_loaded
        assert not loaded & slow


def test_the_plainest_command_loads_no_slow_module(tmp_path):
    path = [entry for entry in sys.path if entry.endswith("-packages")]
    code = (
        f"import sys; sys.path += {path!r}; from kvmppc.cli import main; main(['-q'])\n"
        "print(*sys.modules)"
    )
    loaded = set(run_python(tmp_path, "-S", "-c", code))
    assert "kvmppc.report" in loaded
    assert not loaded & {"argparse", "collections", "contextlib", "enum", "json", "re", "typing"}


def test_every_public_name_is_there_and_told():
    assert {*_public.__all__, "__version__"} == set(kvmppc.__all__) <= set(dir(kvmppc))
    for name in _public.__all__:
        assert getattr(kvmppc, name) is getattr(_public, name)
    with pytest.raises(AttributeError, match="module 'kvmppc' has no attribute 'Kvn'"):
        _ = kvmppc.Kvn


def test_a_handle_forgotten_until_exit_is_complained_about(tmp_path):
    code = (
        "import kvmppc, sys; from kvmppc.testing import simulated_host\n"
        "with simulated_host('power9'): kvm = kvmppc.Kvm()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "ResourceWarning: unclosed <kvmppc.Kvm fd=" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_in_the_environment_switches_a_simulation_on(tmp_path):
    code = (
        "import os; [os.environ.__setitem__(n, 'power9') for n in "
        "('KVMPPC_SIMULATE', 'KVMPPC_HOST', 'KVMPPC_SIMULATED', 'KVMPPC_DEVICE')]; "
        "import kvmppc; print(kvmppc.probe().simulated)"
    )
    assert run_python(tmp_path, "-c", code) == ["None"]
