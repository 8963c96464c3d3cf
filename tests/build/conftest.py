"""What the tests of the build share."""

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
    subprocess.run(words, check=True)
    (archive,) = folder.glob("kvmppc-*.tar.gz")
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(folder)], check=True)
    return next(path for path in folder.iterdir() if path.is_dir())
