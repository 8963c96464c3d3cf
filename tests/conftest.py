"""Settings for all tests: they run on the installed package, not on the folder of the sources."""

import gc
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/shared"))

# A script's background job ignores it, and so would every program that is started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# `python -m pytest` puts the sources first, which have no compiled modules, unless they were
# installed as editable.
if not any((ROOT / "kvmppc").glob("_native.*.so")):
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != str(ROOT)]
    for name in [name for name in sys.modules if name.partition(".")[0] == "kvmppc"]:
        del sys.modules[name]

try:
    import hypothesis

    import kvmppc.kvm
except ImportError as error:
    sys.exit(
        f"{error}: the tests run on the installed package; pip install '.[test]' installs it with "
        "what they need."
    )

# Where a distribution's build root is tested, children must find it too.
package = Path(kvmppc.__file__).parents[1]
if Path(sys.prefix) not in package.parents:
    paths = [str(package), os.environ.get("PYTHONPATH")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

# "lab" is for emulated machines, which are twenty times slower.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile(
    "lab",
    deadline=None,
    max_examples=10,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_finish() -> None:
    """Leaves the folder of the sources, where this process's children would find them."""
    os.chdir(tempfile.gettempdir())


@pytest.fixture
def no_descriptor_is_left_open():
    """Holds the test to giving back every descriptor that it opens."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    if set(os.listdir("/proc/self/fd")) != before:
        gc.collect()  # a traceback may still hold a handle
    assert set(os.listdir("/proc/self/fd")) == before
