"""Learning curves sent, while a model trains, to the tools that `report_to` in params.yaml names; to none by default.

The work is done by transformers' own callbacks, which only read what the trainer logs: an adapter's bytes are the same
with and without them, so that no stage depends on `report_to`. Everything stays in the folder `runs/` of the repository
(never in an experiment's copy of it, which DVC deletes) until the user sets a tool's own variables, for example
WANDB_MODE=online or MLFLOW_TRACKING_URI; usage statistics are off.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from transformers import Trainer
from transformers.integrations import MLflowCallback, TensorBoardCallback, WandbCallback  # type: ignore[attr-defined]

from stages.core import paths
from stages.core.errors import PipelineError

CALLBACKS = {"tensorboard": TensorBoardCallback, "wandb": WandbCallback, "mlflow": MLflowCallback}


def check_installed(tools: Sequence[str]) -> None:
    """Raise PipelineError for the first tool that cannot be imported."""
    for tool in tools:
        if importlib.util.find_spec(tool) is None:
            raise PipelineError(
                f"{paths.PARAMS}: report_to names {tool}, which is not installed: run `pip install {tool}`, "
                "or take it out of the list"
            )


def runs_folder() -> Path:
    """``runs`` of the repository itself, also for an experiment in its copy under ``.dvc/tmp``."""
    here = Path.cwd()
    return next((parent.parent for parent in here.parents if parent.name == ".dvc"), here) / "runs"


def stay_local(folder: Path) -> None:
    """Each tool's own variables, where the user has not set them: nothing is sent anywhere."""
    local = {
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "WANDB_PROJECT": "arabic-qwen",
        "WANDB_ERROR_REPORTING": "false",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_EXPERIMENT_NAME": "arabic-qwen",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    for name, value in local.items():
        os.environ.setdefault(name, value)


@contextmanager
def mirrored(trainer: Trainer, tools: Sequence[str], name: str) -> Iterator[None]:
    """Send what ``trainer`` logs inside the block to each tool, as a run called ``name`` (with the experiment's)."""
    if not tools:
        yield
        return
    folder = runs_folder()
    folder.mkdir(exist_ok=True)
    stay_local(folder)
    name = "-".join(filter(None, (os.environ.get("DVC_EXP_NAME"), name)))
    trainer.args.run_name = name
    for tool in tools:
        callback = CALLBACKS[tool]
        if tool != "tensorboard":
            trainer.add_callback(callback)
        elif trainer.is_world_process_zero():
            parent = Path(os.environ.get("TENSORBOARD_LOGGING_DIR", folder / "tensorboard"))
            writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(parent / name))
            trainer.add_callback(callback(writer))
    yield
    if "wandb" in tools:  # one run a seed: transformers leaves it open, and the next would be written into it
        importlib.import_module("wandb").finish()
