"""A progress bar with rate and time left for everything that transformers' Trainer runs, without its log dumps."""

from __future__ import annotations

from typing import Any

from transformers import ProgressCallback, Trainer
from transformers.trainer_callback import PrinterCallback


class LossBar(ProgressCallback):
    """Transformers' bar, with the loss beside the rate instead of a printed dictionary at every log."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_train_begin(args, state, control, **kwargs)  # type: ignore[no-untyped-call]
        if self.training_bar is not None:
            self.training_bar.set_description(self.label)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if self.training_bar is not None and logs and "loss" in logs:
            self.training_bar.set_postfix(loss=f"{float(logs['loss']):.4g}", refresh=False)


def show_progress(trainer: Trainer, label: str) -> None:
    """Replace the trainer's own bar and printer by one labelled bar."""
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(LossBar(label))
