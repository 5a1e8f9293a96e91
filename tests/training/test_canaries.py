"""One test per behaviour of TRL, transformers and PEFT that trainings rely on and that no documentation promises.

An upgrade that changes one fails here with a sentence, and not in a training far from the cause.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments
from trl.trainer.kto_trainer import KTOTrainer
from trl.trainer.sft_trainer import SFTTrainer
from trl.trainer.utils import FusedCausalLMOutput

from stages.bases.projections import decoder_projections
from stages.bases.tokens import Encoded
from stages.training import saved_adapter, trl_private
from stages.training.arguments import Run, shared_arguments
from stages.training.curves import write_curves
from stages.training.methods import sft
from stages.training.one_run import method_file
from stages.training.reference_answers import neighbours
from tests.support.canaries import canary
from tests.support.trainings import brute_force, make_run

TRAINERS = {"dpo": trl_private.TokenisedDPOTrainer, "kto": trl_private.TokenisedKTOTrainer}


@pytest.fixture
def model(tiny_qwen: Path) -> PeftModel:
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(tiny_qwen, dtype=torch.float32)
    return get_peft_model(
        base, LoraConfig(r=4, lora_alpha=8, target_modules=decoder_projections(base), task_type="CAUSAL_LM")
    )


class Bench:
    """Runs and trainers of one method, on the rows of `make_run`: one microbatch of four."""

    def __init__(self, model: PeftModel, folder: Path, scratch: Path) -> None:
        self.model, self.folder, self.scratch = model, folder, scratch

    def run(self, name: str) -> Run[Any]:
        return make_run(name, self.model, self.folder, self.scratch)

    def trainer(self, name: str) -> Any:
        run = self.run(name)
        return method_file(run.method).build_trainer(run)


@pytest.fixture
def bench(model: PeftModel, tiny_qwen: Path, tmp_path: Path) -> Bench:
    return Bench(model, tiny_qwen, tmp_path)


def batch_of(trainer: Any) -> dict[str, torch.Tensor]:
    return dict(next(iter(trainer.get_train_dataloader())))


def answers_of(batch: dict[str, torch.Tensor], prefix: str = "") -> list[list[int]]:
    """The token ids of each row where its completion mask is 1."""
    rows = zip(batch[f"{prefix}input_ids"], batch[f"{prefix}completion_mask"], strict=True)
    return [ids[mask.bool()].tolist() for ids, mask in rows]


def completions(answers: list[Encoded]) -> list[list[int]]:
    return [answer.completion_ids for answer in answers]


def moved(model: PeftModel) -> None:
    """Away from the start, so that what is computed of the adapter shows."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if ".default." in name:
                value += 0.05 * torch.randn_like(value)


@pytest.mark.parametrize("override", ["_prepare_dataset", "_precompute_ref_logps"])
@pytest.mark.parametrize("name", TRAINERS)
def test_the_trainers_get_their_rows_through_the_method_that_we_override(
    name: str, override: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def record(self: Trainer, dataset: Dataset, *_: Any) -> Dataset:
        given.append(dataset)
        return dataset

    with canary(f"TRL's {name.upper()}Trainer takes its rows from {override}(dataset, ...)", TRAINERS[name]):
        assert override in vars(TRAINERS[name].__base__)
        monkeypatch.setattr(TRAINERS[name], override, record)
        trainer = bench.trainer(name)
        assert given == [trainer.train_dataset]


def test_the_dpo_collator_reads_our_columns(bench: Bench) -> None:
    run = bench.run("dpo")
    chosen, rejected = ([row[side] for row in run.rows] for side in ("chosen", "rejected"))
    with canary("TRL's DPO collator reads prompt_ids, chosen_ids and rejected_ids", trl_private.referenced_pairs):
        batch = batch_of(bench.trainer("dpo"))
        assert answers_of(batch) == completions([*chosen, *rejected])
        for ids, answer in zip(batch["input_ids"], [*chosen, *rejected], strict=True):
            assert ids[: len(answer.prompt_ids)].tolist() == answer.prompt_ids
    with canary("TRL's DPO collator reads ref_chosen_logps and ref_rejected_logps", trl_private.referenced_pairs):
        for key, answers in (("ref_chosen_logps", chosen), ("ref_rejected_logps", rejected)):
            torch.testing.assert_close(batch[key], torch.tensor(run.reference(answers)))


def test_the_kto_collator_reads_our_columns(bench: Bench) -> None:
    run = bench.run("kto")
    own = [row["completion"] for row in run.rows]
    mismatched = neighbours(own, len(own))
    with canary(
        "TRL's KTO collator reads prompt_ids, completion_ids, KL_completion_ids and label",
        trl_private.referenced_answers,
    ):
        batch = batch_of(bench.trainer("kto"))
        assert answers_of(batch) == completions(own)
        assert answers_of(batch, "KL_") == completions(mismatched)
        assert [bool(label) for label in batch["label"]] == list(run.labels)
    with canary("TRL's KTO collator reads ref_logps and ref_KL_logps", trl_private.referenced_answers):
        for key, answers in (("ref_logps", own), ("ref_KL_logps", mismatched)):
            torch.testing.assert_close(batch[key], torch.tensor(run.reference(answers)))


def test_a_dpo_microbatch_has_the_keys_that_the_monitor_reads(bench: Bench) -> None:
    run = bench.run("dpo")
    with canary(
        "a DPO microbatch holds completion_mask (chosen answers, then rejected), ref_chosen_logps, ref_rejected_logps",
        trl_private.TokenisedDPOTrainer.compute_loss,
    ):
        batch = batch_of(bench.trainer("dpo"))
        lengths = [len(row[side].completion_ids) for side in ("chosen", "rejected") for row in run.rows]
        assert batch["completion_mask"].sum(dim=1).tolist() == lengths
        assert batch["ref_chosen_logps"].shape == batch["ref_rejected_logps"].shape == (len(run.rows),)


def test_a_kto_microbatch_has_the_keys_that_the_monitor_reads(bench: Bench) -> None:
    run = bench.run("kto")
    with canary(
        "a KTO microbatch holds completion_mask, label and ref_logps",
        trl_private.TokenisedKTOTrainer.compute_loss,
    ):
        batch = batch_of(bench.trainer("kto"))
        lengths = [len(row["completion"].completion_ids) for row in run.rows]
        assert batch["completion_mask"].sum(dim=1).tolist() == lengths
        assert batch["label"].shape == batch["ref_logps"].shape == (len(run.rows),)


@pytest.mark.parametrize(("name", "count"), [("dpo", 1), ("kto", 2)])
def test_the_last_forward_pass_of_a_loss_is_that_of_the_rows_own_answers(name: str, count: int, bench: Bench) -> None:
    run = bench.run(name)
    fields = ("chosen", "rejected") if name == "dpo" else ("completion",)
    with canary(
        f"TRL's {name.upper()} loss makes {count} forward pass(es), the rows' own answers last, and each returns "
        "log_probs (rows, positions), 0 where nothing is trained",
        trl_private.answer_nats,
    ):
        trainer = bench.trainer(name)
        moved(bench.model)
        expected = [brute_force(bench.model, row[field]) for field in fields for row in run.rows]
        batch = batch_of(trainer)
        with trl_private.answer_nats(trainer.model) as passes:
            TRAINERS[name].__base__.compute_loss(trainer, trainer.model, batch)
        assert len(passes) == count
        assert passes[-1].tolist() == pytest.approx(expected, abs=1e-3)


def test_the_kl_term_goes_through_a_method_of_the_live_accelerator(bench: Bench) -> None:
    with canary(
        "TRL's KTO loss gathers its KL term with self.accelerator.gather_for_metrics, which an object can replace",
        trl_private.TokenisedKTOTrainer.ungathered,
    ):
        trainer = bench.trainer("kto")
        batch = batch_of(trainer)
        whole = KTOTrainer.compute_loss(trainer, trainer.model, batch).item()
        with trainer.ungathered():
            assert KTOTrainer.compute_loss(trainer, trainer.model, batch).item() == whole  # one process: no difference
            trainer.accelerator.gather_for_metrics = lambda value: value + 100
            assert KTOTrainer.compute_loss(trainer, trainer.model, batch).item() > whole + 0.01
        assert KTOTrainer.compute_loss(trainer, trainer.model, batch).item() == whole  # the class's own is back


def test_what_kto_logs_is_the_mean_of_its_private_lists(bench: Bench) -> None:
    with canary(
        'TRL\'s KTOTrainer keeps a list of floats a name in self._metrics["train"], and logs their means',
        trl_private.TokenisedKTOTrainer.log,
    ):
        trainer = bench.trainer("kto")
        trainer.compute_loss(trainer.model, batch_of(trainer))
        assert all(isinstance(value, float) for value in trainer._metrics["train"]["kl"])
        trainer._metrics["train"]["kl"] = [1.0, 3.0]
        trainer.log({"loss": 0.5})
        assert trainer.state.log_history[-1]["kl"] == 2.0
        assert not trainer._metrics["train"]


@pytest.mark.parametrize("name", ["sft", *TRAINERS])
def test_the_trainers_ask_the_bases_forward_for_a_fused_projection(
    name: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def record(*args: Any, **kwargs: Any) -> Any:
        asked.append((kwargs.get("fused_lm_head"), kwargs["labels"].shape))
        return theirs(*args, **kwargs)

    with canary(
        f"TRL's {name.upper()}Trainer calls the forward of the base with fused_lm_head=True and labels",
        trl_private.project_trained_positions,
    ):
        trainer = bench.trainer(name)
        base = bench.model.get_base_model()
        theirs = base.forward
        monkeypatch.setattr(base, "forward", record)
        batch = batch_of(trainer)
        trainer.compute_loss(trainer.model, batch)
        assert (True, batch["input_ids"].shape) in asked
        assert all(fused for fused, _ in asked)


@pytest.mark.parametrize("name", ["sft", *TRAINERS])
def test_the_fused_projection_returns_what_ours_returns(name: str, bench: Bench) -> None:
    with canary(
        "a base that TRL gave a fused projection returns FusedCausalLMOutput with loss, log_probs and label_mask",
        trl_private.project_trained_positions,
    ):
        trainer = bench.trainer(name)
        batch = batch_of(trainer)
        mask = batch["labels"] != -100 if name == "sft" else batch["completion_mask"] == 1
        labels = batch["input_ids"].masked_fill(~mask, -100)
        base = bench.model.get_base_model()
        inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "labels": labels}
        with torch.no_grad():
            theirs = base(**inputs, fused_lm_head=True)
            trl_private.project_trained_positions(bench.model)
            ours = base(**inputs, fused_lm_head=True)
        assert type(theirs) is type(ours) is FusedCausalLMOutput
        assert {key for key, value in theirs.items() if value is not None} <= set(ours)
        for field in ("loss", "log_probs", "label_mask"):
            torch.testing.assert_close(theirs[field], ours[field], atol=1e-5, rtol=1e-4)
        trainer.compute_loss(trainer.model, batch)  # reads no other field


@pytest.mark.parametrize("name", TRAINERS)
def test_the_preference_trainers_add_a_copy_of_the_start(name: str, bench: Bench) -> None:
    with canary(
        f"TRL's {name.upper()}Trainer copies the start's adapter under the name ref", trl_private.drop_copy_of_start
    ):
        bench.trainer(name)
        assert set(bench.model.peft_config) == {"default", "ref"}
        trl_private.drop_copy_of_start(bench.model)
        assert set(bench.model.peft_config) == {"default"}


@pytest.mark.parametrize("name", ["sft", *TRAINERS])
def test_the_trainers_turn_the_adapter_of_a_quantised_base_into_bfloat16(name: str, bench: Bench) -> None:
    """A base in 4 bits needs a GPU; TRL knows one by this attribute alone."""
    with canary(
        f"TRL's {name.upper()}Trainer turns the adapter of a quantised base into bfloat16",
        trl_private.train_in_float32,
    ):
        bench.model.is_loaded_in_4bit = True
        bench.trainer(name)
        trained = [value for value in bench.model.parameters() if value.requires_grad]
        assert {value.dtype for value in trained} == {torch.bfloat16}
        trl_private.train_in_float32(bench.model)
        assert {value.dtype for value in trained} == {torch.float32}


def test_sft_trains_labelled_rows_as_they_are(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("the rows are prepared again")

    with canary(
        "TRL's SFTTrainer takes rows of input_ids and labels as they are with skip_prepare_dataset", sft.build_trainer
    ):
        monkeypatch.setattr(SFTTrainer, "_prepare_dataset", refuse)
        batch = batch_of(bench.trainer("sft"))
        labels = [ids[ids != -100].tolist() for ids in batch["labels"]]
        assert labels == completions([row["completion"] for row in bench.run("sft").rows])


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("sft", {"loss", "grad_norm", "learning_rate"}),
        ("dpo", {"rewards/chosen", "rewards/rejected", "logps/chosen", "logps/rejected"}),
        ("kto", {"rewards/chosen", "rewards/rejected", "logps/chosen", "logps/rejected", "kl"}),
    ],
)
def test_the_trainers_log_the_names_that_become_curves(name: str, names: set[str], bench: Bench) -> None:
    with canary(f"TRL's {name.upper()}Trainer logs {', '.join(sorted(names))} in every step", write_curves):
        trainer = bench.trainer(name)
        trainer.train()
        assert names <= set(trainer.state.log_history[0])


@pytest.mark.parametrize("name", ["sft", *TRAINERS])
def test_every_trainer_reads_rows_in_the_order_that_they_are_given(name: str, bench: Bench) -> None:
    run = bench.run(name)
    thrice = replace(run, rows=list(run.rows) * 3, labels=list(run.labels) * 3)
    trainer = method_file(run.method).build_trainer(thrice)
    with canary(
        f"TRL's {name.upper()}Trainer reads rows in their order with train_sampling_strategy sequential",
        shared_arguments,
    ):
        read = []
        for batch in trainer.get_train_dataloader():
            ids = (
                batch["labels"]
                if name == "sft"
                else batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
            )
            read += [row[row != -100].tolist() for row in ids][: len(run.rows)]  # the chosen answers come first
        first = "chosen" if name == "dpo" else "completion"
        assert read == completions([row[first] for row in thrice.rows])


def test_warmup_below_one_is_a_share_of_the_steps() -> None:
    with canary("transformers reads warmup_steps below 1 as a share of the steps", shared_arguments):
        assert TrainingArguments(output_dir="x", use_cpu=True, warmup_steps=0.1).get_warmup_steps(60) == 6


def test_a_trainer_says_whether_its_processes_hold_a_part_of_the_weights_each(bench: Bench) -> None:
    with canary("transformers' Trainer has is_fsdp_enabled, false in one process", saved_adapter.whole_weights):
        assert bench.trainer("sft").is_fsdp_enabled is False


def test_peft_writes_exactly_the_files_that_we_keep_or_remove(tiny_qwen: Path, tmp_path: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(tiny_qwen, dtype=torch.bfloat16)
    model = get_peft_model(base, LoraConfig(target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    with canary("PEFT makes a float32 adapter on a bfloat16 base", saved_adapter.save_adapter):
        assert {value.dtype for value in model.parameters() if value.requires_grad} == {torch.float32}
    with canary("PEFT writes README.md, adapter_config.json and the weights alone", saved_adapter.save_adapter):
        model.save_pretrained(str(tmp_path), selected_adapters=["default"])
        files = {file.name for file in tmp_path.iterdir()}
        assert files == {"README.md", "adapter_config.json", "adapter_model.safetensors"}
        assert isinstance(json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"], list)
