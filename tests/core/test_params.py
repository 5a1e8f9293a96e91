"""params.yaml is refused with one line that names the key, or it is read into values that something uses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from stages.core import params as module
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.params import Budget, load_params
from tests.support.clones import ROOT

TEXT = (ROOT / paths.PARAMS).read_text(encoding="utf-8")
REMOVED = object()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def change(path: Path, key: str, value: Any) -> None:
    """Set, add or remove the value at a dotted key."""
    yaml = YAML(typ="safe")
    document = yaml.load(TEXT)
    *parents, last = key.split(".")
    place = document
    for name in parents:
        place = place[name]
    if value is REMOVED:
        del place[last]
    else:
        place[last] = value
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(document, stream)


def refusal(path: Path) -> str:
    """The one line with which the file is refused; it names the file."""
    with pytest.raises(PipelineError) as caught:
        load_params(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(str(path))
    return message


def params_dataclasses() -> Iterator[type]:
    for value in vars(module).values():
        if isinstance(value, type) and is_dataclass(value) and value.__module__ == module.__name__:
            yield value


def attributes_read(tree: ast.AST) -> set[str]:
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}


def test_the_committed_file_is_valid_and_runs_the_embedded_profile() -> None:
    params = load_params(ROOT / paths.PARAMS)
    assert params.profile == "embedded"
    assert params.active is params.profiles["embedded"]
    assert {"embedded", "smoke", "qwen3_06b", "qwen25_05b", "local"} <= set(params.profiles)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sed", 7),
        ("data.sed", 7),
        ("data.flaws.sarcasm", 0.1),
        ("train.dpo.warmup", 3),
        ("profiles.smoke.base.hidden_size", 32),
        ("profiles.smoke.preference.rows_per_step", 4),
    ],
)
def test_an_unknown_key_is_named_in_full_with_the_known_ones(file: Path, key: str, value: Any) -> None:
    change(file, key, value)
    message = refusal(file)
    assert f"unknown key '{key}'" in message
    assert "known here are" in message


@pytest.mark.parametrize(
    "key", ["lora", "data.seed", "data.flaws.hedging", "train.dpo.init", "profiles.smoke.preference.steps"]
)
def test_a_missing_key_is_named_in_full(file: Path, key: str) -> None:
    change(file, key, REMOVED)
    assert f"the key '{key}' is missing" in refusal(file)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("data.seed", "seven", "must be a int"),
        ("data.seed", True, "must be a int"),
        ("data.mcq_questions", 4.5, "must be a int"),
        ("train.dpo.beta", "high", "must be a float"),
        ("train.dpo.init", 3, "must be a str"),
        ("profiles.smoke.activation_checkpointing", "yes please", "must be a bool"),
        ("lora", None, "must be a mapping"),
        ("profiles", [1], "must be a mapping"),
        ("models", "dpo", "must be a list"),
        ("train.dpo.method", "ppo", "write one of sft, dpo, ipo, cpo, kto"),
        ("train.dpo.data", "triples", "write one of pairs"),
        ("profiles.smoke.attention", "flash", "write one of sdpa, flash_attention_2, eager"),
        ("profiles.smoke.base.kind", "magic", "write one of pretrain, hub, local"),
        ("launch.by", "mpirun", "write one of python, torchrun, accelerate_ddp, accelerate_fsdp, accelerate_deepspeed"),
        ("launch", "torchrun", "must be a mapping"),
        ("gpu.tf32", "on", "must be a bool"),
    ],
)
def test_a_wrong_type_is_named_with_what_was_expected(file: Path, key: str, value: Any, expected: str) -> None:
    change(file, key, value)
    message = refusal(file)
    assert key in message
    assert expected in message


def test_a_wrong_item_of_a_list_is_named_by_its_position(file: Path) -> None:
    change(file, "profiles.smoke.seeds", [11, "12"])
    assert "profiles.smoke.seeds[1] must be a int, found '12'" in refusal(file)


@pytest.mark.parametrize("quoted", ['"5e-7"', "'5.0e-3'", "5e-7 nats"])
def test_a_learning_rate_that_is_a_string_is_refused(file: Path, quoted: str) -> None:
    file.write_text(TEXT.replace("dpo: 5.0e-6", f"dpo: {quoted}", 1), encoding="utf-8")
    message = refusal(file)
    assert "profiles.qwen3_06b.learning_rate.dpo must be a float" in message


@pytest.mark.parametrize("written", ["5e-07", "5e-7", "5.0e-07", "0.0000005"])
def test_every_way_to_write_a_small_learning_rate_is_a_number(file: Path, written: str) -> None:
    # `dvc exp run -S` writes 5e-07, which YAML 1.1 reads as a string.
    file.write_text(TEXT.replace("dpo: 5.0e-6", f"dpo: {written}", 1), encoding="utf-8")
    rate = load_params(file).profiles["qwen3_06b"].learning_rate["dpo"]
    assert (type(rate), rate) == (float, 5e-7)


def test_an_integer_may_stand_where_a_float_is_expected(file: Path) -> None:
    change(file, "train.kto.desirable_weight", 1)
    weight = load_params(file).train["kto"].desirable_weight
    assert (type(weight), weight) == (float, 1.0)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("train.sft.beta", 0.1, ("unknown key 'train.sft.beta'", "method, init, data")),
        ("train.dpo.nll_weight", 1.0, ("unknown key 'train.dpo.nll_weight'", "method, init, data, budget, beta")),
        ("train.dpo.beta", REMOVED, ("the key 'train.dpo.beta' is missing",)),
        ("train.cpo.nll_weight", REMOVED, ("the key 'train.cpo.nll_weight' is missing",)),
        ("train.kto.desirable_weight", REMOVED, ("the key 'train.kto.desirable_weight' is missing",)),
        ("train.dpo.beta", 0.0, ("train.dpo:", "beta must be above 0")),
        ("train.kto.undesirable_weight", -1.0, ("train.kto:", "undesirable_weight must be above 0")),
        ("train.kto.data", "pairs", ("train.kto.data is 'pairs': write one of unpaired",)),
        ("train.dpo.data", "unpaired", ("train.dpo.data is 'unpaired': write one of pairs",)),
        ("train.sft.data", "unpaired", ("train.sft.data is 'unpaired': write one of sft, pairs",)),
        ("train.dpo.init", "Qwen/Qwen3-0.6B", ("train.dpo.init", "Qwen/Qwen3-0.6B")),
        ("train.dpo.init", "models/ppo", ("train.dpo.init", "models/ppo")),
        ("train.dpo.init", "models/dpo", ("train.dpo.init", "models/dpo")),
        ("train.dpo.init", "sft", ("train.dpo.init", "models/")),
        ("train.dpo.reference", "models/reference", ("unknown key 'train.dpo.reference'",)),
        ("train.dpo.budget", "sft", ("train.dpo.budget is 'sft': write one of preference",)),
        ("train.kto.budget", "sft", ("train.kto.budget is 'sft': write one of preference",)),
        ("train.ipo.budget", "sft", ("train.ipo.budget is 'sft': write one of preference",)),
        ("train.cpo.budget", "sft", ("train.cpo.budget is 'sft': write one of preference",)),
        ("train.sft_more.budget", "kto", ("train.sft_more.budget is 'kto': write one of sft, preference",)),
        ("profiles.smoke.sft.rows_per_step", 9, ("profiles.smoke.sft:", "rows_per_step", "multiple")),
        ("profiles.smoke.preference.pairs_per_step", 3, ("profiles.smoke.preference:", "pairs_per_step", "multiple")),
        ("profiles.smoke.learning_rate.dpo", 0.0, ("profiles.smoke:", "learning_rate.dpo must be above 0")),
        ("profiles.smoke.max_tokens", 0, ("profiles.smoke:", "max_tokens must be above 0")),
        ("profiles.smoke.sft.steps", 0, ("profiles.smoke.sft:", "steps must be above 0")),
        ("profiles.smoke.preference.steps", 0, ("profiles.smoke.preference:", "steps must be above 0")),
        ("profiles.smoke.learning_rate.dpo", REMOVED, ("profiles.smoke.learning_rate", "exactly the keys of train")),
        ("profiles.smoke.base.hidden", 33, ("profiles.smoke.base:", "hidden", "multiple of heads")),
        ("profiles.smoke.base.block_tokens", 512, ("profiles.smoke.base:", "block_tokens", "context_tokens")),
        ("profiles.qwen3_06b.base.revision", "main", ("profiles.qwen3_06b.base:", "revision", "40 characters")),
        ("profiles.smoke.dtype", "float16", ("profiles.smoke:", "dtype", "float32, bfloat16")),
        ("profiles.smoke.seeds", [], ("profiles.smoke:", "seeds")),
        ("profiles.smoke.seeds", [11, 11], ("profiles.smoke:", "seeds", "distinct")),
        ("profiles.smoke.benchmark.batch_sizes", [2, 4], ("profiles.smoke.benchmark:", "batch_sizes", "1")),
        ("data.flaws.hedging", 0.8, ("data.flaws:", "hedging", "repetition")),
        ("data.flaws.hedging", -0.1, ("data.flaws:", "hedging")),
        ("data.test_share", 0.5, ("data:", "test_share")),
        ("data.validation_share", 0.0, ("data:", "validation_share")),
        ("data.pairs_per_skill_row", 6, ("data:", "pairs_per_skill_row")),
        ("evaluate.confidence", 95, ("evaluate:", "confidence")),
        ("launch.processes", 2, ("launch:", "python starts one process", "set by to torchrun")),
        ("launch.by", "torchrun", ("launch:", "2 processes or more", "set by to python")),
        ("gpu.loader_workers", -1, ("gpu:", "loader_workers must be 0 or more")),
        (
            "launch",
            {"by": "torchrun", "processes": 2},
            (
                "launch.processes is 2",
                "lower profiles.embedded.preference.pairs_per_microbatch and profiles.embedded.sft.rows_per_microbatch",
            ),
        ),
        ("models", ["sft", "dpo"], ("models", "base")),
        ("models", ["base", "ppo"], ("models", "train")),
        ("method", "ppo", ("method 'ppo'", "dpo")),
        ("profile", "laptop", ("profile 'laptop'", "embedded", "smoke")),
    ],
)
def test_a_contradiction_is_refused_where_it_stands(file: Path, key: str, value: Any, words: tuple[str, ...]) -> None:
    change(file, key, value)
    message = refusal(file)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("key", ["steps", "rows_per_step", "rows_per_microbatch", "max_tokens", "learning_rate"])
def test_a_budget_of_one_method_alone_cannot_be_written(file: Path, key: str) -> None:
    """Neither at the method nor where params.yaml once had it; the message says where the shared budget is."""
    change(file, f"train.dpo.{key}", 600)
    message = refusal(file)
    assert f"unknown key 'train.dpo.{key}'" in message and "profiles.<profile>.preference" in message
    change(file, "profiles.smoke.train", {"dpo": {key: 600}})
    message = refusal(file)
    assert f"unknown key 'profiles.smoke.train.dpo.{key}'" in message
    assert "set profiles.smoke.sft, profiles.smoke.preference" in message


@pytest.mark.parametrize("profile", ["embedded", "smoke", "qwen3_06b", "qwen25_05b", "local"])
def test_all_that_start_on_sft_see_as_many_answers_in_a_step_and_each_profile_can_run_kto(
    file: Path, profile: str
) -> None:
    change(file, "profile", profile)
    params = load_params(file)
    budget = {name: params.budget(name) for name in params.train}
    started = {name for name in params.train if params.train[name].init == "models/sft"}
    assert started == {"sft_more", "sft_chosen", "dpo", "kto", "ipo", "cpo"}
    assert len({(budget[name].steps, budget[name].max_tokens) for name in started}) == 1
    for rows in ("rows_per_step", "rows_per_microbatch"):
        answers = {
            name: getattr(budget[name], rows) * (2 if params.train[name].data == "pairs" else 1) for name in started
        }
        assert set(answers.values()) == {2 * getattr(params.active.preference, rows.replace("rows", "pairs"))}
    assert budget["kto"].rows_per_microbatch >= 4
    assert budget["sft"] == Budget(
        params.active.learning_rate["sft"], max_tokens=params.active.max_tokens, **vars(params.active.sft)
    )


def test_each_method_has_its_own_learning_rate(file: Path) -> None:
    change(file, "profiles.embedded.learning_rate.kto", 0.5)
    before, after = load_params(ROOT / paths.PARAMS), load_params(file)
    assert [name for name in after.train if before.budget(name) != after.budget(name)] == ["kto"]
    assert after.budget("kto").learning_rate == 0.5


def test_deepspeed_which_would_turn_the_adapter_into_bfloat16_is_refused_on_a_bfloat16_base(file: Path) -> None:
    text = TEXT.replace("by: python ", "by: accelerate_deepspeed ", 1).replace("processes: 1 ", "processes: 2 ", 1)
    file.write_text(text.replace("profile: embedded ", "profile: qwen3_06b ", 1), encoding="utf-8")
    assert "set profiles.qwen3_06b.dtype to float32" in refusal(file)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("  seed: 7 ", "  seed: [7", None),
        ("  seed: 7 ", "  seed: 7: 8", "  seed: 7: 8"),
        ("  seed: 7 ", "\tseed: 7 ", "\tseed: 7 "),
        ("  seed: 7 ", "  seed: 7\n  seed: 8 ", "  seed: 8 "),
    ],
    ids=["an open bracket", "two colons", "a tab", "a key twice"],
)
def test_broken_yaml_is_refused_with_its_line(file: Path, old: str, new: str, line: str | None) -> None:
    text = TEXT.replace(old, new, 1)
    file.write_text(text, encoding="utf-8")
    message = refusal(file)
    number = int(message.removeprefix(f"{file}:").split(":")[0])
    if line is None:  # noticed where the next line brings what cannot follow
        assert text.splitlines()[number - 2].startswith(new)
    else:
        assert text.splitlines()[number - 1].startswith(line.split("#")[0].rstrip())


@pytest.mark.parametrize(
    "content", [TEXT.encode() + b"# caf\xe9\n", TEXT.encode() + b"# \x07\n"], ids=["Latin-1", "a control character"]
)
def test_bytes_that_are_no_yaml_text_are_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    refusal(file)


@pytest.mark.parametrize("number", [".nan", ".inf"])
def test_a_learning_rate_that_is_not_finite_is_refused(file: Path, number: str) -> None:
    file.write_text(TEXT.replace("dpo: 5.0e-6", f"dpo: {number}", 1), encoding="utf-8")
    assert "learning_rate" in refusal(file)


def test_what_dvc_sets_for_an_experiment_leaves_every_comment_and_every_other_value(file: Path) -> None:
    """`dvc exp run -S` writes the whole file anew. It drops the blank line after a list of one item a line."""
    apply_overrides(file, ["profiles.smoke.preference.steps=5", "profiles.smoke.seeds=[11,12]"])
    written = file.read_text(encoding="utf-8")
    for pattern in (r"#.*", r"(?m)^$"):
        assert sorted(re.findall(pattern, written)) == sorted(re.findall(pattern, TEXT))
    document = YAML(typ="safe").load(TEXT)
    document["profiles"]["smoke"]["preference"]["steps"] = 5
    document["profiles"]["smoke"]["seeds"] = [11, 12]
    assert YAML(typ="safe").load(written) == document


@pytest.mark.parametrize("text", ["", "a sentence", "- a list"])
def test_a_file_that_is_no_mapping_is_refused(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert "must be a mapping" in refusal(file)


def test_a_missing_file_is_refused_with_the_next_step(tmp_path: Path) -> None:
    assert "is missing: run from the repository's root" in refusal(tmp_path / "params.yaml")


def test_no_key_of_params_is_documented_but_unused() -> None:
    read: set[str] = set()
    for source in sorted((ROOT / "stages").rglob("*.py")):
        tree = ast.parse(source.read_text(encoding="utf-8"))
        if source.name != "params.py":
            read |= attributes_read(tree)
            continue
        for node in ast.walk(tree):  # a property, or the budget, hands a field on under another name
            if isinstance(node, ast.FunctionDef) and (
                node.name == "budget" or any(ast.unparse(d) == "property" for d in node.decorator_list)
            ):
                read |= attributes_read(node)
    names = {f"{cls.__name__}.{field.name}" for cls in params_dataclasses() for field in fields(cls)}
    assert len(names) > 50
    assert sorted(name for name in names if name.split(".")[1] not in read) == []
