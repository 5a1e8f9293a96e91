"""Layouts of multiple-choice questions: the benchmarks' own, and a question with a list of choices."""

from __future__ import annotations

import re
from typing import Any

from stages.core.schema import Question
from stages.rows.reading.turns import Reading
from stages.rows.reading.values import (
    Record,
    Refusal,
    first_text,
    first_there,
    literal,
    nothing,
    shown,
    text_of,
    the_one,
    wrong_type,
)

# Latin and Arabic labels of an option; «ه» and «ا» are how «هـ» and «أ» are typed in haste.
LETTERS = {letter: index for index, pair in enumerate(["Aأا", "Bب", "Cج", "Dد", "Eه"]) for letter in pair}
TRUE_FALSE = ["صح", "خطأ"]
# ACVA's authors answer نعم and لا, its copies on the hub صح and خطأ.
TRUE_OR_FALSE = {"صح": 0, "نعم": 0, "خطأ": 1, "لا": 1}
CONTEXTS = ("context", "Context", "passage", "paragraph")


def _question(record: Record, question: str, choices: list[str], answer: int) -> Question:
    context = the_one(record, CONTEXTS)
    return {
        "question": f"{text_of(record[context], context)}\n\n{question}" if context else question,
        "choices": choices,
        "answer": answer,
        "subject": first_text(record, ("subject", "Subject", "category", "Category")) or "unspecified",
        "level": first_text(record, ("level", "Level")) or "unspecified",
    }


def _options(record: Record, fields: list[str]) -> dict[int, str]:
    """The options that are there, by their place in the data; ArabicMMLU pads with null, CSV with nothing."""
    found = {
        index: text_of(record[field], field)
        for index, field in enumerate(fields)
        if record.get(field) is not None and record[field] != ""
    }
    if len(found) < 2:
        raise Refusal(
            "too few choices", f"{len(found)} of the options {', '.join(fields)} are there: write two or more"
        )
    return found


def _listed(texts: list[Any], field: str) -> dict[int, str]:
    """The same of one field that holds them all."""
    named = {f"{field}[{index}]": text for index, text in enumerate(texts)}
    return _options(named, list(named))


def _chosen(options: dict[int, str], index: int | None, value: Any, field: str) -> int:
    """The answer's place among the options that are there."""
    if index not in options:
        raise Refusal(
            "answer out of range",
            f"field {field!r} is {shown(value)}, which is none of the {len(options)} options (counted from 0, or A "
            "or «أ»): mend it",
        )
    return list(options).index(index)


def letter_index(value: Any) -> int | None:
    """0 for A or «أ», however it is dressed («أ)», «هـ»)."""
    return LETTERS.get(value.strip(" \t\n.():-ـ").upper()) if isinstance(value, str) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,4}(\.0)?\s*", value):
        return int(float(value))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_arabicmmlu(record: Record, reading: Reading) -> Question:
    options = _options(record, [f"Option {number}" for number in range(1, 6)])
    answer = _chosen(options, letter_index(record["Answer Key"]), record["Answer Key"], "Answer Key")
    return _question(record, text_of(record["Question"], "Question"), list(options.values()), answer)


def read_lettered(record: Record, reading: Reading) -> Question:
    """Options in columns A to E; AraTrust writes the label into the option («أ) ...»), where it is taken off.

    Some of its rows leave a column empty and go on with the labels in the next one. There the labels count.
    """
    question, answer = first_there(record, ("question", "Question")), first_there(record, ("answer", "Answer"))
    options = _options(record, list("ABCDE"))
    labels = [re.match(r"(\w)ـ?\s*[).]\s*(?=\S)", option) for option in options.values()]
    places = [LETTERS.get(label[1]) if label else None for label in labels]
    if places in (list(options), list(range(len(options)))):
        texts = [re.sub(r"^\wـ?\s*[).]\s*", "", option) for option in options.values()]
        options = dict(zip(range(len(texts)) if places[0] == 0 else options, texts, strict=True))
    chosen = _chosen(options, letter_index(record[answer]), record[answer], answer)
    return _question(record, text_of(record[question], question), list(options.values()), chosen)


def read_alghafa(record: Record, reading: Reading) -> Question:
    options = _options(record, [f"sol{number}" for number in range(1, 6)])
    answer = _chosen(options, _integer(record["label"]), record["label"], "label")
    return _question(record, text_of(record["query"], "query"), list(options.values()), answer)


def read_choices(record: Record, reading: Reading) -> Question:
    """A list of options and the answer's index or letter: our own rows, and the translated MMLU."""
    value = literal(record["choices"]) if isinstance(record["choices"], str) else record["choices"]
    if not isinstance(value, list):
        raise wrong_type("choices", "a list of texts", record["choices"])
    options = _listed(value, "choices")
    index = _integer(record["answer"])
    answer = _chosen(options, letter_index(record["answer"]) if index is None else index, record["answer"], "answer")
    return _question(record, text_of(record["question"], "question"), list(options.values()), answer)


def read_nested(record: Record, reading: Reading) -> Question:
    """The layout of EXAMS' authors, and of ARC: the choices hold their texts and labels, `answerKey` a label."""
    asked = record["question"]
    stem = asked.get("stem") if isinstance(asked, dict) else asked
    choices = asked.get("choices") if isinstance(asked, dict) else record.get("choices")
    if isinstance(choices, dict) and isinstance(choices.get("text"), list) and isinstance(choices.get("label"), list):
        texts, labels = choices["text"], choices["label"]
    elif isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices):
        texts = [choice.get("text") for choice in choices]
        labels = [choice.get("label") for choice in choices]
    else:
        raise wrong_type("choices", "a list of objects with 'text' and 'label'", choices)
    options = _listed(texts, "choices.text")
    key = str(record["answerKey"]).strip()
    place = next((index for index, label in enumerate(labels) if str(label).strip() == key), None)
    chosen = _chosen(options, place, record["answerKey"], "answerKey")
    return _question(record, text_of(stem, "question.stem"), list(options.values()), chosen)


def read_arabculture(record: Record, reading: Reading) -> Question:
    """A statement and three ways to go on; their texts and letters are nested."""
    nested, answer = record["options"], record["answer_key"]
    if not isinstance(nested, dict) or not isinstance(nested.get("text"), list):
        raise wrong_type("options", "an object with the list 'text'", nested)
    if not isinstance(answer, dict):
        raise wrong_type("answer_key", "an object with 'arabic_answer_key'", answer)
    options = _listed(nested["text"], "options.text")
    letter = answer.get("arabic_answer_key")
    chosen = _chosen(options, letter_index(letter), letter, "answer_key.arabic_answer_key")
    return _question(record, text_of(record["first_statement"], "first_statement"), list(options.values()), chosen)


def true_or_false(value: Any) -> int | None:
    """0 for صح or نعم, 1 for خطأ or لا."""
    return TRUE_OR_FALSE.get(value.strip(" \t\n.")) if isinstance(value, str) and not nothing(value) else None


def read_acva(record: Record, reading: Reading) -> Question:
    answer = true_or_false(record["answer"])
    if answer is None:
        raise Refusal(
            "answer out of range",
            f"field 'answer' is {shown(record['answer'])}, which is neither «صح» nor «خطأ» (nor «نعم» nor «لا»): for "
            "open answers, set the source's layout: question-answer",
        )
    return _question(record, text_of(record["question"], "question"), TRUE_FALSE, answer)
