"""Settings for all tests."""

import gc
import os

import hypothesis
import pytest

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


@pytest.fixture
def no_descriptor_is_left_open():
    """Holds the test to giving back every descriptor that it opens."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    if set(os.listdir("/proc/self/fd")) != before:
        gc.collect()  # a traceback may still hold a handle
    assert set(os.listdir("/proc/self/fd")) == before


def pytest_sessionstart() -> None:
    """Says what to do where the folder of the sources hides the installed package."""
    try:
        import kvmppc._native  # noqa: F401
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"{error}: the tests run on the installed package. Install it "
            "(pip install '.[test]') and start them as `pytest`, not as `python -m pytest`."
        ) from error
