"""The rows of one split of a data set on the hub: from the cache, or downloaded where the source allows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.core.errors import PipelineError
from stages.core.hub import hub_answers
from stages.core.params import Source
from stages.rows.reading.values import Record


def hub_records(source: Source) -> Iterator[tuple[str, str, str, Record]]:
    """Yield ``(place, file, origin, record)`` of every row of the split."""
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
