"""Programs for ppc64le of several Debians, for the tests that run them on this machine.

python3 -m tests.lab.programs SUITE... prints where they are: a user emulator, and for each suite
the folder with its QEMU and libvirt. They are fetched where they are not there yet.
"""

from __future__ import annotations

import sys

from tests.lab.images import Images
from tests.lab.parts import CACHE, LabError


def main() -> None:
    """Print a path a line."""
    images = Images(CACHE)
    with images.locked():
        print(images.user_emulator())
        for suite in sys.argv[1:]:
            print(images.programs(suite))


if __name__ == "__main__":
    try:
        main()
    except (LabError, OSError) as error:
        sys.exit(f"lab: {error}")
