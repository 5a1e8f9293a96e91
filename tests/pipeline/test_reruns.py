"""What runs again after an edit: exactly the stages of the table, found by DVC on a clone that holds no data.

The first list has the stages that read what was edited; `dvc repro --dry` names these. The second has those that read
what the first ones write; `--force-downstream` adds these, and they run unless it comes out byte for byte the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import networkx
import pytest
from dvc.repo import Repo
from dvc.utils.serialize import LOADERS, load_yaml
from ruamel.yaml import YAML

from tests.support.clones import MODELS, copy_tracked, dvc, set_param, stages_run

TRAINED = [model for model in MODELS if model != "base"]
STARTED = [model for model in TRAINED if model != "sft"]  # from the SFT adapter
REFERRED = ["dpo", "kto", "ipo", "cpo"]  # to its log-probabilities


def stage(name: str, models: Sequence[str] = MODELS) -> set[str]:
    return {f"{name}@{model}" for model in ([models] if isinstance(models, str) else models)}


def scores(models: Sequence[str] = MODELS) -> set[str]:
    return stage("evaluate", models) | stage("benchmark", models)


NOTHING: set[str] = set()
PREPARED = {"base", "contract", "reference"} | stage("train", TRAINED) | scores() | {"compare", "select", "report"}

# A param and its new value, or a file that gets a line more: the stages that read it, and those that follow them.
EDITS = {
    "train.dpo.beta=0.3": (stage("train", "dpo") | {"compare", "report"}, scores("dpo") | {"select"}),
    "train.kto.beta=0.3": (stage("train", "kto") | {"compare", "report"}, scores("kto") | {"select"}),
    "train.ipo.beta=0.3": (stage("train", "ipo") | {"compare", "report"}, scores("ipo") | {"select"}),
    "train.cpo.beta=0.3": (stage("train", "cpo") | {"compare", "report"}, scores("cpo") | {"select"}),
    "train.dpo.init=models/base": (
        stage("train", "dpo") | {"reference", "compare", "report"},
        stage("train", ["kto", "ipo", "cpo"]) | scores(REFERRED) | {"select"},
    ),
    "train.sft_more.budget=sft": (
        stage("train", "sft_more") | {"compare", "report"},
        scores("sft_more") | {"select"},
    ),
    "profiles.embedded.learning_rate.sft=0.001": (
        stage("train", "sft") | {"report"},
        stage("train", STARTED) | scores(TRAINED) | {"reference", "compare", "select"},
    ),
    "profiles.embedded.learning_rate.dpo=0.001": (
        stage("train", "dpo") | {"report"},
        scores("dpo") | {"compare", "select"},
    ),
    "profiles.embedded.sft.steps=30": (
        stage("train", "sft") | {"report"},
        stage("train", STARTED) | scores(TRAINED) | {"reference", "compare", "select"},
    ),
    "profiles.embedded.preference.steps=30": (
        stage("train", STARTED) | {"reference", "report"},
        scores(STARTED) | {"compare", "select"},
    ),
    "profiles.embedded.max_tokens=200": (
        stage("train", TRAINED) | {"contract", "report"},
        scores(TRAINED) | {"reference", "compare", "select"},
    ),
    "profiles.qwen3_06b.preference.steps=30": (NOTHING, NOTHING),
    "profile=smoke": (PREPARED - {"compare", "select"}, {"compare", "select"}),
    "profiles.embedded.seeds=[11]": (
        stage("train", TRAINED) | stage("evaluate") | {"reference", "report"},
        stage("benchmark", TRAINED) | {"compare", "select"},
    ),
    "profiles.embedded.threads=3": (NOTHING, NOTHING),
    "profiles.embedded.benchmark.repeats=3": (stage("benchmark"), {"select", "report"}),
    "lora.rank=8": (
        stage("train", TRAINED) | {"report"},
        scores(TRAINED) | {"reference", "compare", "select"},
    ),
    "data.pairs_per_skill_row=2": ({"prepare"}, PREPARED),
    "data.limits.max_words=900": ({"prepare"} | stage("evaluate"), PREPARED - stage("evaluate")),
    "evaluate.confidence=0.9": (stage("evaluate") | {"compare", "report"}, {"select"}),
    "sweep.beta_factors=[1]": (NOTHING, NOTHING),
    "method=kto": ({"select"}, NOTHING),
    "report_to=[tensorboard]": (NOTHING, NOTHING),
    "params.yaml": (NOTHING, NOTHING),  # a comment
    # A test set of the user's: `prepare` keeps what it asks out of the training rows.
    "data/tests/exam.jsonl": ({"prepare"} | stage("evaluate"), PREPARED - stage("evaluate")),
    "data/raw/instructions/recipes.jsonl": ({"prepare"}, PREPARED),
    "metrics/sweep.json": ({"report"}, NOTHING),
    "metrics/dvc.yaml": (NOTHING, NOTHING),  # pictures
    "metrics/timing/dpo.json": ({"select", "report"}, NOTHING),  # the same adapter, trained in other seconds
    "stages/training/methods/kto.py": (stage("train", "kto"), scores("kto") | {"compare", "select", "report"}),
    "stages/training/arguments.py": (
        stage("train", TRAINED),
        scores(TRAINED) | {"reference", "compare", "select", "report"},
    ),
    "stages/training/row_order.py": (
        stage("train", TRAINED) | {"reference"},
        scores(TRAINED) | {"compare", "select", "report"},
    ),
    "stages/scoring/multiple_choice.py": (stage("evaluate"), {"compare", "select", "report"}),
    "stages/scoring/generation.py": (scores(), {"compare", "select", "report"}),
    "stages/rows/data_page.py": ({"prepare"}, PREPARED),
    "stages/rows/row_flags.py": ({"prepare"} | stage("evaluate"), PREPARED - stage("evaluate")),
    "stages/arabic/dates.py": ({"prepare"}, PREPARED),
    "stages/authoring/money.py": (NOTHING, NOTHING),
    "stages/commands/publish.py": (NOTHING, NOTHING),
    "stages/core/files.py": ({"prepare"} | PREPARED, NOTHING),
    "stages/core/metrics.py": (stage("evaluate") | {"compare", "select", "report"}, NOTHING),
    "stages/core/params.py": (NOTHING, NOTHING),
    "stages/compare.py": ({"compare"}, {"select", "report"}),
    "stages/report.py": ({"report"}, NOTHING),
    "stages/reporting/page/page.css": ({"report"}, NOTHING),
}


@pytest.fixture(scope="module")
def up_to_date(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this tree, its lock brought up to what it holds: nothing is left to do, though no data are there."""
    folder = tmp_path_factory.mktemp("reruns") / "clone"
    copy_tracked(folder, results=True)
    with Repo(folder) as repo, repo.lock:
        for one in repo.index.stages:
            if one.changed(allow_missing=True):
                one.save(allow_missing=True, run_cache=False)
                one.dump(update_pipeline=False)
    assert reruns(folder) == (NOTHING, NOTHING)
    return folder


def reruns(folder: Path) -> tuple[set[str], set[str]]:
    """The stages that read something else than at their last run, and those that follow them."""
    with pytest.MonkeyPatch.context() as patch, Repo(folder) as repo, repo.lock:
        patch.setitem(LOADERS, ".yaml", cache(load_yaml))  # DVC parses params.yaml for each stage: a second in all
        changed = {one for one in repo.index.stages if one.changed(allow_missing=True)}
        after = {one for stage in changed for one in networkx.ancestors(repo.index.graph, stage)}
        return {one.name for one in changed}, {one.name for one in after - changed}


def edit(folder: Path, what: str) -> None:
    key, given, value = what.partition("=")
    if given:
        set_param(folder, key, YAML(typ="safe").load(value))
    else:
        with (folder / what).open("a", encoding="utf-8") as file:
            file.write("# a line more\n")


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_reruns_what_reads_it_and_what_follows_and_nothing_else(up_to_date: Path, what: str) -> None:
    file = up_to_date / ("params.yaml" if "=" in what else what)
    before = file.read_bytes() if file.exists() else None
    edit(up_to_date, what)
    assert file.read_bytes() != before
    try:
        assert reruns(up_to_date) == EDITS[what]
    finally:
        file.unlink() if before is None else file.write_bytes(before)


def test_the_command_line_names_the_same_stages(smoke: Path) -> None:
    """With data; without them, DVC 3.67 stops at the first stage that has changed."""
    set_param(smoke, "train.cpo.beta", 0.3)
    try:
        reads, follows = EDITS["train.cpo.beta=0.3"]
        assert stages_run(dvc(smoke, "repro", "--dry").stdout) == reads
        assert stages_run(dvc(smoke, "repro", "--dry", "--force-downstream").stdout) == reads | follows
        assert reruns(smoke) == (reads, follows)
    finally:
        set_param(smoke, "train.cpo.beta", 0.5)
