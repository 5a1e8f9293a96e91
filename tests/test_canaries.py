"""One test per private behaviour of a library that we rely on: an upgrade that changes it fails here."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, TrainingArguments
from trl import DPOConfig, KTOConfig, SFTConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_trainer import KTOTrainer


def test_trl_prepares_and_references_through_the_two_methods_that_we_override() -> None:
    for trainer in (DPOTrainer, KTOTrainer):
        assert "self._prepare_dataset(train_dataset" in inspect.getsource(trainer.__init__)
        assert "self._precompute_ref_logps(" in inspect.getsource(trainer.__init__)
    for column in ("prompt_ids", "chosen_ids", "rejected_ids", "ref_chosen_logps", "ref_rejected_logps"):
        assert f'"{column}"' in inspect.getsource(DPOTrainer._set_signature_columns_if_needed)
    for column in ("prompt_ids", "completion_ids", "KL_completion_ids", "label", "ref_logps", "ref_KL_logps"):
        assert f'"{column}"' in inspect.getsource(KTOTrainer._set_signature_columns_if_needed)


def test_trl_skips_preparation_of_sft_rows_when_told() -> None:
    assert SFTConfig(output_dir="x", use_cpu=True, bf16=False, dataset_kwargs={"skip_prepare_dataset": True})


def test_every_trainer_can_read_rows_in_file_order() -> None:
    for config in (SFTConfig, DPOConfig, KTOConfig):
        arguments = config(output_dir="x", use_cpu=True, bf16=False, train_sampling_strategy="sequential")
        assert arguments.train_sampling_strategy == "sequential"


def test_warmup_below_one_is_a_share_of_the_steps() -> None:
    assert TrainingArguments(output_dir="x", use_cpu=True, warmup_steps=0.1).get_warmup_steps(60) == 6


def test_peft_writes_exactly_the_files_that_we_keep_or_remove(tiny_qwen: Path, tmp_path: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(tiny_qwen, dtype=torch.bfloat16)
    model = get_peft_model(base, LoraConfig(target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    assert {value.dtype for value in model.parameters() if value.requires_grad} == {torch.float32}
    model.save_pretrained(str(tmp_path), selected_adapters=["default"])
    files = {file.name for file in tmp_path.iterdir()}
    assert files == {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    assert isinstance(json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"], list)
