"""The contract of a generated, verifiable row, and the tools that every skill builds its rows with.

A row asks one question in one of several wordings, gives the answer as a sentence or as the bare value, and brings
three wrong answers of the same kind. Wordings come in two sorts: seen ones, and one held out per kind of question,
so that an evaluation can ask in words that training never used.

`level` says how hard the row is: for the drills by the size of what is asked, for countries by how near the wrong
answers are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from stages.arabic.normalise import folded
from stages.core.schema import RawSkillRow, Wrong
from stages.rows.conventions import SHORT_ANSWER

Level = Literal["easy", "hard"]


class SkillRow(RawSkillRow):
    """One line of data/raw/skills/<task>.jsonl, with what made it."""

    generator: str
    version: str


@dataclass(frozen=True)
class Wording:
    """A way to ask and to answer; both are templates over the fields of a row, the completion also over {answer}."""

    name: str
    prompt: str
    completion: str
    held_out: bool = False

    def short(self) -> Wording:
        """The same question with the instruction to answer with the bare value."""
        return replace(self, name=f"{self.name}-short", prompt=f"{self.prompt} {SHORT_ANSWER}", completion="{answer}.")


def wordings(kind: str, completion: str, seen: Mapping[str, str], held_out: str) -> tuple[list[Wording], Wording]:
    """The seen wordings of a kind of question and its held-out one; all of them answer with the same sentence."""
    return (
        [Wording(f"{kind}-{name}", prompt, completion) for name, prompt in seen.items()],
        Wording(f"{kind}-held-out", held_out, completion, held_out=True),
    )


def spread(rng: Random, choices: Sequence[Wording], n: int) -> list[Wording]:
    """`n` wordings in random order, each used equally often to within one."""
    deck = [choices[i % len(choices)] for i in range(n)]
    rng.shuffle(deck)
    return deck


def mixed(rng: Random, kind: tuple[list[Wording], Wording], n: int, short: bool = True) -> list[Wording]:
    """`n` wordings of a drill: a tenth held out, a quarter short (or, without `short`, none), the rest whole."""
    seen, held_out = kind
    unseen, brief = n // 10, n // 4 if short else 0
    deck = [held_out] * unseen + [wording.short() for wording in spread(rng, seen, brief)]
    deck += spread(rng, seen, n - unseen - brief)
    rng.shuffle(deck)
    return deck


def overlap(a: str, b: str) -> bool:
    """Whether one text lies within the other once both are folded, so that containment could not tell them apart."""
    a, b = folded(a), folded(b)
    return a in b or b in a


def words_overlap(a: str, b: str) -> bool:
    """Like `overlap` by whole words, for forms of one word: «سعودي» does not lie within «سعودية»."""
    a, b = f" {folded(a)} ", f" {folded(b)} "
    return a in b or b in a


def same(a: str, b: str) -> bool:
    """Whether two texts are equal once folded."""
    return folded(a) == folded(b)


Alike = Callable[[str, str], bool]


def pick_wrong(answer: str, candidates: Iterable[str], alike: Alike = overlap) -> list[str]:
    """The first three candidates that are `alike` to neither the answer nor one another; fewer if there are no three.

    By default a candidate is alike when one text contains the other.
    """
    picked: list[str] = []
    for candidate in candidates:
        if len(picked) < 3 and not any(alike(candidate, other) for other in (answer, *picked)):
            picked.append(candidate)
    return picked


def gives_away(wording: Wording, fields: Mapping[str, str], answer: str) -> bool:
    """Whether the prompt contains the answer."""
    return folded(answer) in folded(wording.prompt.format(**fields))


def make_row(
    *,
    id: str,
    task: str,
    entities: list[str],
    level: Level,
    wording: Wording,
    fields: Mapping[str, str],
    answer: str,
    wrong: Sequence[str],
    topic: str | None = None,
    alike: Alike = overlap,
) -> SkillRow:
    """Fill the templates; raises ValueError unless there are three usable wrong answers."""
    if pick_wrong(answer, wrong, alike) != list(wrong) or len(wrong) != 3:
        raise ValueError(f"{id}: three wrong answers apart from «{answer}» are needed, found {list(wrong)}")

    def complete(value: str) -> str:
        return wording.completion.format(answer=value, **fields)

    return SkillRow(
        id=id,
        topic=topic or task,
        task=task,
        source="generated",
        license="Apache-2.0",
        generator="stages.authoring.skills",
        version="2",
        entities=entities,
        level=level,
        wording=wording.name,
        held_out_wording=wording.held_out,
        prompt=wording.prompt.format(**fields),
        completion=complete(answer),
        answer=answer,
        wrong=[Wrong(answer=value, completion=complete(value)) for value in wrong],
    )
