"""The user's own rows on their way into the prepared files: checked, mixed, split, and named when dropped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stages.core.files import Row, read_jsonl, write_jsonl
from stages.core.params import Data, Source, load_params
from stages.rows.decontamination import EvaluationIndex
from stages.rows.row_policy import Tally
from stages.rows.user_mixture import Mixture, copies
from tests.support.clones import ROOT

QUESTIONS = ["كيف أحفظ الخبز طرياً", "كيف أرتب مكتبي", "لماذا يصدأ الحديد", "متى أسقي النعناع", "كيف أكتب سيرة ذاتية"]


@pytest.fixture
def data() -> Data:
    return load_params(ROOT / "params.yaml").data


def answer(number: int) -> str:
    return f"جواب السؤال ذي الرقم {number} يختلف عن غيره بكلمة {'ا' * (number % 7 + 1)}{chr(0x0628 + number % 20)} فقط."


def mix(folder: Path, data: Data, rows: list[Row], *, weight: float = 1.0, known: tuple[str, ...] = ()) -> Mixture:
    for name in ("sft", "pairs", "unpaired"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_jsonl(folder / "mine.jsonl", rows)
    source = Source(name="mine", path=str(folder / "mine.jsonl"), license="CC-BY-4.0", weight=weight)
    with Mixture(folder, data, EvaluationIndex(list(known)), set(), Tally()) as mixture:
        mixture.add(source)
    return mixture


def written(folder: Path, kind: str) -> list[Row]:
    return [row for split in ("train", "validation", "test") for row in read_jsonl(folder / kind / f"{split}.jsonl")]


def sft(count: int) -> list[Row]:
    return [{"prompt": f"{QUESTIONS[n % 5]}؟ السؤال {n}", "completion": answer(n)} for n in range(count)]


def test_rows_go_to_three_splits_and_test_rows_become_prompts(tmp_path: Path, data: Data) -> None:
    loose = replace(data, generation_prompts=3)
    mixture = mix(tmp_path, loose, sft(200))
    dropped = mixture.tally.dropped.total()
    assert len(written(tmp_path, "sft")) + dropped == 200
    test = read_jsonl(tmp_path / "sft/test.jsonl")
    assert 20 < len(test) < 60
    prompts = read_jsonl(tmp_path / "generation.jsonl")
    assert len(prompts) == 3 and {p["id"].removeprefix("gen-") for p in prompts} <= {row["id"] for row in test}
    assert all(row["license"] == "CC-BY-4.0" for row in written(tmp_path, "sft"))


def test_a_pair_is_also_written_as_two_labelled_rows_apart(tmp_path: Path, data: Data) -> None:
    pairs = [
        {"prompt": row["prompt"], "chosen": row["completion"], "rejected": f"لا أريد أن أجيب عن هذا يا {n}"}
        for n, row in enumerate(sft(60))
    ]
    mix(tmp_path, data, pairs)
    kept = written(tmp_path, "pairs")
    singles = written(tmp_path, "unpaired")
    assert sorted(row["pair"] for row in singles) == sorted(2 * [row["id"] for row in kept])
    train = read_jsonl(tmp_path / "unpaired/train.jsonl")
    places = {(row["pair"], row["label"]): place for place, row in enumerate(train)}
    assert all(abs(places[pair, True] - places[pair, False]) > 1 for pair, _ in places)


def test_a_weight_thins_or_repeats_training_rows_only(tmp_path: Path, data: Data) -> None:
    mix(tmp_path / "thin", data, sft(200), weight=0.3)
    mix(tmp_path / "whole", data, sft(200))
    whole, thin = (read_jsonl(tmp_path / name / "sft/train.jsonl") for name in ("whole", "thin"))
    assert 0.15 * len(whole) < len(thin) < 0.45 * len(whole)
    assert read_jsonl(tmp_path / "thin/sft/test.jsonl") == read_jsonl(tmp_path / "whole/sft/test.jsonl")
    twice = list(copies({"id": "a"}, 2.0, 7))
    assert [row["id"] for row in twice] == ["a", "a-copy2"]


def test_what_repeats_a_row_or_an_evaluation_set_is_dropped_and_named(tmp_path: Path, data: Data) -> None:
    rows = sft(3)
    known = "اذكر ثلاث مدن تقع على ساحل البحر الأحمر في الجزيرة العربية واذكر ميناء كل منها"
    rows += [dict(rows[0], completion=rows[0]["completion"] + " "), {"prompt": known, "completion": "جدة وينبع وضباء."}]
    mixture = mix(tmp_path, data, rows, known=(known,))
    dropped = read_jsonl(tmp_path / "dropped.jsonl")
    assert {(row["place"].rsplit(":", 1)[1], row["reason"]) for row in dropped} == {
        ("4", "says the same as a row before it"),
        ("5", "shares its words with an evaluation set"),
    }
    assert mixture.tally.dropped.total() == 2


def test_marks_digits_and_spacing_do_not_tell_rows_apart(tmp_path: Path, data: Data) -> None:
    rows = [
        {"prompt": "متى وصلوا؟", "completion": "وصل ٣٥ رجلاً إلى القرية صباحاً، ثم خرجوا إلى الحقل مع أهلها."},
        {"prompt": "متى  وصلوا؟", "completion": "وصل 35 رجلًا إلى القَرية\nصباحاً، ثم خرجوا إلى الحقل مع أهلها."},
    ]
    mix(tmp_path, data, rows)
    assert [row["reason"] for row in read_jsonl(tmp_path / "dropped.jsonl")] == ["says the same as a row before it"]


def test_personal_data_are_masked_and_scripture_is_dropped(tmp_path: Path, data: Data) -> None:
    rows = [
        {"prompt": "كيف أتواصل معكم؟", "completion": "راسلنا على info@example.org في أي وقت تشاء."},
        {"prompt": "اذكر آية.", "completion": "قال تعالى في كتابه الكريم: ﴿نص﴾ وهذا مثال للاقتباس."},
    ]
    mixture = mix(tmp_path, data, rows)
    text = json.dumps(written(tmp_path, "sft"), ensure_ascii=False)
    assert "example.org" not in text and "[بريد]" in text
    assert mixture.tally.masked == 1
    assert [row["reason"] for row in read_jsonl(tmp_path / "dropped.jsonl")] == ["scripture"]
