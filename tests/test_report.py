"""report: every figure is found in the inputs, ties are named, and the audit's arithmetic is printed."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from made_metrics import MODELS, World, write

from stages import compare, report
from stages.errors import PipelineError
from stages.reporting import audit

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
    world.write(root)
    compare.main()
    report.main()
    return (root / "metrics/report/report.md").read_text(encoding="utf-8")


def told() -> World:
    """DPO and the chosen answers fix the behaviour, IPO forgets, more SFT changes nothing."""
    world = World()
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


def test_the_opening_says_who_fixes_the_behaviour_and_keeps_the_knowledge(root: Path) -> None:
    opening = page(root, told()).split("\n\n")[2]
    assert opening.startswith("**`sft_chosen`, `dpo`, `kto` and `cpo` fix the planted flaws and keep the knowledge**")
    assert "`sft_more` (behaviour: no clear change, knowledge: keeps)" in opening
    assert "`ipo` (behaviour: fixes, knowledge: loses)" in opening
    assert 3 <= len(re.findall(r"[.](?= |$)", re.sub(r"\d[.]\d", "", opening))) <= 5


def test_the_first_three_sentences_say_what_to_use_for_what(root: Path) -> None:
    answer = page(root, told()).split("\n\n")[1]
    assert re.findall(r"(?:^|; |[.] )([Ff]or [a-z ]+|On [a-z ]+) use `(\w+)`", answer) == [
        ("For instruction following", "sft"),
        ("For preferences in pairs", "sft_chosen"),
        ("for binary feedback", "kto"),
        ("For a tight budget", "sft_chosen"),
    ]
    assert "tied with `dpo` and `cpo`" in answer and "ahead of `sft`, `sft_more` and `ipo`" in answer
    assert len(re.findall(r"[.](?= [A-Z]|$)", answer)) == 3


def test_the_data_cannot_tell_where_nothing_is_separated_from_the_start(root: Path) -> None:
    answer = page(root, World()).split("\n\n")[1]
    assert "For preferences in pairs the data cannot tell" in answer
    assert "for binary feedback the data cannot tell" in answer


def test_feedback_is_held_against_the_control_that_had_none(root: Path) -> None:
    world = told()
    assert "(exact match " in (answer := page(root, world).split("\n\n")[1])
    assert re.search(r"binary feedback use `kto` \([^()]*\), ahead of `sft_more`", answer)
    world.clean["sft_more"] = 0.97
    assert "binary feedback use `kto`" in (answer := page(root, world).split("\n\n")[1])
    assert "not separated from the control `sft_more`" in answer


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
    opening = page(root, told()).split("\n\n")[2]
    assert "tied with `kto` and `cpo`" in opening
    assert "`dpo` beats `sft_more`" in opening
    assert "and ties with `sft_chosen` (+0.0 [+0.0, +0.0] points)" in opening
    assert "in use all trained models are equally fast" in opening


def test_five_equal_methods_are_one_tie(root: Path) -> None:
    text = page(root, World())
    assert "No method both fixes the planted flaws and demonstrably keeps the knowledge" in text
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
