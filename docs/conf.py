"""How Sphinx builds the documentation: ``nox -s docs``."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "asyncframes"
author = "asyncframes contributors"
copyright = author  # noqa: A001 - Sphinx's name
release = version = version_of("asyncframes-video")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "diagrams",
    "repository_links",
    "shell_reference",
    "typing_docs",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False

# A name in single backticks in a docstring is a link if it names something public, and code otherwise.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Too large to install for their names.
autodoc_mock_imports = ["ray", "torch"]
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"asyncframes {release}"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "default"
copybutton_exclude = ".linenos, .gp, .go"

man_pages = [
    ("reference/shell", "asyncframes", "frames of a video by exact index, from any source", [author], 1),
]
