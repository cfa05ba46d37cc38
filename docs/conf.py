"""How the documentation is built; `just docs` does it."""

import re
from importlib.metadata import version as version_of

project = "acctwin"
author = "The acctwin developers"
copyright = "The acctwin developers"
version = release = version_of("acctwin")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "snippets", "explanations/decisions/COPYME.md"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
autodoc_type_aliases = {
    name: name for name in ("BoolArray", "FloatArray", "IntArray", "Mode")
}
autodoc_preserve_defaults = True
autoclass_content = "class"
napoleon_use_ivar = True
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
python_display_short_literal_types = True

html_theme = "pydata_sphinx_theme"
html_title = "acctwin"
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": []}


def escape_bars(app, what, name, obj, options, lines):
    """Let a docstring say |a − b|: in reStructuredText that is a substitution."""
    for i, line in enumerate(lines):
        parts = re.split(r"(``.*?``)", line)
        parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
        lines[i] = "".join(parts)


def setup(app):
    app.connect("autodoc-process-docstring", escape_bars)
