"""The package where its compiled modules cannot be had, and its sources where nobody built it."""

import json
import shutil
import subprocess
import sys
import zipfile

import pytest

PURE = (
    "this kvmppc was built with KVMPPC_PURE=1, without compiled modules: it can read"
    " records, but cannot query KVM; install it again without KVMPPC_PURE, with pip install"
    " --no-cache-dir"
)
NOT_COMPILED = (
    "the sources of kvmppc in {0} are not compiled: install them (python3 -m pip install {0}), and"
    " start Python in another directory or with -I"
)


@pytest.fixture(scope="module")
def pure(sources, tmp_path_factory):
    """A folder with the package as KVMPPC_PURE=1 makes it."""
    folder = tmp_path_factory.mktemp("pure")
    words = "-m pip wheel -q --no-index --no-deps --no-build-isolation --wheel-dir".split()
    words = ["env", "KVMPPC_PURE=1", sys.executable, *words, str(folder), str(sources)]
    subprocess.run(words, check=True)
    (wheel,) = folder.glob("kvmppc-*-py3-none-linux_*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".so")]
        archive.extractall(folder)
    return folder


def python(folder, *words, **options):
    """Runs Python where the package in a folder comes first."""
    options = {"capture_output": True, "text": True, **options}
    done = subprocess.run([sys.executable, *words], cwd=folder, **options)
    return done.returncode, done.stdout, done.stderr


def test_a_pure_package_decodes(pure):
    code, out, err = python(pure, "-m", "kvmppc", "decode", "0x6000000000000000")
    assert (code, err) == (0, "")
    assert "power10" in out


def test_a_pure_package_computes_baselines(pure):
    ask = [sys.executable, "-I", "-m", "kvmppc", "probe", "--json", "--simulate", "power10"]
    record = subprocess.check_output(ask, text=True)
    code, out, _ = python(pure, "-m", "kvmppc", "baseline", "--json", "-", input=record)
    assert (code, json.loads(out)["newest"]) == (0, "power10")


def test_a_pure_package_advises_from_a_record(pure):
    ask = [sys.executable, "-I", "-m", "kvmppc", "probe", "--json", "--simulate", "power10"]
    record = subprocess.check_output(ask, text=True)
    words = "-m kvmppc advise --for qemu --report -".split()
    code, out, _ = python(pure, *words, input=record)
    assert (code, "max-cpu-compat=power10" in out) == (0, True)


def test_a_pure_package_explains_a_message_without_a_host(pure):
    words = ["-m", "kvmppc", "explain", "kvm run failed Invalid argument"]
    code, out, err = python(pure, *words)
    assert (code, err) == (0, "")
    assert "try    Give the guest a granted mode" in out
    code, out, _ = python(pure, *words, "--json")
    assert (code, json.loads(out)["hostname"]) == (0, None)


def test_the_version_says_that_a_package_is_pure(pure):
    assert python(pure, "-m", "kvmppc", "--version") == (0, f"kvmppc 0.1.0 ({PURE})\n", "")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "-q",
        "probe --json",
        "doctor",
        "hosts",
        "advise --for qemu",
        "bench",
        "explain message --simulate power10",
    ],
)
def test_a_pure_package_says_why_it_cannot_ask(pure, words):
    assert python(pure, "-m", "kvmppc", *words.split()) == (2, "", f"kvmppc: {PURE}\n")


@pytest.mark.parametrize(
    "code", ["import kvmppc; kvmppc.Kvm()", "from kvmppc import probe", "import kvmppc.testing"]
)
def test_what_cannot_be_imported_says_why(pure, code):
    status, out, err = python(pure, "-c", code)
    assert (status, out) == (1, "")
    assert err.splitlines()[-1] == f"ImportError: {PURE}"


def test_sources_that_nobody_compiled_say_what_to_do(sources):
    sentence = NOT_COMPILED.format(sources)
    assert python(sources, "-m", "kvmppc") == (2, "", f"kvmppc: {sentence}\n")
    _, _, err = python(sources, "-c", "import kvmppc; kvmppc.probe()")
    assert err.splitlines()[-1] == f"ImportError: {sentence}"


def test_tests_without_the_package_say_what_to_do(sources, tmp_path):
    venv = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path)]
    subprocess.run(venv, check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(tmp_path / "bin/python"), "install", "-q"]
    subprocess.run([*pip, "pytest"], check=True)
    words = [str(tmp_path / "bin/python"), "-m", "pytest"]
    done = subprocess.run(words, cwd=sources, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "No module named 'hypothesis': the tests run on the installed package; pip install"
        " '.[test]' installs it with what they need.\n"
    )


def test_tests_run_in_sources_that_cannot_be_written(sources, tmp_path):
    copy = shutil.copytree(sources, tmp_path / "sources")
    for name in (".hypothesis", ".pytest_cache"):
        (copy / name).touch()  # in the way of a directory, also for root
    words = [sys.executable, "-m", "pytest", "-q", "tests/unit/test_nfd.py"]
    done = subprocess.run(words, cwd=copy, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
