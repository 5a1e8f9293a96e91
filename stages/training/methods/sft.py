"""SFT: cross-entropy of the answer's tokens given the prompt.

L = -sum log p(token) / number of answer tokens, over all answers of the step.
On pairs it trains the chosen answers only, which makes the control `sft_chosen`.
"""

from __future__ import annotations

from datasets import Dataset
from transformers import Trainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from stages.core.params import SftMethod
from stages.training.arguments import Run, shared_arguments


def build_trainer(run: Run[SftMethod]) -> Trainer:
    """TRL's SFTTrainer on completion-only labels."""
    arguments = SFTConfig(**shared_arguments(run), dataset_kwargs={"skip_prepare_dataset": True})
    return SFTTrainer(
        model=run.model, args=arguments, train_dataset=labelled_answers(run), processing_class=run.tokenizer
    )


def first_loss(run: Run[SftMethod]) -> float | None:
    """No invariant: SFT has no reference."""
    return None


def labelled_answers(run: Run[SftMethod]) -> Dataset:
    """A row per answer: token ids of prompt and answer, and labels that are -100 over the prompt."""
    answers = [row["chosen" if "chosen" in row else "completion"] for row in run.rows]
    return Dataset.from_dict(
        {
            "input_ids": [answer.prompt_ids + answer.completion_ids for answer in answers],
            "labels": [[-100] * len(answer.prompt_ids) + answer.completion_ids for answer in answers],
        }
    )
