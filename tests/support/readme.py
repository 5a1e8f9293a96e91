"""What README.md tells users to type, read from it, so that tests run the very lines."""

from __future__ import annotations

import re

from tests.support.clones import ROOT

README = ROOT / "README.md"


def section(title: str) -> str:
    return README.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose header begins with ``first``."""
    lines = text.split(f"\n| {first} |")[1].split("\n\n")[0].split("\n")[2:]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)
