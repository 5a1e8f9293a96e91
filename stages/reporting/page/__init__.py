"""report.html: the text of report.md as one file that asks the network for nothing, with the answers to search in.

The words and figures are those of report.md, rendered by markdown-it-py, so that the two cannot say different things.
What the page adds is what Markdown cannot hold: pictures inside the file, right-to-left text, a dark theme, and every
model's answer to every prompt. Its Content-Security-Policy lets the browser run the one script and the one style sheet
whose hashes it names, and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from stages.core.errors import PipelineError
from stages.reporting.page.explorer import Explorer, embedded_json
from stages.reporting.page.markdown import Document, render
from stages.reporting.tables import Table

LIMIT_BYTES = 3_000_000  # a page that a phone opens and a mail carries
ANSWERS_HEADING = "Answers side by side"


def build(markdown: str, plots: Path, explorer: Explorer, tables: Sequence[Table] = ()) -> str:
    """The page; ``plots`` is the folder of the pictures that ``markdown`` names as ``plots/<name>.png``.

    ``tables`` are those that ``markdown`` prints.

    Raises PipelineError when the page is above 3 MB, which is the limit that we promise.
    """
    document = render(markdown, plots, tables)
    style, script = asset("page.css"), asset("page.js")
    page = Template(asset("page.html")).substitute(
        title=html.escape(document.title),
        style=style,
        style_hash=csp_hash(style),
        script=script,
        script_hash=csp_hash(script),
        contents=contents(document),
        body=with_explorer(document),
        answers=embedded_json(explorer.payload),
    )
    size = len(page.encode("utf-8"))
    if size > LIMIT_BYTES:
        raise PipelineError(
            f"report.html would have {size:,} bytes, and {LIMIT_BYTES:,} is the limit: lower the dpi of the plots "
            "(stages/reporting/plots.py) or ANSWERS_BYTES (stages/reporting/page/explorer.py)"
        )
    return page


def asset(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def csp_hash(text: str) -> str:
    """The source expression of CSP level 2: base64 of the SHA-256 of the element's text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def contents(document: Document) -> str:
    return "\n".join(
        f'<li><a href="#{slug}">{html.escape(heading)}</a></li>' for slug, heading, _ in document.sections if heading
    )


def with_explorer(document: Document) -> str:
    """The sections in order; the search over all answers stands at the end of the section that shows two prompts."""
    parts = []
    for slug, heading, body in document.sections:
        inner = body + (asset("explorer.html") if heading == ANSWERS_HEADING else "")
        label = f' aria-labelledby="{slug}"' if heading else ' aria-label="The answer"'
        parts.append(f"<section{label}>\n{inner}</section>")
    return "\n".join(parts)
