"""Benchmarks: python3 -m tests.bench, from the root of the sources. docs/performance.md tells more.

Needs the installed package, gcc and Python's headers, and nothing else.
"""

import os
import sys

# The package that is measured is the installed one, not the folder of its sources.
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != _ROOT]
