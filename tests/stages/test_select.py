"""select: the same short keys for every model, so that `dvc exp show` is one table with one row a method."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from stages import compare, select
from stages.core.errors import PipelineError
from tests.support.clones import MODELS
from tests.support.made_metrics import World


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    World().write(tmp_path)
    compare.main()
    return tmp_path


def selected(root: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> tuple[Any, Any]:
    monkeypatch.setattr(sys, "argv", ["select", model])
    select.main()
    names = ("selected.json", "selected_speed.json")
    quality, speed = (json.loads((root / "metrics" / name).read_text(encoding="utf-8")) for name in names)
    return quality, speed


def test_the_keys_are_the_same_for_every_model(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [selected(root, monkeypatch, model) for model in MODELS]
    assert {tuple(sorted(quality)) for quality, _ in found} == {tuple(sorted(select.short_names()))}
    assert {tuple(sorted(speed)) for _, speed in found} == {("p50_ms", "tok_s", "train_s")}


def test_the_columns_fit_a_hundred_characters(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quality, speed = selected(root, monkeypatch, "sft_chosen")
    assert len(quality) <= 7
    columns = [max(len(key), len(str(value))) + 2 for key, value in {**quality, **speed}.items()]
    assert sum(columns[:7]) <= 70
    assert not set(quality) & set(speed), "a name in two metric files gets its path as a prefix"


def test_the_values_are_those_of_the_model(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = json.loads((root / "metrics/methods.json").read_text(encoding="utf-8"))["kto"]
    quality, speed = selected(root, monkeypatch, "kto")
    assert quality == {key: pytest.approx(row[name], abs=5e-5) for key, name in select.short_names().items()}
    assert speed == {"train_s": 36.0, "tok_s": 321.5, "p50_ms": 2.0}


def test_what_the_base_has_not_is_null_and_never_zero(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, speed = selected(root, monkeypatch, "base")
    assert speed["train_s"] is None
    assert speed["p50_ms"] > 0


def test_a_model_that_is_not_compared_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match=r"'orpo' is not one of params\.yaml: models"):
        selected(root, monkeypatch, "orpo")


def test_a_missing_row_names_the_stage_that_makes_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "metrics/methods.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    del table["dpo"]
    path.write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(PipelineError, match="no row for 'dpo': run `dvc repro compare`"):
        selected(root, monkeypatch, "dpo")
