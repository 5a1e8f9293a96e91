"""The names of columns: which of them a layout reads, which say nothing to train on, and how people write ours.

Every field of a row is read, or stands on a list here of what may be ignored, or is empty. Any other refuses the row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from stages.core.params import Source
from stages.rows.reading.values import Record, Refusal, nothing

ID_COLUMNS = ("id", "ID", "Id", "_id", "index")
LICENSE_COLUMNS = ("license", "licence")
# What describes a row and is no part of it, in small letters.
METADATA = {
    *("id", "_id", "index", "idx", "#", "uuid", "hash", "qid", "rowid", "row", "no", "line", "file", "filename"),
    *("source", "sources", "dataset", "data_source", "origin", "url", "urls", "link", "reference_url", "split", "fold"),
    *("license", "licence", "topic", "topics", "subject", "category", "categories", "domain", "tag", "tags", "genre"),
    *("keyword", "keywords", "type", "task_type", "task_name", "difficulty", "level", "grade", "title"),
    *("language", "lang", "language_code", "locale", "script", "dialect", "country", "region", "city", "version"),
    *("author", "annotator", "annotators", "creator", "contributor", "username", "annotation_type", "reviewer"),
    *("date", "time", "timestamp", "datetime", "year", "created", "updated", "created_at", "updated_at"),
    *("model", "models", "model_name", "engine", "generator", "temperature", "top_p", "seed", "max_tokens"),
    *("length", "len", "num_turns", "turn", "tokens", "token_count", "word_count", "char_count"),
    *("metadata", "meta", "info", "openai_moderation", "toxic", "redacted", "hashed_ip"),
    *("unnamed: 0", "unnamed: 0.1", "__index_level_0__", "perplexity", "similarity", "is_few_shot"),
}
# Names that end or begin so are of ids, places, times and counts.
_METADATA_NAME = re.compile(
    r".+[ _-](?:ids?|urls?|link|at|date|time|tokens|length|len|count|hash|index)|(?:num|n|nb|count)_\w+"
    r"|(?:model|file|data|(?:sub_)?dataset|user|task|source|template|annotator|config|subset|split)_name"
)
# How people write our names, beside capitals.
ALIASES = {
    **dict.fromkeys(("السؤال", "سؤال", "الاستفسار"), "question"),
    **dict.fromkeys(("الجواب", "جواب", "الإجابة", "إجابة", "الاجابة", "اجابة"), "answer"),
    **dict.fromkeys(("التعليمات", "تعليمات", "التعليمة", "الأمر", "المهمة"), "instruction"),
    **dict.fromkeys(("المدخل", "المدخلات", "مدخل", "مدخلات"), "input"),
    **dict.fromkeys(("المخرج", "المخرجات", "مخرج", "مخرجات", "الناتج"), "output"),
    **dict.fromkeys(("السياق", "سياق"), "context"),
    **dict.fromkeys(("الموجه", "الطلب", "user", "human", "المستخدم"), "prompt"),
    **dict.fromkeys(("الرد", "الاستجابة", "assistant", "gpt", "المساعد"), "response"),
    **dict.fromkeys(("المقبول", "المفضل", "المختار"), "chosen"),
    **dict.fromkeys(("المرفوض",), "rejected"),
    **dict.fromkeys(("النظام",), "system"),
    **dict.fromkeys(("المحادثة", "المحادثات"), "conversations"),
}
# What a prompt is about, where the source gives every row one instruction.
ASKED_ABOUT = {"input", "context", "passage", "paragraph", "document"}


def our_name(name: str) -> str:
    """Our name of a column that is written with capitals, spaces around it, or in Arabic."""
    plain = name.strip().lower()
    return ALIASES.get(plain, plain)


def says_nothing(name: str) -> bool:
    """Whether a column of this name describes the row and is no part of it."""
    plain = name.strip().lower()
    return plain in METADATA or _METADATA_NAME.fullmatch(plain) is not None


@dataclass(frozen=True)
class Plan:
    """How the columns of a row go into a layout: what is renamed, what nobody reads, and what is missing."""

    renamed: dict[str, str]
    unread: tuple[str, ...]
    missing: str


def plan(
    columns: tuple[str, ...], required: tuple[str, ...], reads: frozenset[str], ignores: re.Pattern[str], aliases: bool
) -> Plan:
    """The plan for rows of these columns; ``a|b`` in ``required`` is met by either.

    ``reads`` are the names that the layout knows, ``ignores`` what it knows to say nothing.
    """
    renamed: dict[str, str] = {}
    unread = []
    for name in columns:
        if name in reads:
            continue
        ours = our_name(name)
        if aliases and ours in reads and ours not in columns and ours not in renamed.values():
            renamed[name] = ours
        elif not says_nothing(name) and not ignores.fullmatch(name.strip().lower()):
            unread.append(name)
    known = {renamed.get(name, name) for name in columns}
    missing = next((need for need in required if not known.intersection(need.split("|"))), "")
    return Plan(renamed, tuple(unread), missing)


# ---------------------------------------------------------------- a source's own settings


@dataclass
class ColumnMap:
    """A source's `columns` and `ignore`: rows under our names, and the columns that the map leaves out."""

    source: Source
    known: frozenset[str]  # names that some layout reads; such a column is never left out because no map names it
    left_out: dict[str, int] = field(default_factory=dict)  # rows that hold each
    _plans: dict[tuple[str, ...], tuple[list[tuple[str, str]], list[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = self.source.columns if isinstance(self.source.columns, dict) else {}
        self.theirs = {ours: theirs for ours, theirs in columns.items() if isinstance(theirs, str)}
        self.texts = {ours: given["text"] for ours, given in columns.items() if isinstance(given, dict)}
        self.ignored = frozenset(self.source.ignore)

    def apply(self, record: Record) -> Record:
        """The record under our names; raises Refusal where it lacks a column of the map."""
        if not self.theirs and not self.texts:
            if not self.ignored:
                return record
            return {name: value for name, value in record.items() if name not in self.ignored}
        columns = tuple(record)
        if columns not in self._plans:
            self._plans[columns] = self._plan(columns)
        kept, left_out = self._plans[columns]
        for name in left_out:
            self.left_out[name] = self.left_out.get(name, 0) + 1
        found = {ours: record[theirs] for ours, theirs in kept}
        if self.texts and (empty := [ours for ours in self.theirs if ours in ASKED_ABOUT and nothing(found[ours])]):
            raise Refusal(
                "empty turn",
                f"field {self.theirs[empty[0]]!r} is empty, and the rest of the prompt is the same in every row: write "
                "the text, or remove the row",
            )
        return found | self.texts

    def _plan(self, columns: tuple[str, ...]) -> tuple[list[tuple[str, str]], list[str]]:
        if absent := [theirs for theirs in self.theirs.values() if theirs not in columns]:
            raise Refusal(
                "missing column",
                f"the source's columns name {absent[0]!r}, which the row lacks: it has {', '.join(columns) or 'none'}",
            )
        kept = [(ours, theirs) for ours, theirs in self.theirs.items()]
        taken = {*self.theirs.values(), *self.ignored}
        left_out = []
        for name in columns:
            if name in taken:
                continue
            if name in self.theirs or name in self.texts or not (our_name(name) in self.known or says_nothing(name)):
                left_out.append(name)
            else:
                kept.append((name, name))
        return kept, left_out

    def message(self) -> str:
        """What the map leaves out, or nothing."""
        if not self.left_out:
            return ""
        return (
            f"source {self.source.name!r}: its columns name what is read, so these are left out: "
            f"{', '.join(self.left_out)}"
        )
