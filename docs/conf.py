"""Sphinx configuration. Docstrings are Markdown, like the pages; the API pages are made from the packages themselves."""

import re
import sys
from pathlib import Path

from docutils.utils import new_document
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.util.docutils import SphinxDirective

import lapg_rl

sys.path.insert(0, str(Path(__file__).parent))
import figures
import reference

project = "lapg"
author = "The lapg developers"
release = lapg_rl.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.apidoc", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "lapg"

autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_default_options = {"ignore-module-all": True}  # the flat interfaces list what other pages document
apidoc_modules = [
    {
        "path": str(Path(__file__).parents[1] / package),
        "destination": f"api/{package}",
        # A page of marimo's, which is an extra.
        "exclude_patterns": [str(Path(__file__).parents[1] / package / "explorer" / "app.py")],
    }
    for package in ("lapg_theory", "lapg_rl")
]


class Markdown(SphinxDirective):
    """A directive whose content is Markdown: it lets reStructuredText, which autodoc writes, hold our docstrings."""

    has_content = True

    def run(self):
        """The nodes of the content."""
        document = new_document(self.env.docname, self.state.document.settings)
        MystParser().parse("\n".join(self.content), document)
        return document.children


def as_markdown(app, what, name, obj, options, lines):
    """Wrap a docstring in the directive; `Raises:` and its like become bold lines, their entries a list, examples code."""
    text = re.sub(r"^Example:\n((?:    .*\n?)+)", _example, "\n".join(lines), flags=re.MULTILINE)
    text = re.sub(r"^(\w+):\n((?:    .+\n?)+)", _section, text, flags=re.MULTILINE)
    lines[:] = [".. markdown::", "", *("   " + line for line in text.split("\n")), ""]


def _section(match):
    entries = re.sub(r"^    (?! )", "* ", match[2], flags=re.MULTILINE)
    return f"**{match[1]}**\n\n{entries}"


def _example(match):
    code = re.sub(r"^    ", "", match[1], flags=re.MULTILINE).rstrip()
    return f"**Example**\n\n```pycon\n{code}\n```\n"


def generate(app):
    """Write the pages that say what the code says (commands, keys of a config, names) and the figures that it draws."""
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(exist_ok=True)
    for name, text in reference.PAGES.items():
        page = folder / f"{name}.md"
        if not page.exists() or page.read_text() != text():
            page.write_text(text())
    for name, drawn in figures.FIGURES.items():
        if not (folder / f"{name}.svg").exists():
            (folder / f"{name}.svg").write_text(drawn())


def setup(app):
    """Register all of them."""
    app.connect("builder-inited", generate)
    app.add_directive("markdown", Markdown)
    app.connect("autodoc-process-docstring", as_markdown)
    app.connect("autodoc-skip-member", lambda app, what, name, obj, skip, options: skip or _is_tuple_field(obj))


def _is_tuple_field(obj):
    return (getattr(obj, "__doc__", None) or "").startswith("Alias for field number")
