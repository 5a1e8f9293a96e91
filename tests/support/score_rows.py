"""Score rows of two evaluations held against each other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stages.core.files import Row


def check_equal(rows: Sequence[Row], again: Sequence[Row], within: float) -> None:
    """The same rows in the same order; only their numbers may part, by ``within``."""
    assert len(again) == len(rows)
    for before, after in zip(rows, again, strict=True):
        for field, value in before.items():
            assert after[field] == (pytest.approx(value, abs=within) if is_numeric(value) else value), field


def is_numeric(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, list) and all(isinstance(one, float) for one in value))
