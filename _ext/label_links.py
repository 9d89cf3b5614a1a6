"""Sphinx extension: `[text](page.ipynb#label)` reaches a `(label)=`, not only a heading's own slug.

Labels are what exercises and reports point at: they stay when a heading is reworded. MyST resolves
the fragment of a link to another page among the slugs of that page's headings; here the labels
before headings are added to them.
"""

from docutils import nodes
from sphinx.application import Sphinx


def add_labels(app: Sphinx, document: nodes.document) -> None:
    """Add each label that stands before a heading to the page's known fragments."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for section in document.findall(nodes.section):
        title = section.next_node(nodes.title)
        for name in section["names"]:
            label = document.nameids.get(name)
            if label and document.nametypes.get(name) and title is not None:
                slugs.setdefault(name, (title.line or 0, label, title.astext()))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", add_labels)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
