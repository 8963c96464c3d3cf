"""mypy, as a user runs it: a program is checked against the installed package."""

import subprocess
import sys

import pytest

pytest.importorskip("mypy")


def test_a_name_that_kvmppc_does_not_have_is_found(tmp_path):
    (tmp_path / "program.py").write_text("import kvmppc\n\nkvmppc.Kvm\nkvmppc.Kvn\n")
    words = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache", "program.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert 'program.py:4: error: Module has no attribute "Kvn"' in done.stdout, done.stderr
    assert done.stdout.count("error:") == 1
