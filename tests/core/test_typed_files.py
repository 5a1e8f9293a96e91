"""typed_files: a file of the wrong shape is one sentence that names the file and the key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages.core.errors import PipelineError
from stages.core.schema import Differences, TrainTiming
from stages.core.typed_files import read_typed, read_typed_lines

SEED = {"train_seconds": 1.5, "total_seconds": 2.0, "tokens_per_second": 3.0, "peak_memory_mib": 4.0}


def written(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


def test_what_fits_is_returned_with_every_key_that_it_has(tmp_path: Path) -> None:
    whole = {"host": {"cpu": "x"}, "seeds": [SEED | {"seed": 11}], "model": "dpo"}
    assert read_typed(written(tmp_path / "a.json", whole), TrainTiming) == whole


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"host": {}, "seeds": [SEED, {"train_seconds": 1.0}]}, "the key 'seeds.1.total_seconds' is missing"),
        ({"host": {}, "seeds": [SEED | {"train_seconds": "fast"}]}, "the key 'seeds.0.train_seconds' does not fit"),
        ({"host": {}}, "the key 'seeds' is missing"),
        ([1], "a JSON object was expected, found list"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, value: object, words: str) -> None:
    with pytest.raises(PipelineError, match=rf"a\.json: {words}.*: delete the file and run `dvc repro` again"):
        read_typed(written(tmp_path / "a.json", value), TrainTiming)


def test_a_row_of_several_is_named_by_its_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {"host": {}, "seeds": []}, {"host": {}})
    with pytest.raises(PipelineError, match=r"a\.jsonl:2: the key 'seeds' is missing"):
        read_typed_lines(path, TrainTiming)


def test_types_that_are_no_class_are_read_too(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"the key 'exact_match\.dpo\.sft\.low' is missing"):
        read_typed(written(tmp_path / "a.json", {"exact_match": {"dpo": {"sft": {"mean": 0.1}}}}), Differences)
