"""report: every figure is found in the inputs, ties are named, and the audit's arithmetic is printed."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from stages import compare, report
from stages.comparison.measured import read_methods
from stages.core.errors import PipelineError
from stages.core.params import load_params
from stages.reporting import quality
from stages.reporting.composition import compose
from stages.reporting.inputs import read_measured
from stages.reporting.plots import drawings
from stages.reporting.seed_report import audit
from tests.support.clones import MODELS
from tests.support.made_metrics import World, compared, sweep, told, write

PLOTS = {
    "quality.png",
    "cost_quality.png",
    "preference_axes.png",
    "training_time.png",
    "final_loss.png",
    "efficiency.png",
    "inference_throughput.png",
    "learning_curves.png",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def page(root: Path, world: World) -> str:
    """The text of the report, without drawing its pictures."""
    compared(root, world)
    return composed()


def composed() -> str:
    params = load_params()
    found = read_measured(params)
    return compose(params, found, drawings(report.material(params, found)))[0]


def section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def table_rows(text: str) -> dict[str, list[str]]:
    """The first table's rows by their first cell."""
    lines = next(part for part in text.split("\n\n") if part.startswith("| ")).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def answer(text: str) -> list[str]:
    """The sentences that the report opens with."""
    return [line.removeprefix("- ") for line in text.split("\n\n")[1].splitlines()]


def evidence(text: str) -> dict[str, str]:
    """What stands behind them, by its first words."""
    lines = text.split("\n\n")[3].splitlines()
    return {line[3:].partition(".*")[0]: line.partition(".* ")[2] for line in lines}


def test_the_opening_has_three_sentences_and_what_stands_behind_them(root: Path) -> None:
    write(root / "metrics/sweep.json", sweep())
    text = page(root, told())
    assert len(answer(text)) == 3
    behind = ["Behaviour and knowledge", "Preference methods", "Controls", "Learning rates", "Cost"]
    assert list(evidence(text)) == behind
    (root / "metrics/sweep.json").unlink()
    assert "Learning rates" not in evidence(composed())


def test_the_methods_stand_beside_each_other_at_one_learning_rate(root: Path) -> None:
    write(root / "metrics/sweep.json", sweep())
    rows = table_rows(section(page(root, told()), "Quality").split("**At the same learning rate**")[1])
    assert rows["sft_chosen"] == ["80.1 / 98.7 / 30.1", "95.1 / 91.1 / 30.1"]
    assert rows["cpo"] == ["84.1 / 98.7 / 34.1", "99.1 / 91.1 / 34.1"]


def test_every_claim_and_wish_of_the_seed_report_has_its_line(root: Path) -> None:
    """Its four use cases, its other claims, and the twelve items of its "Future Recommendations"."""
    text = page(root, told())
    audited = section(text, "The seed report, audited")
    cases = table_rows(audited.split("### Its recommendations by use case")[1])
    assert {case: cells[0] for case, cells in cases.items()} == {
        "instruction following": "SFT",
        "high throughput": "IPO",
        "preference learning": "KTO",
        "general purpose": "DPO",
    }
    assert cases["instruction following"][2] == answer(text)[0] and cases["preference learning"][2] == answer(text)[1]
    wishes = table_rows(audited.split("### What it asked for next")[1])
    assert len(wishes) == 12
    assert {cells[0] for cells in wishes.values()} == {"done", "in part", "not done", "not measured"}
    assert wishes["1K to 10K rows a method"][1].startswith("2,456 instructions, 2,456 pairs and 2,456 single answers")
    claims = table_rows(audited.split("### Its other claims")[1])
    assert claims["0.36 s a method on average"][1].startswith("1.78 s / 5 = 0.356 s")


def test_the_recipe_of_every_model_stands_before_its_figures(root: Path) -> None:
    text = page(root, World())
    assert text.index("## What was compared") < text.index("## Quality")
    rows = table_rows(section(text, "What was compared"))
    assert list(rows) == list(MODELS)
    assert rows["sft_chosen"][-4:] == ["2,400", "0.001", "–", "60 x 16"]
    assert rows["dpo"][-3:] == ["0.0002", "0.1", "60 x 16"]
    assert "21 trainings, all of which finished" in text


def test_answers_are_set_against_answers_where_compare_counted_them() -> None:
    gap = {"mean": 0.1, "low": 0.0, "high": 0.2, "separated": False, "prompts": 16, "prompts_needed": 90}
    won = gap | {"win": 0.25, "tie": 0.625, "loss": 0.125}
    apart = {"exact_match": {"dpo": {"sft": won}, "sft": {"base": won}}, "chrf": {"dpo": {"sft": won}}}
    found = quality.duels_tables(apart, MODELS)
    assert list(found) == ["Exact match"]
    assert found["Exact match"].rows == [["sft", "25.0 / 62.5 / 12.5", "–"], ["dpo", "–", "25.0 / 62.5 / 12.5"]]
    assert quality.duels_tables({}, MODELS) == {}


def test_the_users_own_test_files_are_shown(root: Path) -> None:
    world = World()
    assert "## Your own test files" not in page(root, world)
    for model in MODELS:
        path = root / f"metrics/eval/{model}/summary.json"
        found = {
            "exact_match": {"mean": 0.625, "low": 0.5, "high": 0.75, "n": 16, "per_seed": [0.625]},
            "chrf": {"mean": 41.5, "low": 40.0, "high": 43.0, "n": 16, "per_seed": [41.5]},
        }
        mine = {"n": 16, "metrics": found, "by_subject": {}, "multiple_choice": {}}
        told_of = json.loads(path.read_text(encoding="utf-8")) | {"own": {"mine": mine}}
        write(path, told_of)
    text = section(composed(), "Your own test files")
    assert "### `mine` (16 rows)" in text
    assert table_rows(text)["kto"] == ["62.5 % [50.0, 75.0]", "41.50 [40.00, 43.00]"]


def test_own_questions_stand_beside_chance_and_the_constant_answer(root: Path) -> None:
    """Two options, of which the first is right in 50.5 %: `base` picks it always, `dpo` knows, `cpo` is worse."""
    page(root, World())
    for model in MODELS:
        path = root / f"metrics/eval/{model}/summary.json"
        accuracy, by_option, picked = {
            "dpo": ((0.8, 0.75, 0.85), [0.7, 0.9], [0.4, 0.6]),
            "cpo": ((0.3, 0.25, 0.35), [0.3, 0.3], [0.5, 0.5]),
        }.get(model, ((0.505, 0.435, 0.57), [1.0, 0.0], [1.0, 0.0]))
        choice = {"chance": 0.5, "constant_answer_accuracy": [0.505, 0.495], "majority_accuracy": 0.505}
        choice |= {"cloze_accuracy_by_gold_position": by_option, "cloze_picked_share": picked}
        value = dict(zip(("mean", "low", "high"), accuracy, strict=True)) | {"n": 200, "per_seed": [accuracy[0]]}
        acva = {"n": 200, "metrics": {"mcq_accuracy": value}, "by_subject": {}, "multiple_choice": choice}
        own = {"own": {"acva": acva}}
        write(path, json.loads(path.read_text(encoding="utf-8")) | own)
    text = section(composed(), "Your own test files")
    assert "### `acva` (200 rows)" in text and "Chance is 50.0 %." in text and "50.5 %. A model" in text
    rows = table_rows(text)
    assert rows["base"] == ["50.5 % [43.5, 57.0]", "50.0 %", "100.0 / 0.0", "ties with the constant answer"]
    assert rows["dpo"] == ["80.0 % [75.0, 85.0]", "80.0 %", "40.0 / 60.0", "above it"]
    assert rows["cpo"] == ["30.0 % [25.0, 35.0]", "30.0 %", "50.0 / 50.0", "below it"]


def test_a_constant_answerer_is_called_out_with_its_baseline(root: Path) -> None:
    world = World()
    world.first_option["ipo"] = 1.0
    compared(root, world)
    found = quality.constant_answerers(read_methods(MODELS))
    assert [(one.model, one.picks, one.position, one.share) for one in found] == [
        ("ipo", "option", 1, 1.0),
        ("ipo", "letter", 1, 1.0),
    ]
    assert [(one.accuracy, one.baseline) for one in found] == [(0.41, 0.31), (pytest.approx(0.33), 0.25)]
    assert len(re.findall(r"^\*\*`ipo`.*100\.0 %.* 41\.0 %.* 31\.0 %", section(composed(), "Quality"), re.M)) == 1
    compared(root, World())
    assert quality.constant_answerers(read_methods(MODELS)) == []


def test_verdicts_and_places_are_printed_in_their_tables(root: Path) -> None:
    world = told()
    world.knows["kto"] = 0.76
    text = page(root, world)
    verdicts = {model: (cells[1], cells[3]) for model, cells in table_rows(text).items()}
    assert verdicts == {
        "sft_more": ("no clear change", "keeps"),
        "sft_chosen": ("fixes", "keeps"),
        "dpo": ("fixes", "keeps"),
        "kto": ("fixes", "undecided"),
        "ipo": ("fixes", "loses"),
        "cpo": ("fixes", "keeps"),
    }
    for model, cells in table_rows(section(page(root, World()), "Rankings")).items():
        assert cells[:3] == ["1=", "1=", "1="] or model == "base"


def test_every_number_of_the_headline_table_is_in_the_metrics(root: Path) -> None:
    text = page(root, told())
    methods = json.loads((root / "metrics/methods.json").read_text(encoding="utf-8"))
    rows = table_rows(section(text, "Quality"))
    assert list(rows) == list(MODELS)
    for model, cells in rows.items():
        known = {f"{value * 100:.1f}" for value in methods[model].values() if value is not None}
        known |= {f"{methods[model][name]:.1f}" for name in ("chrf", "chrf_low", "chrf_high")}
        numbers = re.findall(r"-?\d+\.\d+", " ".join(cells))
        assert len(numbers) == 3 * 8
        assert set(numbers) <= known


def test_the_training_table_uses_the_seed_reports_own_definition(root: Path) -> None:
    rows = table_rows(section(page(root, World()), "Training"))
    assert "base" not in rows
    assert rows["dpo"][1:3] == ["31 [30, 32]", "32"]
    assert rows["dpo"][-1].startswith(f"{2400 * 0.4 / 31:.3g} [")
    assert "cannot be ranked across methods" in page(root, World())


def test_both_answers_are_right_to_left_and_escaped(root: Path) -> None:
    text = section(page(root, World()), "Answers side by side")
    assert re.findall(r"### `(.*)`", text) == ["gen-000", "gen-002"]
    assert '<div dir="rtl" lang="ar"><strong>ما رقم &lt;0&gt; &amp; كم؟</strong></div>' in text
    for model in MODELS:
        assert text.count(f'<td dir="rtl" lang="ar">جواب {model} &lt;b&gt;<br><br>سطر ثان</td>') == 2


def test_the_plots_are_drawn_and_the_same_on_every_run(root: Path) -> None:
    text = page(root, World())
    report.main()
    assert (root / "metrics/report/report.md").read_text(encoding="utf-8") == text
    folder = root / "metrics/report/plots"
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(first) == PLOTS == set(re.findall(r"\(plots/(.*?)\)", text))
    report.main()
    assert first == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert not [name for name, data in first.items() if b"Software" in data or b"tIME" in data]


def test_the_monitors_have_a_sentence_for_each_method_and_a_row_for_the_controls_too(root: Path) -> None:
    world = World()
    world.displacement["dpo"] = (-0.2, -0.9)
    text = section(page(root, world), "Monitors")
    sentences = [line for line in text.splitlines() if line.startswith("- ")]
    assert [line.split("`")[1] for line in sentences] == ["dpo", "kto", "ipo", "cpo"]
    rows = table_rows(text)
    assert list(rows) == ["sft_more", "sft_chosen", "dpo", "kto", "ipo", "cpo"]
    assert rows["sft_more"][:4] == ["–"] * 4
    assert rows["dpo"][:4] == ["-0.2 [-0.2, -0.2]", "-0.9 [-0.9, -0.9]", "14 [14, 14]", "0.875 [0.875, 0.875]"]


def test_tasks_without_a_fact_have_no_column(root: Path) -> None:
    text = section(page(root, World()), "By task")
    assert "countries (n=30)" in text and "open (n=" not in text


def test_the_audit_calls_the_impossible_impossible(root: Path) -> None:
    text = section(page(root, World()), "The seed report, audited")
    rows = table_rows(text)
    assert {model: cells[3] for model, cells in rows.items()} == {
        "sft": "**possible**",
        "dpo": "**impossible**",
        "kto": "**impossible**",
        "ipo": "**impossible**",
        "cpo": "**impossible**",
    }
    assert rows["dpo"][:3] == ["0.01 s", "3 x 2 / 600.00 = 10.00 ms", "4 x 3 x 2.745 = 32.9 ms"]
    assert "0.988 GB / 360 GB/s = 2.745 ms, so at most 364 passes a second" in text
    assert "6,362 inferences/s is 0.157 ms each" in text
    assert "6,286 GB/s, 17.5 times the card's bandwidth: **impossible**" in text
    assert "TORCH_CUDA_ARCH_LIST=8.9" in text and "compute capability 8.6" in text


def test_the_audits_arithmetic_by_hand() -> None:
    read = 494_032_768 * 2 / 360e9
    assert audit.weight_read_seconds() == pytest.approx(read)
    claims = {claim.method: claim for claim in audit.CLAIMS}
    assert audit.training_floor(claims["dpo"]) == pytest.approx(2 * 2 * 3 * read)  # ceil(3 / 2) x 2 epochs x 3 passes
    assert claims["kto"].seconds == pytest.approx(0.00415, abs=1e-5)
    assert audit.RTX_3060.tensor_flops == pytest.approx(51e12, rel=0.01)
    assert audit.start_losses(0.1) == {"dpo": math.log(2), "ipo": pytest.approx(25), "kto": 0.5}
    assert audit.verdict(1 / audit.INFERENCES_PER_SECOND, read) == "impossible"
    assert audit.verdict(1 / 300, read) == "possible"


def test_the_audit_favours_the_claim_whatever_the_batch() -> None:
    """Even one micro-batch an epoch, without a reference pass, takes longer than DPO's hundredth of a second."""
    dpo = next(claim for claim in audit.CLAIMS if claim.method == "dpo")
    assert dpo.epochs * 2 * audit.weight_read_seconds() > dpo.seconds


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("metrics/data.json", "prepared"),
        ("metrics/bench/ipo.json", "latency_ms"),
        ("metrics/timing/cpo.json", "seeds"),
        ("metrics/train/kto/summary.json", "loss_final"),
        ("metrics/train/cpo/summary.json", "per_seed"),
    ],
)
def test_a_missing_key_is_named_with_its_file(root: Path, file: str, key: str) -> None:
    World().write(root)
    compare.main()
    value = json.loads((root / file).read_text(encoding="utf-8"))
    del value[key]
    write(root / file, value)
    with pytest.raises(PipelineError, match=f"{file}: the key '{key}'"):
        report.main()
    assert not (root / "metrics/report/report.md").exists()


def test_a_missing_file_is_named(root: Path) -> None:
    World().write(root)
    compare.main()
    (root / "metrics/train/dpo/loss.tsv").unlink()
    with pytest.raises(PipelineError, match=r"metrics/train/dpo/loss\.tsv is missing"):
        report.main()
