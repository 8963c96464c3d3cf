"""The pytest fixture; pytest loads this module by itself where kvmppc is installed."""

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
    """Puts the test on a simulated host: ``kvmppc_host("power11-as-power10")``.

    May be called again to move to another one. The real host is back after the test.
    """
    # Not at the top: pytest loads this module in every project that it tests.
    from kvmppc.testing import simulated_host

    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(simulated_host(name))
