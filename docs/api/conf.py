"""Sphinx' settings for the reference of the Python API: python3 -m sphinx -W docs/api FOLDER"""

import kvmppc

project = "kvmppc"
release = kvmppc.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_member_order = "bysource"
# What handles have in common is shown with each; what Python's own classes have is not.
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "inherited-members": "OSError, ValueError, Exception, str, object",
}
html_theme = "basic"
