"""A source of data.sources, read row by row: files of the user's own, or a data set of the hub, as canonical rows.

What is wrong in the user's own files stops the run, which lists the bad rows, because the user can fix them; or such
rows are left out and named, where the source says `on_bad_row: skip`. A data set that someone else wrote (one of the
hub, or a preset) cannot be fixed: its bad rows are left out one by one, each named with its reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import cast

from stages.core.errors import PipelineError
from stages.core.params import OwnTest, Rows, Source
from stages.core.schema import OwnRow, ReadRow
from stages.rows.reading.columns import ColumnMap
from stages.rows.reading.formats import expand, place_of_rows, read_rows
from stages.rows.reading.hub_rows import hub_records
from stages.rows.reading.layouts import LAYOUTS, PRESETS, Preset, convert, detect, preset_named, record_id
from stages.rows.reading.turns import REASONING_FIELDS
from stages.rows.reading.values import LeftOut, Record, Refusal

SKIPPED = "skipped"  # the kind of a row that is left out
# A refusal for one of these is true of the whole source, so leaving rows out would leave out all of them.
ABOUT_THE_SOURCE = {"unknown layout", "no license"}
LISTED_BAD_ROWS = 20
LARGEST_BAD_SHARE = 0.05  # of a source's rows; above it the file is not what the source says, and no row is skipped
# Columns that a map may not leave out without a word: some layout reads them, or they change what a row means.
KNOWN_COLUMNS = frozenset(
    {name for layout in LAYOUTS.values() for name in layout.reads}
    | {*REASONING_FIELDS, "tools", "tool_calls", "functions", "images", "image", "videos", "audios", "weight", "train"}
)

# (place, file within which one layout holds, what the row's ``source`` says, record or what is wrong with it)
PlacedRecord = tuple[str, str, str, Record | Refusal]


# What is read of no row, as it is counted and said.
EARLIER = "earlier answers of conversations are context alone"
REASONING = "answers are read without their reasoning"


def as_source(test: OwnTest) -> Source:
    """A test set as a source; of a conversation the last answer is scored."""
    settings = {field.name: getattr(test, field.name) for field in fields(Rows)}
    return Source(**settings, license="not recorded", turns="last")


def read_source(
    source: Source, left: Counter[str] | None = None, say: Callable[[str], None] = print
) -> Iterator[tuple[str, ReadRow, str]]:
    """Yield ``(kind, row, place)``: kind sft, pairs, unpaired or mcq with a canonical row, or ``skipped``.

    A record gives several rows where a conversation trains several answers. What is read of no row is counted in
    ``left`` and said at the end. Memory does not grow with the rows, but for eight bytes and their set entry per id.
    Raises PipelineError with the row's place; that bad rows stand in the source, or that all labels of rated or binary
    feedback are equal, is known, and raised, at the end.
    """
    preset = _preset_of(source)
    source = settled(source)
    reader = _Reader(source, preset)
    yield from reader.rows()
    for line in reader.left_lines():
        say(line)
    if left is not None:
        left.update(reader.left)


class _Reader:
    """One source on its way: layouts by file, ids and labels seen, and the bad rows so far."""

    def __init__(self, source: Source, preset: Preset | None) -> None:
        self.source = source
        self.lenient = preset is not None or bool(source.hub)
        self.skip: Callable[[Record], str] = preset["skip"] if preset else lambda record: ""
        self.columns = ColumnMap(source, KNOWN_COLUMNS)
        self.layouts: dict[str, str] = {}
        self.kinds: dict[str, str] = {}
        self.ids: set[bytes] = set()
        self.labels: Counter[bool] = Counter()
        self.left: Counter[str] = Counter()
        self.bad: list[tuple[str, Refusal]] = []  # the first ones, with their places
        self.bad_reasons: Counter[str] = Counter()

    def rows(self) -> Iterator[tuple[str, ReadRow, str]]:
        kept, number, where, refused = 0, 0, "", ""
        for number, (where, file, origin, record) in enumerate(_placed(self.source, self.columns), start=1):
            try:
                found = self._converted(record, file, origin, where, number)
            except Refusal as refusal:
                if self._stops(refusal, file):
                    raise PipelineError(f"{where}: {refusal}") from None
                refused = refused or f"{where}: {refusal}"
                skipped = self._bad_row(where, refusal)
                if skipped:
                    yield SKIPPED, {"reason": refusal.reason, "message": str(refusal)}, where
                continue
            if self.bad and not self._skips:
                continue  # the run stops; what follows is read to list its bad rows
            for kind, row in found:
                if "reason" in row:
                    refused = refused or f"{where}: {row['message']}"
                else:
                    kept += 1
                    if "label" in row:
                        self.labels[row["label"]] += 1
                yield kind, row, where
        self._check_bad_rows(number)
        if not kept:
            raise PipelineError(
                f"source {self.source.name!r}: no row could be used; the first was left out at {refused}"
            )
        if len(self.labels) == 1:
            raise PipelineError(_one_class(self.source, where, *self.labels.most_common(1)[0]))

    def left_lines(self) -> list[str]:
        said = [f"source {self.source.name!r}: {count} {what}" for what, count in sorted(self.left.items()) if count]
        return [*said, *filter(None, [self.columns.message()])]

    @property
    def _skips(self) -> bool:
        return self.lenient or self.source.on_bad_row == "skip"

    def _converted(
        self, record: Record | Refusal, file: str, origin: str, where: str, number: int
    ) -> list[tuple[str, ReadRow]]:
        """The rows of one record under their ids, or the one that says why it is left out; raises Refusal."""
        if isinstance(record, Refusal):
            raise record
        if reason := self.skip(record):
            return [(SKIPPED, {"reason": reason, "message": reason})]
        if file not in self.layouts:
            self.layouts[file] = detect(record) if self.source.layout == "auto" else self.source.layout
        try:
            converted = convert(record, self.layouts[file], self.source)
        except LeftOut as left_out:
            return [(SKIPPED, {"reason": left_out.reason, "message": str(left_out)})]
        kind = converted.kind
        if self.kinds.setdefault(file, kind) != kind:
            raise Refusal(
                "labelled and unlabelled rows",
                f"the row is {_in_words(kind)}, where the file's first row is {_in_words(self.kinds[file])}: label "
                "every row or none, or give each kind a file of its own",
            )
        identity = self._identity(record, number)
        if converted.answers_left_out or converted.reasoning_removed:
            self.left.update({EARLIER: converted.answers_left_out, REASONING: converted.reasoning_removed})
        several = len(converted.rows) > 1
        return [
            (
                kind,
                cast(OwnRow, row | {"id": f"{identity}-turn{turn}" if several else identity, "source": origin}),
            )
            for turn, row in enumerate(converted.rows, start=1)
        ]

    def _identity(self, record: Record, number: int) -> str:
        """The id of a record's row; raises Refusal for one that stands twice.

        A column `index` that repeats is that of tables put one behind the other, so the row's number is added.
        """
        column, own = record_id(record)
        identity = f"{self.source.name}-{own or number}"
        if self._is_new(identity):
            return identity
        if column == "index" and self._is_new(f"{identity}-row{number}"):
            return f"{identity}-row{number}"
        again = f", or put {column!r} into the source's ignore to number the rows instead" if column else ""
        raise Refusal("duplicate id", f"id {identity!r} stands twice in this source: rename one of the two rows{again}")

    def _is_new(self, identity: str) -> bool:
        """Remember an id; the set keeps eight bytes of each, so a first place is not known."""
        digest = blake2b(identity.encode(), digest_size=8).digest()
        if digest in self.ids:
            return False
        self.ids.add(digest)
        return True

    # ------------------------------------------------------------ bad rows

    def _stops(self, refusal: Refusal, file: str) -> bool:
        """Whether a refusal is true of the whole source, so that no further row need be read."""
        if refusal.reason in ABOUT_THE_SOURCE:
            return True
        about_columns = refusal.reason == "missing column" or refusal.reason.startswith("unread field:")
        return self.lenient and about_columns and file not in self.kinds

    def _bad_row(self, where: str, refusal: Refusal) -> bool:
        """Count a bad row; returns whether it is left out and the run goes on."""
        self.bad_reasons[refusal.reason] += 1
        if len(self.bad) < LISTED_BAD_ROWS:
            self.bad.append((where, refusal))
        return self._skips

    def _check_bad_rows(self, number: int) -> None:
        bad = self.bad_reasons.total()
        if self.lenient or not bad:
            return
        if self.source.on_bad_row == "stop":
            raise PipelineError(self._listed(bad, number))
        if bad > LARGEST_BAD_SHARE * number:
            where, first = self.bad[0]
            reasons = ", ".join(f"{reason} {count}" for reason, count in self.bad_reasons.most_common())
            raise PipelineError(
                f"source {self.source.name!r}: {bad} of its {number} rows cannot be read, and `on_bad_row: skip` "
                f"leaves out at most {LARGEST_BAD_SHARE:.0%} ({reasons}; the first is {where}: {first}): fix the rows, "
                "or say in the source's columns or layout what they are"
            )

    def _listed(self, bad: int, number: int) -> str:
        """One bad row as a sentence, several as a list of the first ones."""
        if bad == 1:
            where, refusal = self.bad[0]
            return f"{where}: {refusal}"
        lines = [
            f"source {self.source.name!r}: {bad} of its {number} rows cannot be read: fix them, or set the source's "
            "on_bad_row: skip to leave them out by name",
            *(f"  {where}: {refusal}" for where, refusal in self.bad),
        ]
        if bad > len(self.bad):
            reasons = ", ".join(f"{reason} {count}" for reason, count in self.bad_reasons.most_common())
            lines.append(f"  and {bad - len(self.bad)} more; all by reason: {reasons}")
        return "\n".join(lines)


def _in_words(kind: str) -> str:
    return {"unpaired": "labelled", "sft": "an answer without a label"}.get(kind, kind)


def settled(source: Source) -> Source:
    """The source with what its preset knows filled in; raises PipelineError for contradictory settings."""
    return _checked(source, _preset_of(source))


def records(source: Source) -> Iterator[PlacedRecord]:
    """Every record of a settled source under our names, none converted or left out."""
    return _placed(source, ColumnMap(source, KNOWN_COLUMNS))


def _placed(source: Source, columns: ColumnMap) -> Iterator[PlacedRecord]:
    for where, file, origin, record in hub_records(source) if source.hub else _file_records(source):
        if isinstance(record, Refusal):
            yield where, file, origin, record
            continue
        try:
            yield where, file, origin, columns.apply(record)
        except Refusal as refusal:
            yield where, file, origin, refusal


def _file_records(source: Source) -> Iterator[PlacedRecord]:
    header = source.columns if isinstance(source.columns, tuple) else ()
    for file in expand(source.path):
        before, path, name = place_of_rows(file), str(file), file.name
        for number, record in read_rows(file, header):
            yield f"{before}{number}", path, name, record


def _one_class(source: Source, where: str, label: bool, count: int) -> str:
    return (
        f"{where}: here the source {source.name!r} ends, and all of its {count} labels are {str(label).lower()}: "
        f"add rows with the other label, or set the source's threshold (now {source.threshold}) between its ratings "
        "(a score that is no judgement of the answer goes into the source's ignore)"
    )


# ---------------------------------------------------------------- settings


def _preset_of(source: Source) -> Preset | None:
    """The preset that the source names, by its name or its id on the hub, or the one of its hub id."""
    if source.preset and preset_named(source.preset) is None:
        raise PipelineError(
            f"source {source.name!r}: unknown preset {source.preset!r}: write one of {', '.join(PRESETS)}, or its id "
            f"on the hub, such as {PRESETS['cidar']['hub']}"
        )
    return preset_named(source.preset or source.hub)


def _checked(source: Source, preset: Preset | None) -> Source:
    who = f"source {source.name!r}"
    if preset:
        hub = source.hub or ("" if source.path else preset["hub"])
        source = replace(source, hub=hub, layout=preset["layout"], license=source.license or preset["license"])
    if not re.fullmatch(r"[a-z0-9-]+", source.name):
        raise PipelineError(f"{who}: the name may hold a-z, 0-9 and - only, because ids begin with it: rename it")
    if bool(source.path) == bool(source.hub):
        raise PipelineError(f"{who}: set exactly one of path and hub, found {'both' if source.path else 'neither'}")
    if source.layout != "auto" and source.layout not in LAYOUTS:
        raise PipelineError(f"{who}: unknown layout {source.layout!r}: write auto, or one of {', '.join(LAYOUTS)}")
    if isinstance(source.columns, list):
        source = replace(source, columns=tuple(source.columns))
    if source.hub and isinstance(source.columns, tuple) and source.columns:
        raise PipelineError(
            f"{who}: columns is a list, for files without a header: for a data set of the hub, map them"
        )
    if source.hub and not Path(source.hub).is_dir():
        _check_hub_id(who, source)
    return source


def _check_hub_id(who: str, source: Source) -> None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source.hub):
        raise PipelineError(f"{who}: hub is {source.hub!r}, neither a folder nor an id such as arbml/CIDAR: mend it")
    if not re.fullmatch(r"[0-9a-f]{40}", source.revision):
        raise PipelineError(
            f"{who}: revision is {source.revision!r}: pin {source.hub} by its full commit hash, 40 hex digits"
        )
