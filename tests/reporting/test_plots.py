"""plots: what is drawn only where it was measured, the frontier, the sweep's grid, and colours told apart."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from ruamel.yaml import YAML

from stages import compare, report
from stages.comparison.measured import read_reference_passes, read_training
from stages.core.errors import PipelineError
from stages.core.params import load_params
from stages.reporting import plot_data
from stages.reporting.figures import FIGURES
from stages.reporting.plot_style import STYLE, colours, markers
from tests.support.clones import MODELS, ROOT
from tests.support.made_metrics import SEEDS, World, write, write_text

PREFERENCE = ("dpo", "ipo", "cpo")


QUESTION = {
    "kind": "mcq",
    "subject": "numbers",
    "level": "unspecified",
    "predicted": 0,
    "choice_logprobs": [-1.0, -2.0, -2.0, -2.0],
    "choice_nats": [-4.0, -8.0, -8.0, -8.0],
    "correct_raw": True,
    "correct_byte": True,
    "letter_nats": [-1.0, -2.0, -2.0, -2.0],
    "letter_picks": [0, 0, 0, 0],
    "letters_correct": True,
    "letters_correct_character": True,
    "letters_correct_byte": True,
    "letters_rotated": 0.25,
}


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
            QUESTION | {"id": f"q{place}", "seed": seed, "answer": place % 4, "correct": place % 4 == 0}
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
    assert plot_data.read_sweep("smoke") is None
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
    reference = sum(one["seconds"] for one in passes) / len(passes)
    sft, dpo, cpo = (training[name].mean_seconds for name in ("sft", "dpo", "cpo"))
    found = {name: plot_data.seconds_to(name, params, training, passes) for name in MODELS}
    assert found["base"] == 0 and found["sft"] == pytest.approx(sft)
    assert found["dpo"] == pytest.approx(sft + reference + dpo) and found["cpo"] == pytest.approx(sft + cpo)
    del training["sft"]
    assert plot_data.seconds_to("dpo", params, training, passes) is None


def test_a_running_mean_is_over_the_last_tenth() -> None:
    points = [(step, float(step)) for step in range(1, 31)]
    found = plot_data.running_mean(points)
    assert [step for step, _ in found] == [step for step, _ in points]
    assert found[0] == (1, 1.0) and found[1] == (2, 1.5) and found[29] == (30, 29.0)
    assert plot_data.running_mean(points[:5]) == points[:5]


def test_the_setting_that_was_used_is_a_cell_of_the_sweep(root: Path) -> None:
    found = plot_data.used(load_params())
    assert found["dpo"] == (2e-4, 0.1) and found["sft_chosen"] == (1e-3, None)


def columns(path: str, header: tuple[str, ...]) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames or ()) == header
        return list(reader)


def test_dvc_draws_the_figures_of_the_pictures(root: Path) -> None:
    """The tables that `dvc plots show` reads hold what the metrics hold, and metrics/dvc.yaml names their columns."""
    compare.main()
    report.main()
    cost = columns("metrics/report/tables/cost.csv", ("model", "metric", "value", "low", "high"))
    seconds = {row["model"]: float(row["value"]) for row in cost if row["metric"] == "training time, s"}
    assert seconds == {model: pytest.approx(read_training(model).mean_seconds) for model in MODELS[1:]}
    quality = columns("metrics/report/tables/cost_quality.csv", ("model", "seconds", "exact_match", "low", "high"))
    methods = json.loads(Path("metrics/methods.json").read_text(encoding="utf-8"))
    assert {row["model"]: float(row["exact_match"]) for row in quality} == {
        model: pytest.approx(100 * methods[model]["exact_match"], rel=1e-5) for model in MODELS[1:]
    }
    axes = columns("metrics/report/tables/axes.csv", ("panel", "x", "y", "share"))
    assert {"panel": "by the sum", "x": "hedging", "y": "kto", "share": "0.61"} in axes and len(axes) == 2 * 2 * 8
    right = columns("metrics/report/tables/positions.csv", ("model", "position", "accuracy"))
    assert {"model": "base", "position": "1", "accuracy": "1.0"} in right and len(right) == 4 * 8
    graph = YAML(typ="safe").load((ROOT / "metrics/dvc.yaml").read_text(encoding="utf-8"))
    for plot in graph["plots"]:
        for name, one in plot.items():
            for file, column in one["y"].items():
                if file.startswith("report/tables/"):
                    header = Path("metrics", file).read_text(encoding="utf-8").splitlines()[0].split(",")
                    assert {one["x"], column} <= set(header), name


def ink(text: str) -> np.ndarray:
    """What matplotlib makes of a text with the report's font, as pixels cut to what is black."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(3, 1), dpi=100)
        figure.text(0.1, 0.4, text, fontsize=24)
        figure.canvas.draw()
        black = np.asarray(figure.canvas.buffer_rgba())[..., 0] < 128
        plt.close(figure)
    return black[np.ix_(black.any(axis=1), black.any(axis=0))]


def test_arabic_names_are_shaped_and_run_right_to_left_in_a_picture() -> None:
    """Axes and tasks of a user's own data may have Arabic names; plain letters stand for their joined forms."""
    joined, apart = ink("كتب"), ink("ك\N{ZERO WIDTH NON-JOINER}ت\N{ZERO WIDTH NON-JOINER}ب")
    assert joined.shape[1] < 0.8 * apart.shape[1]
    alef_then_stroke = ink("اــ")  # the tall letter is first, and so at the right
    assert alef_then_stroke[0].nonzero()[0].mean() > 0.8 * alef_then_stroke.shape[1]


def test_models_differ_in_colour_and_in_shape() -> None:
    palette, signs = colours(MODELS), markers(MODELS)
    assert len(set(palette.values())) == len(set(signs.values())) == len(MODELS)
