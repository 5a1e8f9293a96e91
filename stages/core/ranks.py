"""Which of several processes this one is, as torchrun and accelerate tell it in RANK and WORLD_SIZE."""

from __future__ import annotations

import os


def is_process_of_several() -> bool:
    return "WORLD_SIZE" in os.environ


def processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return os.environ.get("RANK", "0") == "0"
