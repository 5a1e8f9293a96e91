"""The five losses against formulas written by hand from the papers, through a tiny model."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest
import torch
from datasets import Dataset
from peft import PeftModel
from torch.nn.functional import logsigmoid
from transformers.modeling_outputs import CausalLMOutput

from stages.bases.loading import load_tokenizer
from stages.bases.tokens import Encoded
from stages.core.errors import PipelineError
from stages.core.params import VARIANTS, CpoMethod, KtoMethod, TrainMethod
from stages.training.arguments import Run
from stages.training.methods import kto
from stages.training.reference_answers import answer_key, neighbours
from stages.training.trl_private import project_trained_positions
from tests.support.trainings import BAD, GOOD, METHODS, QUESTIONS, brute_force, make_run

TOLERANCE = 1e-5


def by_hand(run: Run, reference: list[dict[str, float]]) -> float:
    """The paper's loss of the whole batch; ``reference`` holds the start's log-probabilities per row and field."""
    now = [{field: brute_force(run.model, answer) for field, answer in row.items()} for row in run.rows]
    method, count = run.method, len(run.rows)
    if method.method == "sft":
        tokens = sum(len(row["completion"].completion_ids) for row in run.rows)
        return -sum(row["completion"] for row in now) / tokens
    if method.method == "kto":
        mismatched = neighbours([row["completion"] for row in run.rows], count)
        z0 = max(
            0.0,
            sum(brute_force(run.model, a) - b["neighbour"] for a, b in zip(mismatched, reference, strict=True)) / count,
        )
        losses = []
        for row, start, label in zip(now, reference, run.labels, strict=True):
            h = row["completion"] - start["completion"]
            value = torch.sigmoid(torch.tensor(method.beta * ((h - z0) if label else (z0 - h))).double()).item()
            losses.append((method.desirable_weight if label else method.undesirable_weight) * (1 - value))
        return sum(losses) / count
    losses = []
    for row, start, encoded in zip(now, reference, run.rows, strict=True):
        n = {field: len(answer.completion_ids) for field, answer in encoded.items()}
        h = {field: row[field] - (0.0 if method.method == "cpo" else start[field]) for field in row}
        if method.method == "ipo":
            losses.append((h["chosen"] / n["chosen"] - h["rejected"] / n["rejected"] - 1 / (2 * method.beta)) ** 2)
        else:
            losses.append(-logsigmoid(torch.tensor(method.beta * (h["chosen"] - h["rejected"])).double()).item())
    total = sum(losses) / count
    if method.method == "cpo":
        tokens = sum(len(row["chosen"].completion_ids) for row in run.rows)
        total += method.nll_weight * -sum(row["chosen"] for row in now) / tokens
    return total


def asked(run: Run, nats: Callable[[Encoded], float]) -> list[dict[str, float]]:
    """The reference of `by_hand`: ``nats`` of each row's answers, and of its neighbour's where KTO asks for it."""
    reference = [{field: nats(answer) for field, answer in row.items()} for row in run.rows]
    if run.method.method == "kto":
        for row, answer in zip(reference, neighbours([r["completion"] for r in run.rows], 4), strict=True):
            row["neighbour"] = nats(answer)
    return reference


def batch_loss(trainer: Any, batch: dict[str, Any]) -> torch.Tensor:
    """As the training loop asks for it: SFT, whose batch has labels, is told how many tokens the step trains."""
    told = {"num_items_in_batch": (batch["labels"] != -100).sum()} if "labels" in batch else {}
    loss: torch.Tensor = trainer.compute_loss(trainer.model, batch, **told)
    return loss


@pytest.mark.parametrize("trained_positions_only", [True, False])
@pytest.mark.parametrize("name", METHODS)
def test_the_loss_is_the_papers_formula(
    name: str, trained_positions_only: bool, start: PeftModel, tiny_qwen: Path, tmp_path: Path
) -> None:
    run = make_run(name, start, tiny_qwen, tmp_path)
    reference = asked(run, lambda answer: brute_force(start, answer))
    trainer = importlib.import_module(f"stages.training.methods.{name}").build_trainer(run)
    if trained_positions_only:
        project_trained_positions(start)
    torch.manual_seed(1)
    with torch.no_grad():  # away from the reference, or half of each formula would be tested at zero
        for parameter_name, value in run.model.named_parameters():
            if ".default." in parameter_name:
                value += 0.05 * torch.randn_like(value)
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    loss = batch_loss(trainer, batch).item()
    assert loss == pytest.approx(by_hand(run, reference), abs=TOLERANCE)


@pytest.mark.parametrize("name", METHODS)
def test_the_loss_on_random_log_probabilities_is_the_papers_to_a_millionth(
    name: str, start: PeftModel, tiny_qwen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of random next-token logits in place of the network, and a start that says something else."""
    generator = torch.Generator().manual_seed(5)
    vocabulary = start.config.vocab_size
    table = torch.randn(vocabulary, vocabulary, generator=generator, dtype=torch.float64)

    def forward(input_ids: torch.Tensor, labels: torch.Tensor | None = None, **_: Any) -> Any:
        logits = table[input_ids]
        if labels is None:
            return CausalLMOutput(logits=logits)
        wanted = labels[:, 1:]  # the rest is what TRL's fused projection gives: 0 where nothing is trained
        nats = logits[:, :-1].log_softmax(-1).gather(-1, wanted.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        mask = wanted != -100
        zeros = torch.zeros_like(nats)  # what TRL logs beside the loss
        return SimpleNamespace(
            logits=logits,
            log_probs=nats.where(mask, zeros),
            label_mask=mask,
            entropy=zeros,
            mean_logits=zeros,
            is_top1=mask,
        )

    monkeypatch.setattr(start, "forward", forward)

    def said(answer: Encoded) -> float:
        """In -32..0 nats, in steps that float32 holds exactly."""
        return -int(answer_key(answer)[:8], 16) % 2048 / 64 - 32

    run = replace(make_run(name, start, tiny_qwen, tmp_path), reference=lambda answers: [said(a) for a in answers])
    reference = asked(run, said)
    trainer = importlib.import_module(f"stages.training.methods.{name}").build_trainer(run)
    batch = next(iter(trainer.get_train_dataloader()))
    loss = batch_loss(trainer, batch).item()
    assert loss == pytest.approx(by_hand(run, reference), abs=1e-6, rel=1e-6)


def test_cpo_is_what_trls_experimental_trainer_computes(start: PeftModel, tiny_qwen: Path, tmp_path: Path) -> None:
    """On text rows of its own format, to whose answers it appends the stop token."""
    theirs = pytest.importorskip("trl.experimental.cpo", reason="TRL has removed its experimental CPO trainer")
    tokenizer = load_tokenizer(tiny_qwen)
    texts = [
        {"prompt": f"سؤال: {question} جواب:", "chosen": f" {good}", "rejected": f" {bad}"}
        for question, good, bad in zip(QUESTIONS, GOOD, BAD, strict=True)
    ]

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def encoded(row: dict[str, str], side: str) -> Encoded:
        return Encoded(ids(row["prompt"]), [*ids(row[side]), tokenizer.eos_token_id])

    rows = [{side: encoded(row, side) for side in ("chosen", "rejected")} for row in texts]
    run = replace(make_run("cpo", start, tiny_qwen, tmp_path), rows=rows)
    ours = importlib.import_module("stages.training.methods.cpo").build_trainer(run)
    method = METHODS["cpo"]
    assert isinstance(method, CpoMethod)
    config = theirs.CPOConfig(
        output_dir=str(tmp_path / "theirs"),
        beta=method.beta,
        cpo_alpha=method.nll_weight,
        per_device_train_batch_size=4,
        use_cpu=True,
        bf16=False,
        report_to="none",
    )
    other = theirs.CPOTrainer(
        model=start, args=config, train_dataset=Dataset.from_list(texts), processing_class=tokenizer
    )
    own = ours.compute_loss(ours.model, next(iter(ours.get_train_dataloader()))).item()
    batch = other.data_collator([other.train_dataset[index] for index in range(4)])
    with torch.no_grad():
        reported = other.compute_loss(other.model, batch).item()
    assert own == pytest.approx(reported, abs=TOLERANCE)


@pytest.mark.parametrize("name", METHODS)
def test_projecting_the_trained_positions_alone_leaves_the_gradient_as_it_is(
    name: str, start: PeftModel, tiny_qwen: Path, tmp_path: Path
) -> None:
    run = make_run(name, start, tiny_qwen, tmp_path)
    trainer = importlib.import_module(f"stages.training.methods.{name}").build_trainer(run)
    batch = next(iter(trainer.get_train_dataloader()))
    gradients = []
    for change in (lambda model: None, project_trained_positions):
        change(start)
        start.zero_grad()
        batch_loss(trainer, dict(batch)).backward()
        gradients.append([value.grad.clone() for value in start.parameters() if value.grad is not None])
    assert max(float(one.abs().max()) for one in gradients[0]) > 1e-4
    for theirs, ours in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", ["dpo", "ipo", "kto"])
def test_a_method_that_starts_on_its_reference_starts_at_the_known_loss(
    name: str, start: PeftModel, tiny_qwen: Path, tmp_path: Path
) -> None:
    run = make_run(name, start, tiny_qwen, tmp_path)
    module = importlib.import_module(f"stages.training.methods.{name}")
    trainer = module.build_trainer(run)
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(module.first_loss(run), abs=1e-5)
    known = {"dpo": math.log(2), "ipo": (1 / 1.4) ** 2, "kto": 0.5 * 0.9}
    assert module.first_loss(run) == pytest.approx(known[name])


def test_each_method_has_a_file_whose_functions_take_runs_of_its_own_params() -> None:
    _, classes = VARIANTS[TrainMethod]
    for name, own in classes.items():
        module = importlib.import_module(f"stages.training.methods.{name}")
        for function in (module.build_trainer, module.first_loss):
            assert get_type_hints(function)["run"] == Run[own]


def test_kto_refuses_rows_of_one_label(start: PeftModel, tiny_qwen: Path, tmp_path: Path) -> None:
    run = make_run("kto", start, tiny_qwen, tmp_path)
    run.labels[:] = [True] * 4  # type: ignore[index]
    with pytest.raises(PipelineError, match=r"all 4 rows that KTO would see are labelled good.*other label"):
        kto.build_trainer(run)


@pytest.mark.parametrize("labels", [[True] * 9 + [False], [False] * 9 + [True], [True, True, True, False]])
def test_kto_counts_both_labels_alike_whatever_their_shares(
    labels: list[bool], start: PeftModel, tiny_qwen: Path, tmp_path: Path
) -> None:
    run = make_run("kto", start, tiny_qwen, tmp_path)
    assert isinstance(run.method, KtoMethod)
    run = replace(run, method=replace(run.method, undesirable_weight="auto"), labels=labels)
    weights = kto.label_weights(run)
    assert weights[True] == run.method.desirable_weight
    assert weights[True] * sum(labels) == pytest.approx(weights[False] * (len(labels) - sum(labels)))


@pytest.mark.parametrize(("desirable", "undesirable", "remedy"), [(1.0, 0.5, "1"), (0.5, 0.8, "0.5")])
def test_kto_refuses_weights_that_do_not_make_up_for_the_shares_of_the_labels(
    desirable: float, undesirable: float, remedy: str, start: PeftModel, tiny_qwen: Path, tmp_path: Path
) -> None:
    method = METHODS["kto"]
    assert isinstance(method, KtoMethod)
    run = make_run("kto", start, tiny_qwen, tmp_path)
    unfair = replace(run, method=replace(method, desirable_weight=desirable, undesirable_weight=undesirable))
    with pytest.raises(
        PipelineError, match=f"outside 1..4/3: set train.kto.undesirable_weight to auto, or to {remedy}$"
    ):
        kto.build_trainer(unfair)


def test_kto_refuses_a_microbatch_too_small_for_its_kl_term(start: PeftModel, tiny_qwen: Path, tmp_path: Path) -> None:
    run = make_run("kto", start, tiny_qwen, tmp_path)
    with pytest.raises(PipelineError, match=r"rows_per_microbatch of 4 or more.*preference\.pairs_per_microbatch"):
        kto.build_trainer(replace(run, budget=replace(run.budget, rows_per_microbatch=2)))
