"""Choices: what to use for which data, when nothing is named, and what the learning rates have to do with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.comparison import choices
from stages.comparison.choices import Choice, Reason, Unnamed, Uses
from stages.comparison.measured import read_training
from stages.comparison.paired_scores import read_scores
from stages.core.params import load_params
from tests.support.clones import MODELS
from tests.support.made_metrics import World, sweep, told


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def uses(root: Path, world: World) -> Uses:
    world.write(root)
    return choices.uses(load_params(), read_scores(MODELS), {model: read_training(model) for model in MODELS[1:]})


def named(choice: Choice | Unnamed) -> Choice:
    assert isinstance(choice, Choice), choice
    return choice


def test_each_kind_of_data_has_its_model(root: Path) -> None:
    world = told()
    world.clean["sft_chosen"] = 0.5
    found = uses(root, world)
    chosen = (found.instructions, found.pairs, found.unpaired, found.budget)
    assert [named(one).model for one in chosen] == ["sft", "dpo", "kto", "dpo"]
    pairs = named(found.pairs)
    assert (pairs.ties, pairs.imitators, pairs.beaten_controls) == (("cpo",), (), ("sft_more",))
    assert sorted(pairs.rates) == [0.0002, 0.001]
    assert named(found.unpaired).names == ("kto",)
    assert named(found.budget).beaten == ("sft", "sft_more", "sft_chosen", "ipo")


def test_a_control_that_ties_stands_beside_the_losses_and_is_told_from_them(root: Path) -> None:
    """Imitating the preferred answers does as well: then nothing speaks for a preference loss."""
    pairs = named(uses(root, told()).pairs)
    assert (pairs.imitators, pairs.losses) == (("sft_chosen",), ("dpo", "cpo"))
    assert pairs.ahead == pairs.unbeaten and pairs.model == "sft_chosen"
    assert (pairs.start, pairs.beaten_controls, pairs.tied_controls) == ("sft", ("sft_more",), ())


def test_a_control_that_wins_leaves_no_loss_unbeaten(root: Path) -> None:
    world = World()
    world.clean |= {"sft_chosen": 0.99, "dpo": 0.75, "ipo": 0.75, "cpo": 0.75}
    pairs = named(uses(root, world).pairs)
    assert (pairs.model, pairs.losses, len(pairs.rates)) == ("sft_chosen", (), 2)


def test_nothing_is_named_where_nothing_is_separated_from_the_start(root: Path) -> None:
    found = uses(root, World())
    assert found.instructions == Unnamed(Reason.NOT_SEPARATED, "base", ("sft", "sft_more"))
    assert found.pairs == Unnamed(Reason.NOT_SEPARATED, "sft", ("sft_chosen", "dpo", "ipo", "cpo"))
    assert found.unpaired == Unnamed(Reason.NOT_SEPARATED, "sft", ("kto",))
    assert found.budget == Unnamed(Reason.NOT_SEPARATED, "base", MODELS[1:])
    assert found.ties_seconds == []


def test_a_base_that_training_spoils_is_left_as_it_is(root: Path) -> None:
    world = World()
    world.clean["base"], world.knows["base"] = 0.97, 1.0
    found = uses(root, world)
    assert found.instructions == Unnamed(Reason.BEHIND_START, "base", ("sft", "sft_more"))
    assert isinstance(found.budget, Unnamed) and found.budget.reason == Reason.BEHIND_START


def test_a_method_that_is_behind_its_start_is_not_named(root: Path) -> None:
    """What is best for binary feedback can still be worse than no feedback."""
    world = told()
    world.clean["kto"] = 0.05
    assert uses(root, world).unpaired == Unnamed(Reason.BEHIND_START, "sft", ("kto",))


def test_feedback_is_held_against_the_control_that_had_none(root: Path) -> None:
    world = told()
    first = named(uses(root, world).unpaired)
    assert (first.model, first.beaten_controls, first.tied_controls) == ("kto", ("sft_more",), ())
    world.clean["sft_more"] = 0.97
    second = named(uses(root, world).unpaired)
    assert (second.model, second.beaten_controls, second.tied_controls) == ("kto", (), ("sft_more",))


def test_no_data_and_no_scores_are_no_choice(root: Path) -> None:
    told().write(root)
    params, scores = load_params(), read_scores(MODELS)
    assert choices.choose([], "sft", scores, {}, params) == Unnamed(Reason.NOTHING_SCORED, "sft")


def test_a_budget_counts_the_start(root: Path) -> None:
    found = uses(root, told())
    assert found.seconds == {
        model: seconds if model == "sft" else seconds + 16.0
        for model, seconds in zip(MODELS[1:], (16.0, 21.0, 26.0, 31.0, 36.0, 41.0, 46.0), strict=True)
    }
    assert found.ties_seconds == [found.seconds[name] for name in named(found.budget).ties]


def test_another_learning_rate_is_told_with_what_one_rate_for_all_gives(root: Path) -> None:
    told().write(root)
    params = load_params()
    found = choices.at_one_rate(params, sweep())
    assert found is not None
    assert found.own == {0.001: ["sft_chosen"], 0.0002: ["dpo", "kto", "ipo", "cpo"]}
    assert (found.usual, found.apart, found.others) == (0.0002, ["sft_chosen"], ["dpo", "kto", "ipo", "cpo"])
    assert found.tuned
    best = [found.best[model] for model in ("sft_chosen", "dpo", "cpo")]
    assert [one["behaviour_rate"] for one in best] == pytest.approx([0.801, 0.811, 0.841])
    assert [one["exact_match"] for one in best] == pytest.approx([0.301, 0.311, 0.341])
    assert choices.at_one_rate(params, None) is None
    holed = sweep()
    holed["points"] = [one for one in holed["points"] if (one["method"], one["learning_rate"]) != ("cpo", 0.0002)]
    assert choices.at_one_rate(params, holed) is None


def test_a_sweep_that_found_better_rates_is_told_from_one_that_tuned_all(root: Path) -> None:
    told().write(root)
    found = sweep()
    found["methods"]["dpo"]["best"]["learning_rate"] = 1e-3
    one_rate = choices.at_one_rate(load_params(), found)
    assert one_rate is not None and not one_rate.tuned
