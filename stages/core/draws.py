"""Draws that depend on what is drawn and on nothing else, so that adding a row elsewhere moves nothing."""

from __future__ import annotations

import hashlib


def unit_interval(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but ``parts``."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
