"""QEMU and libvirt of several Debians for ppc64el, each in a folder of its own.

python3 -m tests.lab.programs prints where they are, as JSON, for the tests that run them on this
machine; they are fetched where they are not there yet.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.lab.images import ETC, Images
from tests.lab.parts import CACHE, LabError

SUITES = ("bookworm", "trixie", "sid")
PACKAGES = ("libvirt-clients", "libvirt-daemon-driver-qemu", "qemu-system-ppc")


def programs(images: Images, suite: str) -> Path:
    """Return the folder with the programs of a suite."""
    tree = images.unpack(f"programs-{suite}", images.suite(suite).closure(*PACKAGES))
    for name in ("passwd", "group"):  # libvirt looks for a user of its own
        (tree / "etc" / name).write_text(ETC[name])
    return tree


def user_emulator(images: Images) -> Path:
    """Return a user emulator for ppc64le that runs on this machine and knows Power11."""
    debs = images.suite("trixie", images.own_arch()).only("qemu-user")
    return images.unpack("qemu-user", debs) / "usr/bin/qemu-ppc64le"


def main() -> None:
    """Print where the programs are."""
    images = Images(CACHE)
    with images.locked():
        found = {suite: str(programs(images, suite)) for suite in SUITES}
        found["qemu-ppc64le"] = str(user_emulator(images))
    print(json.dumps(found))


if __name__ == "__main__":
    try:
        main()
    except (LabError, OSError) as error:
        sys.exit(f"lab: {error}")
