"""Running other programs to ask for their version."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = 10
_FORBIDDEN = stat.S_IWGRP | stat.S_IWOTH


def output_of(command: Sequence[str]) -> str | None:
    """What a program prints; None if it is missing, fails, or takes longer than 10 s."""
    # Not at the top: where the versions are given, no program is started.
    import subprocess

    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
            cwd="/",
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def is_safe_to_start(path: str) -> bool:
    """Whether a program that a file names can be started to ask for its version.

    The file may come from anybody, so the program must be one that only root or this user can
    have installed.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    trusted = status.st_uid in (0, os.geteuid()) and not status.st_mode & _FORBIDDEN
    return trusted and stat.S_ISREG(status.st_mode) and os.access(path, os.X_OK)
