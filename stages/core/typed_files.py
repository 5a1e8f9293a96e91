"""Read the project's JSON as the types of `stages.core.schema`, checked once where the file is read.

Pydantic checks the types (https://docs.pydantic.dev/latest/concepts/type_adapter). What was read is returned as it
stands, so keys that a type does not name stay in it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from stages.core.errors import PipelineError
from stages.core.files import numbered_jsonl, read_json

T = TypeVar("T")


def read_typed(path: Path, kind: type[T]) -> T:
    """The value of a JSON file; raises PipelineError naming the file and the first key that does not fit."""
    return typed(read_json(path), kind, str(path))


def read_typed_lines(path: Path, kind: type[T]) -> list[T]:
    """The rows of a JSONL file; raises PipelineError naming the line and the first key that does not fit."""
    return [typed(row, kind, f"{path}:{number}") for number, row in numbered_jsonl(path)]


def typed(value: object, kind: type[T], place: str) -> T:
    """The value itself; raises PipelineError at ``place`` where it is not of this kind."""
    try:
        _adapter(cast(Any, kind)).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        found = "is missing" if first["type"] == "missing" else f"does not fit ({first['msg']})"
        what = f"the key {key!r} {found}" if key else f"a JSON object was expected, found {type(value).__name__}"
        raise PipelineError(f"{place}: {what}: delete the file and run `dvc repro` again") from None
    return cast(T, value)


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
