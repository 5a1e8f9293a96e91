"""A canary: a test of a behaviour of a library that is not public, which says in one sentence what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def canary(behaviour: str, ours: Callable[..., Any]) -> Iterator[None]:
    """Fail in one sentence for whatever the block raises: ``behaviour`` is gone, and ``ours`` relies on it."""
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
    if failure is not None:
        found = "" if isinstance(failure, AssertionError) else f" ({type(failure).__name__}: {failure})".splitlines()[0]
        pytest.fail(f"no longer true: {behaviour}; {ours.__module__}.{ours.__qualname__} relies on it{found}", False)
