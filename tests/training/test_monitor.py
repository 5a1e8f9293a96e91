"""The curves of every preference training, against the answers' log-probabilities computed on their own."""

from __future__ import annotations

import importlib
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from scipy.stats import mannwhitneyu
from transformers import AutoModelForCausalLM, TrainerCallback

from stages.bases.projections import decoder_projections
from stages.core.params import Budget
from stages.training.arguments import Run
from stages.training.monitor import CURVES, Monitor, closing_values, mean_values, step_values
from stages.training.trl_private import project_trained_positions
from tests.support.trainings import brute_force, make_run

TOLERANCE = 1e-4
STEPS, ROWS_PER_STEP = 4, 8
PREFERENCE_METHODS = ("dpo", "ipo", "kto", "cpo")


@pytest.fixture
def model(tiny_qwen: Path) -> PeftModel:
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(tiny_qwen, dtype=torch.float32)
    return get_peft_model(
        base, LoraConfig(r=4, lora_alpha=8, target_modules=decoder_projections(base), task_type="CAUSAL_LM")
    )


def longer_run(name: str, model: PeftModel, folder: Path, scratch: Path, rows_per_microbatch: int) -> Run:
    """The rows of `make_run`, turned by one from step to step and given often enough for every step."""
    run = make_run(name, model, folder, scratch)
    count = STEPS * ROWS_PER_STEP
    budget = Budget(1e-2, STEPS, ROWS_PER_STEP, rows_per_microbatch, max_tokens=256)
    # Four rows in a row, whichever comes first: two of each label for KTO.
    places = [(place + place // ROWS_PER_STEP) % 4 for place in range(count)]
    return replace(
        run,
        budget=budget,
        rows=[run.rows[place] for place in places],
        labels=[run.labels[place] for place in places] if run.labels else [],
    )


class Probe(TrainerCallback):
    """Before every step: the log-probability of each answer of that step, from the full logits of single rows."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.start = self.nats(range(len(run.rows)))
        self.steps: list[list[dict[str, float]]] = []

    def nats(self, places: Any) -> list[dict[str, float]]:
        rows = [self.run.rows[place] for place in places]
        return [{field: brute_force(self.run.model, answer) for field, answer in row.items()} for row in rows]

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        first = state.global_step * ROWS_PER_STEP
        now = self.nats(range(first, first + ROWS_PER_STEP))
        self.steps.append(
            [
                {field: row[field] - before[field] for field in row}
                for row, before in zip(now, self.start[first:], strict=False)
            ]
        )


def expected(run: Run, step: int, changes: list[dict[str, float]]) -> dict[str, float]:
    """The four curves of one step in plain Python."""
    first = step * ROWS_PER_STEP
    chosen: list[tuple[float, int]] = []
    rejected: list[tuple[float, int]] = []
    for place, change in zip(range(first, first + ROWS_PER_STEP), changes, strict=True):
        lengths = {field: len(answer.completion_ids) for field, answer in run.rows[place].items()}
        if run.labels:
            side = chosen if run.labels[place] else rejected
            side.append((change["completion"], lengths["completion"]))
        else:
            chosen.append((change["chosen"], lengths["chosen"]))
            rejected.append((change["rejected"], lengths["rejected"]))
    pairs = itertools.product(chosen, rejected) if run.labels else zip(chosen, rejected, strict=True)
    margins = [good - bad for (good, _), (bad, _) in pairs]
    wins = [0.5 if abs(margin) < 1e-3 else float(margin > 0) for margin in margins]
    values = (
        sum(change / tokens for change, tokens in chosen) / len(chosen),
        sum(change / tokens for change, tokens in rejected) / len(rejected),
        sum(margins) / len(margins),
        sum(wins) / len(wins),
    )
    return dict(zip(CURVES, values, strict=True))


@pytest.mark.parametrize(("name", "rows_per_microbatch"), list(itertools.product(PREFERENCE_METHODS, (4, 8))))
def test_each_steps_curves_are_the_change_since_the_start_over_all_its_microbatches(
    name: str, rows_per_microbatch: int, model: PeftModel, tiny_qwen: Path, tmp_path: Path
) -> None:
    run = longer_run(name, model, tiny_qwen, tmp_path, rows_per_microbatch)
    trainer = importlib.import_module(f"stages.training.methods.{name}").build_trainer(run)
    project_trained_positions(model)
    probe = Probe(run)
    trainer.add_callback(probe)
    trainer.train()
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(history) == len(probe.steps) == STEPS
    for step, (entry, changes) in enumerate(zip(history, probe.steps, strict=True)):
        wanted = expected(run, step, changes)
        assert {curve: entry[curve] for curve in CURVES} == pytest.approx(wanted, abs=TOLERANCE)
    assert abs(history[-1][CURVES[1]]) > 100 * TOLERANCE  # it has moved
    assert history[0]["reward_accuracy"] == 0.5  # on the start everything ties, whatever the rounding


def test_cpo_is_watched_against_its_start_and_trained_without_a_reference(
    model: PeftModel, tiny_qwen: Path, tmp_path: Path
) -> None:
    """A wrong start moves CPO's curves and not its loss."""
    trainer = importlib.import_module("stages.training.methods.cpo").build_trainer(
        longer_run("cpo", model, tiny_qwen, tmp_path, 8)
    )
    batch = next(iter(trainer.get_train_dataloader()))
    wrong = dict(batch) | {"ref_chosen_logps": batch["ref_chosen_logps"] - 70}
    losses, curves = [], []
    for inputs in (batch, wrong):
        losses.append(trainer.compute_loss(trainer.model, inputs).item())
        curves.append(trainer.monitor.drain())
    assert losses[0] == losses[1]
    assert curves[0]["reward_margin_nats"] == pytest.approx(0, abs=TOLERANCE)
    assert curves[1]["reward_margin_nats"] == pytest.approx(70, abs=1e-3)


def test_ties_count_one_half_and_margins_are_summed_nats() -> None:
    change = torch.tensor([2.0, 1.0, -1.0, 0.5, 1.0, 1.0], dtype=torch.double)
    tokens = torch.tensor([4.0, 2.0, 1.0, 1.0, 5.0, 2.0], dtype=torch.double)
    good = torch.tensor([True, True, True, False, False, False])
    values = step_values(change, tokens, good, paired=True, tie_nats=1e-3)
    assert values["reward_accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert values["reward_margin_nats"] == pytest.approx((1.5 + 0 - 2) / 3)
    assert values["displacement/chosen_nats_per_token"] == pytest.approx((0.5 + 0.5 - 1) / 3)
    assert values["displacement/rejected_nats_per_token"] == pytest.approx((0.5 + 0.2 + 0.5) / 3)


def test_the_accuracy_of_single_answers_is_the_area_under_the_roc_curve() -> None:
    generator = np.random.default_rng(3)
    change = generator.integers(-3, 4, size=40).astype(float)  # integers, so that many tie
    good = generator.random(40) < 0.3
    values = step_values(
        torch.tensor(change), torch.ones(40, dtype=torch.double), torch.tensor(good), paired=False, tie_nats=1e-3
    )
    u = mannwhitneyu(change[good], change[~good]).statistic
    assert values["reward_accuracy"] == pytest.approx(u / (good.sum() * (~good).sum()))
    assert values["reward_margin_nats"] == pytest.approx(change[good].mean() - change[~good].mean())


def test_unequal_shares_of_labels_in_two_microbatches_weigh_every_answer_alike() -> None:
    monitor = Monitor(paired=False, tie_nats=1e-3, gather=lambda rows: rows)
    ones = torch.ones(4)
    monitor.add(torch.tensor([1.0, 1.0, 1.0, 0.0]), ones, torch.tensor([1, 1, 1, 0]))
    monitor.add(torch.tensor([5.0, 0.0, 0.0, 0.0]), ones, torch.tensor([1, 0, 0, 0]))
    assert monitor.drain()[CURVES[0]] == pytest.approx((1 + 1 + 1 + 5) / 4)
    assert monitor.drain() == {}


def test_the_closing_values_are_the_mean_of_the_last_tenth_of_the_steps() -> None:
    history = [dict.fromkeys(CURVES, float(step)) | {"step": step} for step in range(1, 41)]
    names = ("chosen_nats_per_token", "rejected_nats_per_token", "reward_margin_nats", "reward_accuracy")
    values = closing_values([*history, {"train_loss": 0.1}])
    assert values == dict.fromkeys(names, (37 + 38 + 39 + 40) / 4)
    assert mean_values([values, dict.fromkeys(names, 0.0)]) == dict.fromkeys(names, 19.25)
