"""report: every figure is found in the inputs, ties are named, and the audit's arithmetic is printed."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from stages import compare, report
from stages.core.errors import PipelineError
from stages.core.params import load_params
from stages.reporting import quality
from stages.reporting.plots import drawings
from stages.reporting.seed_report import audit
from tests.support.clones import MODELS
from tests.support.made_metrics import World, sweep, write

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
    world.write(root)
    compare.main()
    return composed()


def composed() -> str:
    params = load_params()
    found = report.read_measured(params)
    return report.compose(params, found, drawings(report.material(params, found)))


def told() -> World:
    """SFT teaches, DPO and the chosen answers fix the behaviour, IPO forgets, more SFT changes nothing."""
    world = World()
    world.knows["base"] = 0.1
    world.clean |= {"sft_chosen": 0.97, "dpo": 0.97, "kto": 0.97, "ipo": 0.97, "cpo": 0.97}
    world.knows["ipo"] = 0.1
    return world


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


def test_the_opening_says_who_fixes_the_behaviour_and_keeps_the_knowledge(root: Path) -> None:
    found = evidence(page(root, told()))
    assert list(found) == ["Behaviour and knowledge", "Preference methods", "Controls", "Cost"]
    told_of = found["Behaviour and knowledge"]
    assert told_of.startswith("**`sft_chosen`, `dpo`, `kto` and `cpo` fix the planted flaws and keep the knowledge**")
    assert "`sft_more` (behaviour: no clear change, knowledge: keeps)" in told_of
    assert "`ipo` (behaviour: fixes, knowledge: loses)" in told_of


def test_the_first_three_sentences_say_what_to_use_for_what(root: Path) -> None:
    world = told()
    world.clean["sft_chosen"] = 0.5
    found = answer(page(root, world))
    assert re.findall(r"(?:^|; )([Ff]or [a-z ]+) use `(\w+)`", "\n".join(found), re.M) == [
        ("For instruction following", "sft"),
        ("For preferences in pairs", "dpo"),
        ("for binary feedback", "kto"),
        ("For a tight budget", "dpo"),
    ]
    assert len(found) == 3 and all(sentence.endswith(".") for sentence in found)
    assert re.search(
        r"use `dpo` \(exact match [^()]*, tied with `cpo`, at learning rates of 0\.0002 to 0\.001\), "
        r"ahead of `sft_more`;",
        found[1],
    )
    assert "use `kto`, the only one that trains on it (" in found[1]
    assert "ahead of `sft`, `sft_more`, `sft_chosen` and `ipo`" in found[2]


def test_a_control_that_ties_is_called_a_control_and_no_loss_is_recommended(root: Path) -> None:
    """Imitating the preferred answers does as well: then nothing speaks for a preference loss."""
    found = answer(page(root, told()))[1].partition("; ")[0]
    assert "use `" not in found
    assert found.startswith(
        "For preferences in pairs the data cannot tell a preference loss from plain SFT on the preferred answers: "
        "`dpo` and `cpo` tie with the control `sft_chosen`"
    )
    assert found.endswith(
        ", at learning rates of 0.0002 to 0.001), all ahead of `sft` and `sft_more`, and of the ties `sft_chosen` "
        "takes the fewest seconds"
    )


def test_a_control_that_wins_is_recommended_as_what_it_is(root: Path) -> None:
    world = World()
    world.clean |= {"sft_chosen": 0.99, "dpo": 0.75, "ipo": 0.75, "cpo": 0.75}
    found = answer(page(root, world))[1]
    assert found.startswith(
        "For preferences in pairs use `sft_chosen`, plain SFT on the preferred answers (exact match"
    )
    assert re.search(r"\(exact match [^()]*, at learning rates of 0\.0002 to 0\.001\)", found)


def test_another_learning_rate_is_told_with_what_one_rate_for_all_gives(root: Path) -> None:
    write(root / "metrics/sweep.json", sweep())
    found = evidence(page(root, told()))["Learning rates"]
    assert found.startswith(
        "Each has the rate that the sweep found best for it (`sft_chosen` 0.001; `dpo`, `kto`, `ipo` and `cpo` 0.0002)."
    )
    assert (
        "At 0.0002 for all, clean are 80.1 % of the answers of `sft_chosen` and 81.1 % to 84.1 % of those of" in found
    )
    assert "exact 30.1 % and 31.1 % to 34.1 %" in found
    rows = table_rows(section(page(root, told()), "Quality").split("**At the same learning rate**")[1])
    assert rows["sft_chosen"] == ["80.1 / 98.7 / 30.1", "95.1 / 91.1 / 30.1"]
    assert rows["cpo"] == ["84.1 / 98.7 / 34.1", "99.1 / 91.1 / 34.1"]


def test_the_data_cannot_tell_where_nothing_is_separated_from_the_start(root: Path) -> None:
    instructions, feedback, budget = answer(page(root, World()))
    none = "the data cannot tell: `sft` and `sft_more` are not separated from `base`, where the base has"
    assert instructions.startswith(f"For instruction following {none}")
    assert "For preferences in pairs the data cannot tell:" in feedback
    assert "for binary feedback the data cannot tell: `kto` is not separated from `sft`" in feedback
    assert budget.startswith("For a tight budget the data cannot tell: ") and budget.endswith("from `base`.")


def test_a_base_that_training_spoils_is_left_as_it_is(root: Path) -> None:
    world = World()
    world.clean["base"], world.knows["base"] = 0.97, 1.0
    instructions, _, budget = answer(page(root, world))
    assert instructions.startswith("For instruction following use `base` as it is: `sft` and `sft_more` are behind it")
    assert budget.startswith("For a tight budget use `base` as it is: ")


def test_a_method_that_is_behind_its_start_is_not_recommended(root: Path) -> None:
    """What is best for binary feedback can still be worse than no feedback."""
    world = told()
    world.clean["kto"] = 0.05
    assert "for binary feedback use `sft` as it is: `kto` is behind it" in answer(page(root, world))[1]


def test_feedback_is_held_against_the_control_that_had_none(root: Path) -> None:
    world = told()
    found = answer(page(root, world))[1]
    assert re.search(
        r"binary feedback use `kto`, the only one that trains on it \([^()]*\), ahead of `sft_more`", found
    )
    world.clean["sft_more"] = 0.97
    found = answer(page(root, world))[1]
    assert "binary feedback use `kto`" in found and "not separated from the control `sft_more`" in found


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
    won = {"win": 0.25, "tie": 0.625, "loss": 0.125}
    apart = {"exact_match": {"dpo": {"sft": won}, "sft": {"base": won}}, "chrf": {"dpo": {"sft": won}}}
    text = quality.duels_table(apart, MODELS)
    assert table_rows(text) == {"sft": ["25.0 / 62.5 / 12.5", "–"], "dpo": ["–", "25.0 / 62.5 / 12.5"]}
    assert "**Exact match**" in text and "chrf" not in text.lower()
    assert quality.duels_table({"exact_match": {"dpo": {"sft": {"mean": 0.1}}}}, MODELS) == ""


def test_the_users_own_test_files_are_shown(root: Path) -> None:
    world = World()
    assert "## Your own test files" not in page(root, world)
    for model in MODELS:
        path = root / f"metrics/eval/{model}/summary.json"
        found = {
            "exact_match": {"mean": 0.625, "low": 0.5, "high": 0.75},
            "chrf": {"mean": 41.5, "low": 40.0, "high": 43.0},
        }
        told_of = json.loads(path.read_text(encoding="utf-8")) | {"own": {"mine": {"n": 16, "metrics": found}}}
        write(path, told_of)
    text = section(composed(), "Your own test files")
    assert "### `mine` (16 rows)" in text
    assert table_rows(text)["kto"] == ["62.5 % [50.0, 75.0]", "41.50 [40.00, 43.00]"]


def test_a_constant_answerer_is_called_out_with_its_baseline(root: Path) -> None:
    world = World()
    world.first_option["ipo"] = 1.0
    text = section(page(root, world), "Quality")
    assert (
        "**`ipo` is a constant answerer**: it picks option 1 in 100.0 % of the multiple-choice questions, and its "
        "accuracy of 41.0 % is to be read beside the 31.0 % of picking nothing else."
    ) in text
    assert "it picks letter 1 in 100.0 %" in text and "the 25.0 % of picking nothing else" in text
    assert text.count("is a constant answerer") == 2
    assert "is a constant answerer" not in page(root, World())


def test_a_loss_that_may_be_small_is_undecided(root: Path) -> None:
    world = told()
    world.knows["kto"] = 0.76
    text = page(root, world)
    low, high = (float(end) for end in re.findall(r"[\d.]+", table_rows(text)["kto"][2])[1:])
    assert low < 95 < high
    assert table_rows(text)["kto"][3] == "undecided"


def test_a_tie_is_called_a_tie(root: Path) -> None:
    found = evidence(page(root, told()))
    assert "tied with `kto` and `cpo`" in found["Preference methods"]
    assert found["Controls"].startswith("`dpo` beats `sft_more`")
    assert "and ties with `sft_chosen` (+0.0 [+0.0, +0.0] points)" in found["Controls"]
    assert "in use all trained models are equally fast, a pass taking 1.3 times as long as with" in found["Cost"]


def test_a_drifting_machine_makes_no_model_slower_and_a_larger_adapter_does(root: Path) -> None:
    """Every model is timed at another moment, and adapters of one shape do the same arithmetic."""
    world = told()
    world.p50_ms |= {"kto": 3.0, "ipo": 2.5}
    world.slowdown |= {"kto": 1.2, "cpo": 1.5}
    text = page(root, world)
    assert "equally fast, a pass taking 1.2 to 1.5 times as long as with the adapter" in evidence(text)["Cost"]
    assert {cells[-1] for cells in table_rows(section(text, "Rankings")).values()} == {"1", "2="}
    world.parameters["cpo"] += 1_000_000
    text = page(root, world)
    assert "`cpo` answered more slowly than `kto`." in evidence(text)["Cost"]
    assert table_rows(section(text, "Rankings"))["cpo"][-1] == "8"


def test_five_equal_methods_are_one_tie(root: Path) -> None:
    text = page(root, World())
    assert "No method both fixes the planted flaws and demonstrably keeps the knowledge**; `sft_more`" in text
    assert "a tie of all preference methods" in text
    for model, cells in table_rows(section(text, "Rankings")).items():
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


def test_a_model_that_knows_nothing_is_reported_not_divided_by(root: Path) -> None:
    """The smoke profile: four steps of training teach nothing, and the page says so."""
    world = World()
    world.knows = dict.fromkeys(MODELS, 0.0)
    assert "knowledge: undefined" in page(root, world)
