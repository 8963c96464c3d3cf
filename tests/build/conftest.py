"""What the tests of the build share."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """The sources as people get them: the sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    words = [sys.executable, "-m", "build", "-q", "--sdist", "--outdir", str(folder), str(ROOT)]
    # setuptools writes into the sources: one process of a parallel run after the other.
    with (ROOT / "setup.py").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(words, check=True)
    (archive,) = folder.glob("kvmppc-*.tar.gz")
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(folder)], check=True)
    return next(path for path in folder.iterdir() if path.is_dir())
