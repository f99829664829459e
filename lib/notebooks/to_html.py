"""Converts executed notebooks to HTML pages that refer to nothing outside themselves.

usage: to_html.py PARENT_PID TEMPLATE_FOLDER OUTPUT_FOLDER NOTEBOOK...
"""

import json
import pathlib
import re
import sys
from itertools import groupby

from lifeline import die_with_parent

# Before the slow imports: nothing would tell us later that the parent died meanwhile.
die_with_parent(int(sys.argv[1]))

# As in execute.py: two seconds for a check that is not needed.
sys.modules["rfc3987_syntax"] = None

import nbformat
from nbconvert import HTMLExporter, TemplateExporter
from nbconvert.filters import Highlight2HTML
from nbconvert.filters.datatypefilter import DataTypeFilter
from traitlets.config import Config


class PageExporter(HTMLExporter):
    """Leaves what the template made as it is: the original parses the page anew, and loses the case of
    SVG's names on the way."""

    def from_notebook_node(self, nb, resources=None, **kwargs):
        resources = self._init_resources(resources)
        self.register_filter("highlight_code", Highlight2HTML(pygments_lexer="typescript", parent=self))
        self.register_filter("filter_data_type", DataTypeFilter(parent=self))
        return TemplateExporter.from_notebook_node(self, nb, resources, **kwargs)


def read_title(notebook, default):
    """The first heading of the notebook."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            match = re.search(r"^#{1,6}\s+(.+?)\s*#*\s*$", cell.source, re.MULTILINE)
            if match:
                return re.sub(r"[*_`]|\[([^\]]*)\]\([^)]*\)", r"\1", match[1]) or default
    return default


def inline_svg(value):
    """The <svg> element alone: no XML declaration and no document type inside a page."""
    text = "".join(value) if isinstance(value, list) else value
    start = text.find("<svg")
    return text[start:] if start > 0 else text


def first_line(source):
    """What a folded cell shows of itself: its first comment or line."""
    for line in source.splitlines():
        if line.strip():
            return line.strip().removeprefix("//").strip()
    return ""


def without_absent_sections(cells):
    """Leaves out neighbouring cells tagged "optional" of which no code cell shows anything."""
    kept = []
    for optional, group in groupby(cells, lambda cell: "optional" in cell.metadata.get("tags", [])):
        group = list(group)
        if not optional or any(cell.get("outputs") for cell in group):
            kept += group
    return kept


def main():
    template, output = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    exporter = PageExporter(
        config=Config(
            {
                "PageExporter": {
                    "template_name": template.name,
                    "extra_template_basedirs": [str(template.parent)],
                    "exclude_input_prompt": True,
                    "exclude_output_prompt": True,
                    "exclude_anchor_links": True,
                },
                # Scripts and widgets would need the network; a figure is wanted as the drawing it is.
                "NbConvertBase": {
                    "display_data_priority": [
                        "image/svg+xml",
                        "text/html",
                        "text/markdown",
                        "image/png",
                        "image/jpeg",
                        "text/latex",
                        "text/plain",
                    ]
                },
            }
        )
    )
    exporter.register_filter("inline_svg", inline_svg)
    exporter.register_filter("first_line", first_line)
    style = (template / "style.css").read_text(encoding="utf-8")
    for path in map(pathlib.Path, sys.argv[4:]):
        target = output / f"{path.stem}.html"
        try:
            notebook = nbformat.read(path, as_version=4)
            title = read_title(notebook, path.stem)
            notebook.cells = without_absent_sections(notebook.cells)
            page, _ = exporter.from_notebook_node(
                notebook, resources={"poolscope": {"title": title, "style": style, "name": path.stem}}
            )
        except Exception as error:  # noqa: BLE001 - one page is lost, the others are written
            lines = f"{type(error).__name__}: {error}".splitlines()
            print(json.dumps({"name": target.name, "bytes": 0, "error": lines[0]}), flush=True)
            continue
        partial = target.with_name(target.name + ".partial")
        partial.write_text(page, encoding="utf-8")
        partial.replace(target)
        print(json.dumps({"name": target.name, "bytes": target.stat().st_size}), flush=True)


main()
