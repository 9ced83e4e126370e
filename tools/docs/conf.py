"""Sphinx's configuration of the documentation site; `python -m tools.docs` builds it."""

from __future__ import annotations

import os

project = "hubops.jupyterhub"
copyright = "the hubops.jupyterhub maintainers"  # Sphinx's name
version = release = os.environ["HUBOPS_VERSION"]

extensions = ["myst_parser", "sphinx_antsibull_ext"]
root_doc = "index"
myst_enable_extensions = ["deflist", "attrs_inline"]
myst_heading_anchors = 4
# GitHub's names of headings, which the pages use among themselves.
suppress_warnings = ["myst.header"]
antsibull_ext_color_scheme = "none"
highlight_language = "none"
# A message is looked for as a terminal shows it.
smartquotes = False

html_theme = "furo"
html_title = f"hubops.jupyterhub {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = [("versions.js", {"defer": "defer"})]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#b35300", "color-brand-content": "#b35300"},
    "dark_css_variables": {"color-brand-primary": "#f5a05a", "color-brand-content": "#f5a05a"},
}
