"""Verdicts: who fixes the behaviour and keeps the knowledge, who is best, who beats a control, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stages.comparison import verdicts
from stages.comparison.measured import Bench, read_bench, read_methods, read_training
from stages.comparison.paired_scores import places, read_scores
from stages.comparison.verdicts import Behaviour, Best, Judgement, Knowledge, Outcome
from stages.core.intervals import Difference
from stages.core.params import load_params
from tests.support.clones import MODELS
from tests.support.made_metrics import World, compared, told

PREFERENCE = ("dpo", "kto", "ipo", "cpo")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def judged(root: Path, world: World) -> dict[str, Judgement]:
    compared(root, world)
    return verdicts.judgements(load_params(), read_scores(MODELS), read_methods(MODELS))


def best(root: Path, world: World) -> Best:
    world.write(root)
    found = verdicts.best_preference(load_params(), read_scores(MODELS))
    assert found is not None
    return found


def outcomes(root: Path, model: str) -> dict[str, Outcome]:
    """Of the world that was written last."""
    contests = verdicts.against_controls(model, read_scores(MODELS), load_params())
    return {one.control: one.outcome for one in contests}


def benches(root: Path, world: World) -> dict[str, Bench]:
    world.write(root)
    return {model: read_bench(model) for model in MODELS}


def test_who_fixes_the_behaviour_and_keeps_the_knowledge(root: Path) -> None:
    found = judged(root, told())
    assert list(found) == list(MODELS[2:])
    assert [model for model, one in found.items() if one.wins] == ["sft_chosen", "dpo", "kto", "cpo"]
    assert verdicts.shortfalls(found) == {
        (Behaviour.NO_CHANGE, Knowledge.KEEPS): ["sft_more"],
        (Behaviour.FIXES, Knowledge.LOSES): ["ipo"],
    }


@pytest.mark.parametrize(
    ("low", "high", "behaviour"),
    [
        (0.2, 0.3, Behaviour.FIXES),
        (0.19, 0.3, Behaviour.IMPROVES),
        (0.0, 0.3, Behaviour.NO_CHANGE),
        (-0.3, 0.0, Behaviour.NO_CHANGE),
        (-0.3, -0.1, Behaviour.WORSE),
    ],
)
def test_half_of_what_the_reference_lacks_fixes_the_behaviour(low: float, high: float, behaviour: Behaviour) -> None:
    gap = Difference(mean=(low + high) / 2, low=low, high=high, n=90, per_seed=(0.0,), p_value=0.5)
    assert verdicts.behaviour(gap, lacking=0.4) == behaviour


@pytest.mark.parametrize(
    ("low", "high", "knowledge"),
    [
        (0.95, 1.1, Knowledge.KEEPS),
        (0.94, 1.1, Knowledge.UNDECIDED),
        (0.5, 0.95, Knowledge.UNDECIDED),
        (0.5, 0.94, Knowledge.LOSES),
        (None, None, Knowledge.UNDEFINED),
    ],
)
def test_knowledge_is_kept_within_a_margin(low: float | None, high: float | None, knowledge: Knowledge) -> None:
    assert verdicts.knowledge(low, high) == knowledge


def test_a_loss_that_may_be_small_is_undecided(root: Path) -> None:
    world = told()
    world.knows["kto"] = 0.76
    assert judged(root, world)["kto"].knowledge == Knowledge.UNDECIDED
    row = read_methods(MODELS)["kto"]
    assert row["knowledge_retention_low"] < 0.95 < row["knowledge_retention_high"]


def test_where_nobody_knows_anything_nothing_is_kept_or_lost(root: Path) -> None:
    """The smoke profile: four steps of training teach nothing."""
    world = World()
    world.knows = dict.fromkeys(MODELS, 0.0)
    assert {one.knowledge for one in judged(root, world).values()} == {Knowledge.UNDEFINED}


def test_a_tie_is_a_tie(root: Path) -> None:
    assert best(root, told()) == Best("dpo", ("kto", "cpo"), methods=4)
    assert outcomes(root, "dpo") == {"sft_more": Outcome.BEATS, "sft_chosen": Outcome.TIES}


def test_a_control_can_win(root: Path) -> None:
    world = World()
    world.clean |= {"sft_chosen": 0.99, "dpo": 0.75, "ipo": 0.75, "cpo": 0.75}
    assert best(root, world) == Best("dpo", ("ipo", "cpo"), methods=4)
    assert outcomes(root, "dpo") == {"sft_more": Outcome.BEATS, "sft_chosen": Outcome.LOSES}


def test_five_equal_methods_are_one_tie(root: Path) -> None:
    found = judged(root, World())
    assert {(one.behaviour, one.knowledge) for one in found.values()} == {(Behaviour.NO_CHANGE, Knowledge.KEEPS)}
    assert best(root, World()) == Best("dpo", ("kto", "ipo", "cpo"), methods=4)
    scores, settings = read_scores(MODELS), load_params().evaluate
    for metric in ("behaviour_rate", "containment", "exact_match"):
        assert {str(place) for place in places(scores, metric, settings).values()} == {"1="}


def test_the_quickest_and_the_slowest_training_come_after_the_reference(root: Path) -> None:
    World().write(root)
    training = {model: read_training(model) for model in MODELS[1:]}
    found = verdicts.training_cost(training)
    assert found is not None
    assert (found.least, found.least_seconds, found.most, found.most_seconds) == ("sft_more", 21.0, "cpo", 46.0)
    assert verdicts.training_cost({"sft": training["sft"]}) is None


def test_a_drifting_machine_makes_no_model_slower_and_a_larger_adapter_does(root: Path) -> None:
    """Every model is timed at another moment, and adapters of one shape do the same arithmetic."""
    world = told()
    world.p50_ms |= {"kto": 3.0, "ipo": 2.5}
    world.slowdown |= {"kto": 1.2, "cpo": 1.5}
    found = benches(root, world)
    assert verdicts.speed(found) == verdicts.Speed("kto", (), (1.2, 1.5))
    assert {str(place) for place in verdicts.places_in_use(found).values()} == {"1", "2="}
    world.parameters["cpo"] += 1_000_000
    found = benches(root, world)
    assert verdicts.speed(found) == verdicts.Speed("kto", ("cpo",), (1.2, 1.5))
    assert str(verdicts.places_in_use(found)["cpo"]) == "8"
    assert verdicts.speed({"base": found["base"]}) is None


def test_a_larger_adapter_is_as_fast_where_its_times_are_nearly_the_same(root: Path) -> None:
    world = World()
    world.slowdown["cpo"] = 1.3 * 1.1
    world.parameters["cpo"] += 1_000_000
    found = benches(root, world)
    assert verdicts.as_fast_as(found["cpo"], found["dpo"])
    assert not verdicts.as_fast_as(replace(found["cpo"], slowdown=(1.44, 1.4, 1.5)), found["dpo"])


def test_ranges_over_seeds_that_overlap_share_a_place() -> None:
    seconds = {"slow": (9.0, 12.0), "quick": (4.0, 6.0), "quicker": (3.0, 5.0)}
    assert {name: str(one) for name, one in verdicts.places_by_range(seconds, higher=False).items()} == {
        "quicker": "1=",
        "quick": "1=",
        "slow": "3",
    }
    assert str(verdicts.places_by_range(seconds, higher=True)["slow"]) == "1"
