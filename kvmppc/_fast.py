"""What Python loads where the compiled module of this name is missing: says why, and what to do.

Where both are there, Python prefers the compiled one.
"""

import os
import sys

_sources = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.exists(os.path.join(_sources, "setup.py")):
    _why = (
        f"the sources of kvmppc in {_sources} are not compiled: install them (python3 -m pip "
        f"install {_sources}), and start Python in another folder or with -I"
    )
elif sys.platform.startswith("linux"):
    _why = (
        "this kvmppc was built with KVMPPC_PURE=1, without compiled modules: it reads records, and "
        "cannot ask KVM; install it again without that"
    )
else:
    _why = (
        "this kvmppc has no compiled modules, which need Linux: it reads records, and cannot ask "
        "KVM; run kvmppc probe --json on the host, and give its record to this one"
    )
raise ImportError(_why, name="kvmppc._fast")
