"""Loaded if the compiled module of this name is missing: says why, and what to do.

If both exist, Python loads the compiled one.
"""

import os
import sys

_sources = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.exists(os.path.join(_sources, "setup.py")):
    _why = (
        f"the sources of kvmppc in {_sources} are not compiled: install them (python3 -m pip "
        f"install {_sources}), and start Python in another directory or with -I"
    )
elif sys.platform.startswith("linux"):
    _why = (
        "this kvmppc was built with KVMPPC_PURE=1, without compiled modules: it can read records, "
        "but cannot query KVM; install it again without KVMPPC_PURE, with pip install "
        "--no-cache-dir"
    )
else:
    _why = (
        "this kvmppc has no compiled modules, which need Linux: it can read records, but cannot "
        "query KVM; run kvmppc probe --json on the host, and use its record here"
    )
raise ImportError(_why, name="kvmppc._fast")
