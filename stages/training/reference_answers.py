"""What a training asks its reference: log-probabilities of answers under its start, from the stage `reference`.

An answer to a prompt is known by its token ids, so that methods with the same start share the log-probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stages.bases.tokens import Encoded
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import fingerprint, read_json
from stages.core.params import Budget, TrainMethod

REFERENCED = ("dpo", "ipo", "kto")  # methods whose loss compares with the start
MONITORED = (*REFERENCED, "cpo")  # methods whose answers are watched against the start


def answer_key(answer: Encoded) -> str:
    """The name of an answer to a prompt, by its token ids."""
    return fingerprint([answer.prompt_ids, answer.completion_ids])


def asked_of_reference(method: TrainMethod, rows: Sequence[dict[str, Encoded]], budget: Budget) -> list[Encoded]:
    """Every answer whose log-probability under the start this training needs; KTO's mismatched ones included.

    ``rows`` are those that the training sees, in their order.
    """
    answers = [answer for row in rows for answer in row.values()]
    return answers + neighbours(answers, budget.rows_per_microbatch) if method.method == "kto" else answers


def neighbours(answers: list[Encoded], rows_per_microbatch: int) -> list[Encoded]:
    """Each prompt with the answer of the row before it, wrapping around within a microbatch."""
    mismatched = []
    for start in range(0, len(answers), rows_per_microbatch):
        window = answers[start : start + rows_per_microbatch]
        mismatched += [
            Encoded(own.prompt_ids, other.completion_ids)
            for own, other in zip(window, [window[-1], *window[:-1]], strict=True)
        ]
    return mismatched


def reference_file(method: TrainMethod, seed: int) -> Path | None:
    """The log-probabilities that this training reads; None for a method that asks no reference."""
    return paths.reference(method.init, seed) if method.method in MONITORED else None


def read_reference(path: Path | None) -> Callable[[Sequence[Encoded]], list[float]]:
    """Log-probabilities (nats, summed over the answer) of answers under a training's start, one an answer.

    ``path`` is the training's `reference_file`. The function that is returned raises PipelineError for an answer that
    the stage `reference` has not seen.
    """
    if path is None:
        return lambda answers: []
    nats = read_json(path)

    def of(answers: Sequence[Encoded]) -> list[float]:
        try:
            return [nats[answer_key(answer)] for answer in answers]
        except KeyError:
            raise PipelineError(f"{path} does not know an answer of this training: run `dvc repro reference`") from None

    return of


def reference_tokens(method: TrainMethod, rows: Sequence[dict[str, Encoded]], budget: Budget) -> int:
    """Tokens of the forward passes that this method's loss costs the reference; a shared pass counts for each."""
    if method.method not in REFERENCED:
        return 0
    asked = {answer_key(answer): answer.length for answer in asked_of_reference(method, rows, budget)}
    return sum(asked.values())
