"""Every layout becomes the canonical row, and a row that does not fit is refused with the field and a remedy."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.errors import PipelineError
from stages.core.params import Source
from stages.rows.reading.layouts import LAYOUTS, PRESETS, convert, detect, own_id
from stages.rows.reading.special_tokens import escape_special, has_special_token
from stages.rows.reading.turns import parsed_turns
from stages.rows.reading.values import Refusal

Turns = list[dict[str, str]]


SOURCE = Source(name="mine", license="CC0-1.0")
SHARED = {"topic": "own", "license": "CC0-1.0"}


def only(record: dict[str, Any], layout: str, source: Source = SOURCE) -> tuple[str, dict[str, Any]]:
    """The kind and the one row that a record gives."""
    converted = convert(record, layout, source)
    (row,) = converted.rows
    return converted.kind, row


def turn(role: str, content: str) -> Turns:
    return [{"role": role, "content": content}]


USER, ANSWER = turn("user", "ما عاصمة مصر؟"), turn("assistant", "القاهرة.")
SYSTEM, WRONG = turn("system", "أجب بإيجاز."), turn("assistant", "الرياض.")
EARLIER = turn("user", "مرحباً") + turn("assistant", "أهلاً بك")
SFT = SHARED | {"prompt": USER, "completion": ANSWER}
PAIR = SHARED | {"prompt": USER, "chosen": ANSWER, "rejected": WRONG, "axis": "own"}


def mcq(
    question: str, choices: list[str], answer: int, subject: str = "unspecified", level: str = "unspecified"
) -> Any:
    return SHARED | {"question": question, "choices": choices, "answer": answer, "subject": subject, "level": level}


def sharegpt(turns: Turns) -> Turns:
    roles = {"user": "human", "assistant": "gpt", "system": "system"}
    return [{"from": roles[item["role"]], "value": item["content"]} for item in turns]


def translated(turns: Turns) -> Turns:
    roles = {"user": "مستخدم", "assistant": "مساعد", "system": "نظام"}
    return [{"content": item["content"], "role": roles[item["role"]]} for item in turns]


ARABICMMLU = {
    "ID": 7,
    "Source": "https://example.org",
    "Country": "Jordan",
    "Group": "Social Science",
    "Subject": "Geography",
    "Level": "Middle",
    "Question": "ما عاصمة مصر؟",
    "Context": None,
    "Answer Key": "B",
    "Option 1": "الرياض",
    "Option 2": "القاهرة",
    "Option 3": "بغداد",
    "Option 4": None,
    "Option 5": None,
}
EXAMS = {"id": "e-1", "question": "ما عاصمة مصر؟", "A": "الرياض", "B": "القاهرة", "C": "بغداد", "D": "مسقط"}
ARATRUST = {
    "Question": "هل أشارك كلمة المرور؟",
    "A": "أ) نعم",
    "B": " ب) لا",
    "C": " ج) ربما",
    "Category": "Privacy",
    "Answer": "ب",
}
ARABCULTURE = {
    "country": "Oman",
    "region": "Gulf",
    "first_statement": "دخل الضيف مجلس جاره",
    "options": {
        "arabic_keys": ["أ", "ب", "ج"],
        "english_keys": ["A", "B", "C"],
        "text": ["فصبت له القهوة", "فقدم له الحساء", "فأعطي قائمة الطعام"],
    },
    "answer_key": {"arabic_answer_key": "ب", "english_answer_key": "B"},
}
ALGHAFA = {"query": "ما عاصمة مصر؟", "sol1": "الرياض", "sol2": "بغداد", "sol3": "القاهرة", "label": "2"}
CHOICES = ["الرياض", "القاهرة"]
TEXTS = {"prompt": "ما عاصمة مصر؟", "completion": "القاهرة."}
STRINGS = {"prompt": "ما عاصمة مصر؟", "chosen": "القاهرة.", "rejected": "الرياض."}

# Layout, record, the row it becomes.
GOOD: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "texts": ("prompt-completion", {"prompt": "ما عاصمة مصر؟", "completion": " القاهرة.\n"}, SFT),
    "instruction and completion": (
        "prompt-completion",
        {"instruction": "ما عاصمة مصر؟", "completion": "القاهرة."},
        SFT,
    ),
    "turns": ("prompt-completion", {"prompt": SYSTEM + USER, "completion": ANSWER}, SFT | {"prompt": SYSTEM + USER}),
    "system beside a text": (
        "prompt-completion",
        {"system": "أجب بإيجاز.", "prompt": "ما عاصمة مصر؟", "completion": "القاهرة."},
        SFT | {"prompt": SYSTEM + USER},
    ),
    "own topic and license": (
        "prompt-completion",
        {"prompt": "ما عاصمة مصر؟", "completion": "القاهرة.", "topic": "geography", "license": "MIT"},
        SFT | {"topic": "geography", "license": "MIT"},
    ),
    "messages": ("messages", {"messages": USER + ANSWER}, SFT),
    "messages with a system turn": (
        "messages",
        {"messages": SYSTEM + USER + ANSWER, "id": 1},
        SFT | {"prompt": SYSTEM + USER},
    ),
    "content of parts": (
        "messages",
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "ما عاصمة"}, {"type": "text", "text": "مصر؟"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "القاهرة.", "image_url": None}]},
            ]
        },
        SFT | {"prompt": turn("user", "ما عاصمة\nمصر؟")},
    ),
    "roles in capitals, and a developer": (
        "messages",
        {
            "messages": turn("developer", "أجب بإيجاز.")
            + turn(" User ", "ما عاصمة مصر؟")
            + turn("Assistant", "القاهرة.")
        },
        SFT | {"prompt": SYSTEM + USER},
    ),
    "messages as JSON in a CSV field": ("messages", {"messages": json.dumps(USER + ANSWER)}, SFT),
    "ShareGPT": ("sharegpt", {"conversations": sharegpt(USER + ANSWER)}, SFT),
    "ShareGPT with a system column": (
        "sharegpt",
        {"conversations": sharegpt(USER + ANSWER), "system": "أجب بإيجاز."},
        SFT | {"prompt": SYSTEM + USER},
    ),
    "Alpaca": ("alpaca", {"instruction": "ما عاصمة مصر؟", "output": "القاهرة."}, SFT),
    "Alpaca without input": ("alpaca", {"instruction": "ما عاصمة مصر؟", "input": " ", "output": "القاهرة."}, SFT),
    "Alpaca with all": (
        "alpaca",
        {"instruction": "أجب:", "input": "ما عاصمة مصر؟", "output": "القاهرة.", "system": "أجب بإيجاز."},
        SFT | {"prompt": SYSTEM + turn("user", "أجب:\n\nما عاصمة مصر؟")},
    ),
    "Aya": ("aya", {"inputs": "ما عاصمة مصر؟", "targets": "القاهرة.", "language_code": "arb"}, SFT),
    "pairs of texts": ("pairs", STRINGS, PAIR),
    "pairs with an axis": ("pairs", STRINGS | {"axis": "near_miss"}, PAIR | {"axis": "near_miss"}),
    "pairs with a question": (
        "pairs",
        {"system": "", "question": "ما عاصمة مصر؟", "chosen": "القاهرة.", "rejected": "الرياض."},
        PAIR,
    ),
    "pairs of turns": (
        "pairs",
        {"prompt": SYSTEM + USER, "chosen": ANSWER, "rejected": WRONG},
        PAIR | {"prompt": SYSTEM + USER},
    ),
    "pairs of a text and turns": ("pairs", {"prompt": "ما عاصمة مصر؟", "chosen": ANSWER, "rejected": WRONG}, PAIR),
    "whole conversations": (
        "pairs",
        {"chosen": EARLIER + USER + ANSWER, "rejected": EARLIER + USER + WRONG},
        PAIR | {"prompt": EARLIER + USER},
    ),
    "whole conversations beside their prompt": (
        "pairs",
        {"prompt": "ما عاصمة مصر؟", "chosen": USER + ANSWER, "rejected": USER + WRONG, "messages": USER + ANSWER},
        PAIR,
    ),
    "whole conversations beside null": (
        "pairs",
        {"prompt": None, "chosen": USER + ANSWER, "rejected": USER + WRONG},
        PAIR,
    ),
    "conversations as JSON with translated roles": (
        "pairs",
        {
            "chosen": json.dumps(translated(SYSTEM + USER + ANSWER), ensure_ascii=False),
            "rejected": json.dumps(translated(SYSTEM + USER + WRONG), ensure_ascii=False),
        },
        PAIR | {"prompt": SYSTEM + USER},
    ),
    "conversations as Python's literal with translated roles": (
        "pairs",
        {"chosen": str(translated(USER + ANSWER)), "rejected": str(translated(USER + WRONG)), "chosen_rating": 5.0},
        PAIR,
    ),
    "translated keys, and a line break inside": (
        "pairs",
        {
            side: f'[{{"المحتوى": "سطر\nآخر", "الدور": "المستخدم"}}, {{"المحتوى": "{text}", "الدور": "المساعد"}}]'
            for side, text in (("chosen", "القاهرة."), ("rejected", "الرياض."))
        },
        PAIR | {"prompt": turn("user", "سطر\nآخر")},
    ),
    "answers as strings of turns": ("pairs", STRINGS | {"chosen": str(ANSWER), "rejected": json.dumps(WRONG)}, PAIR),
    "JSON that is an answer stays a text": (
        "pairs",
        STRINGS | {"chosen": '[{"name": "القاهرة"}]'},
        PAIR | {"chosen": turn("assistant", '[{"name": "القاهرة"}]')},
    ),
    "rating above the threshold": ("rated", TEXTS | {"rating": 0.5}, SFT | {"label": True}),
    "score below it, as a text": (
        "rated",
        {"prompt": USER, "completion": ANSWER, "score": "0.49"},
        SFT | {"label": False},
    ),
    "arabicmmlu": (
        "arabicmmlu",
        ARABICMMLU,
        mcq("ما عاصمة مصر؟", ["الرياض", "القاهرة", "بغداد"], 1, "Geography", "Middle"),
    ),
    "arabicmmlu with context, level null, a gap and a fifth option": (
        "arabicmmlu",
        ARABICMMLU | {"Context": "اقرأ:", "Level": None, "Option 3": "", "Option 5": "مسقط", "Answer Key": "E"},
        mcq("اقرأ:\n\nما عاصمة مصر؟", ["الرياض", "القاهرة", "مسقط"], 2, "Geography"),
    ),
    "exams": (
        "exams",
        EXAMS | {"answer": "D", "subject": "Biology"},
        mcq("ما عاصمة مصر؟", ["الرياض", "القاهرة", "بغداد", "مسقط"], 3, "Biology"),
    ),
    "exams whose option begins with a letter and a dot": (
        "exams",
        EXAMS | {"A": "أ. محمد", "answer": "A"},
        mcq("ما عاصمة مصر؟", ["أ. محمد", "القاهرة", "بغداد", "مسقط"], 0),
    ),
    "aratrust": ("aratrust", ARATRUST, mcq("هل أشارك كلمة المرور؟", ["نعم", "لا", "ربما"], 1, "Privacy")),
    "aratrust with a label that is dressed": (
        "aratrust",
        ARATRUST | {"Answer": " ج) "},
        mcq("هل أشارك كلمة المرور؟", ["نعم", "لا", "ربما"], 2, "Privacy"),
    ),
    "aratrust whose options begin in the second column": (
        "aratrust",
        {"Question": "س", "A": None, "B": "أ) نعم", "C": "ب) لا", "Answer": "ا"},
        mcq("س", ["نعم", "لا"], 0),
    ),
    "arabculture": ("arabculture", ARABCULTURE, mcq("دخل الضيف مجلس جاره", ARABCULTURE["options"]["text"], 1)),
    "alghafa": ("alghafa", ALGHAFA, mcq("ما عاصمة مصر؟", ["الرياض", "بغداد", "القاهرة"], 2)),
    "alghafa of two": ("alghafa", {"query": "س", "sol1": "لا", "sol2": "نعم", "label": 0}, mcq("س", ["لا", "نعم"], 0)),
    "choices": (
        "choices",
        {"question": "س", "choices": CHOICES, "answer": 1, "subject": "capital"},
        mcq("س", CHOICES, 1, "capital"),
    ),
    "choices with a letter": ("choices", {"question": "س", "choices": CHOICES, "answer": "ب"}, mcq("س", CHOICES, 1)),
    "choices in a CSV field": (
        "choices",
        {"question": "س", "choices": str(CHOICES), "answer": "1"},
        mcq("س", CHOICES, 1),
    ),
    "EXAMS as its authors publish it": (
        "nested-choices",
        {
            "id": "e-1",
            "question": {
                "stem": "ما عاصمة مصر؟",
                "choices": [{"text": "الرياض", "label": "A"}, {"text": "القاهرة", "label": "B", "para": ""}],
            },
            "answerKey": "B",
            "info": {"grade": 12, "subject": "Geography", "language": "Arabic"},
        },
        mcq("ما عاصمة مصر؟", CHOICES, 1),
    ),
    "ARC": (
        "nested-choices",
        {"question": "ما عاصمة مصر؟", "choices": {"text": CHOICES, "label": ["1", "2"]}, "answerKey": 2},
        mcq("ما عاصمة مصر؟", CHOICES, 1),
    ),
    "SQuAD on the hub": (
        "squad",
        {"id": "s-1", "context": "القاهرة عاصمة مصر.", "question": "ما عاصمة مصر؟", "answers": {"text": ["القاهرة."]}},
        SFT | {"prompt": turn("user", "القاهرة عاصمة مصر.\n\nما عاصمة مصر؟")},
    ),
    "question and answer": ("question-answer", {"question": "ما عاصمة مصر؟", "answer": "القاهرة."}, SFT),
    "question and answer in capitals": ("question-answer", {"Question": "ما عاصمة مصر؟", "Answer": "القاهرة."}, SFT),
    "question and answer in Arabic": ("question-answer", {"السؤال": "ما عاصمة مصر؟", "الجواب": "القاهرة."}, SFT),
    "question and answer with a passage": (
        "question-answer",
        {"question": "ما عاصمة مصر؟", "answer": "القاهرة.", "context": "اقرأ."},
        SFT | {"prompt": turn("user", "اقرأ.\n\nما عاصمة مصر؟")},
    ),
    "prompt and response": ("prompt-response", {"prompt": "ما عاصمة مصر؟", "response": "القاهرة."}, SFT),
    "Dolly": (
        "prompt-response",
        {"instruction": "أجب:", "context": "ما عاصمة مصر؟", "response": "القاهرة.", "category": "closed_qa"},
        SFT | {"prompt": turn("user", "أجب:\n\nما عاصمة مصر؟")},
    ),
    "user and assistant": ("prompt-response", {"user": "ما عاصمة مصر؟", "assistant": "القاهرة."}, SFT),
    "input and output": ("prompt-response", {"input": "ما عاصمة مصر؟", "output": "القاهرة."}, SFT),
    "OpenOrca": (
        "prompt-response",
        {"id": "o-1", "system_prompt": "أجب بإيجاز.", "question": "ما عاصمة مصر؟", "response": "القاهرة."},
        SFT | {"prompt": SYSTEM + USER},
    ),
    "Alpaca in capitals": ("alpaca", {"Instruction": "ما عاصمة مصر؟", "Input": "", "Output": "القاهرة."}, SFT),
    "acva of its authors": (
        "acva",
        {"question": "النيل في مصر", "answer": "نعم"},
        mcq("النيل في مصر", ["صح", "خطأ"], 0),
    ),
    "acva of its authors, false": ("acva", {"question": "س", "answer": " لا"}, mcq("س", ["صح", "خطأ"], 1)),
    "acva": ("acva", {"id": "1", "question": "النيل في مصر", "answer": "صح"}, mcq("النيل في مصر", ["صح", "خطأ"], 0)),
    "acva, false": ("acva", {"question": "النيل في قطر", "answer": "خطأ "}, mcq("النيل في قطر", ["صح", "خطأ"], 1)),
}


@pytest.mark.parametrize(("layout", "record", "expected"), GOOD.values(), ids=GOOD)
def test_a_layout_is_found_from_its_columns_and_becomes_the_canonical_row(
    layout: str, record: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert detect(record) == layout
    assert only(record, layout) == (LAYOUTS[layout].kind, expected)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        *((value, True) for value in (True, 1, 1.0, "True", "1")),
        *((value, False) for value in (False, 0, 0.0, "false", "0")),
    ],
)
def test_binary_feedback_takes_every_way_to_write_true_and_false(value: object, label: bool) -> None:
    record = {"prompt": "ما عاصمة مصر؟", "completion": "القاهرة.", "label": value}
    assert detect(record) == "binary"
    assert only(record, "binary") == ("unpaired", SFT | {"label": label})


def test_the_threshold_of_ratings_is_the_sources() -> None:
    record = {"prompt": "س", "completion": "ج", "rating": 3}
    labels = [only(record, "rated", replace(SOURCE, threshold=limit))[1]["label"] for limit in (2, 3, 4)]
    assert labels == [True, True, False]


def test_every_layout_and_every_preset_is_covered_here() -> None:
    assert {layout for layout, _, _ in GOOD.values()} | {"binary"} == set(LAYOUTS)
    assert {preset["layout"] for preset in PRESETS.values()} <= set(LAYOUTS)
    assert all(LAYOUTS[preset["layout"]].kind == preset["kind"] for preset in PRESETS.values())


@pytest.mark.parametrize(
    ("record", "identity"),
    [
        ({"id": "a-1"}, "a-1"),
        ({"ID": 7}, "7"),
        ({"index": 0}, "0"),
        ({"id": None, "index": 3}, "3"),
        ({"id": ""}, ""),
        ({}, ""),
    ],
)
def test_a_rows_own_id_is_found_under_its_usual_names(record: dict[str, Any], identity: str) -> None:
    assert own_id(record) == identity


# ---------------------------------------------------------------- what is refused

# Layout, record, reason, found, remedy.
BAD: dict[str, tuple[str, dict[str, Any], str, str, str]] = {
    "missing column": (
        "prompt-completion",
        {"prompt": "س", "answer": "ج"},
        "missing column",
        "field 'completion' is missing, the row has prompt, answer",
        "layouts are pairs, binary, rated",
    ),
    "text that is a number": (
        "prompt-completion",
        TEXTS | {"completion": 7},
        "wrong type",
        "found int 7",
        "mend the row",
    ),
    "text that is null": (
        "prompt-completion",
        TEXTS | {"completion": None},
        "wrong type",
        "found null",
        "mend the row",
    ),
    "empty text": (
        "prompt-completion",
        TEXTS | {"prompt": " \n"},
        "empty turn",
        "field 'prompt' is empty",
        "write the text",
    ),
    "swapped columns": (
        "prompt-completion",
        {"prompt": ANSWER, "completion": USER},
        "roles out of order",
        "field 'prompt': turn 1 is assistant, user was expected",
        "the roles look swapped",
    ),
    "prompt that ends with the assistant": (
        "prompt-completion",
        {"prompt": USER + WRONG, "completion": ANSWER},
        "roles out of order",
        "field 'prompt' must end with the user's turn",
        "the roles look swapped",
    ),
    "completion of the user's": (
        "prompt-completion",
        {"prompt": USER, "completion": USER},
        "no assistant answer",
        "field 'completion' must be exactly one assistant's turn, found user",
        "put the rest into the prompt",
    ),
    "completion of two turns": (
        "prompt-completion",
        {"prompt": USER, "completion": USER + ANSWER},
        "roles out of order",
        "field 'completion' must be exactly one assistant's turn, found user, assistant",
        "put the rest into the prompt",
    ),
    "no turns": ("messages", {"messages": []}, "empty turn", "field 'messages' holds no turn", "write one"),
    "messages that are an object": (
        "messages",
        {"messages": {"a": 1}},
        "wrong type",
        "must be a list of turns",
        "mend the row",
    ),
    "turn that is a text": (
        "messages",
        {"messages": ["س"]},
        "wrong type",
        "field 'messages[0]' must be a turn",
        "mend the row",
    ),
    "turn without content": (
        "messages",
        {"messages": [{"role": "user"}]},
        "wrong type",
        "needs 'role' and 'content'",
        "mend the turn",
    ),
    "empty turn": (
        "messages",
        {"messages": turn("user", " ") + ANSWER},
        "empty turn",
        "field 'messages[0].content' is empty",
        "remove the row",
    ),
    "content of a part that is no text": (
        "messages",
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}, *ANSWER]},
        "part that is no text",
        "field 'messages[0].content[0]' is a part of type 'image_url', no text",
        "remove the row",
    ),
    "unknown role": (
        "messages",
        {"messages": turn("tool", "س") + ANSWER},
        "unknown role",
        "field 'messages[0]' has the role 'tool'",
        "known are user, human",
    ),
    "swapped roles": (
        "messages",
        {"messages": turn("assistant", "ما عاصمة مصر؟") + turn("user", "القاهرة.")},
        "roles out of order",
        "turn 1 is assistant, user was expected",
        "the roles look swapped",
    ),
    "roles that do not alternate": (
        "sharegpt",
        {"conversations": sharegpt(SYSTEM + USER + USER + ANSWER)},
        "roles out of order",
        "field 'conversations': turn 3 is user, assistant was expected",
        "must alternate",
    ),
    "system in the middle": (
        "messages",
        {"messages": USER + SYSTEM + ANSWER},
        "roles out of order",
        "turn 2 is system, assistant was expected",
        "must alternate",
    ),
    "no assistant answer": (
        "messages",
        {"messages": EARLIER + USER},
        "no assistant answer",
        "does not end with an assistant's answer",
        "remove the row",
    ),
    "system only": (
        "messages",
        {"messages": SYSTEM},
        "no assistant answer",
        "does not end with an assistant's",
        "remove the row",
    ),
    "Alpaca input that is a list": (
        "alpaca",
        {"instruction": "س", "input": ["ج"], "output": "د"},
        "wrong type",
        "field 'input' must be a text or nothing, found list",
        "mend the row",
    ),
    "pair without a prompt": (
        "pairs",
        {"chosen": ANSWER, "rejected": WRONG},
        "missing column",
        "chosen and rejected hold no prompt",
        "or a field prompt or instruction or question",
    ),
    "texts without a prompt": (
        "pairs",
        {"chosen": "القاهرة.", "rejected": "الرياض."},
        "unreadable turns",
        "field 'chosen' is a string that holds no list of turns, found 'القاهرة.'",
        "plain text beside a field 'prompt'",
    ),
    "pair with two prompts": (
        "pairs",
        {"chosen": USER + ANSWER, "rejected": turn("user", "ما عاصمة قطر؟") + WRONG},
        "different prompts",
        "chosen and rejected differ before their last turn",
        "make them share the prompt",
    ),
    "pair beside another prompt": (
        "pairs",
        {"prompt": "ما عاصمة قطر؟", "chosen": USER + ANSWER, "rejected": USER + WRONG},
        "different prompts",
        "field 'prompt' is not the prompt of chosen and rejected",
        "mend the row",
    ),
    "rejected that ends with the user": (
        "pairs",
        {"chosen": USER + ANSWER, "rejected": USER},
        "missing column",
        "chosen and rejected hold no prompt",
        "add it to both",
    ),
    "turns cut off": (
        "pairs",
        {"chosen": str(USER + ANSWER)[:-3], "rejected": str(USER + WRONG)},
        "unreadable turns",
        "field 'chosen' is a string that holds no list of turns",
        "write a list of role and content",
    ),
    "turns whose quotes were translated": (
        "pairs",
        {"chosen": str(USER + ANSWER).replace("'", "“"), "rejected": str(USER + WRONG)},
        "unreadable turns",
        "field 'chosen' is a string that holds no list of turns",
        "write a list of role and content",
    ),
    "turns with a key twice in JSON": (
        "pairs",
        {"chosen": '[{"role": "user", "role": "user", "content": "س"}]', "rejected": str(USER + WRONG)},
        "unreadable turns",
        "field 'chosen' is a string",
        "write a list of role and content",
    ),
    "turns with a key twice in Python": (
        "pairs",
        {"chosen": "[{'role': 'user', 'content': 'س', 'content': 'ص'}]", "rejected": str(USER + WRONG)},
        "unreadable turns",
        "field 'chosen' is a string",
        "write a list of role and content",
    ),
    "turns with an unknown translated role": (
        "pairs",
        {"chosen": str(USER + ANSWER).replace("assistant", "خادم"), "rejected": str(USER + WRONG)},
        "unknown role",
        "field 'chosen[1]' has the role 'خادم'",
        "known are",
    ),
    "code instead of turns": (
        "pairs",
        {"chosen": "[print('x')]", "rejected": "[]"},
        "unreadable turns",
        "field 'chosen' is a string",
        "write a list of role and content",
    ),
    "label that is no boolean": (
        "binary",
        TEXTS | {"label": "good"},
        "label not boolean",
        "found 'good'",
        "true or false",
    ),
    "label that is two": ("binary", TEXTS | {"label": 2}, "label not boolean", "found 2", "true or false"),
    "label that is null": ("binary", TEXTS | {"label": None}, "label not boolean", "found None", "true or false"),
    "rating that is a text": (
        "rated",
        TEXTS | {"rating": "جيد"},
        "wrong type",
        "field 'rating' must be a number",
        "mend the row",
    ),
    "rating that is NaN": ("rated", TEXTS | {"rating": float("nan")}, "wrong type", "found float nan", "mend the row"),
    "rating that is a boolean": ("rated", TEXTS | {"score": True}, "wrong type", "found bool True", "mend the row"),
    "answer beyond the options": (
        "alghafa",
        ALGHAFA | {"label": "3"},
        "answer out of range",
        "'label' is '3'",
        "counted from 0",
    ),
    "answer that is a padded option": (
        "arabicmmlu",
        ARABICMMLU | {"Answer Key": "D"},
        "answer out of range",
        "field 'Answer Key' is 'D', which is none of the 3 options",
        "mend it",
    ),
    "negative answer": (
        "choices",
        {"question": "س", "choices": CHOICES, "answer": -1},
        "answer out of range",
        "field 'answer' is -1",
        "counted from 0",
    ),
    "answer that is the option's text": (
        "exams",
        EXAMS | {"answer": "القاهرة"},
        "answer out of range",
        "'answer' is",
        "or A or «أ»",
    ),
    "one choice": (
        "choices",
        {"question": "س", "choices": ["أ"], "answer": 0},
        "too few choices",
        "1 of the options",
        "two or more",
    ),
    "choices that are a text": (
        "choices",
        {"question": "س", "choices": "نعم أو لا", "answer": 0},
        "wrong type",
        "field 'choices' must be a list of texts, found str",
        "mend the row",
    ),
    "open answers read as true and false": (
        "acva",
        {"question": "ما عاصمة مصر؟", "answer": "القاهرة."},
        "answer out of range",
        "neither «صح» nor «خطأ»",
        "set the source's layout: question-answer",
    ),
}


@pytest.mark.parametrize(("layout", "record", "reason", "found", "remedy"), BAD.values(), ids=BAD)
def test_a_row_that_does_not_fit_is_refused_whole(
    layout: str, record: dict[str, Any], reason: str, found: str, remedy: str
) -> None:
    with pytest.raises(Refusal) as caught:
        convert(record, layout, SOURCE)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert caught.value.reason == reason
    assert found in message, message
    assert remedy in message, message
    assert isinstance(caught.value, PipelineError)


def test_unknown_columns_are_refused_with_the_layouts_there_are() -> None:
    with pytest.raises(Refusal) as caught:
        detect(["text", "meta"])
    assert caught.value.reason == "unknown layout"
    assert str(caught.value).startswith("no layout has the columns text, meta: rename them")
    assert all(layout in str(caught.value) for layout in LAYOUTS)


def test_a_row_without_a_license_is_refused() -> None:
    with pytest.raises(Refusal, match="no license: set the source's license, or give each row a field 'license'"):
        convert(TEXTS, "prompt-completion", replace(SOURCE, license=""))
    assert only(TEXTS | {"licence": "MIT"}, "prompt-completion", replace(SOURCE, license=""))[1]["license"] == "MIT"


@pytest.mark.parametrize("identity", [True, 1.5, ["a"]])
def test_an_id_that_is_neither_text_nor_integer_is_refused(identity: object) -> None:
    with pytest.raises(Refusal, match="field 'id' must be a text or an integer"):
        own_id({"id": identity})


# ---------------------------------------------------------------- special tokens

TOKENS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>", "<s>", "</s>", "[INST]", "[/INST]"]
TOKENS += ["<|vision_start|>", "<tool_call>", "<<SYS>>", "<end_of_turn>", "<｜end▁of▁sentence｜>"]


@pytest.mark.parametrize("token", TOKENS)
def test_a_special_token_in_any_text_is_escaped_and_flagged(token: str) -> None:
    apart = f"{token[0]} {token[1:]}"
    assert has_special_token(token) and has_special_token(apart)
    assert escape_special(f"قل {token}{token} الآن") == f"قل {apart}{apart} الآن"
    answer = "ج" if "think" in token else token  # a think tag in an answer is no text: it is refused
    records = {
        "messages": {"messages": turn("system", token) + turn("user", token) + turn("assistant", answer)},
        "pairs": {"prompt": f"س {token}", "chosen": f"ج {answer}", "rejected": "لا"},
        "choices": {"question": "س", "choices": ["نعم", f"لا {token}"], "answer": 0},
    }
    for layout, record in records.items():
        row = only(record, layout)[1]
        assert row["flags"] == ["special_token"]
        assert token not in json.dumps(row, ensure_ascii=False)
        assert apart in json.dumps(row, ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    [
        "٣ < ٥ و ٥ > ٣",
        "a <| b |> c",
        "قائمة [1] و[INSTALL]",
        "<strong>مهم</strong>",
        "<thinking>",
        "List<string>",
        "|>",
    ],
)
def test_what_only_resembles_a_special_token_is_left_alone(text: str) -> None:
    assert escape_special(text) == text and not has_special_token(text)
    assert "flags" not in only({"prompt": text, "completion": text}, "prompt-completion")[1]


@given(
    st.lists(st.sampled_from([*TOKENS, "<", "|", ">", "[", "]", "<|", "|>", "im_end", "/", "s", " ", "نص"])).map(
        "".join
    )
)
def test_no_special_token_survives_however_they_are_nested(text: str) -> None:
    escaped = escape_special(text)
    assert not any(token in escaped for token in TOKENS)
    assert escape_special(escaped) == escaped
    assert re.sub(r"([<\[]) ", r"\1", escaped) == re.sub(r"([<\[]) ", r"\1", text)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text()), min_size=1))
def test_turns_survive_being_written_as_a_string(pairs: list[tuple[str, str]]) -> None:
    turns = [{"role": role, "content": content} for role, content in pairs]
    for written in (str(turns), json.dumps(turns), json.dumps(turns, ensure_ascii=False)):
        assert parsed_turns(written, "chosen") == turns


@given(st.text())
def test_any_other_string_is_refused_or_read_whole_and_never_raises_anything_else(text: str) -> None:
    for record in ({"chosen": text, "rejected": text}, {"chosen": f"[{{'role': {text}", "rejected": f'["{text}"]'}):
        with pytest.raises(Refusal):
            convert(record, "pairs", SOURCE)
