"""sweep: as many points for every method, judged on validation prompts alone, and resumable point by point."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.commands import sweep
from stages.core import paths
from stages.core.files import read_json, write_jsonl
from stages.core.params import load_params
from tests.support.clones import ROOT
from tests.support.tiny import turn
from tests.support.trainings import run_train

START = {"behaviour_rate": 0.4, "containment": 0.5}


def point(**changes: Any) -> dict[str, Any]:
    made = {"method": "dpo", "learning_rate": 1e-4, "beta": 0.1, "diverged": False}
    return made | {"behaviour_rate": 0.9, "containment": 0.5, "exact_match": 0.3} | changes


def test_every_model_gets_as_many_points_and_the_set_values_are_one_of_them() -> None:
    params = load_params(ROOT / paths.PARAMS)
    points: dict[str, list[tuple[float, float | None]]] = {}
    for name, changed in sweep.grid(params):
        method = changed.train[name]
        points.setdefault(name, []).append((changed.active.learning_rate[name], getattr(method, "beta", None)))
        others = [other for other in params.train if other != name]
        assert [changed.train[other] for other in others] == [params.train[other] for other in others]
    assert set(points) == set(params.sweep.models)
    assert len({len(found) for found in points.values()}) == 1
    for name, found in points.items():
        assert len(set(found)) == len(found)
        assert (params.active.learning_rate[name], getattr(params.train[name], "beta", None)) in found


def test_a_point_is_workable_where_half_of_the_flaws_are_gone_and_the_facts_are_kept() -> None:
    fixed, flawed, forgot = sweep.judged(
        [point(behaviour_rate=0.7, containment=0.475), point(behaviour_rate=0.69), point(containment=0.474)], START
    )
    assert fixed["workable"] and fixed["knowledge_retention"] == pytest.approx(0.95)
    assert not flawed["workable"]
    assert not forgot["workable"]


def test_the_best_point_is_right_most_often_and_the_gentler_one_of_a_tie() -> None:
    params = load_params(ROOT / paths.PARAMS)
    params = replace(params, sweep=replace(params.sweep, models=("dpo",)))
    points = [point(learning_rate=rate, exact_match=exact) for rate, exact in ((1e-3, 0.4), (2e-4, 0.4), (5e-5, 0.3))]
    found = sweep.summary(sweep.judged(points, START), params)["dpo"]
    assert found["best"]["learning_rate"] == 2e-4
    assert found["set_it_with"] == "-S profiles.embedded.learning_rate.dpo=0.0002 -S train.dpo.beta=0.1"
    assert (found["points"], found["workable"]) == (3, 3)
    tie = sweep.judged([point(beta=beta) for beta in (0.02, 0.1, 0.5)], START)
    assert sweep.summary(tie, params)["dpo"]["best"]["beta"] == params.train["dpo"].beta == 0.1


@pytest.fixture
def small(trainable: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trained start, validation prompts, and a grid of two points a model."""
    run_train(monkeypatch, "sft")
    prompts = [
        {
            "id": f"gen-{n}",
            "prompt": turn("user", f"اكتب العدد {n}."),
            "references": [f"العدد {n}."],
            "checks": [{"name": "contains", "value": str(n)}],
            "task": "numbers",
            "wording": "seen",
        }
        for n in (40, 41)
    ]
    write_jsonl(paths.TUNING, prompts)
    yaml = YAML()
    params = yaml.load(paths.PARAMS.read_text(encoding="utf-8"))
    params["sweep"] = {
        "models": ["sft_chosen", "dpo"],
        "learning_rate_factors": [1],
        "beta_factors": [1, 2],
        "learning_rate_factors_without_beta": [1, 5],
    }
    with paths.PARAMS.open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    return trainable


def test_a_sweep_that_was_killed_goes_on_where_it_was_and_ends_in_the_same_bytes(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_train(monkeypatch, "dpo")  # the stage `reference` has what DPO compares with
    sweep.main()
    whole = paths.SWEEP.read_bytes()
    found = read_json(paths.SWEEP)
    assert [row["method"] for row in found["points"]] == ["sft_chosen"] * 2 + ["dpo"] * 2
    assert found["split"] == "validation" and found["prompts"] == 2
    assert not list(paths.scratch_root().glob("sweep-*"))

    paths.SWEEP.unlink()
    measure, trained = sweep.measure, []

    def killed_at_the_third(name: str, *arguments: Any) -> Any:
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(name)
        return measure(name, *arguments)

    monkeypatch.setattr(sweep, "measure", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        sweep.main()
    assert not paths.SWEEP.exists()
    monkeypatch.setattr(sweep, "measure", measure)
    sweep.main()
    assert trained == ["sft_chosen", "sft_chosen"]
    assert paths.SWEEP.read_bytes() == whole


def test_a_training_that_ends_in_no_number_is_a_point_that_is_not_workable(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(name: str, *_: Any) -> Path:
        raise sweep.PipelineError(f"{name}: the loss is not a number at step 2: lower the learning rate")

    monkeypatch.setattr(sweep, "train_one", diverge)
    sweep.main()
    assert all(row["diverged"] and not row["workable"] for row in read_json(paths.SWEEP)["points"])
