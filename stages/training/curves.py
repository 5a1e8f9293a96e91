"""Learning curves through DVCLive, replayed from the trainer's own history.

transformers keeps the whole history in its checkpoints, so a run that was killed and resumed has the same curves as
one that was not. DVCLive's own callback counts log events instead of steps, records timings, and would rewrite
dvc.yaml in the middle of a stage.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from dvclive.live import Live

from stages.training import monitor, trl_private

CURVES = ("loss", "grad_norm", "learning_rate", *trl_private.LOGGED, *monitor.CURVES)


def write_curves(history: list[dict[str, Any]], folder: Path) -> None:
    """Write ``plots/metrics/<name>.tsv`` for every deterministic metric, and ``loss.tsv`` beside them."""
    with Live(dir=str(folder), dvcyaml=None, save_dvc_exp=False, report=None, monitor_system=False) as live:
        for entry in history:
            if "loss" not in entry:
                continue  # the closing summary of the trainer
            live.step = entry["step"]
            for name, value in entry.items():
                if name in CURVES or name.startswith(trl_private.LOGGED_FAMILIES):
                    live.log_metric(name, float(f"{value:.6g}"))
    shutil.copyfile(folder / "plots/metrics/loss.tsv", folder / "loss.tsv")
