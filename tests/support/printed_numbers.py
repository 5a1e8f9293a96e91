"""Which numbers a report prints, and whether the files that it names hold them: for tests of provenance."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NUMBER = re.compile(r"(?<![\w.,/-])[-+]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")
# Quoted answers, names in code, link targets and the numbers of lists and headings are not figures of ours.
NOT_FIGURES = (
    re.compile(r"<(td|th|div|bdi|p|h4)\b[^>]*lang=\"ar\"[^>]*>.*?</\1>", re.S),
    re.compile(r"<(script|style|code|svg)\b.*?</\1>", re.S),
    re.compile(r"```.*?```", re.S),
    re.compile(r"`[^`\n]*`"),
    re.compile(r"<https?://[^>]*>|\]\([^)]*\)|https?://[^\s<>)]+"),
    re.compile(r"^\d+\. ", re.M),
)


def numbers(text: str) -> list[str]:
    """The figures of Markdown or HTML as they are printed, thousands separators removed."""
    for pattern in NOT_FIGURES:
        text = pattern.sub(" ", text)
    text = html.unescape(re.sub(r"<[^>]*>", " ", text)).replace("**", " ").replace("−", "-")
    return [found.replace(",", "") for found in NUMBER.findall(text)]


def values(content: Any) -> set[float]:
    """Every number of a JSON value, with the length of each list, and sum, mean and extremes over each list.

    Over lists of objects that is per key, which is what "mean over seeds" means; names that are numbers count too.
    """
    found: set[float] = set()
    if isinstance(content, bool) or content is None:
        return found
    if isinstance(content, int | float):
        return {float(content)}
    if isinstance(content, str):
        return {float(one) for one in re.findall(r"\d+(?:\.\d+)?", content)}
    if isinstance(content, dict):
        for key, item in content.items():
            found |= values(item) | ({float(key)} if re.fullmatch(r"\d+", key) else set())
        return found
    found |= {float(len(content))}
    for item in content:
        found |= values(item)
    if content and all(isinstance(item, dict) for item in content):
        for key in content[0]:
            found |= over([item[key] for item in content if key in item])
    return found | over(content)


def over(items: Iterable[Any]) -> set[float]:
    """Sum, mean and extremes of plain numbers, or how often each word stands there."""
    items = list(items)
    if items and all(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
        return {float(sum(items)), sum(items) / len(items), float(min(items)), float(max(items))}
    return {float(count) for count in Counter(item for item in items if isinstance(item, str)).values()}


def of_files(root: Path, names: Iterable[str], models: Iterable[str]) -> set[float]:
    """The values of JSON files and TSV columns, `<model>` standing for each model; what a model lacks is left out."""
    found: set[float] = set()
    for name, model in itertools.product(names, models):
        path = root / name.replace("<model>", model)
        if path.suffix == ".json" and path.exists():
            found |= values(json.loads(path.read_text(encoding="utf-8")))
    return found


def holds(pool: Iterable[float], printed: str) -> bool:
    """Whether one of the values prints as this: to its decimals, in per cent, or to three significant digits."""
    shown = float(printed)
    tail = printed.partition(".")[2]
    half = 0.5000001 * 10 ** -len(re.sub(r"e.*", "", tail))
    if "e" in printed:
        half = abs(shown) * 0.0051
    for value in pool:
        if abs(value - shown) <= half or abs(100 * value - shown) <= half:
            return True
        if float(f"{value:.3g}") == shown:
            return True
    return False


def unknown(text: str, pool: set[float]) -> list[str]:
    """The printed numbers that no value of ``pool`` explains."""
    return [printed for printed in dict.fromkeys(numbers(text)) if not holds(pool, printed)]
