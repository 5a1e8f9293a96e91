"""A base that would train as another model than it is evaluated as is refused when it is pinned, in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from stages import base, contract
from stages.bases import loading
from stages.bases.projections import decoder_projections
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import read_json, read_jsonl, write_json, write_jsonl
from stages.core.params import load_params
from tests.support.clones import ROOT, set_param

CASES = ROOT.parent / "shared" / "cases" / "own-base"
cases = pytest.mark.skipif(not CASES.exists(), reason="the reported cases are not beside this checkout")


@pytest.fixture
def elsewhere(trainable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Qwen as a folder outside the project, to which profile local points."""
    folder = tmp_path_factory.mktemp("elsewhere") / "qwen"
    shutil.move(paths.BASE, folder)
    (folder / "base.json").unlink()
    use(folder)
    return folder


def use(folder: Path) -> None:
    set_param(Path.cwd(), "profile", "local")
    set_param(Path.cwd(), "profiles.local.base.path", str(folder))
    set_param(Path.cwd(), "profiles.local.dtype", "float32")


def change_json(file: Path, **values: object) -> None:
    write_json(file, read_json(file) | values)


def adapter_beside(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(folder)


def adapter_alone(folder: Path) -> None:
    adapter_beside(folder)
    (folder / "config.json").unlink()
    (folder / "model.safetensors").unlink()


def cut_off(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


def sharded(folder: Path) -> None:
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors").unlink(missing_ok=True)


def shard_missing(folder: Path) -> None:
    sharded(folder)
    sorted(folder.glob("model-*.safetensors"))[1].unlink()


def renamed(change: Callable[[str], str | None]) -> Callable[[Path], None]:
    def of(folder: Path) -> None:
        file = folder / "model.safetensors"
        weights = {change(name): value.clone() for name, value in load_file(file).items()}
        save_file({name: value for name, value in weights.items() if name}, file, metadata={"format": "pt"})

    return of


def not_numbers(folder: Path) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})


def more_tokens(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"كلمة{n}" for n in range(4)])
    tokenizer.save_pretrained(folder)


def without_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def without_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def plain_marks(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "an adapter beside the weights": (adapter_beside, "holds an adapter .* beside a base.*move the adapter elsewhere"),
    "an adapter alone": (adapter_alone, "is an adapter of .* and no base: merge it"),
    "a quantised base": (
        lambda folder: change_json(folder / "config.json", quantization_config={"quant_method": "bitsandbytes"}),
        "is quantised by bitsandbytes.*name the folder of the full weights",
    ),
    "half a file": (cut_off, "model.safetensors is damaged or cut off.*download or copy it again"),
    "a pointer of Git LFS": (pointer, "is a pointer of Git LFS and not the weights: run `git lfs pull`"),
    "a missing shard": (shard_missing, "lacks 1 of [0-9]+ files that model.safetensors.index.json names"),
    "an unknown architecture": (
        lambda folder: change_json(folder / "config.json", model_type="qwen9"),
        "its architecture is not known here",
    ),
    "an encoder and decoder": (
        lambda folder: change_json(folder / "config.json", model_type="t5"),
        "is a t5, which does not continue a text",
    ),
    "a missing weight": (
        renamed(lambda name: None if "layers.1.mlp" in name else name),
        "lack weights of the model, model.layers.1.mlp.*drawn at random",
    ),
    "weights under a prefix": (
        renamed(lambda name: f"policy.{name}"),
        r"lack weights of the model.*its files have policy\.model.* for model",
    ),
    "a weight too many": (
        renamed(lambda name: name.replace("layers.1.", "layers.7.")),
        "lack weights of the model",
    ),
    "another width": (
        lambda folder: change_json(folder / "config.json", intermediate_size=48),
        "cannot be loaded|other shapes than config.json says",
    ),
    "a value that is no number": (not_numbers, "model.norm.weight holds values that are no numbers"),
    "more tokens than rows": (more_tokens, r"tokenizer has \d+ tokens and its embedding \d+ rows: call model.resize"),
    "no tokenizer": (without_tokenizer, "holds no tokenizer"),
    "no chat template": (
        without_template,
        "has no single chat template: set profiles.local.base.chat_template in params.yaml to chatml or plain",
    ),
    "a template without a special token": (
        plain_marks,
        "closes a turn with no special token.*set profiles.local.base.chat_template in params.yaml to plain or chatml",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_train_as_it_is_evaluated_is_refused(name: str, elsewhere: Path) -> None:
    break_it, words = REFUSED[name]
    break_it(elsewhere)
    with pytest.raises(PipelineError, match=words) as refusal:
        base.main()
    assert str(elsewhere) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not paths.BASE_PIN.exists()


def test_shards_are_pinned_one_by_one(elsewhere: Path) -> None:
    sharded(elsewhere)
    base.main()
    files = read_json(paths.BASE_PIN)["files"]
    assert {"config.json", "model.safetensors.index.json"} < set(files) and len(files) > 4
    sorted(elsewhere.glob("model-*.safetensors"))[0].write_bytes(b"other")
    with pytest.raises(PipelineError, match="not the file that was pinned"):
        loading.load_base(load_params().active)


def test_weights_beside_those_that_are_read_are_named(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(elsewhere / "model.safetensors", elsewhere / "consolidated.safetensors")
    base.main()
    assert "not read, though they lie beside it: consolidated.safetensors" in capsys.readouterr().out
    assert "consolidated.safetensors" not in read_json(paths.BASE_PIN)["files"]


def test_an_untied_head_beside_a_tied_config_is_pinned_as_it_is_loaded(elsewhere: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(elsewhere)
    tied = model.num_parameters()
    weights = load_file(elsewhere / "model.safetensors")
    weights["lm_head.weight"] = torch.randn_like(weights["model.embed_tokens.weight"])
    save_file(weights, elsewhere / "model.safetensors", metadata={"format": "pt"})
    base.main()
    pin = read_json(paths.BASE_PIN)
    assert pin["tied_output"] is False
    assert pin["parameters"] == tied + weights["lm_head.weight"].numel()


@pytest.mark.parametrize("padding", [None, "<|im_end|>"])
def test_a_usable_padding_token_is_chosen_and_said(
    padding: str | None, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(elsewhere)
    tokenizer.pad_token = padding
    tokenizer.save_pretrained(elsewhere)
    base.main()
    assert "using <|endoftext|>" in capsys.readouterr().out
    assert loading.load_tokenizer().pad_token == "<|endoftext|>"
    contract.main()


@pytest.mark.parametrize("template", ["chatml", "plain", "file"])
def test_a_base_without_a_template_takes_one_by_a_param(template: str, elsewhere: Path) -> None:
    own = (elsewhere / "chat_template.jinja").read_text(encoding="utf-8")
    without_template(elsewhere)
    file = elsewhere / "mine.jinja"
    file.write_text(own, encoding="utf-8")
    set_param(Path.cwd(), "profiles.local.base.chat_template", str(file) if template == "file" else template)
    base.main()
    contract.main()
    assert read_json(paths.CONTRACT_SUMMARY)["stop_token"] == "<|im_end|>"


def test_chatml_is_refused_where_its_markers_are_no_tokens(elsewhere: Path) -> None:
    """Split into several tokens they could not end a turn: the marker is no token of the base."""
    without_template(elsewhere)
    file = elsewhere / "tokenizer.json"
    text = file.read_text(encoding="utf-8").replace("<|im_start|>", "<|im_begin|>")
    file.write_text(text, encoding="utf-8")
    change_json(elsewhere / "tokenizer_config.json", additional_special_tokens=[], extra_special_tokens=[])
    set_param(Path.cwd(), "profiles.local.base.chat_template", "chatml")
    with pytest.raises(PipelineError, match=r"chatml, whose marker <\|im_start\|> is no token of .* set it to plain"):
        base.main()


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}",
            "refuses the turns system, user.*System role not supported",
        ),
        ("{% set messages = messages | rejectattr('role', 'equalto', 'system') %}", "leaves out what the system says"),
    ],
)
def test_a_row_that_the_template_refuses_is_named_with_its_line(template: str, words: str, elsewhere: Path) -> None:
    own = (elsewhere / "chat_template.jinja").read_text(encoding="utf-8")
    (elsewhere / "chat_template.jinja").write_text(template + own, encoding="utf-8")
    base.main()
    path = paths.prepared_split("sft", "train")
    rows = read_jsonl(path)
    rows[2]["prompt"] = [{"role": "system", "content": "كن موجزا."}, *rows[2]["prompt"]]
    write_jsonl(path, rows)
    with pytest.raises(PipelineError, match=rf"{path}:3 \({rows[2]['id']}\): the base's chat template {words}"):
        contract.main()


def test_the_experts_of_a_mixture_stay_frozen_and_it_is_said(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = AutoConfig.for_model(
        "qwen3_moe",
        vocab_size=len(AutoTokenizer.from_pretrained(elsewhere)),
        hidden_size=32,
        intermediate_size=64,
        moe_intermediate_size=32,
        num_experts=4,
        num_experts_per_tok=2,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
    )
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(elsewhere)
    base.main()
    assert "the experts and routers of its mixture stays frozen" in capsys.readouterr().out.replace("stay ", "stays ")
    assert set(read_json(paths.BASE_PIN)["lora_targets"]) == {"q_proj", "k_proj", "v_proj", "o_proj"}
    adapted = get_peft_model(model, LoraConfig(target_modules=decoder_projections(model)))
    assert not [name for name, _ in adapted.named_parameters() if "lora_" in name and "mlp" in name]


@cases
@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no-tokenizer/no_tokenizer", "holds no tokenizer"),
        ("quantised-or-damaged/bnb", "is quantised by bitsandbytes"),
        ("quantised-or-damaged/cut_off", "is damaged or cut off"),
        ("tokenizer-larger-than-embedding/added_tokens", "tokenizer has 1019 tokens and its embedding 1008 rows"),
        ("gemma-system-and-attention/gemma2", "has no sdpa attention here: set attention: eager"),
    ],
)
def test_a_reported_base_is_refused_in_one_sentence(case: str, words: str, trainable: Path) -> None:
    use(CASES / case)
    with pytest.raises(PipelineError, match=words):
        base.main()


@cases
@pytest.mark.parametrize(
    ("case", "pin", "padding"),
    [
        ("pad-token/llama3", {"tied_output": False}, "<|finetune_right_pad_id|>"),
        ("pad-token/smollm2", {"tied_output": True}, "<|endoftext|>"),
        ("untied-head/tied_but_head", {"tied_output": False, "parameters": 83_232}, "<|endoftext|>"),
        ("other-projections/qwen3_5", {"architecture": "Qwen3_5ForCausalLM"}, "<|endoftext|>"),
        ("other-projections/gptneox", {"architecture": "GPTNeoXForCausalLM"}, "<|endoftext|>"),
        ("gemma-system-and-attention/gemma2", {"architecture": "Gemma2ForCausalLM"}, "<pad>"),
    ],
)
def test_a_reported_base_is_pinned_as_it_is(case: str, pin: dict[str, object], padding: str, trainable: Path) -> None:
    use(CASES / case)
    set_param(trainable, "profiles.local.attention", "eager")
    base.main()
    found = read_json(paths.BASE_PIN)
    assert {key: found[key] for key in pin} == pin, json.dumps(found)
    assert loading.load_tokenizer().pad_token == padding
    contract.main()
