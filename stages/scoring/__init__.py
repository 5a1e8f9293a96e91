"""One scorer for every model: log-probabilities, greedy answers and what their text is worth.

Trainers report metrics of their own, averaged over batches and so dependent on the batch size; none of them is a
result. What is compared comes from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def unwrapped(model: PreTrainedModel) -> PreTrainedModel:
    """The transformer itself: a PEFT model's base, whose projections carry the adapter while it is active."""
    from peft import PeftModel

    if isinstance(model, PeftModel):
        base: PreTrainedModel = model.get_base_model()
        return base
    return model


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Without dropout inside the block; the model's own mode comes back after it."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
