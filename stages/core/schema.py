"""The shapes of data that stages hand to each other: types alone, so no stage depends on this file."""

from __future__ import annotations

Messages = list[dict[str, str]]
