"""The machine that timings belong to, and the memory that a process took on it."""

from __future__ import annotations

import os
import platform
import resource
import sys
from pathlib import Path

import torch

from stages.files import Row


def describe_host() -> Row:
    """The machine that the timings belong to."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": named[0] if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "os": f"{platform.system()} {platform.release()}",
    }


def peak_memory_mib() -> float:
    """Of the GPU where there is one, else of this process (resident set), in MiB."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes on macOS, KiB on Linux
