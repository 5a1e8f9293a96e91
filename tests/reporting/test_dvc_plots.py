"""`dvc plots`: every method in the report's colour, every revision with its own dash."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.reporting.plot_style import colours
from tests.support.clones import MODELS, ROOT
from tests.support.drawn_plots import lines, pictures, points

PICTURES = {
    name
    for plot in YAML(typ="safe").load((ROOT / "metrics/dvc.yaml").read_text(encoding="utf-8"))["plots"]
    for name in plot
}


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
