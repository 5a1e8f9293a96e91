"""report.md to HTML: tables that scroll inside themselves, pictures in the file, Arabic isolated in its direction."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from stages.core.errors import PipelineError
from stages.reporting.figures import FIGURES
from stages.reporting.tables import Column, Table

# Arabic letters with the spaces, digits and marks between them: one run is one piece of right-to-left text.
ARABIC_RUN = re.compile(r"[\u0600-\u06FF\u0750-\u077F](?:[\u0600-\u06FF\u0750-\u077F\s،؛؟.,:«»()\d]*[\u0600-\u06FF])?")

Known = Mapping[tuple[str, ...], Sequence[str | Column]]  # the columns of a table by its headings


@dataclass(frozen=True)
class Document:
    """``sections`` are (id, heading, HTML) in order; the first, before any second-level heading, has no heading."""

    title: str
    sections: tuple[tuple[str, str, str], ...]


def render(text: str, plots: Path, tables: Sequence[Table] = ()) -> Document:
    """``tables`` are those that the text prints: below each stands where its columns come from.

    Raises PipelineError when a picture that the text names was not drawn.
    """
    known = {table.headings: table.columns for table in tables}
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = parser.parse(text)
    title, sections, slug, heading = "", [], "the-answer", ""
    part: list[Token] = []

    def close() -> None:
        shown = arranged(part, heading, plots, known)
        sections.append((slug, heading, parser.renderer.render(shown, parser.options, {})))

    for index, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            title = tokens[index + 1].content.replace("`", "")
        if token.type == "heading_open" and token.tag == "h2":
            close()
            part, heading = [], tokens[index + 1].content
            slug = slugged(heading)
        part.append(token)
    close()
    return Document(title, tuple(sections))


def slugged(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def arranged(tokens: Sequence[Token], heading: str, plots: Path, known: Known) -> list[Token]:
    """One section's tokens with figures, scrolling tables, row headers and directions."""
    found: list[Token] = []
    index = 0
    subject, columns, cell = heading, list[str](), 0
    while index < len(tokens):
        token = tokens[index]
        if token.type == "paragraph_open" and is_picture(tokens[index + 1]):
            picture = (tokens[index + 1].children or [])[0]
            found.append(raw(figure(str(picture.attrs["src"]), picture.content, plots)))
            index += 3
            continue
        if token.type == "heading_open":
            subject = tokens[index + 1].content
            token.attrSet("id", slugged(subject))
        elif token.type == "table_open":
            columns = header_of(tokens, index)
            found.append(raw(open_table(subject, columns)))
        elif token.type == "tr_open":
            cell = 0
        elif token.type in ("th_open", "td_open"):
            as_cell(token, cell, tokens[index + 1].content)
            cell += 1
        elif token.type == "td_close" and cell == 1:
            token.tag = "th"
        elif token.type == "inline" and token.children:
            token.children = [piece for child in token.children for piece in isolated(child)]
        found.append(token)
        if token.type == "table_close":
            found.append(raw(f"</div>\n{sources(known.get(tuple(columns), ()))}"))
        index += 1
    return found


def raw(content: str) -> Token:
    return Token("html_block", "", 0, content=content)


def is_picture(token: Token) -> bool:
    return [child.type for child in token.children or []] == ["image"]


def figure(source: str, title: str, plots: Path) -> str:
    """The picture's bytes in the page, its description as the alternative text, its title and source below."""
    name = source.rpartition("/")[2]
    path = plots / name
    try:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    except FileNotFoundError:
        raise PipelineError(
            f"{path} was not drawn, but the report shows it: add it to stages/reporting/plots.py"
        ) from None
    about = FIGURES[name]
    return (
        f'<figure><div class="scroll" role="region" tabindex="0" aria-label="Picture: {html.escape(title)}">'
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(about.alternative)}"></div>'
        f"<figcaption><strong>{html.escape(title)}</strong>. From <code>{html.escape(about.source)}</code>."
        "</figcaption></figure>\n"
    )


def header_of(tokens: Sequence[Token], start: int) -> list[str]:
    """The column titles of the table that opens at ``start``."""
    titles = []
    for index in range(start, len(tokens)):
        if tokens[index].type == "thead_close":
            break
        if tokens[index].type == "th_open":
            titles.append(tokens[index + 1].content)
    return titles


def open_table(subject: str, columns: Sequence[str]) -> str:
    about = subject.replace("`", "") or "The answer"
    label = html.escape(f"{about}: {', '.join(columns)}")
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">\n'


def as_cell(token: Token, place: int, content: str) -> None:
    """Alignment as a class, since the page's policy allows no style attribute; the first cell names its row."""
    if "right" in str(token.attrs.pop("style", "")):
        token.attrSet("class", "number")
    elif token.type == "td_open" and place == 0 and len(content) > 18:
        token.attrSet("class", "name")  # a sentence that would cover a phone's whole width if it stood still
    elif len(content) > 40:
        token.attrSet("class", "long")
    if token.type == "th_open":
        token.attrSet("scope", "col")
    elif place == 0:
        token.tag = "th"
        token.attrSet("scope", "row")


UNIT = re.compile(r"(?<=\d) (?=(?:%|s|ms|nats|points|prompts)\b|%)")


def isolated(token: Token) -> list[Token]:
    """A text token with every Arabic run in an element of its own direction, so that brackets and figures stay put.

    A figure and its unit stay on one line.
    """
    if token.type == "text":
        token.content = UNIT.sub("\N{NO-BREAK SPACE}", token.content)
    if token.type != "text" or not ARABIC_RUN.search(token.content):
        return [token]
    pieces, end = [], 0
    for match in ARABIC_RUN.finditer(token.content):
        pieces.append(Token("text", "", 0, content=token.content[end : match.start()]))
        end = match.end() + closing(match.group(), token.content[match.end() :])
        pieces.append(Token("html_inline", "", 0, content='<bdi dir="rtl" lang="ar">'))
        pieces.append(Token("text", "", 0, content=token.content[match.start() : end]))
        pieces.append(Token("html_inline", "", 0, content="</bdi>"))
    return [*pieces, Token("text", "", 0, content=token.content[end:])]


def closing(run: str, rest: str) -> int:
    """How many brackets that the run opened stand closed right behind it: they turn with their opening halves."""
    count = 0
    for bracket in rest:
        opening = {")": "(", "»": "«"}.get(bracket)
        if opening is None or run.count(opening) <= run.count(bracket) + rest[:count].count(bracket):
            break
        count += 1
    return count


def sources(columns: Sequence[str | Column]) -> str:
    """The file and key behind each column, folded away."""
    lines = [
        f"<dt>{html.escape(column.heading)}</dt><dd><code>{html.escape(column.source)}</code></dd>"
        for column in columns
        if isinstance(column, Column)
    ]
    if not lines:
        return ""
    return f'<details class="keys"><summary>File and key of each column</summary><dl>{"".join(lines)}</dl></details>\n'
