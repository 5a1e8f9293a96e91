"""Layouts of answers and of feedback on them: prompts with one answer, whole conversations, and pairs of answers.

What stands beside the prompt is read in every one of them: a system text, the turns before it, the text to work on,
and a label or rating of the answer.
"""

from __future__ import annotations

from typing import Any

from stages.core.schema import Answered, Labelled, Messages, PairFields
from stages.rows.reading.turns import (
    SYSTEM_COLUMNS,
    Reading,
    Turn,
    check_reasoning,
    conversation,
    dialogue_turns,
    history_of,
    is_text,
    ordered,
    plain,
    turns_of,
    with_system,
    without_reasoning,
)
from stages.rows.reading.values import (
    LeftOut,
    Record,
    Refusal,
    first_text,
    nothing,
    number_of,
    shown,
    text_of,
    the_one,
    wrong_type,
)

PROMPTS = ("prompt", "instruction", "question", "query", "inputs")
ANSWERS = ("completion", "response", "output", "answer", "targets")
CONVERSATIONS = ("messages", "conversations", "conversation")
CONTEXTS = ("context", "passage", "paragraph", "document")  # a text that the question is about
FLAGS, RATINGS = ("label", "kto_tag"), ("rating", "score")
LABELS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
SIDES = ("chosen", "rejected")
FRAME = {*SYSTEM_COLUMNS, "history", "input", *CONTEXTS}
RENDERED = "text"  # the whole row again, as a template writes it
READ_BY_ANSWERS = {*PROMPTS, *ANSWERS, *FRAME, *FLAGS, *RATINGS, RENDERED}
READ_BY_CONVERSATIONS = {*CONVERSATIONS, *SYSTEM_COLUMNS, *PROMPTS, *FLAGS, *RATINGS, RENDERED}
READ_BY_PAIRS = {*SIDES, *PROMPTS, *FRAME, *CONVERSATIONS, "axis"}

Judged = tuple[str, list[Answered] | list[Labelled]]  # the kind, and one row for each answer that is trained


# ---------------------------------------------------------------- prompts and answers


def prompt_of(record: Record, field: str, reading: Reading) -> list[Turn]:
    """The prompt with all that stands beside it: a text, or turns that end with the user's."""
    value, turns = record[field], history_of(record, reading)
    if is_text(value):
        turns.append({"role": "user", "content": _asked(record, text_of(value, field), field)})
    else:
        given = turns_of(value, field, reading, "a text or a list of turns")
        if beside := [name for name in ("input", *CONTEXTS) if name != field and not nothing(record.get(name))]:
            raise Refusal(
                "text beside turns",
                f"field {beside[0]!r} stands beside a prompt of turns: write it into the turn that it belongs to",
            )
        for turn in given:
            if turn["role"] == "assistant":
                turn["train"] = False  # a prompt is context, as in TRL
        system = given[:1] if given[0]["role"] == "system" else []
        turns = [*system, *turns, *given[len(system) :]]
    if len(turns) > 1 or turns[0]["role"] != "user":
        ordered(turns, field)
    if turns[-1]["role"] != "user":
        raise Refusal("roles out of order", f"field {field!r} must end with the user's turn: the roles look swapped")
    return with_system(record, turns, field)


def _asked(record: Record, text: str, field: str) -> str:
    """The question with its passage before it, or the instruction with the text to work on behind it."""
    context = the_one(record, CONTEXTS)
    if context:
        passage = text_of(record[context], context)
        text = f"{passage}\n\n{text}" if field in ("question", "query") else f"{text}\n\n{passage}"
    more = record.get("input") if field != "input" else None
    if nothing(more):
        return text
    if not isinstance(more, str):
        raise wrong_type("input", "a text or nothing", more)
    return f"{text}\n\n{more.strip()}"


def answer_of(value: Any, field: str, reading: Reading) -> Turn:
    """An answer that is a text, or exactly one assistant's turn."""
    if is_text(value):
        return {"role": "assistant", "content": without_reasoning(text_of(value, field), field, reading)}
    turns = turns_of(value, field, reading, "a text or a list of turns")
    if [turn["role"] for turn in turns] != ["assistant"]:
        found = ", ".join(turn["role"] for turn in turns)
        raise Refusal(
            "no assistant answer" if "assistant" not in found else "roles out of order",
            f"field {field!r} must be exactly one assistant's turn, found {found}: put the rest into the prompt",
        )
    return turns[0]


def _prompt_column(record: Record) -> str:
    """The column of the prompt; `input` holds it where no other does."""
    found = the_one(record, PROMPTS)
    return found or next((name for name in (*PROMPTS, "input") if name in record), "")


def _answered_turns(record: Record, reading: Reading) -> tuple[list[Turn], str]:
    """The prompt's turns with the answer behind them, and the answer's column."""
    asked = _prompt_column(record)
    answered = the_one(record, ANSWERS) or next(name for name in ANSWERS if name in record)
    check_reasoning(record, "", reading)
    turns = [*prompt_of(record, asked, reading), answer_of(record[answered], answered, reading)]
    if RENDERED in record:
        _check_rendered(record, record.get("input"), record[asked], record[answered])
    return turns, answered


def _check_rendered(record: Record, *parts: Any) -> None:
    """Refuse a field `text` that is not the row again."""
    text = record[RENDERED]
    if nothing(text):
        return
    said = [part for part in parts if not nothing(part)]
    if not isinstance(text, str) or any(not isinstance(part, str) or part.strip() not in text for part in said):
        raise Refusal(
            "unread field: text",
            f"field 'text' would be lost ({shown(text)}), for it is not the row again as a template writes it: say "
            "what it is in the source's columns, or put 'text' into the source's ignore",
        )


# ---------------------------------------------------------------- what is trained of a conversation


def label_of(record: Record, reading: Reading) -> bool | None:
    """The judgement of the answer: true or false, or a rating held against the source's threshold; none without."""
    if flag := the_one(record, FLAGS):
        return _flag(record[flag], flag)
    if rating := the_one(record, RATINGS):
        return number_of(record[rating], rating) >= reading.source.threshold
    return None


def _flag(value: Any, field: str) -> bool:
    text = str(value).strip().lower()
    if text not in LABELS:
        raise Refusal(
            "label not boolean",
            f"field {field!r} must be true or false (or 1 or 0), found {shown(value)}: fix it, or put {field!r} into "
            "the source's ignore if it is no judgement of the answer",
        )
    return LABELS[text]


def _labelled(turns: list[Turn], label: bool, reading: Reading, field: str) -> Judged:
    """The last answer with its label; the answers before it are context."""
    if turns[-1].get("train") is False:
        raise Refusal(
            "no answer to train", f"field {field!r}: the answer that is labelled is marked as not to be trained"
        )
    reading.untrained += sum(turn["role"] == "assistant" and turn.get("train", True) for turn in turns[:-1])
    said = plain(turns)
    row: Labelled = {"prompt": said[:-1], "completion": said[-1:], "label": label}
    return "unpaired", [row]


def _trained(turns: list[Turn], reading: Reading, field: str) -> Judged:
    """One row for each answer that is trained, whose prompt is everything before it; or one for the last."""
    places = [
        place for place, turn in enumerate(turns) if turn["role"] == "assistant" and turn.get("train") is not False
    ]
    if not places:
        raise LeftOut("no answer to train", f"field {field!r}: every answer is marked as not to be trained")
    if reading.source.turns == "last":
        reading.untrained += len(places) - 1
        places = places[-1:]
    said = plain(turns)
    rows: list[Answered] = [{"prompt": said[:place], "completion": said[place : place + 1]} for place in places]
    return "sft", rows


def _judged(record: Record, turns: list[Turn], reading: Reading, field: str) -> Judged:
    label = label_of(record, reading)
    return _trained(turns, reading, field) if label is None else _labelled(turns, label, reading, field)


# ---------------------------------------------------------------- layouts of one answer


def read_answered(record: Record, reading: Reading) -> Judged:
    """A prompt and its answer, under any of their usual names, labelled or not."""
    turns, field = _answered_turns(record, reading)
    return _judged(record, turns, reading, field)


def read_prompt_completion(record: Record, reading: Reading) -> Judged:
    """The same as an answer to imitate; one that is labelled bad is refused."""
    turns, field = _answered_turns(record, reading)
    if label_of(record, reading) is False:
        raise Refusal(
            "bad answer to imitate",
            "the row is labelled false, or rated below the threshold, and the layout 'prompt-completion' would train "
            "its answer: give each kind of row a file of its own, or set the source's layout to binary or rated",
        )
    return _trained(turns, reading, field)


def read_binary(record: Record, reading: Reading) -> Judged:
    turns, field = _answered_turns(record, reading)
    flag = the_one(record, FLAGS) or next(name for name in FLAGS if name in record)
    return _labelled(turns, _flag(record[flag], flag), reading, field)


def read_rated(record: Record, reading: Reading) -> Judged:
    turns, field = _answered_turns(record, reading)
    rating = the_one(record, RATINGS) or next(name for name in RATINGS if name in record)
    return _labelled(turns, number_of(record[rating], rating) >= reading.source.threshold, reading, field)


def read_messages(record: Record, reading: Reading) -> Judged:
    """A whole conversation, labelled or not."""
    field = the_one(record, CONVERSATIONS) or next(name for name in CONVERSATIONS if name in record)
    check_reasoning(record, "", reading)
    turns = with_system(record, turns_of(record[field], field, reading), field)
    if asked := the_one(record, PROMPTS):  # UltraChat's first turn again
        prompt = text_of(record[asked], asked)
        if all(turn["content"] != prompt for turn in turns):
            raise Refusal("different prompts", f"field {asked!r} is no turn of {field!r}: fix the row")
    if RENDERED in record:
        _check_rendered(record, *(turn["content"] for turn in turns))
    return _judged(record, conversation(turns, field), reading, field)


def read_squad(record: Record, reading: Reading) -> Judged:
    """A passage and a question about it as the prompt, the first answer as what is trained."""
    answers = record["answers"]
    texts = answers.get("text") if isinstance(answers, dict) else answers
    if nothing(texts) or str(record.get("is_impossible")).lower() == "true":
        raise LeftOut("no answer in the passage", "the passage does not answer the question")
    if not isinstance(texts, list):
        raise wrong_type("answers", "a list of answers", answers)
    first = texts[0].get("text") if isinstance(texts[0], dict) else texts[0]
    turns = prompt_of(record, "question", reading)
    turns.append({"role": "assistant", "content": text_of(first, "answers")})
    return _trained(turns, reading, "answers")


# ---------------------------------------------------------------- pairs


def read_pairs(record: Record, reading: Reading) -> PairFields:
    """Answers with their prompt beside them, or two whole conversations that share all but the last turn."""
    check_reasoning(record, "", reading)
    field = the_one(record, PROMPTS) or ("input" if not nothing(record.get("input")) else "")
    beside = the_one(record, CONVERSATIONS)
    sides = [_whole_conversation(record[side], side, reading, alone=not field and not beside) for side in SIDES]
    if all(sides):
        prompt, chosen, rejected = _shared_prompt(
            *(conversation(turns, side) for turns, side in zip(sides, SIDES, strict=True))
        )
        prompt = with_system(record, prompt, "chosen")
        _check_beside(prompt, chosen, record, field, beside, reading)
    elif field or beside:
        prompt = prompt_of(record, field, reading) if field else _prompt_turns(record, beside, reading)
        chosen, rejected = (answer_of(record[side], side, reading) for side in SIDES)
        if field and beside:
            _check_beside(prompt, chosen, record, "", beside, reading)
    else:
        raise Refusal(
            "missing column",
            f"chosen and rejected hold no prompt: add it to both, or a field {' or '.join(PROMPTS)}",
        )
    if unwanted := [side for side, turn in zip(SIDES, (chosen, rejected), strict=True) if turn.get("train") is False]:
        raise Refusal("no answer to train", f"field {unwanted[0]!r} is marked as not to be trained: remove the row")
    return {
        "prompt": plain(prompt),
        "chosen": plain([chosen]),
        "rejected": plain([rejected]),
        "axis": first_text(record, ("axis",)) or "own",
    }


def _whole_conversation(value: Any, field: str, reading: Reading, *, alone: bool) -> list[Turn]:
    """The turns of a side that holds its prompt too; none where it is an answer. A side alone must hold turns."""
    if is_text(value):
        if not alone:
            return []
        value = dialogue_turns(value) or value
    turns = turns_of(value, field, reading)
    return turns if len(turns) > 1 else []


def _shared_prompt(chosen: list[Turn], rejected: list[Turn]) -> tuple[list[Turn], Turn, Turn]:
    if plain(chosen[:-1]) != plain(rejected[:-1]):
        raise Refusal(
            "different prompts", "chosen and rejected differ before their last turn: make them share the prompt"
        )
    return chosen[:-1], chosen[-1], rejected[-1]


def _prompt_turns(record: Record, field: str, reading: Reading) -> list[Turn]:
    """The prompt of LLaMA-Factory's preference layout: a conversation that waits for its answer."""
    if spare := [name for name in ("input", "history", *CONTEXTS) if not nothing(record.get(name))]:
        raise Refusal("text beside turns", f"field {spare[0]!r} stands beside {field!r}: write it into its turns")
    turns = with_system(record, turns_of(record[field], field, reading), field)
    if ordered(turns, field)[-1]["role"] != "user":
        raise Refusal("roles out of order", f"field {field!r} must end with the user's turn: the roles look swapped")
    return turns


def _check_beside(prompt: list[Turn], chosen: Turn, record: Record, field: str, beside: str, reading: Reading) -> None:
    """What stands beside whole conversations must be turns of their prompt, or the chosen conversation itself."""
    said = plain(prompt)
    if beside:
        given: Messages = plain(turns_of(record[beside], beside, reading))
        if any(turn not in [*said, *plain([chosen])] for turn in given):
            raise Refusal(
                "different prompts", f"field {beside!r} is not the conversation of chosen and rejected: fix the row"
            )
    if field and any(turn not in said for turn in plain(prompt_of(record, field, reading))):
        raise Refusal("different prompts", f"field {field!r} is not the prompt of chosen and rejected: mend the row")
