"""provenance: no number without a file, hashes as DVC computes them, and a source for every column."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from stages import compare, report
from stages.comparison.measured import Bench, read_bench, read_training
from stages.comparison.paired_scores import difference, read_scores
from stages.comparison.side_effects import effect
from stages.core.errors import PipelineError
from stages.core.params import load_params
from stages.reporting import provenance
from stages.reporting.composition import compose
from stages.reporting.inputs import read_measured
from stages.reporting.seed_report import claims
from stages.reporting.tables import Column
from stages.reporting.templates import Renderer
from tests.support.clones import MODELS
from tests.support.made_metrics import World, sweep, write
from tests.support.printed_numbers import numbers, of_files, unknown, values

# What is no measurement: the rules' thresholds in their several writings, 0, one half, and operations per weight.
RULES = {0.0, 0.01, -0.01, 0.5, 0.05, 0.95, 1.0, 2.0, 4.0, 6.0, 95.0, 100.0}
EVERYWHERE = ("metrics/methods.json", "metrics/eval/<model>/summary.json")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository, the current folder too, with a report of made-up metrics in which all models differ."""
    root = tmp_path_factory.mktemp("written")
    world = World()
    world.clean |= {"sft": 0.45, "dpo": 0.97, "kto": 0.81, "ipo": 0.9, "cpo": 0.93, "sft_chosen": 0.77}
    world.knows |= {"base": 0.2, "ipo": 0.33, "kto": 0.71}
    world.p50_ms |= {"dpo": 2.41, "kto": 2.93}
    world.write(root)
    write(root / "metrics/sweep.json", sweep())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        compare.main()
        report.main()
        yield root


def sections(text: str) -> dict[str, str]:
    first, *others = re.split(r"^## ", text, flags=re.M)
    return {"": first} | {part.partition("\n")[0]: part.partition("\n")[2] for part in others}


def differences() -> set[float]:
    """Of every model to every other, in the two metrics that the opening compares."""
    settings = load_params().evaluate
    scores = read_scores(MODELS)
    found: set[float] = set()
    for metric in ("behaviour_rate", "exact_match"):
        for one in MODELS:
            for other in MODELS:
                if (gap := difference(scores[one], scores[other], metric, settings)) is not None:
                    found |= {gap.mean, gap.low, gap.high}
    return found


def ratios_of_time() -> set[float]:
    seconds = [float(np.mean(read_training(model).seconds)) for model in MODELS[1:]]
    return {one / other for one in seconds for other in seconds} | set(seconds)


def efficiencies() -> set[float]:
    """The seed report's definition, again: samples x epochs / seconds."""
    found: set[float] = set()
    for model in MODELS[1:]:
        summary = json.loads(Path(f"metrics/train/{model}/summary.json").read_text(encoding="utf-8"))
        timing = json.loads(Path(f"metrics/timing/{model}.json").read_text(encoding="utf-8"))
        seconds = [seed["train_seconds"] for seed in timing["seeds"]]
        found |= {summary["rows_available"] * summary["epochs"] / one for one in [*seconds, float(np.mean(seconds))]}
    return found


def seconds_with_start() -> set[float]:
    """A model's seconds, and those of the adapter that it starts on."""
    own = {model: float(np.mean(read_training(model).seconds)) for model in MODELS[1:]}
    return {seconds if model == "sft" else seconds + own["sft"] for model, seconds in own.items()}


def effects() -> set[float]:
    """What the monitors print of generated answers: lengths over sft's, and differences of shares."""
    settings, scores = load_params().evaluate, read_scores(MODELS)
    found: set[float] = set()
    for model in MODELS[2:]:
        one = effect(model, scores, settings)
        if one is not None:
            if one.length is not None:
                found |= {end - 1 for end in (one.length.mean, one.length.low, one.length.high)}
            for change in (one.repeated, one.hedged, one.stopped):
                found |= {change.mean, change.low, change.high}
    return found


def total_seconds() -> set[float]:
    return {sum(sum(read_training(model).seconds) for model in MODELS[1:])}


def arithmetic() -> set[float]:
    """6PT and its LoRA form, by hand."""
    found: set[float] = set()
    for model in MODELS[1:]:
        training, bench = read_training(model), read_bench(model)
        frozen = bench.parameters - training.trainable_parameters
        per_token = 4 * frozen + 6 * training.trainable_parameters
        speed = per_token * float(np.mean(training.tokens_per_second)) / 1e9
        found |= {6 * bench.parameters * training.tokens_seen / 1e12, per_token * training.tokens_seen / 1e12}
        found |= {speed, speed / bench.matmul_gflops}
    return found


def by_wording() -> set[float]:
    found: set[float] = set()
    for one in read_scores(MODELS).values():
        for wording in ("seen", "unseen"):
            rows = [row for row in one.rows if row["contains"] is not None and row["wording"] == wording]
            found |= {float(np.mean([row["contains"] for row in rows])), float(len({row["id"] for row in rows}))}
    return found


def audited() -> set[float]:
    """What the audit prints of the seed report when nothing of ours was measured."""
    host = {"cpu": "", "cores": 2, "device": "cpu"}
    nothing = Bench(1, 1, 1, 1, None, {}, {}, None, 1, 1, 1, 1, "", 1, 1, 1, host)
    counts = {kind: {"train": 1} for kind in ("sft", "pairs", "unpaired")} | {"corpus": {"documents": 1}}
    text = claims.seed_report(
        Renderer(), load_params(), {"prepared": counts}, {}, {"none": nothing}, answer=["", ""], exact={}
    )
    return {float(one) for one in numbers(text)}


def settings() -> set[float]:
    """Learning rates, betas, budgets and the base, as params.yaml has them."""
    return values(YAML(typ="safe").load(Path("params.yaml").read_text(encoding="utf-8")))


def counts_of_trainings() -> set[float]:
    return {float(sum(len(read_training(model).seconds) for model in MODELS[1:]))}


def scored() -> set[float]:
    return {float(len(next(iter(read_scores(MODELS).values())).prompts["behaviour_rate"]))}


DERIVED: dict[str, tuple[Callable[[], set[float]], ...]] = {
    "": (differences, ratios_of_time, seconds_with_start, settings),
    "What was compared": (settings, counts_of_trainings, scored),
    "Training": (efficiencies,),
    "Monitors": (effects,),
    "Rankings": (lambda: {float(place) for place in range(1, len(MODELS) + 1)},),
    "Resources": (total_seconds,),
    "Cost": (arithmetic,),
    "By task": (by_wording,),
    "The seed report, audited": (audited, efficiencies, ratios_of_time, differences, seconds_with_start, settings),
}
EXTRA = {
    "": (*EVERYWHERE, "metrics/sweep.json"),
    "The seed report, audited": EVERYWHERE,
    "Training": ("metrics/timing/reference.json",),
}


def pool(root: Path, heading: str, body: str) -> set[float]:
    """What a section may print: the files that it names, what follows from them, params.yaml and the rules."""
    named = re.findall(r"`(metrics/[^`]+?\.json)`", " ".join(re.findall(r"<sub>from (.*?)</sub>", body)))
    found = of_files(root, (*named, *EXTRA.get(heading, ())), MODELS) | RULES
    seeds = load_params().active.seeds
    found |= {float(seed) for seed in seeds} | {float(len(seeds)), load_params().evaluate.confidence}
    for derive in DERIVED.get(heading, ()):
        found |= derive()
    return found


def unexplained(root: Path, text: str) -> list[str]:
    return [
        f"{heading}: {printed}"
        for heading, body in sections(text).items()
        for printed in unknown(body, pool(root, heading, body))
    ]


def test_the_report_holds_no_number_that_is_not_in_a_metrics_file(written: Path) -> None:
    text = (written / "metrics/report/report.md").read_text(encoding="utf-8")
    assert len(numbers(text)) > 500
    assert unexplained(written, text) == []


@pytest.mark.parametrize("heading", ["", "Quality", "Training", "Inference", "Cost", "Data", "By task"])
def test_a_number_that_was_made_up_is_found(written: Path, heading: str) -> None:
    text = (written / "metrics/report/report.md").read_text(encoding="utf-8")
    body = sections(text)[heading]
    assert unexplained(written, text.replace(body, f"{body}\nIt was 7654.321 of them.\n")) == [f"{heading}: 7654.321"]


def test_the_page_prints_the_numbers_of_the_text_and_no_others(written: Path) -> None:
    text = (written / "metrics/report/report.md").read_text(encoding="utf-8")
    page = (written / "metrics/report/report.html").read_text(encoding="utf-8")
    assert set(numbers(page)) == set(numbers(text))


def test_numbers_are_read_as_they_are_printed() -> None:
    text = "1. It is **12,800** or -0.9 [-2.1, +0.2], 41.5 % of `dpo 9` (n=34), p95, 2.1e-05, <b>7</b> &lt; 8."
    assert numbers(text) == ["12800", "-0.9", "-2.1", "+0.2", "41.5", "34", "2.1e-05", "7", "8"]
    assert values({"a": [{"s": 1.0}, {"s": 3.0}]}) == {1.0, 2.0, 3.0, 4.0}


def test_every_column_of_numbers_names_its_file_and_key(written: Path) -> None:
    """Every table of the page is one that was printed with its columns, or holds words alone."""
    text = (written / "metrics/report/report.md").read_text(encoding="utf-8")
    params = load_params()
    printed = {table.headings: table for table in compose(params, read_measured(params), ())[1]}
    nameless, seen = [], set()
    for line, mark in zip(text.splitlines(), text.splitlines()[1:], strict=False):
        if line.startswith("| ") and mark.startswith("| ---"):
            headings = tuple(cell.strip() for cell in line.strip("|").split("|"))
            seen.add(headings)
            columns = printed[headings].columns if headings in printed else headings
            for column, sign in zip(columns, mark.strip("| ").split("|"), strict=True):
                if sign.strip().endswith(":") and not (isinstance(column, Column) and column.file and column.key):
                    nameless.append((headings, column))
    assert nameless == [], "make these columns of stages.reporting.tables.Column"
    assert set(printed) <= seen and len(seen) > 25


def test_tables_of_the_same_headings_have_the_same_columns(written: Path) -> None:
    """The page finds the columns of a table by its headings."""
    params = load_params()
    found: dict[tuple[str, ...], set[str]] = {}
    for table in compose(params, read_measured(params), ())[1]:
        sources = "; ".join(column.source if isinstance(column, Column) else "" for column in table.columns)
        found.setdefault(table.headings, set()).add(sources)
    assert [headings for headings, sources in found.items() if len(sources) > 1] == []


def test_every_column_that_is_printed_is_in_the_list_of_columns(written: Path) -> None:
    params = load_params()
    listed = {
        (column.listed or column.heading, column.file, column.key)
        for _, columns in provenance.listed()
        for column in columns
    }
    for table in compose(params, read_measured(params), ())[1]:
        for column in table.columns:
            if isinstance(column, Column):
                assert (column.listed or column.heading, column.file, column.key) in listed


def test_every_key_that_is_named_exists(written: Path) -> None:
    """The first name of each key, in the first model's file."""
    checked = 0
    for column in (column for _, columns in provenance.listed() for column in columns):
        key = column.key.removeprefix("<model>.").split(",")[0]
        name = re.match(r"[a-z_0-9]+", key.removeprefix("metrics.<column>."))
        file = column.file.split(", ")[0].replace("<model>", "dpo")
        if file == "metrics/sweep.json":  # drawn only where there is one; its keys are tested in test_plots
            continue
        if not file.endswith(".json") or name is None or name.group().isdigit() or " " in key:
            continue
        content = json.dumps(json.loads((written / file).read_text(encoding="utf-8")))
        assert f'"{name.group()}' in content, f"{file}: {key}"
        checked += 1
    assert checked > 60


def test_hashes_are_those_that_dvc_writes(tmp_path: Path) -> None:
    """Files, folders in folders, and an order of names in which `-` and `/` matter."""
    for name in ("one.json", "folder/a-b.txt", "folder/a/c.txt", "folder/b/c/d.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"نص {name}\n", encoding="utf-8")
    for command in (["init", "-q", "--no-scm"], ["add", "-q", "one.json", "folder"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=tmp_path, check=True, capture_output=True)
    for name in ("one.json", "folder"):
        written = re.search(r"md5: (\S+)", (tmp_path / f"{name}.dvc").read_text(encoding="utf-8"))
        assert written is not None and provenance.md5(tmp_path / name) == written.group(1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"gone\.json is missing"):
        provenance.hashes_table([tmp_path / "gone.json"])
