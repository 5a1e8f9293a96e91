"""plots: what is drawn only where it was measured, the frontier, the sweep's grid, and colours told apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_metrics import MODELS, SEEDS, World, write, write_text

from stages import compare, report
from stages.errors import PipelineError
from stages.params import load_params
from stages.reporting import plot_data
from stages.reporting.canvas import colours, markers
from stages.reporting.figures import FIGURES
from stages.reporting.inputs import read_reference_passes, read_training

PREFERENCE = ("dpo", "ipo", "cpo")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every kind of measurement, so that every plot has something to show."""
    monkeypatch.chdir(tmp_path)
    World().write(tmp_path)
    for model in PREFERENCE:
        for name in (plot_data.MARGIN, plot_data.CHOSEN, plot_data.REJECTED):
            lines = [f"{step}\t{step / 10}" for step in range(1, 6)]
            column = name.rpartition("/")[2]
            path = tmp_path / f"metrics/train/{model}/plots/metrics/{name}.tsv"
            write_text(path, "\n".join([f"step\t{column}", *lines]) + "\n")
    for model in MODELS:
        path = tmp_path / f"metrics/eval/{model}/rows.jsonl"
        rows = [
            {"kind": "mcq", "id": f"q{place}", "seed": seed, "answer": place % 4, "correct": place % 4 == 0}
            for place in range(12)
            for seed in ([None] if model == "base" else SEEDS)
        ]
        write_text(path, path.read_text(encoding="utf-8") + "".join(json.dumps(row) + "\n" for row in rows))
        path = tmp_path / f"metrics/eval/{model}/summary.json"
        told = json.loads(path.read_text(encoding="utf-8"))
        told["metrics"]["mcq_accuracy"]["mean"] = 0.25
        write(path, told)
    write(tmp_path / "metrics/sweep.json", sweep())
    return tmp_path


def sweep() -> dict[str, object]:
    best = {"learning_rate": 1e-4, "beta": 0.1, "exact_match": 0.1, "behaviour_rate": 0.51}
    row = {"points": 8, "workable": 3, "diverged": 1, "best": best}
    return {
        "profile": "embedded",
        "prompts": 400,
        "seed": 11,
        "rules": {"fixed_share": 0.5, "kept_share": 0.95},
        "methods": {"dpo": row, "kto": row},
        "points": sweep_points(),
    }


def sweep_points() -> list[dict[str, object]]:
    return [
        {
            "method": method,
            "learning_rate": rate,
            "beta": beta,
            "seed": seed,
            "behaviour_rate": 0.5 + seed / 100,
            "knowledge_retention": None if rate == 1e-3 and beta == 0.5 else 0.9,
            "exact_match": 0.1,
        }
        for method in ("dpo", "kto")
        for rate in (1e-4, 1e-3)
        for beta in (0.1, 0.5)
        for seed in (1, 3)
    ]


def test_every_figure_is_drawn_and_shown_where_it_was_measured(root: Path) -> None:
    compare.main()
    report.main()
    assert {path.name for path in Path("metrics/report/plots").iterdir()} == set(FIGURES)
    for name in ("report.md", "report.html"):
        text = (Path("metrics/report") / name).read_text(encoding="utf-8")
        for figure in FIGURES.values():
            assert figure.title in text
    assert "`metrics/sweep.json`" in Path("metrics/report/report.md").read_text(encoding="utf-8")


def test_what_was_not_measured_is_not_drawn(root: Path) -> None:
    """Small profiles score no pair; the report then has no picture of axes, and no empty one."""
    for model in MODELS:
        path = root / f"metrics/eval/{model}/summary.json"
        write(path, json.loads(path.read_text(encoding="utf-8")) | {"by_axis": {}})
    (root / "metrics/sweep.json").unlink()
    compare.main()
    report.main()
    drawn = {path.name for path in Path("metrics/report/plots").iterdir()}
    assert drawn == set(FIGURES) - {"preference_axes.png", "robustness.png"}
    text = Path("metrics/report/report.md").read_text(encoding="utf-8")
    assert "preference_axes.png" not in text and "### Robustness" not in text


def test_a_curve_is_read_or_missing_or_broken(root: Path) -> None:
    assert plot_data.train_curve("dpo", plot_data.MARGIN)[:2] == [(1, 0.1), (2, 0.2)]
    assert plot_data.train_curve("sft", plot_data.MARGIN) == []
    assert set(plot_data.margin_curves(MODELS[1:])) == set(PREFERENCE)
    write_text(root / "metrics/train/dpo/plots/metrics/reward_margin_nats.tsv", "step\tother\n1\t2\n")
    with pytest.raises(PipelineError, match=r"reward_margin_nats\.tsv: columns 'step' and 'reward_margin_nats'"):
        plot_data.train_curve("dpo", plot_data.MARGIN)


def test_accuracy_by_position(root: Path) -> None:
    assert plot_data.accuracy_by_position(["dpo"]) == {"dpo": {0: 1.0, 1: 0.0, 2: 0.0, 3: 0.0}}


def test_the_sweep_is_averaged_over_seeds_and_keeps_its_holes(root: Path) -> None:
    grid = plot_data.sweep_grid(plot_data.read_sweep("embedded"))
    assert plot_data.read_sweep("smoke") == {}
    assert list(grid) == ["dpo", "kto"] and len(grid["dpo"]) == 4
    assert grid["dpo"][1e-4, 0.1] == {"behaviour_rate": pytest.approx(0.52), "knowledge_retention": pytest.approx(0.9)}
    assert set(grid["dpo"][1e-3, 0.5]) == {"behaviour_rate"}


def test_the_frontier_is_what_nothing_beats() -> None:
    points = {"a": (0.0, 1.0), "b": (2.0, 5.0), "c": (2.0, 4.0), "d": (3.0, 5.0), "e": (4.0, 6.0), "f": (9.0, 0.0)}
    assert plot_data.frontier(points) == ["a", "b", "e"]
    beaten = {
        name
        for name, (cost, quality) in points.items()
        if any(
            (other_cost <= cost and other > quality) or (other_cost < cost and other >= quality)
            for other_cost, other in points.values()
        )
    }
    assert set(points) - beaten == {"a", "b", "e"}


def test_cost_includes_the_start_and_the_reference(root: Path) -> None:
    params, passes = load_params(), read_reference_passes()
    training = {model: read_training(model) for model in MODELS[1:]}
    reference = sum(one.seconds for one in passes) / len(passes)
    sft, dpo, cpo = (training[name].mean_seconds for name in ("sft", "dpo", "cpo"))
    found = {name: plot_data.seconds_to(name, params, training, passes) for name in MODELS}
    assert found["base"] == 0 and found["sft"] == pytest.approx(sft)
    assert found["dpo"] == pytest.approx(sft + reference + dpo) and found["cpo"] == pytest.approx(sft + cpo)
    del training["sft"]
    assert plot_data.seconds_to("dpo", params, training, passes) is None


def test_models_differ_in_colour_and_in_shape() -> None:
    palette, signs = colours(MODELS), markers(MODELS)
    assert len(set(palette.values())) == len(set(signs.values())) == len(MODELS)
