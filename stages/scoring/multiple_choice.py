"""Multiple choice, twice: the option's letter, and the option as a whole answer (cloze), both by log-likelihood.

Small models prefer a position: Qwen3-0.6B was right in 68 % of ArabicMMLU's questions whose answer is A, and in 2 %
where it is B. So the letters are scored under every cyclic rotation of the options and averaged, and what always
answering one letter would score stands beside the accuracy. Of a sum of log-probabilities, its mean per character and
its mean per UTF-8 byte, the sum favours short options; per token would depend on the tokenizer and is not used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stages.bases.tokens import encode, encode_prompt
from stages.core.errors import PipelineError
from stages.core.files import Row
from stages.core.schema import ClozeScore, LetterScore, Messages, PositionReport, QuestionGroups, QuestionScore
from stages.rows.conventions import SHORT_ANSWER, assistant, user
from stages.scoring.scored_model import ScoredModel, identity

LETTERS = ("أ", "ب", "ج", "د", "هـ", "و", "ز", "ح", "ط", "ي")
ASK_LETTER = "أجب بحرف الإجابة الصحيحة."


def question_rows(subject: ScoredModel, rows: Sequence[Row], kind: str) -> list[QuestionScore]:
    """One score row a question; the option's place in the file is its index in every list but ``letter_picks``."""
    if not rows:
        return []
    cloze = cloze_nats(subject, rows)
    letters = letter_nats(subject, rows)
    return [
        {
            **identity(kind, row),
            "subject": row["subject"],
            "level": row["level"],
            "answer": row["answer"],
            **cloze_scores(row, nats),
            **letter_scores(row, by_rotation),
            **_groups(row),
        }
        for row, nats, by_rotation in zip(rows, cloze, letters, strict=True)
    ]


def _groups(row: Row) -> QuestionGroups:
    groups: QuestionGroups = {}
    if "region" in row:
        groups["region"] = row["region"]
    if "dialect" in row:
        groups["dialect"] = row["dialect"]
    return groups


def cloze_nats(subject: ScoredModel, rows: Sequence[Row]) -> list[list[float]]:
    """Nats of each option as a whole answer with a full stop, stop token included."""
    examples = [
        [encode(subject.tokenizer, user(row["question"]), assistant(sentence(choice))) for choice in row["choices"]]
        for row in rows
    ]
    endings = [[example.completion_ids for example in given] for given in examples]
    return subject.choices([given[0].prompt_ids for given in examples], endings, "options")


def cloze_scores(row: Row, nats: Sequence[float]) -> ClozeScore:
    """The option chosen by its sum, per character and per byte; ``correct`` is the one per character."""
    answers = [sentence(choice) for choice in row["choices"]]
    per_character = normalised(nats, answers, "character")
    return {
        "predicted": highest(per_character),
        "correct": highest(per_character) == row["answer"],
        "choice_logprobs": per_character,
        "choice_nats": list(nats),
        "correct_raw": highest(nats) == row["answer"],
        "correct_byte": highest(normalised(nats, answers, "byte")) == row["answer"],
    }


def letter_nats(subject: ScoredModel, rows: Sequence[Row]) -> list[list[list[float]]]:
    """Nats of each letter by question, rotation and position; rotation ``s`` shows option ``s`` first."""
    letters = letter_ids(subject, max(len(row["choices"]) for row in rows))
    prompts = [
        encode_prompt(subject.tokenizer, lettered(row["question"], rotated(row["choices"], shift)))
        for row in rows
        for shift in range(len(row["choices"]))
    ]
    options = [letters[: len(row["choices"])] for row in rows for _ in row["choices"]]
    nats = iter(subject.choices(prompts, options, "letters"))
    return [[next(nats) for _ in row["choices"]] for row in rows]


def letter_ids(subject: ScoredModel, count: int) -> list[list[int]]:
    """Token ids of the first letters as an answer begins with them, without the stop token."""
    if count > len(LETTERS):
        raise PipelineError(f"a question has {count} options: at most {len(LETTERS)} can be lettered, split it")
    prompt = user(ASK_LETTER)
    return [encode(subject.tokenizer, prompt, assistant(letter)).completion_ids[:-1] for letter in LETTERS[:count]]


def lettered(question: str, choices: Sequence[str]) -> Messages:
    """The question with its options on lines of their own; what asks for a short answer gives way to the letter."""
    asked = question.removesuffix(SHORT_ANSWER).rstrip()
    lines = [f"{letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return user("\n".join([asked, *lines, ASK_LETTER]))


def rotated(choices: Sequence[str], shift: int) -> list[str]:
    return [*choices[shift:], *choices[:shift]]


def letter_scores(row: Row, by_rotation: Sequence[Sequence[float]]) -> LetterScore:
    """The option whose letter is the most probable on average over the rotations.

    ``letter_nats`` is that average by option; ``letter_picks`` the position picked under each rotation, in which
    option ``p`` stands at position ``(p - rotation) % options``; ``letters_rotated`` the share of rotations answered
    right. Per character and per byte differ from the sum only where «هـ» is among the letters.
    """
    count, answer = len(row["choices"]), row["answer"]
    mean = {
        unit: _by_option([normalised(nats, LETTERS, unit) for nats in by_rotation])
        for unit in ("raw", "character", "byte")
    }
    picks = [highest(nats) for nats in by_rotation]
    right = [pick == (answer - shift) % count for shift, pick in enumerate(picks)]
    return {
        "letter_nats": mean["raw"],
        "letter_picks": picks,
        "letters_correct": highest(mean["raw"]) == answer,
        "letters_correct_character": highest(mean["character"]) == answer,
        "letters_correct_byte": highest(mean["byte"]) == answer,
        "letters_rotated": sum(right) / count,
    }


def _by_option(by_rotation: Sequence[Sequence[float]]) -> list[float]:
    count = len(by_rotation)
    return [
        sum(values[(option - shift) % count] for shift, values in enumerate(by_rotation)) / count
        for option in range(count)
    ]


def sentence(choice: str) -> str:
    return choice if choice.endswith(".") else choice + "."


def normalised(nats: Sequence[float], texts: Sequence[str], unit: str) -> list[float]:
    """Nats as they are (``raw``), per ``character`` (code point) or per ``byte`` (UTF-8) of their texts."""
    sizes = {
        "raw": [1] * len(texts),
        "character": [len(text) for text in texts],
        "byte": [len(text.encode()) for text in texts],
    }[unit]
    return [value / size for value, size in zip(nats, sizes, strict=False)]


def highest(values: Sequence[float]) -> int:
    """The first of the highest values."""
    return max(range(len(values)), key=values.__getitem__)


def position_report(rows: Sequence[Row]) -> PositionReport:
    """What the accuracies have to be held against: baselines, and accuracy and picks by position.

    A constant answerer has a ``letters_picked_share`` of 1 at one position and is right in exactly its share of the
    rotations (``letters_rotated``), which is chance.
    Lists go by position, null where no right answer stands; seeds are averaged.
    """
    positions = range(max(len(row["choice_nats"]) for row in rows))
    gold = Counter(row["answer"] for row in rows)
    constant = [gold[position] / len(rows) for position in positions]
    report: PositionReport = {
        "chance": sum(1 / len(row["choice_nats"]) for row in rows) / len(rows),
        "constant_answer_accuracy": constant,
        "majority_accuracy": max(constant),
        "cloze_accuracy_by_gold_position": _accuracy_by(
            positions, [(row["answer"], bool(row["correct"])) for row in rows]
        ),
        "cloze_picked_share": _shares(positions, [row["predicted"] for row in rows]),
    }
    if all("letter_picks" in row for row in rows):
        turned = [
            ((row["answer"] - shift) % len(row["letter_picks"]), pick)
            for row in rows
            for shift, pick in enumerate(row["letter_picks"])
        ]
        hits = [(place, pick == place) for place, pick in turned]
        report["letters_accuracy_by_gold_position"] = _accuracy_by(positions, hits)
        report["letters_picked_share"] = _shares(positions, [pick for _, pick in turned])
    return report


def _accuracy_by(positions: range, hits: Sequence[tuple[int, bool]]) -> list[float | None]:
    found = [[hit for place, hit in hits if place == position] for position in positions]
    return [sum(group) / len(group) if group else None for group in found]


def _shares(positions: range, picks: Sequence[int]) -> list[float]:
    counts = Counter(picks)
    return [counts[position] / len(picks) for position in positions]
