"""The pytest fixture. pytest loads this module automatically if kvmppc is installed."""

from __future__ import annotations

import contextlib

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable

    from kvmppc.testing import SimulatedHost


@pytest.fixture
def kvmppc_host() -> Iterator[Callable[[str], SimulatedHost]]:
    """Runs the test on a simulated host: ``kvmppc_host("power11-as-power10")``.

    A second call switches to another host. After the test, the real host is back. The call
    raises ValueError for an unknown name.
    """
    # Not at the top: pytest loads this module in every project that it tests.
    from kvmppc.testing import simulated_host

    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(simulated_host(name))
