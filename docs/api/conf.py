"""Sphinx settings for the reference of the Python API.

.venv/bin/python -I -m sphinx -W docs/api FOLDER
"""

import kvmppc

project = "kvmppc"
release = kvmppc.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_member_order = "bysource"
# Each handle shows the methods of their common base; methods of Python's classes are left out.
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "inherited-members": "OSError, ValueError, Exception, str, object",
}
html_theme = "basic"
