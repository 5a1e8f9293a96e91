"""Orders the licences of rows and bases, and says under which one a model that learned from them may be passed on.

The order is by what a licence asks of others: nothing, its text, a name, the same licence, no change, no commerce. What
is written in other words is unknown, and an unknown licence is the strictest. This is bookkeeping, not legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

OURS = "Apache-2.0"


class Strictness(IntEnum):
    """What a licence asks, from the least to the most."""

    PUBLIC_DOMAIN = 0
    PERMISSIVE = 1
    ATTRIBUTION = 2
    SHARE_ALIKE = 3
    NO_DERIVATIVES = 4
    NON_COMMERCIAL = 5
    UNKNOWN = 6  # research only, gated terms, or words that no list has


@dataclass(frozen=True)
class Licence:
    """One licence; ``name`` is its SPDX identifier, or the text as it was written."""

    name: str
    strictness: Strictness
    shares_alike: bool = False


@dataclass(frozen=True)
class Verdict:
    """The licence of a card: ``identifier`` as the hub spells it, or "other" and the ``name`` of all that apply."""

    identifier: str
    name: str
    strictness: Strictness

    @property
    def is_ours(self) -> bool:
        """Whether the model may go out under this project's own licence."""
        return self.identifier == OURS.lower()


_CREATIVE = re.compile(r"\bcc[ -]?by\b|creative[ -]?commons(?! zero)")
_TERMS = {"nc": r"\bnc\b|non[ -]?commercial", "nd": r"\bnd\b|no[ -]?deriv", "sa": r"\bsa\b|share[ -]?alike"}
_VERSION = re.compile(r"\bv?([1-4])(?:\.([0-9]))?\b")
# The first that fits: a pattern of small letters, the SPDX identifier, what it asks.
_NAMED = (
    (r"cc[ -]?0|(?:cc|commons)[ -]zero|public[ -]?domain|pddl|unlicense|wtfpl", "CC0-1.0", Strictness.PUBLIC_DOMAIN),
    (r"apache|^asl", "Apache-2.0", Strictness.PERMISSIVE),
    (r"\bmit\b", "MIT", Strictness.PERMISSIVE),
    (r"bsd[ -]?2", "BSD-2-Clause", Strictness.PERMISSIVE),
    (r"\bbsd\b", "BSD-3-Clause", Strictness.PERMISSIVE),
    (r"unicode", "Unicode-3.0", Strictness.PERMISSIVE),
    (r"\bisc\b", "ISC", Strictness.PERMISSIVE),
    (r"odc[ -]?by", "ODC-By-1.0", Strictness.ATTRIBUTION),
    (r"odbl", "ODbL-1.0", Strictness.SHARE_ALIKE),
    (r"\bagpl", "AGPL-3.0-only", Strictness.SHARE_ALIKE),
    (r"\blgpl", "LGPL-3.0-only", Strictness.SHARE_ALIKE),
    (r"\bgpl[ -]?v?2", "GPL-2.0-only", Strictness.SHARE_ALIKE),
    (r"\bgpl|gnu general", "GPL-3.0-only", Strictness.SHARE_ALIKE),
    (r"\bgfdl|gnu free doc", "GFDL-1.3-only", Strictness.SHARE_ALIKE),
)
# Whatever a text names beside these words, they bind.
_RESTRICTED = re.compile(
    r"research|academic|educational|gated|proprietary|all rights|unclear|unknown|private|only\b(?<!gpl-\d\.\d-only)"
)
_NON_COMMERCIAL = re.compile(_TERMS["nc"])
_AND, _OR = re.compile(r"\s+and\s+|\s*[;,+&/]\s*", re.IGNORECASE), re.compile(r"\s+or\s+", re.IGNORECASE)

# Of bases on the hub, by the beginning of their names, the first that fits.
_BASES = (
    ("Qwen/Qwen2.5-3B", "Qwen research licence"),
    ("Qwen/Qwen", OURS),
    ("HuggingFaceTB/SmolLM", OURS),
    ("allenai/OLMo", OURS),
    ("EleutherAI/pythia", OURS),
    ("mistralai/Mistral-7B", OURS),
    ("microsoft/phi", "MIT"),
    ("microsoft/Phi", "MIT"),
)


def read_licence(text: str) -> list[Licence]:
    """The licences that a text names, all of which apply; of alternatives the least strict.

    A text that names none is one licence of unknown terms.
    """
    stated = " ".join(text.split())
    if not stated:
        return [Licence("no licence", Strictness.UNKNOWN)]
    if _RESTRICTED.search(stated.lower()):
        return [Licence(stated, Strictness.UNKNOWN)]
    either = _OR.split(stated)
    if len(either) > 1:
        return min((read_licence(one) for one in either), key=lambda found: strictest(found).strictness)
    parts = [part for part in _AND.split(stated) if part]
    if len(parts) > 1:
        found = {one for part in parts for one in read_licence(part)}
        return sorted(found, key=lambda one: (one.strictness, one.name))
    return [_named(stated)]


def strictest(licences: Iterable[Licence]) -> Licence:
    return max(licences, key=lambda one: (one.strictness, one.shares_alike, one.name))


def verdict(texts: Iterable[str]) -> Verdict:
    """Under which licence a model may go out that learned from rows, and stands on a base, of these licences.

    The strictest, where it asks for all that the others ask. Otherwise the card says "other" and names them: no one
    licence is both CC-BY-NC-4.0 and CC-BY-SA-4.0.
    """
    licences = {one for text in texts for one in read_licence(text)}
    bound = strictest(licences) if licences else Licence(OURS, Strictness.PERMISSIVE)
    if bound.strictness <= Strictness.PERMISSIVE:
        return Verdict(OURS.lower(), OURS, bound.strictness)
    least = min(bound.strictness, Strictness.SHARE_ALIKE)  # below it a name is asked for, which any licence can carry
    if bound.strictness < Strictness.UNKNOWN and all(
        _covers(bound, one) for one in licences if one.strictness >= least
    ):
        return Verdict(bound.name.lower(), bound.name, bound.strictness)
    names = sorted(one.name for one in licences if one.strictness > Strictness.PERMISSIVE)
    return Verdict("other", " AND ".join(names), bound.strictness)


def _covers(bound: Licence, other: Licence) -> bool:
    """Whether one licence asks for all that another asks, as CC-BY-NC-SA-4.0 does for CC-BY-NC-4.0."""
    if other == bound:
        return True
    creative = bound.name.startswith("CC-") and other.name.startswith("CC-")
    return creative and not other.shares_alike and set(other.name.split("-")) <= set(bound.name.split("-"))


def licence_of_base(repository: str) -> str:
    """The licence of a base on the hub, or words that say that it is not known here."""
    return next((licence for start, licence in _BASES if repository.startswith(start)), f"licence of {repository}")


def _named(text: str) -> Licence:
    folded = text.lower().replace("_", "-").replace("–", "-")
    if _CREATIVE.search(folded):
        return _creative_commons(folded)
    if _NON_COMMERCIAL.search(folded):
        return Licence(text, Strictness.UNKNOWN)
    for pattern, name, strictness in _NAMED:
        if re.search(pattern, folded):
            return Licence(name, strictness, shares_alike=strictness == Strictness.SHARE_ALIKE)
    return Licence(text, Strictness.UNKNOWN)


def _creative_commons(folded: str) -> Licence:
    terms = [term for term, pattern in _TERMS.items() if re.search(pattern, folded)]
    version = _VERSION.search(folded)
    number = f"{version[1]}.{version[2] or 0}" if version else "4.0"
    name = "-".join(["CC", "BY", *map(str.upper, terms), number])
    if "nc" in terms:
        strictness = Strictness.NON_COMMERCIAL
    elif "nd" in terms:
        strictness = Strictness.NO_DERIVATIVES
    else:
        strictness = Strictness.SHARE_ALIKE if "sa" in terms else Strictness.ATTRIBUTION
    return Licence(name, strictness, shares_alike="sa" in terms)
