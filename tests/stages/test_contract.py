"""Before anything trains, every prepared row is proved to fit its base's tokenizer, or is dropped by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.bases.loading import load_tokenizer
from stages.bases.tokens import encode, encode_prompt
from stages.contract import TRAINED_KINDS, main
from stages.core import paths
from stages.core.errors import PipelineError
from stages.core.files import Row, read_json, read_jsonl, write_json, write_jsonl
from stages.core.params import load_params
from stages.core.paths import SPLITS
from stages.rows.prepared_rows import unpaired_rows
from stages.training.seen_rows import read_rows
from tests.support.clones import set_param
from tests.support.tiny import turn

LIMIT = 256  # of the profile smoke
LONG = "القاهرة " * LIMIT


def row(identity: str, **fields: Any) -> Row:
    origin = {"id": identity, "topic": "geography", "source": "test", "license": "Apache-2.0"}
    return origin | {"prompt": turn("user", f"ما عاصمة مصر {identity}؟")} | fields


def sft(identity: str, text: str = "عاصمة مصر هي القاهرة.") -> Row:
    return row(identity, completion=turn("assistant", text), flaw=None)


def pair(identity: str, chosen: str = "عاصمة مصر هي القاهرة.", rejected: str = "لا أدري.") -> Row:
    answers = {"chosen": turn("assistant", chosen), "rejected": turn("assistant", rejected)}
    return row(identity, **answers, axis="hedging")


def lay_out(train: list[Row], pairs: list[Row]) -> None:
    """The rows as data/prepared/*/train.jsonl, and four rows that fit in each other split."""
    for split in SPLITS:
        own_sft = train if split == "train" else [sft(f"{split}-{i}") for i in range(4)]
        own_pairs = pairs if split == "train" else [pair(f"{split}-pair-{i}") for i in range(4)]
        write_jsonl(paths.prepared_split("sft", split), own_sft)
        write_jsonl(paths.prepared_split("pairs", split), own_pairs)
        write_jsonl(paths.prepared_split("unpaired", split), unpaired_rows(own_pairs))


FITTING = [sft(f"sft-{i}") for i in range(4)]
PAIRS = [pair(f"pair-{i}") for i in range(6)]


def refusal() -> str:
    """The one line with which the stage refuses; what it wrote before stays."""
    write_json(paths.CONTRACT_SUMMARY, {"old": True})
    with pytest.raises(PipelineError) as caught:
        main()
    assert read_json(paths.CONTRACT_SUMMARY) == {"old": True}
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def set_template(template: str) -> None:
    (paths.BASE / "chat_template.jinja").write_text(template, encoding="utf-8")


def template() -> str:
    return (paths.BASE / "chat_template.jinja").read_text(encoding="utf-8")


@pytest.mark.usefixtures("project")
def test_rows_that_fit_are_all_kept_and_counted() -> None:
    lay_out(FITTING, PAIRS)
    main()
    summary = read_json(paths.CONTRACT_SUMMARY)
    assert (summary["stop_token"], summary["pad_token"]) == ("<|im_end|>", "<|endoftext|>")
    assert summary["limits_tokens"] == {"sft": LIMIT, "pairs": LIMIT, "unpaired": LIMIT}
    assert summary["dropped_rows"] == 0
    assert read_jsonl(paths.CONTRACT_DROPPED) == []
    assert summary["unpaired_rows_equal_to_their_pair"] == 2 * (6 + 4 + 4)
    assert summary["rows_with_strict_prefix_and_stop_token"] == (4 + 6 + 12) + 2 * (4 + 4 + 8)


@pytest.mark.usefixtures("project")
def test_lengths_are_those_of_the_tokenizer() -> None:
    lay_out(FITTING, PAIRS)
    main()
    summary = read_json(paths.CONTRACT_SUMMARY)
    assert set(summary["lengths"]) == {f"{kind}/{split}" for kind in TRAINED_KINDS for split in SPLITS}
    encoded = [encode(load_tokenizer(), item["prompt"], item["completion"]) for item in FITTING]
    measured = summary["lengths"]["sft/train"]["completion"]
    assert measured["rows"] == 4
    assert measured["max_tokens"] == max(item.length for item in encoded)
    assert measured["trained_tokens"] == sum(len(item.completion_ids) for item in encoded)
    words = 4 * 4
    assert measured["tokens_per_word"] == pytest.approx(
        sum(len(item.completion_ids) - 1 for item in encoded) / words, rel=1e-5
    )


@pytest.mark.usefixtures("project")
def test_the_same_rows_give_the_same_bytes() -> None:
    lay_out([*FITTING, sft("long", LONG)], [*PAIRS, pair("long-pair", rejected=LONG)])
    written = []
    for _ in range(2):
        main()
        written.append([path.read_bytes() for path in (paths.CONTRACT_SUMMARY, paths.CONTRACT_DROPPED)])
    assert written[0] == written[1]


@pytest.mark.usefixtures("project")
def test_an_answer_that_is_too_long_is_dropped_whole_and_named() -> None:
    lay_out([*FITTING, sft("long", LONG)], PAIRS)
    main()
    length = encode(load_tokenizer(), sft("long")["prompt"], turn("assistant", LONG)).length
    assert read_jsonl(paths.CONTRACT_DROPPED) == [
        {
            "file": "data/prepared/sft/train.jsonl",
            "line": 5,
            "id": "long",
            "pair": "long",
            "tokens": length,
            "limit": LIMIT,
            "reason": "prompt and answer exceed max_tokens",
        }
    ]
    assert read_json(paths.CONTRACT_SUMMARY)["dropped_rows"] == 1


@pytest.mark.usefixtures("project")
def test_a_row_of_exactly_max_tokens_is_kept_and_one_more_token_is_too_many() -> None:
    tokenizer = load_tokenizer()
    frame = len(encode_prompt(tokenizer, sft("fits")["prompt"])) + 1  # the stop token
    letters = "z" * (LIMIT - frame)  # a letter that the tokenizer never saw twice in a row is a token of its own
    assert encode(tokenizer, sft("fits")["prompt"], turn("assistant", letters)).length == LIMIT
    lay_out([*FITTING, sft("fits", letters), sft("over", letters + "z")], PAIRS)
    main()
    assert [dropped["id"] for dropped in read_jsonl(paths.CONTRACT_DROPPED)] == ["over"]


@pytest.mark.parametrize("side", ["chosen", "rejected"])
@pytest.mark.usefixtures("project")
def test_a_pair_that_is_too_long_on_one_side_is_dropped_with_both_unpaired_halves(side: str) -> None:
    lay_out(FITTING, [*PAIRS[:2], pair("long", **{side: LONG}), *PAIRS[2:]])
    main()
    dropped = {item["id"]: item for item in read_jsonl(paths.CONTRACT_DROPPED)}
    assert set(dropped) == {"long", "long-chosen", "long-rejected"}
    assert read_json(paths.CONTRACT_SUMMARY)["dropped_rows"] == 3
    assert (dropped["long"]["file"], dropped["long"]["line"]) == ("data/prepared/pairs/train.jsonl", 3)
    other = "rejected" if side == "chosen" else "chosen"
    assert dropped[f"long-{side}"]["reason"] == "prompt and answer exceed max_tokens"
    assert dropped[f"long-{other}"]["reason"] == "its pair was dropped"
    unpaired = read_jsonl(paths.prepared_split("unpaired", "train"))
    for half in (f"long-{side}", f"long-{other}"):
        assert dropped[half]["file"] == "data/prepared/unpaired/train.jsonl"
        assert unpaired[dropped[half]["line"] - 1]["id"] == half


@pytest.mark.usefixtures("project")
def test_a_pair_that_is_too_long_in_one_split_leaves_the_other_splits_alone() -> None:
    lay_out(FITTING, PAIRS)
    long = [*[pair(f"test-pair-{i}") for i in range(4)], pair("long", rejected=LONG)]
    write_jsonl(paths.prepared_split("pairs", "test"), long)
    write_jsonl(paths.prepared_split("unpaired", "test"), unpaired_rows(long))
    main()
    assert {item["file"] for item in read_jsonl(paths.CONTRACT_DROPPED)} == {
        "data/prepared/pairs/test.jsonl",
        "data/prepared/unpaired/test.jsonl",
    }


@pytest.mark.usefixtures("project")
def test_every_method_trains_on_the_same_rows_after_a_drop() -> None:
    lay_out([*FITTING, sft("long", LONG)], [*PAIRS, pair("long-pair", rejected=LONG)])
    main()
    methods = load_params().train
    rows = {name: read_rows(name, methods[name])[0] for name in ("sft", "sft_chosen", "dpo", "ipo", "cpo", "kto")}
    assert {item["id"] for item in rows["sft"]} == {item["id"] for item in FITTING}
    for name in ("sft_chosen", "dpo", "ipo", "cpo"):
        assert {item["id"] for item in rows[name]} == {item["id"] for item in PAIRS}
    assert sorted(item["pair"] for item in rows["kto"]) == sorted(2 * [item["id"] for item in PAIRS])


@pytest.mark.usefixtures("project")
def test_nothing_dropped_leaves_every_row_for_training() -> None:
    lay_out(FITTING, PAIRS)
    main()
    rows, _, dropped = read_rows("dpo", load_params().train["dpo"])
    assert (len(rows), dropped) == (6, 0)


@pytest.mark.usefixtures("project")
def test_the_limit_of_the_profile_holds_for_every_kind() -> None:
    lay_out(FITTING, PAIRS)
    longest = max(encode(load_tokenizer(), item["prompt"], item["chosen"]).length for item in PAIRS)
    set_param(Path.cwd(), "profiles.smoke.max_tokens", longest - 1)
    main()
    assert read_json(paths.CONTRACT_SUMMARY)["limits_tokens"] == dict.fromkeys(TRAINED_KINDS, longest - 1)
    for kind in TRAINED_KINDS:
        kept = read_json(paths.contract_lengths(kind)).values()
        assert max(kept, default=0) < longest, kind
    params = load_params()
    assert {params.budget(name).max_tokens for name in params.train} == {longest - 1}


@pytest.mark.usefixtures("project")
def test_unpaired_rows_have_the_ids_of_their_pair() -> None:
    tokenizer = load_tokenizer()
    halves = {item["id"]: item for item in unpaired_rows(PAIRS)}
    for item in PAIRS:
        for side in ("chosen", "rejected"):
            half = halves[f"{item['id']}-{side}"]
            assert encode(tokenizer, half["prompt"], half["completion"]) == encode(
                tokenizer, item["prompt"], item[side]
            )


@pytest.mark.parametrize(
    "changes",
    [
        {"completion": turn("assistant", "عاصمة مصر هي الجيزة.")},
        {"prompt": turn("user", "ما عاصمة مصر اليوم؟")},
        {"label": False},
    ],
    ids=["another answer", "another prompt", "the other label"],
)
@pytest.mark.usefixtures("project")
def test_an_unpaired_row_that_is_not_its_side_of_the_pair_is_refused(changes: Row) -> None:
    lay_out(FITTING, PAIRS)
    singles = [item | changes if item["id"] == "pair-3-chosen" else item for item in unpaired_rows(PAIRS)]
    write_jsonl(paths.prepared_split("unpaired", "train"), singles)
    assert refusal().startswith("pair-3-chosen: trained ids differ between the pair and its unpaired row")


@pytest.mark.usefixtures("project")
def test_a_stop_token_inside_an_answer_is_refused_with_its_place() -> None:
    lay_out([*FITTING[:2], sft("bad", "نعم.<|im_end|>\nلا."), *FITTING[2:]], PAIRS)
    message = refusal()
    assert message.startswith("data/prepared/sft/train.jsonl:3: field 'completion'")
    assert "one stop token" in message


@pytest.mark.usefixtures("project")
def test_a_template_without_a_stop_token_is_refused() -> None:
    lay_out(FITTING, PAIRS)
    set_template(template().replace("<|im_end|>", ""))
    message = refusal()
    assert message.startswith("data/prepared/sft/train.jsonl:1 (sft-0): no stop token after the answer")


@pytest.mark.usefixtures("project")
def test_a_template_whose_prompt_is_no_prefix_is_refused_naming_the_row() -> None:
    lay_out(FITTING, PAIRS)
    set_template(template().replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\nالجواب: '"))
    message = refusal()
    assert message.startswith("data/prepared/sft/train.jsonl:1 (sft-0): the prompt is not a strict prefix")


def test_a_base_without_a_tokenizer_is_refused(project: Path) -> None:
    lay_out(FITTING, PAIRS)
    (project / paths.BASE / "tokenizer_config.json").unlink()
    assert refusal().startswith("models/base holds no tokenizer: run `dvc repro base`")


@pytest.mark.usefixtures("project")
def test_a_test_split_without_rows_is_refused_in_one_line() -> None:
    lay_out(FITTING, PAIRS)
    write_jsonl(paths.prepared_split("sft", "test"), [])
    assert "data/prepared/sft/test.jsonl" in refusal()


@pytest.mark.usefixtures("project")
def test_data_of_one_kind_hold_for_that_kind() -> None:
    lay_out(FITTING, PAIRS)
    for kind in ("pairs", "unpaired"):
        for split in ("train", "validation"):
            write_jsonl(paths.prepared_split(kind, split), [])
    main()
    assert len(read_json(paths.contract_lengths("sft"))) == len(FITTING)
    assert read_json(paths.contract_lengths("pairs")) == read_json(paths.contract_lengths("unpaired")) == {}
    assert "pairs/train" not in read_json(paths.CONTRACT_SUMMARY)["lengths"]
