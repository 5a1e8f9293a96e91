"""Nothing is half read: every field of a row is read, known to say nothing, or empty; any other refuses the row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.core.params import Source
from stages.rows.reading.layouts import LAYOUTS as KNOWN
from stages.rows.reading.layouts import convert, detect
from stages.rows.reading.values import LeftOut, Refusal

SOURCE = Source(name="mine", license="CC0-1.0")
ASKED = {"role": "user", "content": "ما لون البحر؟"}
ANSWERED = {"role": "assistant", "content": "أزرق."}
CHAT = {"messages": [ASKED, ANSWERED]}
SHAREGPT = {"conversations": [{"from": "human", "value": "ما لون البحر؟"}, {"from": "gpt", "value": "أزرق."}]}
ALPACA = {"instruction": "ما لون البحر؟", "output": "أزرق."}
PAIR = {"prompt": "ما لون البحر؟", "chosen": "أزرق.", "rejected": "أحمر."}
PLAIN = {"prompt": "ما لون البحر؟", "completion": "أزرق."}
QUESTION = {"question": "ما لون البحر؟", "A": "أزرق", "B": "أحمر", "answer": "A"}
LAYOUTS: dict[str, dict[str, Any]] = {
    "messages": CHAT,
    "ShareGPT": SHAREGPT,
    "Alpaca": ALPACA,
    "pairs": PAIR,
    "prompt and completion": PLAIN,
    "binary": PLAIN | {"label": True},
    "question and answer": {"question": "ما لون البحر؟", "answer": "أزرق."},
    "multiple choice": QUESTION,
}
Read = tuple[str, list[dict[str, Any]]]


def read(record: dict[str, Any], **settings: Any) -> Read:
    converted = convert(record, detect(record), replace(SOURCE, **settings))
    return converted.kind, converted.rows


def refusal(record: dict[str, Any], **settings: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(record, **settings)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


def said(turns: list[dict[str, str]]) -> list[str]:
    return [turn["content"] for turn in turns]


# ---------------------------------------------------------------- fields of a row


@pytest.mark.parametrize("record", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", '[{"type": "function"}]'),
        ("images", ["a.png"]),
        ("functions", [{"name": "weather"}]),
        ("opinion", "لا تعتمد هذا الجواب"),
        ("answer_en", "Blue."),
    ],
)
def test_a_field_that_nobody_reads_refuses_the_row_by_name(record: dict[str, Any], field: str, value: Any) -> None:
    found = refusal(record | {field: value})
    assert found.reason == f"unread field: {field}"
    assert str(found).startswith(f"field {field!r} would be lost")
    assert f"put {field!r} into the source's ignore" in str(found)


@pytest.mark.parametrize("record", LAYOUTS.values(), ids=LAYOUTS)
def test_what_is_empty_or_describes_the_row_changes_nothing(record: dict[str, Any]) -> None:
    empty = {"tools": None, "images": [], "notes": " ", "functions": "[]", "extra": float("nan"), "more": {"a": None}}
    about = {"id": 1, "Source": "a book", "question_id": 7, "created_at": "2026-01-01", "num_turns": 1, "Category": "x"}
    empty |= {"nan": "nan", "none": "<noinput>"}
    plain = read(record)
    found = read(record | empty | about)
    if "subject" in plain[1][0]:
        assert found[1][0].pop("subject") == "x"
        plain[1][0].pop("subject")
    assert found == plain


# ---------------------------------------------------------------- what stands beside a prompt

HISTORY = [["ما عاصمة عُمان؟", "مسقط."]]
EARLIER = ["ما عاصمة عُمان؟", "مسقط."]


@pytest.mark.parametrize(
    "record", [PLAIN, PLAIN | {"label": False}, PLAIN | {"rating": 0}, ALPACA, PAIR], ids=lambda record: detect(record)
)
def test_input_history_and_system_are_read_in_every_layout(record: dict[str, Any]) -> None:
    beside = {"input": "البحر الأحمر", "history": HISTORY, "system": "أجب بإيجاز."}
    prompt = read(record | beside, turns="last")[1][-1]["prompt"]
    assert said(prompt) == ["أجب بإيجاز.", *EARLIER, "ما لون البحر؟\n\nالبحر الأحمر"]
    assert [turn["role"] for turn in prompt] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("nothing", ["nan", "<noinput>", "NaN", "None", "", " ", None, float("nan")])
def test_words_that_stand_for_nothing_are_no_input(nothing: Any) -> None:
    assert said(read(ALPACA | {"input": nothing})[1][0]["prompt"]) == ["ما لون البحر؟"]


@pytest.mark.parametrize("nothing", ["nan", "<noinput>", " NaN "])
def test_words_that_stand_for_nothing_are_no_answer(nothing: str) -> None:
    assert refusal(PLAIN | {"completion": nothing}).reason == "empty turn"


def test_history_may_be_turns_or_a_string_of_pairs() -> None:
    turns = [{"role": "user", "content": EARLIER[0]}, {"role": "assistant", "content": EARLIER[1]}]
    for history in (turns, '[["ما عاصمة عُمان؟", "مسقط."]]', [(*EARLIER,)]):
        assert said(read(PAIR | {"history": history})[1][0]["prompt"]) == [*EARLIER, "ما لون البحر؟"]
    assert refusal(PAIR | {"history": [["سؤال بلا جواب"]]}).reason == "wrong type"


def test_a_system_column_stands_before_whole_conversations() -> None:
    pair = {"chosen": [ASKED, ANSWERED], "rejected": [ASKED, {"role": "assistant", "content": "أحمر."}]}
    for record in (CHAT, SHAREGPT, pair):
        assert said(read(record | {"system": "أجب بإيجاز."})[1][0]["prompt"]) == ["أجب بإيجاز.", "ما لون البحر؟"]
    own = [{"role": "system", "content": "أطل."}, ASKED, ANSWERED]
    assert refusal({"messages": own, "system": "أجب بإيجاز."}).reason == "two systems"
    assert len(read({"messages": own, "system": "أطل."})[1][0]["prompt"]) == 2


@pytest.mark.parametrize(
    ("beside", "field"),
    [
        (
            {"prompt": [{"role": "user", "content": "قبل ذلك"}, {"role": "assistant", "content": "نعم"}, ASKED]},
            "prompt",
        ),
        ({"prompt": "ما لون البحر؟", "input": "البحر الأحمر"}, "prompt"),
        ({"messages": [{"role": "user", "content": "سؤال آخر"}, ANSWERED]}, "messages"),
    ],
)
def test_what_stands_beside_whole_conversations_must_be_in_them(beside: dict[str, Any], field: str) -> None:
    pair = {"chosen": [ASKED, ANSWERED], "rejected": [ASKED, {"role": "assistant", "content": "أحمر."}]}
    found = refusal(pair | beside)
    assert found.reason == "different prompts" and repr(field) in str(found)


def test_two_columns_for_one_place_are_refused_and_the_same_text_twice_is_read() -> None:
    assert refusal(PLAIN | {"question": "وما لون الدم؟"}).reason == "two fields for one"
    assert said(read(PLAIN | {"question": PLAIN["prompt"]})[1][0]["prompt"]) == ["ما لون البحر؟"]


def test_a_prompt_or_a_text_that_is_the_row_again_is_read_as_that() -> None:
    """As UltraChat and Stanford's Alpaca have them."""
    assert read(CHAT | {"prompt": "ما لون البحر؟", "prompt_id": "x"}) == read(CHAT)
    assert refusal(CHAT | {"prompt": "ما لون الدم؟"}).reason == "different prompts"
    rendered = "### Instruction:\nما لون البحر؟\n\n### Response:\nأزرق."
    for record in (CHAT, ALPACA):
        assert read(record | {"text": rendered}) == read(record)
        assert refusal(record | {"text": "ملاحظة لا صلة لها"}).reason == "unread field: text"


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "record", [CHAT, SHAREGPT, ALPACA, PLAIN, {"prompt": "ما لون البحر؟", "response": "أزرق."}], ids=lambda r: detect(r)
)
@pytest.mark.parametrize(
    ("label", "value"),
    [({"label": False}, False), ({"kto_tag": "true"}, True), ({"rating": 2}, False), ({"score": 4.5}, True)],
)
def test_a_judged_answer_is_no_answer_to_imitate(record: dict[str, Any], label: dict[str, Any], value: bool) -> None:
    kind, (row,) = read(record | label, threshold=3.0)
    assert (kind, row["label"], said(row["completion"])) == ("unpaired", value, ["أزرق."])


def test_a_label_that_is_no_judgement_is_refused_with_the_way_to_leave_it_out() -> None:
    found = refusal(CHAT | {"label": "geography"})
    assert found.reason == "label not boolean" and "put 'label' into the source's ignore" in str(found)


def test_an_answer_that_is_labelled_bad_is_not_trained_by_naming_the_layout() -> None:
    with pytest.raises(Refusal, match="would train its answer"):
        convert(PLAIN | {"label": False}, "prompt-completion", SOURCE)


def test_llama_factorys_preference_layout_is_read() -> None:
    record = {"conversations": SHAREGPT["conversations"][:1], "system": "أجب بإيجاز."}
    record |= {"chosen": {"from": "gpt", "value": "أزرق."}, "rejected": {"from": "gpt", "value": "أحمر."}}
    kind, (row,) = read(record)
    assert (kind, said(row["prompt"])) == ("pairs", ["أجب بإيجاز.", "ما لون البحر؟"])
    assert (said(row["chosen"]), said(row["rejected"])) == (["أزرق."], ["أحمر."])


def test_dialogues_written_as_one_text_are_read() -> None:
    """The layout of Anthropic's HH data."""
    before = "\n\nHuman: مرحبا\n\nAssistant: أهلا\n\nHuman: ما لون البحر؟\n\nAssistant: "
    kind, (row,) = read({"chosen": before + "أزرق.", "rejected": before + "أحمر."})
    assert (kind, said(row["prompt"])) == ("pairs", ["مرحبا", "أهلا", "ما لون البحر؟"])
    assert (said(row["chosen"]), said(row["rejected"])) == (["أزرق."], ["أحمر."])


# ---------------------------------------------------------------- fields of a turn


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tool_calls", [{"type": "function"}]),
        ("function_call", {"name": "weather"}),
        ("images", ["a.png"]),
        ("name", "سعاد"),
        ("tool_call_id", "call-1"),
        ("refusal", "لا أستطيع"),
    ],
)
def test_a_field_of_a_turn_that_nobody_reads_refuses_the_row(field: str, value: Any) -> None:
    found = refusal({"messages": [ASKED, ANSWERED | {field: value}]})
    assert found.reason == f"unread field of a turn: {field}"
    assert f"'messages[1].{field}'" in str(found) and "into the source's ignore" in str(found)
    assert read({"messages": [ASKED, ANSWERED | {field: value}]}, ignore=(field,)) == read(CHAT)
    assert read({"messages": [ASKED, ANSWERED | {field: None, "timestamp": 5}]}) == read(CHAT)


@pytest.mark.parametrize("mark", [{"weight": 0}, {"weight": 0.0}, {"train": False}, {"loss": "false"}])
def test_a_turn_that_is_marked_is_context_and_not_trained(mark: dict[str, Any]) -> None:
    more = [{"role": "user", "content": "وما لون الدم؟"}, {"role": "assistant", "content": "أخضر."} | mark]
    for turns in ("all", "last"):
        (row,) = read({"messages": [ASKED, ANSWERED, *more]}, turns=turns)[1]
        assert (said(row["prompt"]), said(row["completion"])) == (["ما لون البحر؟"], ["أزرق."])
    last = read({"messages": [ASKED, ANSWERED | mark, more[0], ANSWERED]})[1]
    assert [said(row["prompt"]) for row in last] == [["ما لون البحر؟", "أزرق.", "وما لون الدم؟"]]
    assert all(set(turn) == {"role", "content"} for row in last for turn in row["prompt"])
    with pytest.raises(LeftOut, match="every answer is marked"):
        read({"messages": [ASKED, ANSWERED | mark]})
    for labelled in ({"label": True}, {"rating": 1}):
        assert refusal({"messages": [ASKED, ANSWERED | mark]} | labelled).reason == "no answer to train"
    pair = {"chosen": [ASKED, ANSWERED | mark], "rejected": [ASKED, {"role": "assistant", "content": "أحمر."}]}
    assert refusal(pair).reason == "no answer to train"


def test_a_mark_that_is_neither_yes_nor_no_is_refused() -> None:
    assert refusal({"messages": [ASKED, ANSWERED | {"weight": 0.5}]}).reason == "weight that is no mark"
    assert refusal({"messages": [ASKED | {"train": True}, ANSWERED]}).reason == "turn to be trained"
    assert read({"messages": [ASKED | {"weight": 1, "train": False}, ANSWERED | {"weight": 1}]}) == read(CHAT)


# ---------------------------------------------------------------- reasoning

THOUGHT = "اللون من طول الموجة."
REASONED: dict[str, dict[str, Any]] = {
    "field of a turn": {"messages": [ASKED, ANSWERED | {"reasoning_content": THOUGHT}]},
    "another name": {"messages": [ASKED, ANSWERED | {"thinking": THOUGHT}]},
    "think block": {"messages": [ASKED, {"role": "assistant", "content": f"<think>\n{THOUGHT}\n</think>\n\nأزرق."}]},
    "part": {
        "messages": [
            ASKED,
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": "أزرق."}],
            },
        ]
    },
    "closing tag alone": {"messages": [ASKED, {"role": "assistant", "content": f"{THOUGHT}\n</think>\n\nأزرق."}]},
    "block in a text": ALPACA | {"output": f"<think>{THOUGHT}</think>أزرق."},
    "other tags": ALPACA | {"output": f"<reasoning>{THOUGHT}</reasoning>\nأزرق."},
    "column": PLAIN | {"reasoning": THOUGHT},
    "pair": PAIR | {"chosen": f"<think>{THOUGHT}</think>أزرق."},
}


@pytest.mark.parametrize("record", REASONED.values(), ids=REASONED)
def test_reasoning_is_refused_or_removed_and_counted(record: dict[str, Any]) -> None:
    found = refusal(record)
    assert found.reason == "reasoning" and "set the source's reasoning: remove" in str(found)
    converted = convert(record, detect(record), replace(SOURCE, reasoning="remove"))
    row = converted.rows[0]
    assert said(row.get("completion") or row["chosen"]) == ["أزرق."]
    assert converted.reasoning_removed == 1 and "flags" not in row


@pytest.mark.parametrize("empty", ["<think></think>", "<think>\n\n</think>\n\n", " <think> </think>", "</think>\n"])
def test_an_empty_think_block_goes(empty: str) -> None:
    assert read({"messages": [ASKED, {"role": "assistant", "content": f"{empty}أزرق."}]}) == read(CHAT)
    assert read(PLAIN | {"completion": f"{empty}أزرق."}) == read(PLAIN)


@pytest.mark.parametrize("answer", ["<think>بلا نهاية", "أزرق <think> أو أحمر", "< think>أزرق", "<think>أ</think>"])
@pytest.mark.parametrize("reasoning", ["refuse", "remove"])
def test_a_think_tag_is_never_trained(answer: str, reasoning: str) -> None:
    assert refusal(PLAIN | {"completion": answer}, reasoning=reasoning).reason in (
        "think tag",
        "reasoning",
        "empty turn",
    )


# ---------------------------------------------------------------- conversations

TURNS = [
    *({"role": "system", "content": "أجب بإيجاز."}, ASKED, ANSWERED),
    *({"role": "user", "content": "وما لون الدم؟"}, {"role": "assistant", "content": "أحمر."}),
    *({"role": "user", "content": "شكراً"}, {"role": "assistant", "content": "العفو."}),
]


def test_every_answer_is_trained_once_behind_everything_before_it() -> None:
    converted = convert({"messages": TURNS}, "messages", SOURCE)
    assert [row["completion"] for row in converted.rows] == [[TURNS[place]] for place in (2, 4, 6)]
    assert [row["prompt"] for row in converted.rows] == [TURNS[:place] for place in (2, 4, 6)]
    assert converted.answers_left_out == 0


def test_the_last_answer_alone_is_trained_where_the_source_says_so_and_the_rest_is_counted() -> None:
    converted = convert({"messages": TURNS}, "messages", replace(SOURCE, turns="last"))
    assert [(row["prompt"], row["completion"]) for row in converted.rows] == [(TURNS[:6], TURNS[6:])]
    assert converted.answers_left_out == 2


def test_of_a_labelled_conversation_the_last_answer_is_judged() -> None:
    converted = convert({"messages": TURNS, "label": False}, "messages", SOURCE)
    assert [(row["prompt"], row["label"]) for row in converted.rows] == [(TURNS[:6], False)]
    assert converted.answers_left_out == 2


def test_answers_of_the_history_are_trained_and_those_of_a_prompt_are_context() -> None:
    """As LLaMA-Factory does with its history, and TRL with prompt and completion."""
    assert [said(row["completion"]) for row in read(ALPACA | {"history": HISTORY})[1]] == [["مسقط."], ["أزرق."]]
    prompt = [{"role": "user", "content": "مرحبا"}, {"role": "assistant", "content": "أهلا"}, ASKED]
    assert [said(row["completion"]) for row in read({"prompt": prompt, "completion": "أزرق."})[1]] == [["أزرق."]]


# ---------------------------------------------------------------- whatever stands in a row

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.floats()
    | st.sampled_from(["", "نص", "A", "<think>", "[{", "nan"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "weight", "text", "label", "stem"]), inner
        )
    ),
    max_leaves=8,
)
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "Human"]) | VALUES, "content": VALUES},
    optional={"weight": VALUES, "tool_calls": VALUES, "reasoning_content": VALUES},
)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_row_is_read_or_refused_and_nothing_else_happens(data: st.DataObject) -> None:
    layout = data.draw(st.sampled_from(sorted(KNOWN)))
    fields = sorted(KNOWN[layout].reads)
    required = [need.split("|")[0] for need in KNOWN[layout].required]
    names = [*required, *data.draw(st.lists(st.sampled_from(fields), max_size=4))]
    record = {name: data.draw(VALUES | st.lists(TURN, max_size=4) | TURN) for name in names}
    for reasoning in ("refuse", "remove"):
        try:
            converted = convert(record, layout, replace(SOURCE, reasoning=reasoning))
        except Refusal as refusal:
            assert refusal.reason and len(str(refusal).splitlines()) == 1
            continue
        for row in converted.rows:
            assert "< think>" not in str([turn for side in ("completion", "chosen") for turn in row.get(side, [])])
            assert "question" in row or [turn["role"] for turn in row["prompt"]][-1] == "user"
