"""Bases that exist already: a folder, a hub's cache, a GGUF file; under each the token contract holds."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
import trl
from transformers import AutoTokenizer, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from stages import base, contract
from stages.bases import loading
from stages.bases.tokens import encode, sides
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import read_json, read_jsonl
from stages.core.params import load_params
from tests.support.clones import ROOT, run, set_param

REVISION = "0123456789abcdef0123456789abcdef01234567"
# Qwen's own chat templates, as TRL carries them: 2.5 puts a system turn first, 3 an empty block of thoughts.
TEMPLATES = {name: Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja" for name in ("qwen2_5", "qwen3")}


@pytest.fixture
def elsewhere(trainable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Qwen as a folder outside the project, whose own `models/base` is gone."""
    folder = tmp_path_factory.mktemp("elsewhere") / "qwen"
    shutil.move(paths.BASE, folder)
    (folder / "base.json").unlink()
    return folder


def use_local(place: Path) -> None:
    set_param(Path.cwd(), "profile", "local")
    set_param(Path.cwd(), "profiles.local.base.path", str(place))
    set_param(Path.cwd(), "profiles.local.dtype", "float32")


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(torch.tensor([[5, 17, 300, 42, 7]])).logits
    return found


def prove_contract() -> None:
    """Run the stage; then every row's answer ends with its one stop token and holds no thought."""
    contract.main()
    summary = read_json(paths.CONTRACT_SUMMARY)
    assert summary["stop_token"] == "<|im_end|>"
    tokenizer = loading.load_tokenizer()
    for kind in ("sft", "pairs"):
        for row in read_jsonl(paths.prepared_split(kind, "train")):
            for field, answer in sides(row):
                ids = encode(tokenizer, row["prompt"], answer).completion_ids
                assert tokenizer.decode(ids) == row[field][0]["content"] + "<|im_end|>"


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_folder_with_qwens_own_template_keeps_the_contract(elsewhere: Path, template: str) -> None:
    (elsewhere / "chat_template.jinja").write_bytes(TEMPLATES[template].read_bytes())
    use_local(elsewhere)
    base.main()
    pin = read_json(paths.BASE_PIN)
    assert (pin["kind"], pin["architecture"], pin["tied_output"]) == ("local", "Qwen3ForCausalLM", True)
    assert not (paths.BASE / "model.safetensors").exists()
    prove_contract()
    assert torch.isfinite(logits(loading.load_base(load_params().active))).all()


def test_a_folder_that_has_changed_since_it_was_pinned_is_refused(elsewhere: Path) -> None:
    use_local(elsewhere)
    base.main()
    config = elsewhere / "config.json"
    config.write_text(config.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(PipelineError, match="not the file that was pinned"):
        loading.load_base(load_params().active)


def test_pickled_weights_are_refused(elsewhere: Path) -> None:
    (elsewhere / "model.safetensors").rename(elsewhere / "pytorch_model.bin")
    use_local(elsewhere)
    with pytest.raises(PipelineError, match="pickled weights are not read"):
        base.main()


def test_a_hub_base_is_read_from_the_cache_without_a_network(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of their own: huggingface_hub reads where its cache lies when it is imported."""
    repository = tmp_path / "cache" / "models--someone--tiny"
    (repository / "refs").mkdir(parents=True)
    shutil.copytree(elsewhere, repository / "snapshots" / REVISION)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    set_param(tmp_path, "profile", "qwen3_06b")
    for key, value in {"id": "someone/tiny", "revision": REVISION, "download": False}.items():
        set_param(tmp_path, f"profiles.qwen3_06b.base.{key}", value)
    made = run_here(tmp_path, "-m", "stages.base")
    assert made.returncode == 0, made.stderr
    pin = read_json(paths.BASE_PIN)
    assert (pin["kind"], pin["id"], pin["revision"]) == ("hub", "someone/tiny", REVISION)
    prove_contract()
    code = (
        "from stages.bases import loading\nfrom stages.core import params\n"
        "model = loading.load_base(params.load_params().active)\n"
        "print(model.dtype, model.num_parameters())"
    )
    loaded = run_here(tmp_path, "-c", code)
    assert loaded.stdout.split()[-2:] == ["torch.bfloat16", str(pin["parameters"])], loaded.stderr

    set_param(tmp_path, "profiles.qwen3_06b.base.revision", REVISION[::-1])
    refused = run_here(tmp_path, "-m", "stages.base")
    assert refused.returncode == 1
    assert f"someone/tiny at revision {REVISION[::-1][:12]} cannot be had (not in the hub cache)" in refused.stderr


def run_here(folder: Path, *arguments: str) -> Any:
    return run(folder, "env", f"PYTHONPATH={ROOT}", sys.executable, *arguments)


@pytest.mark.parametrize("head_dim", [128, 16])
def test_a_gguf_file_becomes_the_same_model_or_is_refused(elsewhere: Path, tmp_path: Path, head_dim: int) -> None:
    """Transformers' reader takes every head of a Qwen3 to be 128 wide, as in the published ones."""
    config = Qwen3Config.from_pretrained(elsewhere, head_dim=head_dim)
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config).eval()
    file = tmp_path / "tiny.gguf"
    write_gguf(model, elsewhere, file)
    use_local(file)
    if head_dim != 128:
        with pytest.raises(PipelineError, match=r"tiny\.gguf: its weights do not fit"):
            base.main()
        return
    base.main()
    pin = read_json(paths.BASE_PIN)
    assert (pin["kind"], pin["tied_output"]) == ("gguf", True)
    assert torch.allclose(logits(loading.load_base(load_params().active)), logits(model), atol=1e-5)
    prove_contract()


def write_gguf(model: PreTrainedModel, folder: Path, file: Path) -> None:
    """The model in float32 as llama.cpp's converter would name it."""
    config = model.config
    writer = gguf.GGUFWriter(file, "qwen3")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    bpe = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    special = set(tokenizer.all_special_ids)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokenizer.convert_ids_to_tokens(range(len(tokenizer))))
    kinds = [gguf.TokenType.CONTROL if index in special else gguf.TokenType.NORMAL for index in range(len(tokenizer))]
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in bpe["model"]["merges"]])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, config.num_hidden_layers)
    for name, value in model.state_dict().items():
        if name != "lm_head.weight":  # tied to the embedding
            stem, suffix = name.rsplit(".", 1)
            writer.add_tensor(f"{names.get_name(stem)}.{suffix}", value.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
