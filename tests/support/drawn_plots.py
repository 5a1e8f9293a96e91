"""What `dvc plots` draws, drawn by Vega itself and read back from the SVG."""

from __future__ import annotations

import json
import re
from pathlib import Path

import vl_convert

from tests.support.clones import dvc

VEGA_LITE = "5.8"  # the oldest that is to be had here; the page of DVC 3.67 loads 5.2


def pictures(folder: Path, *arguments: str) -> dict[str, str]:
    """Every picture as SVG, by its name in dvc.yaml."""
    shown = dvc(folder, "plots", *arguments, "--json")
    assert shown.returncode == 0, shown.stderr
    return {
        name: vl_convert.vegalite_to_svg(json.dumps(found[0]["content"]), vl_version=VEGA_LITE)
        for name, found in json.loads(shown.stdout)["data"].items()
    }


def lines(svg: str) -> dict[tuple[str, str], tuple[str, str]]:
    """{(method, revision): (colour, dash)} of the lines of a picture."""
    marks = re.findall(r'<path aria-label="([^"]*)"[^>]*"line mark"[^>]* stroke="([^"]*)"[^>]*dasharray="([^"]*)"', svg)
    found = {}
    for label, stroke, dash in marks:
        about = dict(part.split(": ", 1) for part in label.split("; "))
        found[about["method"], about["rev"]] = stroke, dash
    return found


def points(svg: str) -> list[dict[str, str]]:
    """What each point of a picture says of itself."""
    return [
        dict(part.split(": ", 1) for part in label.split("; "))
        for label in re.findall(r'<path aria-label="([^"]*)"[^>]*"point"', svg)
    ]
