"""A source of data.sources, read row by row: files of the user's own, or a data set of the hub, as canonical rows.

What is wrong in the user's own files stops the run, because the user can mend it. A data set that someone else wrote
(one of the hub, or a preset) cannot be mended: its bad rows are left out one by one, each named with its reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

from stages.core.errors import PipelineError
from stages.core.hub import hub_answers
from stages.core.params import Source
from stages.core.schema import OwnRow, ReadRow
from stages.rows.reading.formats import Record, expand, place, read_records
from stages.rows.reading.layouts import LAYOUTS, PRESETS, Preset, Refusal, convert, detect, own_id

SKIPPED = "skipped"  # the kind of a row that is left out
# A refusal for one of these is true of the whole source, so leaving rows out would leave out all of them.
ABOUT_THE_SOURCE = {"unknown layout", "no license"}

# (place, file within which one layout holds, what the row's ``source`` says, record)
PlacedRecord = tuple[str, str, str, Record]


def read_source(source: Source) -> Iterator[tuple[str, ReadRow, str]]:
    """Yield ``(kind, row, place)``: kind sft, pairs, unpaired or mcq with a canonical row, or ``skipped``.

    Memory does not grow with the rows, but for eight bytes and their set entry per id. Raises PipelineError with the
    row's place; that all labels of rated or binary feedback are equal is known, and raised, at the end.
    """
    preset = _preset_of(source)
    source = settled(source)
    ids: set[bytes] = set()
    labels: Counter[bool] = Counter()
    kept, refused, where = 0, "", ""
    for number, (where, kind, row) in enumerate(_rows(source, preset), start=1):
        if "reason" in row:
            refused = refused or f"{where}: {row['message']}"
            yield kind, row, where
            continue
        row["id"] = f"{source.name}-{row['id'] or number}"
        if twice := _seen(ids, row["id"]):
            if preset is None and not source.hub:
                raise PipelineError(f"{where}: {twice}")
            yield SKIPPED, {"reason": "duplicate id", "message": twice}, where
            continue
        kept += 1
        if "label" in row:
            labels[row["label"]] += 1
        yield kind, row, where
    if not kept:
        raise PipelineError(f"source {source.name!r}: no row could be used; the first was left out at {refused}")
    if len(labels) == 1:
        raise PipelineError(_one_class(source, where, *labels.most_common(1)[0]))


def _rows(source: Source, preset: Preset | None) -> Iterator[tuple[str, str, ReadRow]]:
    """Yield ``(place, kind, row)`` with ``id`` the row's own or empty, and ``source`` set."""
    lenient = preset is not None or bool(source.hub)
    skip: Callable[[Record], str] = preset["skip"] if preset else lambda record: ""
    layouts: dict[str, str] = {}
    for where, file, origin, record in records(source):
        if reason := skip(record):
            yield where, SKIPPED, {"reason": reason, "message": reason}
            continue
        first = file not in layouts
        try:
            if first:
                layouts[file] = detect(record) if source.layout == "auto" else source.layout
            kind, fields = convert(record, layouts[file], source)
            row = cast(OwnRow, fields | {"id": own_id(record), "source": origin})
        except Refusal as refusal:
            if not lenient or refusal.reason in ABOUT_THE_SOURCE or (first and refusal.reason == "missing column"):
                raise PipelineError(f"{where}: {refusal}") from None
            yield where, SKIPPED, {"reason": refusal.reason, "message": str(refusal)}
            continue
        yield where, kind, row


def settled(source: Source) -> Source:
    """The source with what its preset knows filled in; raises PipelineError for contradictory settings."""
    return _checked(source, _preset_of(source))


def records(source: Source) -> Iterator[PlacedRecord]:
    """Every record of a settled source as it stands, none converted or left out."""
    return _hub_records(source) if source.hub else _file_records(source)


def _seen(ids: set[bytes], identity: str) -> str:
    """What is wrong with an id that stands twice; the set keeps eight bytes of each, so a first place is not known."""
    digest = blake2b(identity.encode(), digest_size=8).digest()
    if digest in ids:
        return f"id {identity!r} stands twice in this source: rename one of the two rows"
    ids.add(digest)
    return ""


def _one_class(source: Source, where: str, label: bool, count: int) -> str:
    return (
        f"{where}: here the source {source.name!r} ends, and all of its {count} labels are {str(label).lower()}: "
        f"add rows with the other label, or set the source's threshold (now {source.threshold}) between its ratings"
    )


# ---------------------------------------------------------------- settings


def _preset_of(source: Source) -> Preset | None:
    """The preset that the source names, or the one of its hub id."""
    if source.preset and source.preset not in PRESETS:
        raise PipelineError(
            f"source {source.name!r}: unknown preset {source.preset!r}: write one of {', '.join(PRESETS)}"
        )
    if source.preset:
        return PRESETS[source.preset]
    return next((preset for preset in PRESETS.values() if preset["hub"].lower() == source.hub.lower()), None)


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


# ---------------------------------------------------------------- files and the hub


def _file_records(source: Source) -> Iterator[PlacedRecord]:
    for file in expand(source.path):
        for number, record in read_records(file):
            yield place(file, number), str(file), file.name, record


def _hub_records(source: Source) -> Iterator[PlacedRecord]:
    """The rows of one split. A hub id comes from the cache, or is downloaded where the source allows it."""
    local = Path(source.hub).is_dir()
    origin = source.hub if local else f"{source.hub}@{source.revision}"
    file = f"{source.hub}:{source.split}"
    for number, record in enumerate(_load(source, local), start=1):
        yield f"{file}:row {number}", file, origin, record


def _load(source: Source, local: bool) -> Any:
    """The split as a ``datasets.Dataset``, memory-mapped; every failure is one sentence."""
    import datasets

    online = source.download and not local and hub_answers()
    path = str(Path(source.hub).resolve()) if local else source.hub
    with _network(online):
        try:
            dataset = datasets.load_dataset(
                path, source.config or None, split=source.split, revision=None if local else source.revision
            )
        except MemoryError:
            raise
        except Exception as error:  # the library documents no closed list
            raise _unavailable(source, error, local, online) from None
    if not local:
        _check_revision(source, dataset)
    return dataset


def _unavailable(source: Source, error: BaseException, local: bool, online: bool) -> PipelineError:
    who = f"source {source.name!r}: {source.hub}" + ("" if local else f" at revision {source.revision[:12]}")
    if type(error).__name__ == "DatasetGenerationError" and error.__cause__:
        error = error.__cause__  # itself it says only that something went wrong
    found = " ".join(str(error).split()).rstrip(".")[:300]
    if "config" in found.lower() and source.config and source.config in found:
        remedy = "set the source's config to one of those"
    elif "split" in found.lower() and source.split in found:
        remedy = "set the source's split to one of those"
    elif local:
        remedy = "mend the folder, which must hold data files as the hub has them"
    elif online:
        remedy = "check the id, the revision and your access to it"
    elif source.download:
        return PipelineError(f"{who}: the hub does not answer, and the cache does not hold it: check the network")
    else:
        return PipelineError(f"{who}: not in the hub cache: set the source's download: true, or name files by its path")
    return PipelineError(f"{who} cannot be read ({type(error).__name__}: {found}): {remedy}")


def _check_revision(source: Source, dataset: Any) -> None:
    """Without the network, datasets takes whatever revision is newest in the cache; its folder bears the commit."""
    revisions = {Path(file["filename"]).parent.name for file in dataset.cache_files}
    if revisions != {source.revision}:
        found = ", ".join(sorted(revisions)) or "none"
        raise PipelineError(
            f"source {source.name!r}: the cache holds {source.hub} at revision {found} and not at {source.revision}: "
            "set the source's download: true"
        )


@contextmanager
def _network(online: bool) -> Iterator[None]:
    """Let the hub's libraries reach the network, or keep them from it, for one source of many.

    They read their environment variable once, when they are imported, and `DownloadConfig` does not keep `datasets`
    from asking the hub about a data set. So their settings are changed, which tests/rows/test_canaries.py watches.
    """
    from datasets import config, disable_progress_bars, utils
    from huggingface_hub import constants

    before = config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE, utils.logging.get_verbosity()
    config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = not online
    disable_progress_bars()
    utils.logging.set_verbosity_error()
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before[:2]
        utils.logging.set_verbosity(before[2])
