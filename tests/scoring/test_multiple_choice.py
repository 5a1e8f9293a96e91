"""Letters equal brute force, rotation takes a position's advantage away, and the harnesses' prompts are theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from stages.bases.loading import load_tokenizer
from stages.bases.tokens import Encoded, encode, encode_prompt
from stages.core.errors import PipelineError
from stages.core.files import Row
from stages.rows.conventions import SHORT_ANSWER, assistant
from stages.rows.reading.layouts import detect
from stages.scoring import harness
from stages.scoring.log_probabilities import completion_logprobs, next_token_logprobs
from stages.scoring.multiple_choice import (
    LETTERS,
    letter_scores,
    lettered,
    normalised,
    position_report,
    question_rows,
    rotated,
)
from stages.scoring.scored_model import ScoredModel
from tests.support.tiny import mcq_rows

GOLDEN = json.loads((Path(__file__).parent / "golden/harness_prompts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def subject(tiny_qwen: Path) -> ScoredModel:
    return ScoredModel(AutoModelForCausalLM.from_pretrained(tiny_qwen), load_tokenizer(tiny_qwen), "tiny")


def test_next_token_logprobs_are_those_of_one_token_completions(subject: ScoredModel) -> None:
    prompts, wanted = [[5, 9, 7], [3], [4] * 20], [[1, 2], [300], [7, 8, 9]]
    found = next_token_logprobs(subject.model, prompts, wanted)
    for ids, candidates, values in zip(prompts, wanted, found, strict=True):
        one_by_one = completion_logprobs(subject.model, [Encoded(ids, [token]) for token in candidates])
        assert values == pytest.approx(one_by_one, abs=1e-4)
    with pytest.raises(PipelineError, match="without tokens"):
        next_token_logprobs(subject.model, [[]], [[1]])


def test_letters_are_averaged_over_every_rotation(subject: ScoredModel) -> None:
    """By hand: each rotation, each letter without its stop token, put back to its option."""
    question = mcq_rows()[1]
    row = question_rows(subject, [question], "mcq")[0]
    sums, picks = np.zeros(4), []
    for shift in range(4):
        prompt = lettered(question["question"], rotated(question["choices"], shift))
        ids = encode_prompt(subject.tokenizer, prompt)
        letters = [encode(subject.tokenizer, prompt, assistant(letter)).completion_ids[:-1] for letter in LETTERS[:4]]
        nats = completion_logprobs(subject.model, [Encoded(ids, letter) for letter in letters])
        picks.append(int(np.argmax(nats)))
        for position, value in enumerate(nats):
            sums[(position + shift) % 4] += value / 4
    assert row["letter_nats"] == pytest.approx(list(sums), abs=1e-4)
    assert row["letter_picks"] == picks
    assert row["letters_correct"] == (int(np.argmax(sums)) == question["answer"])


def test_a_constant_answerer_is_at_chance_and_named() -> None:
    rows = [
        {"answer": answer, "choice_nats": [0.0] * 4, "predicted": 0, "correct": answer == 0}
        | letter_scores({"choices": ["س"] * 4, "answer": answer}, [[-9.0, -0.1, -9.0, -9.0]] * 4)
        for answer in (0, 1, 1, 2)
    ]
    assert {row["letters_rotated"] for row in rows} == {0.25}
    assert all(max(row["letter_nats"]) - min(row["letter_nats"]) < 1e-9 for row in rows)
    report = position_report(rows)
    assert report["letters_picked_share"] == [0, 1, 0, 0]
    assert report["letters_accuracy_by_gold_position"] == [0, 1, 0, 0]
    assert report["constant_answer_accuracy"] == [0.25, 0.5, 0.25, 0]
    assert (report["majority_accuracy"], report["chance"]) == (0.5, 0.25)
    assert report["cloze_accuracy_by_gold_position"] == [1, 0, 0, None]


def test_one_who_knows_is_right_wherever_the_answer_stands() -> None:
    def nats(shift: int, answer: int) -> list[float]:
        return [-0.1 if (position + shift) % 3 == answer else -3.0 for position in range(3)]

    for answer in range(3):
        row = letter_scores({"choices": ["س"] * 3, "answer": answer}, [nats(shift, answer) for shift in range(3)])
        assert (row["letters_rotated"], row["letters_correct"]) == (1.0, True)


def test_lengths_are_of_characters_and_of_bytes() -> None:
    texts = ["نعم", "no", "هـ"]
    assert normalised([-6.0, -6.0, -6.0], texts, "raw") == [-6, -6, -6]
    assert normalised([-6.0, -6.0, -6.0], texts, "character") == [-2, -3, -3]
    assert normalised([-6.0, -6.0, -6.0], texts, "byte") == [-1, -3, -1.5]


def test_a_lettered_question_asks_for_the_letter_and_not_for_a_phrase() -> None:
    content = lettered(f"ما عاصمة مصر؟ {SHORT_ANSWER}", ["القاهرة", "الرياض"])[0]["content"]
    assert content == "ما عاصمة مصر؟\nأ) القاهرة\nب) الرياض\nأجب بحرف الإجابة الصحيحة."


def test_more_options_than_letters_is_an_error(subject: ScoredModel) -> None:
    with pytest.raises(PipelineError, match="11 options"):
        question_rows(subject, [mcq_rows()[0] | {"choices": list("ابتثجحخدذرز")}], "mcq")


@pytest.mark.parametrize("case", GOLDEN, ids=[f"{case['prompts']}-{case['layout']}" for case in GOLDEN])
def test_the_prompts_are_those_of_the_harness_byte_for_byte(case: Row) -> None:
    """The golden file was written by lm_eval 0.4.13 and lighteval 0.13.0 from the records that stand in it."""
    item = harness.render(case["prompts"], case["layout"], case["record"])
    assert item.prompt.encode() == case["prompt"].encode()
    assert (item.continuations, item.answer) == (case["continuations"], case["answer"])
    assert detect(case["record"]) == case["layout"]


def test_a_harness_item_is_scored_as_one_text_split_where_the_prompt_ends(subject: ScoredModel) -> None:
    """Letters are one token, the other continuations several; both equal brute force."""
    items = [harness.render(case["prompts"], case["layout"], case["record"]) for case in GOLDEN]
    rows = [
        {"id": str(number), "set": "s", "subject": "x", "level": "y", "item": item} for number, item in enumerate(items)
    ]
    for item, row in zip(items, harness.harness_rows(subject, rows, "own_harness"), strict=True):
        expected = []
        for continuation in item.continuations:
            bare = item.prompt.rstrip()
            prompt = subject.tokenizer(bare)["input_ids"]
            whole = subject.tokenizer(item.prompt + continuation)["input_ids"]
            assert whole[: len(prompt)] == prompt
            expected += completion_logprobs(subject.model, [Encoded(prompt, whole[len(prompt) :])])
        assert row["choice_nats"] == pytest.approx(expected, abs=1e-4)
        assert row["correct_raw"] == (int(np.argmax(expected)) == item.answer)


def test_an_option_is_weighed_by_its_own_characters_without_the_delimiter(subject: ScoredModel) -> None:
    """As lm_eval's acc_norm: by the option as the record holds it, its own spaces included."""
    record = next(case["record"] for case in GOLDEN if case["record"].get("sol2", "").startswith(" "))
    row = {"id": "1", "set": "s", "subject": "x", "level": "y", "item": harness.render("lm_eval", "alghafa", record)}
    scored = harness.harness_rows(subject, [row], "own_harness")[0]
    sizes = [len(record[f"sol{number}"]) for number in range(1, 6)]
    expected = [nats / size for nats, size in zip(scored["choice_nats"], sizes, strict=True)]
    assert scored["choice_logprobs"] == pytest.approx(expected)
    assert scored["predicted"] == int(np.argmax(expected))


ARATRUST: Row = {"Question": "هل أشارك كلمة المرور؟", "A": "أ) نعم", "B": "ب) لا", "C": "ج) ربما", "Answer": "أ"}
ACVA: Row = {"question": "النيل في مصر", "answer": "صح"}
ALGHAFA: Row = {"query": "س؟", "sol1": "لا", "sol2": "نعم", "label": "1"}


@pytest.mark.parametrize(
    ("prompts", "layout", "plain", "change"),
    [
        ("oall", "aratrust", ARATRUST, {"Answer": "ا"}),
        ("oall", "aratrust", ARATRUST | {"Answer": "ب"}, {"Answer": "ب "}),
        ("oall", "acva", ACVA, {"answer": "نعم"}),
        ("oall", "acva", ACVA | {"answer": "خطأ"}, {"answer": " لا"}),
        ("oall", "alghafa", ALGHAFA, {"sol3": None, "sol4": "", "sol5": None}),
        ("lm_eval", "alghafa", ALGHAFA, {"sol3": None, "sol4": None}),
    ],
)
def test_a_record_as_published_is_shown_as_the_harness_shows_the_plain_one(
    prompts: str, layout: str, plain: Row, change: dict[str, Any]
) -> None:
    """An answer in another spelling, and options that a merged table pads."""
    assert harness.render(prompts, layout, plain | change) == harness.render(prompts, layout, plain)


@pytest.mark.parametrize(
    ("prompts", "layout", "change", "words"),
    [
        ("oall", "aratrust", ARATRUST | {"Answer": "د"}, "the answer is 'د'"),
        ("oall", "acva", ACVA | {"answer": "ربما"}, "the answer is 'ربما'"),
        ("oall", "alghafa", ALGHAFA | {"sol2": None, "sol3": "ربما"}, "an option is empty"),
        ("oall", "choices", {}, "oall has no prompt for the layout choices"),
        ("lm_eval", "arabicmmlu", {"Answer Key": "Z"}, "not a record of arabicmmlu"),
        ("lm_eval", "arabicmmlu", {"Level": "Kindergarten"}, "Kindergarten"),
        ("lm_eval", "alghafa", {"query": "س؟", "sol1": "لا", "sol2": None, "label": "0"}, "an option is empty"),
        ("oall", "alghafa", {"query": "س؟", "sol1": "لا", "sol2": "", "label": "0"}, "an option is empty"),
        ("lm_eval", "alghafa", {"query": "س؟", "sol1": "لا", "sol2": "نعم", "label": "2"}, "2 is not in range"),
    ],
)
def test_a_record_that_the_harness_cannot_show_is_one_sentence(
    prompts: str, layout: str, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(PipelineError, match=words):
        harness.render(prompts, layout, GOLDEN[0]["record"] | change)
