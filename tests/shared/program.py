"""The kvmppc command that is tested, for tests that start it."""

import sys
import tempfile
from pathlib import Path

import kvmppc

_FOLDER = tempfile.TemporaryDirectory(prefix="kvmppc-")


def _program() -> Path:
    """Returns what pip installed, or, in a distribution's build root, a script that is the same."""
    package = Path(kvmppc.__file__)
    installed = Path(sys.executable).with_name("kvmppc")
    if Path(sys.prefix) in package.parents and installed.exists():
        return installed
    script = Path(_FOLDER.name, "kvmppc")
    script.write_text(
        f"#!{sys.executable}\nimport sys\n\nfrom kvmppc.cli import main\n\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    return script


PROGRAM = str(_program())
