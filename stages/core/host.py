"""The machine that timings belong to, the memory that a process took on it, and what it used of electricity."""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stages.core.files import Row

POWERCAP = Path("/sys/class/powercap")  # where Linux shows the processor's energy counters (RAPL)
_RAPL_PACKAGE = "intel-rapl:[0-9]*"  # AMD's too; what has a second colon is a part of one that is counted already


@dataclass(frozen=True)
class EnergyCounter:
    """Something that counts microjoules for the whole device, whoever uses it; ``span`` is where it starts again."""

    name: str
    read: Callable[[], int]
    span: int | None = None

    def joules(self, before: int, after: int) -> float:
        """What was used between two readings, between which the counter may have started again once."""
        used = after - before
        return (used + self.span if used < 0 and self.span else used) / 1e6


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


def energy_counters(powercap: Path = POWERCAP) -> list[EnergyCounter]:
    """Of the GPU where there is one, and of each processor package; none where this user may read none."""
    return [*_gpu_counters(), *_package_counters(powercap)]


def metered(counters: list[EnergyCounter], action: Callable[[], Any]) -> tuple[Any, float | None]:
    """What ``action`` returns, and the joules that the devices used meanwhile; None without a counter.

    A counter moves every millisecond (RAPL) to every tenth of a second (NVIDIA): an action should take seconds.
    """
    before = [counter.read() for counter in counters]
    result = action()
    used = [counter.joules(start, counter.read()) for counter, start in zip(counters, before, strict=True)]
    return result, sum(used) if counters else None


def _package_counters(powercap: Path) -> list[EnergyCounter]:
    found = []
    for folder in sorted(powercap.glob(_RAPL_PACKAGE)):
        if folder.name.count(":") > 1:
            continue
        try:
            name = (folder / "name").read_text(encoding="ascii").strip()
            span = int((folder / "max_energy_range_uj").read_text(encoding="ascii"))
            (folder / "energy_uj").read_text(
                encoding="ascii"
            )  # since 2020 only root may read it, unless told otherwise
        except OSError:
            continue
        if name.startswith("package"):  # psys counts the packages again, with the rest of the board
            found.append(EnergyCounter(name, lambda file=folder / "energy_uj": int(file.read_text("ascii")), span))  # type: ignore[misc]
    return found


def _gpu_counters() -> list[EnergyCounter]:
    """NVIDIA's own (Volta and later), through nvidia-ml-py where that is installed; it counts millijoules."""
    if not torch.cuda.is_available() or not importlib.util.find_spec("pynvml"):
        return []
    import pynvml

    try:
        pynvml.nvmlInit()
        device = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(device)
    except pynvml.NVMLError:
        return []
    name = torch.cuda.get_device_name()
    return [EnergyCounter(name, lambda: 1000 * int(pynvml.nvmlDeviceGetTotalEnergyConsumption(device)))]
