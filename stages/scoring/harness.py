"""The prompts of other evaluators, byte for byte, so that our numbers can be checked against theirs.

`lm_eval` is lm-evaluation-harness 0.4 (tasks `arabicmmlu`, `arab_culture` and `arabic_leaderboard_alghafa`), `oall` the
Open Arabic LLM Leaderboard v2 as lighteval's `arabic` tasks write its queries (since 0.13 lighteval puts a blank line
behind their instruction). Both show AlGhafa's options numbered; lm_eval scores their texts, OALL their numbers.
Zero shots, plain text without a chat template. Prompt and continuation are tokenised together and split where the
prompt ends, as both do; lm_eval's `acc` is `correct_raw`, its `acc_norm` and OALL's accuracy are `correct`, per
character. tests/scoring/golden/harness_prompts.json was written by their own functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stages.core.errors import PipelineError
from stages.core.files import Row
from stages.core.schema import ClozeScore, HarnessScore
from stages.rows.reading.multiple_choice import TRUE_FALSE, letter_index, true_or_false
from stages.scoring.multiple_choice import highest, normalised
from stages.scoring.scored_model import ScoredModel, identity

LATIN, ARABIC = "ABCDE", ("أ", "ب", "ج", "د", "هـ")
CHOOSE = "السؤال التالي هو سؤال متعدد الإختيارات. اختر الإجابة الصحيحة:"
EXAMS = "الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح"
LEVELS = {
    "Primary": "primary school",
    "Middle": "middle school",
    "High": "high school",
    "Univ": "university",
    "Prof": "professional",
}
PLACES = {
    "Egypt": "مصر",
    "Morocco": "المغرب",
    "Algeria": "الجزائر",
    "Libya": "ليبيا",
    "Sudan": "السودان",
    "Tunisia": "تونس",
    "Jordan": "الأردن",
    "Lebanon": "لبنان",
    "Syria": "سوريا",
    "Palestine": "فلسطين",
    "Yemen": "اليمن",
    "UAE": "الإمارات",
    "KSA": "السعودية",
    "Gulf": "الخليج",
    "Levant": "الشام",
    "North Africa": "شمال أفريقيا",
    "Nile Valley": "وادي النيل",
}


@dataclass(frozen=True)
class Item:
    """A prompt, what may follow it (the delimiter of the harness included), and the index of what should."""

    prompt: str
    continuations: list[str]
    answer: int


def render(prompts: str, layout: str, record: Row) -> Item:
    """One record of a benchmark as the evaluator ``prompts`` shows it; PipelineError for what it does not have."""
    known = PROMPTS[prompts]
    if layout not in known:
        raise PipelineError(f"{prompts} has no prompt for the layout {layout}: it knows {', '.join(known)}; use ours")
    try:
        return known[layout](record)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise PipelineError(f"not a record of {layout} ({type(error).__name__} {error}): mend or remove it") from None


def harness_rows(subject: ScoredModel, rows: Sequence[Row], kind: str) -> list[HarnessScore]:
    """One score row an item; ``rows`` hold ``id``, ``set``, ``subject``, ``level`` and ``item``."""
    items: list[Item] = [row["item"] for row in rows]
    encoded = [split_ids(subject.tokenizer, item) for item in items]
    nats = subject.choices([ids for ids, _ in encoded], [ends for _, ends in encoded], "harness prompts")
    return [
        {
            **identity(kind, row),
            "answer": item.answer,
            "subject": row["subject"],
            "level": row["level"],
            **_scores(item, values),
        }
        for row, item, values in zip(rows, items, nats, strict=True)
    ]


def split_ids(tokenizer: Any, item: Item) -> tuple[list[int], list[list[int]]]:
    """Token ids of the prompt and of each continuation, tokenised as one text and split at the prompt's length.

    White space that ends the prompt belongs to the continuation. Raises PipelineError where the prompt's own tokens
    depend on what follows, which would leave each continuation another prompt.
    """
    bare = item.prompt.rstrip()
    prompt = list(tokenizer(bare)["input_ids"])
    wholes = [list(tokenizer(bare + item.prompt[len(bare) :] + end)["input_ids"]) for end in item.continuations]
    if any(whole[: len(prompt)] != prompt for whole in wholes):
        raise PipelineError("a prompt's tokens depend on what follows: this base cannot be scored as the harness does")
    return prompt, [whole[len(prompt) :] for whole in wholes]


def _scores(item: Item, nats: list[float]) -> ClozeScore:
    texts = [text.removeprefix(" ") for text in item.continuations]
    found = {unit: highest(normalised(nats, texts, unit)) for unit in ("raw", "character", "byte")}
    return {
        "predicted": found["character"],
        "correct": found["character"] == item.answer,
        "choice_logprobs": normalised(nats, texts, "character"),
        "choice_nats": nats,
        "correct_raw": found["raw"] == item.answer,
        "correct_byte": found["byte"] == item.answer,
    }


# ---------------------------------------------------------------- lm-evaluation-harness


def _lm_eval_arabicmmlu(record: Row) -> Item:
    options = [record[f"Option {number}"] for number in range(1, 6)]
    there = next((place for place, option in enumerate(options) if not option), 5)
    level = f" for {LEVELS[record['Level']]}" if record["Level"] else ""
    country = f" in {record['Country']}" if record["Country"] else ""
    asked = f"{record['Context']}\n\n{record['Question']}" if record["Context"] else record["Question"]
    lines = [f"{letter}. {option}" for letter, option in zip(LATIN, options[:there], strict=False)]
    head = f"This is a {record['Subject']} question{level}{country}. Select the correct answer!"
    prompt = "\n".join([f"{head}\n\nQuestion: {asked}", *lines]) + "\n\nAnswer:"
    letters = [letter for letter, option in zip(LATIN, options, strict=True) if option]
    return Item(prompt, [f" {letter}" for letter in letters], letters.index(record["Answer Key"]))


def _lm_eval_arabculture(record: Row) -> Item:
    keys, texts = record["options"]["arabic_keys"], record["options"]["text"]
    lines = "".join(f"{keys[place]}. {texts[place].strip()}\n" for place in range(3))
    prompt = (
        "\nمهمتك هي اختيار الخيار الأنسب ثقافياً بناءً على السياق المقدم أدناه.\n\n"
        f"الموقع: {PLACES[record['country']]}, {PLACES[record['region']]}\n"
        f"الجملة: {record['first_statement'].strip()}\n\n"
        "يرجى مراعاة الفروق الثقافية للموقع المحدد واختيار الإجابة الأكثر ملاءمة من الخيارات المتاحة.\n\n"
        f"الخيارات:\n{lines}\n"
    )
    return Item(prompt, list(keys), keys.index(record["answer_key"]["arabic_answer_key"].strip()))


def _lm_eval_alghafa(record: Row) -> Item:
    prompt, options, answer = _alghafa(record)
    return Item(prompt, [" " + option for option in options], answer)


def _alghafa(record: Row) -> tuple[str, list[str], int]:
    """The prompt, which both harnesses write alike, the options, and the index of the right one."""
    options: list[Any] = [record.get(f"sol{number}") for number in range(1, 6)]
    while options and options[-1] in (None, ""):
        options.pop()  # the harnesses' own subsets lack these columns, and a table of several pads them
    if len(options) < 2 or not all(options):
        raise ValueError("an option is empty")
    lines = "".join(f"{index}) {option}\n" for index, option in enumerate(options))
    answer = range(len(options)).index(int(record["label"]))
    return f"{EXAMS}\n\nالسؤال: {record['query']}\n{lines}الإجابة:", options, answer


# ---------------------------------------------------------------- Open Arabic LLM Leaderboard v2


def _oall_arabicmmlu(record: Row) -> Item:
    options = [record.get(f"Option {number}") for number in range(1, 6)]
    there = [place for place, option in enumerate(options) if option]
    lines = "".join(f"{ARABIC[place]}. {options[place]}\n" for place in there)
    answer = there.index(LATIN.index(record["Answer Key"]))
    return Item(f"{CHOOSE}\n\n{record['Question']}\n{lines}الإجابة:", [ARABIC[place] for place in there], answer)


def _oall_exams(record: Row) -> Item:
    topic = record["subject"].replace("_", " ")
    head = (
        f"الأسئلة التالية هي أسئلة متعددة الإختيارات مع الجواب الصحيح حول {topic}. \n\nالسؤال: {record['question']}\n"
    )
    lines = "\n".join(f" {ARABIC[place]}) {record[letter]}\n" for place, letter in enumerate("ABCD"))
    return Item(f"{head}{lines}\nالإجابة:", list(ARABIC[:4]), LATIN.index(record["answer"]))


def _oall_acva(record: Row) -> Item:
    answer = true_or_false(record["answer"])
    if answer is None:
        raise ValueError(f"the answer is {record['answer']!r}")
    return Item(f"السؤال: {record['question']}\nالإجابة:", list(TRUE_FALSE), answer)


def _oall_alghafa(record: Row) -> Item:
    prompt, options, answer = _alghafa(record)
    return Item(prompt, [str(index) for index in range(len(options))], answer)


def _oall_aratrust(record: Row) -> Item:
    lines = "".join(f"{record[letter]}\n" for letter in "ABC")
    prompt = f"{CHOOSE} أ، ب أو ج. \n\n{record['Question']}\n{lines}الإجابة:"
    answer = letter_index(record["Answer"])  # some rows write «ا», or «ب» with a space, where lighteval stops
    if answer is None or answer > 2:
        raise ValueError(f"the answer is {record['Answer']!r}")
    return Item(prompt, list(ARABIC[:3]), answer)


PROMPTS: dict[str, dict[str, Callable[[Row], Item]]] = {
    "lm_eval": {
        "arabicmmlu": _lm_eval_arabicmmlu,
        "arabculture": _lm_eval_arabculture,
        "alghafa": _lm_eval_alghafa,
    },
    "oall": {
        "arabicmmlu": _oall_arabicmmlu,
        "exams": _oall_exams,
        "acva": _oall_acva,
        "alghafa": _oall_alghafa,
        "aratrust": _oall_aratrust,
    },
}
