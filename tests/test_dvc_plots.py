"""`dvc plots`: drawn by Vega itself, every method in the report's colour, every revision with its own dash."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import vl_convert
from clones import MODELS, ROOT, dvc
from ruamel.yaml import YAML

from stages.reporting.canvas import colours

PICTURES = {
    name for plot in YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"] for name in plot
}
VEGA_LITE = "5.8"  # the oldest here; DVC's page loads 5.2


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


@pytest.fixture(scope="module")
def shown(smoke: Path) -> dict[str, str]:
    return pictures(smoke, "show")


def test_every_picture_of_the_graph_is_drawn(shown: dict[str, str]) -> None:
    assert set(shown) == PICTURES


@pytest.mark.parametrize(
    ("name", "models"),
    [("training-loss", MODELS[1:])]
    + [(name, MODELS[4:]) for name in ("displacement-chosen", "displacement-rejected", "reward-margin")],
)
def test_a_curve_has_the_colour_of_its_model_in_the_report(shown: dict[str, str], name: str, models: list[str]) -> None:
    drawn = lines(shown[name])
    assert {model: colour for (model, _), (colour, _) in drawn.items()} == {
        model: colour for model, colour in colours(MODELS).items() if model in models
    }


def test_every_model_has_a_point_where_a_headline_metric_was_measured(shown: dict[str, str]) -> None:
    drawn = points(shown["quality"])
    assert {point["model"] for point in drawn} == set(MODELS)
    assert len(drawn) % len(MODELS) == 0 and len(drawn) >= 4 * len(MODELS)
