"""The user's own rows on their way into the prepared files: checked, mixed, split, and named when dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import PipelineError
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


def mix(
    folder: Path, data: Data, rows: list[Row], *, weight: float = 1.0, known: tuple[str, ...] = (), **settings: Any
) -> Mixture:
    for name in ("sft", "pairs", "unpaired"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_jsonl(folder / "mine.jsonl", rows)
    source = Source(name="mine", path=str(folder / "mine.jsonl"), license="CC-BY-4.0", weight=weight, **settings)
    with Mixture(folder, data, EvaluationIndex(list(known)), set(), Tally()) as mixture:
        mixture.mix([source])
    return mixture


def written(folder: Path, kind: str) -> list[Row]:
    return [row for split in ("train", "validation", "test") for row in read_jsonl(folder / kind / f"{split}.jsonl")]


def sft(count: int) -> list[Row]:
    return [{"prompt": f"{QUESTIONS[n % 5]}؟ السؤال {n}", "completion": answer(n)} for n in range(count)]


def test_rows_go_to_three_splits_and_test_rows_become_prompts(tmp_path: Path, data: Data) -> None:
    mixture = mix(tmp_path, data, sft(200), test_limit=3)
    [counts] = mixture.counts.values()
    assert counts.kept.total() + counts.dropped.total() == counts.read == 200
    assert 20 < counts.kept["own"] < 60 and not read_jsonl(tmp_path / "sft/test.jsonl")
    prompts = read_jsonl(tmp_path / "own.jsonl")
    assert [(p["set"], p["asked"], p["task"]) for p in prompts] == [("mine", "generation", "own")] * 3
    assert mixture.tests.left_out() == {"mine": counts.kept["own"] - 3}
    trained = {row["prompt"][0]["content"] for row in written(tmp_path, "sft")}
    assert not trained & {p["prompt"][0]["content"] for p in prompts}
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
    assert read_jsonl(tmp_path / "thin/own.jsonl") == read_jsonl(tmp_path / "whole/own.jsonl")
    twice = list(copies({"id": "a"}, 2.0, 7))
    assert [row["id"] for row in twice] == ["a", "a-copy2"]


def test_what_repeats_a_row_or_an_evaluation_set_is_dropped_and_named(tmp_path: Path, data: Data) -> None:
    rows = sft(3)
    known = "اذكر ثلاث مدن تقع على ساحل البحر الأحمر في الجزيرة العربية واذكر ميناء كل منها"
    rows += [dict(rows[0], completion=rows[0]["completion"] + " "), {"prompt": known, "completion": "جدة وينبع وضباء."}]
    mixture = mix(tmp_path, data, rows, known=(known,), allow_loss=True)
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
    mixture = mix(tmp_path, data, rows, allow_loss=True)
    text = json.dumps(written(tmp_path, "sft"), ensure_ascii=False)
    assert "example.org" not in text and "[بريد]" in text
    assert mixture.tally.masked == 1
    assert [row["reason"] for row in read_jsonl(tmp_path / "dropped.jsonl")] == ["scripture"]


def feedback(label: bool, count: int) -> list[Row]:
    return [row | {"label": label} for row in sft(count)]


def test_the_other_label_and_the_other_kind_are_no_copies(tmp_path: Path, data: Data) -> None:
    """One prompt with a good and a bad answer, and the good answers as rows of SFT before them."""
    rows = [row | {"label": True} for row in sft(20)]
    rows += [row | {"label": False, "completion": "لا أعرف جوابا عن هذا السؤال أبدا."} for row in sft(20)]
    for name in ("sft", "pairs", "unpaired"):
        (tmp_path / name).mkdir()
    write_jsonl(tmp_path / "answers.jsonl", sft(20))
    write_jsonl(tmp_path / "feedback.jsonl", rows)
    sources = [
        Source(name=name, path=str(tmp_path / f"{name}.jsonl"), license="CC0-1.0") for name in ("answers", "feedback")
    ]
    with Mixture(tmp_path, data, EvaluationIndex([]), set(), Tally()) as mixture:
        mixture.mix(sources)
    assert not read_jsonl(tmp_path / "dropped.jsonl")
    assert mixture.counts["feedback"].labels_kept == {True: 20, False: 20}
    trained = [row["prompt"] for kind in ("sft", "unpaired") for row in written(tmp_path, kind)]
    assert not [row["prompt"] for row in read_jsonl(tmp_path / "own.jsonl") if row["prompt"] in trained]
    assert mixture.overlap.counts() == {"test_prompts_in_train": 0, "test_references_in_train": 0}


def test_rows_of_one_conversation_passage_or_answer_go_to_one_side(tmp_path: Path, data: Data) -> None:
    places = [(group, place) for group in range(30) for place in range(3)]
    passages = [" ".join(f"كلمة{g}و{n}" for n in range(40)) for g in range(30)]
    groups: dict[str, list[Row]] = {
        "passage": [{"prompt": f"{passages[g]}\nما السؤال {n} من {g}؟", "completion": f"ج {n}"} for g, n in places],
        "same line": [{"prompt": f"{passages[g]} ما السؤال {n} من {g}؟", "completion": f"ج {n}"} for g, n in places],
        "answer": [{"prompt": f"سؤال {g} {n} مختلف؟", "completion": passages[g] + "." * n} for g, n in places],
    }
    for name, rows in groups.items():
        rows = [row | {"id": f"{g}-{n}"} for (g, n), row in zip(places, rows, strict=True)]
        mixture = mix(tmp_path / name, data, rows, allow_loss=True)
        sides: dict[str, set[str]] = {}
        for side in ("train", "validation"):
            for row in read_jsonl(tmp_path / name / "sft" / f"{side}.jsonl"):
                sides.setdefault(row["id"].split("-")[1], set()).add(side)
        for row in read_jsonl(tmp_path / name / "own.jsonl"):
            sides.setdefault(row["id"].split("-")[2], set()).add("test")
        assert {len(found) for found in sides.values()} == {1} and mixture.counts["mine"].kept["own"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [{"prompt": f"سؤال {n}", "completion": "plain English only, without a letter of Arabic"} for n in range(9)],
            "none of its 9 rows stays",
        ),
        (
            sft(20) + [{"prompt": f"س {n}", "completion": "قال تعالى في كتابه الكريم: ﴿نص﴾"} for n in range(9)],
            "9 of its 29 rows are dropped .*scripture 9.*allow_loss: true",
        ),
        (
            feedback(True, 20)
            + [{"prompt": f"س {n}", "completion": "قال تعالى في كتابه الكريم: ﴿نص﴾", "label": False} for n in range(3)],
            "no row labelled false stays of 3",
        ),
    ],
)
def test_a_source_that_loses_too_much_stops(tmp_path: Path, data: Data, rows: list[Row], words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        mix(tmp_path, data, rows)
    if "none" not in words:
        mix(tmp_path / "allowed", data, rows, allow_loss=True)


def test_a_frame_that_all_rows_share_joins_nothing(tmp_path: Path, data: Data) -> None:
    frame = " ".join(f"كلمة{n}" for n in range(60))
    rows = [{"prompt": f"{frame}\n{row['prompt']}", "completion": row["completion"]} for row in sft(200)]
    mixture = mix(tmp_path, data, rows)
    assert mixture.groups.rows_in_large_groups() == 0
    assert 20 < mixture.counts["mine"].kept["own"] < 60


CASES = ROOT.parent / "shared" / "cases"
ALIKE = "own-data/near-copies-across-labels-and-kinds"
FRAME = "own-data/shared-frame-near-copies"


@pytest.mark.skipif(not CASES.exists(), reason="needs the files that users reported, in ../shared")
@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ([f"{FRAME}/system.jsonl"], 20),
        ([f"{FRAME}/docqa.jsonl"], 30),
        ([f"{FRAME}/classify.jsonl"], 20),
        ([f"{ALIKE}/sft.jsonl", f"{ALIKE}/kto.jsonl"], 60),
        ([f"{ALIKE}/sft.jsonl", f"{ALIKE}/pairs_short.jsonl"], 40),
        (["own-data/split-by-prompt/sft.jsonl", "own-data/split-by-prompt/pairs.jsonl"], 120),
        (["published-data/near-copy-same-passage/own.jsonl"], 4),
        (["published-data/own-split-leaks/own.jsonl"], 26),
    ],
)
def test_reported_rows_stay_and_do_not_leak(tmp_path: Path, data: Data, files: list[str], kept: int) -> None:
    for name in ("sft", "pairs", "unpaired"):
        (tmp_path / name).mkdir()
    sources = [Source(name=f"s{n}", path=str(CASES / file), license="CC-BY-4.0") for n, file in enumerate(files)]
    with Mixture(tmp_path, data, EvaluationIndex([]), set(), Tally()) as mixture:
        mixture.mix(sources)
    assert sum(counts.kept.total() for counts in mixture.counts.values()) == kept
    assert not any(mixture.overlap.counts().values())
