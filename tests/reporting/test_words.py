"""The words of the report: whatever was measured, sentences are whole, name the models, and follow numbered rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from stages import report
from stages.comparison.side_effects import Watched
from stages.core.params import load_params
from stages.reporting import rules
from stages.reporting.composition import compose
from stages.reporting.inputs import read_measured
from stages.reporting.rules import MonitorRule, Rule
from stages.reporting.tables import Column, Table
from stages.reporting.templates import FILTERS, Renderer
from tests.support.clones import MODELS
from tests.support.made_metrics import World, compared, sweep, told, write


def losing() -> World:
    world = told()
    world.clean |= {"sft_chosen": 0.5, "kto": 0.05}
    world.slowdown["cpo"] = 1.9
    world.parameters["cpo"] += 1_000_000
    return world


def won_by_a_control() -> World:
    world = World()
    world.clean |= {"sft_chosen": 0.99, "dpo": 0.75, "ipo": 0.75, "cpo": 0.75}
    return world


def spoiled() -> World:
    world = World()
    world.clean["base"], world.knows["base"] = 0.97, 1.0
    world.knows |= {"sft": 0.0, "kto": 0.0}
    world.first_option["ipo"] = 1.0
    world.displacement |= {"dpo": (-0.2, -0.9), "kto": (-0.2, 0.3), "ipo": (0.0, -0.1), "cpo": (0.2, 0.2)}
    return world


@pytest.fixture(params=[World, told, losing, won_by_a_control, spoiled])
def text(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The whole page of a world in which the verdicts are others than in the next."""
    monkeypatch.chdir(tmp_path)
    make: Callable[[], World] = request.param
    write(tmp_path / "metrics/sweep.json", sweep())
    compared(tmp_path, make())
    params = load_params()
    return compose(params, read_measured(params), ())[0]


def prose(text: str) -> list[str]:
    """Paragraphs and items of lists, without tables, headings, HTML and pictures."""
    return [line for line in text.splitlines() if line and not re.match(r"[|#<!]", line)]


def test_every_sentence_is_whole(text: str) -> None:
    for line in prose(text):
        bare = re.sub(r"`[^`]*`", "`x`", line)
        assert not re.search(r"  | [.,;:)]|\( |[.,;:]{2}|\.[A-Z]|None|\{|\}", bare), line
        assert bare.count("(") == bare.count(")") and bare.count("**") % 2 == 0, line
    opening = text.partition("### The rules")[0]
    assert all(line.endswith(".") for line in prose(opening) if line.startswith("- "))


def test_the_answer_names_models_that_were_compared(text: str) -> None:
    for sentence in prose(text)[:3]:
        assert set(re.findall(r"`(\w+)`", sentence)) <= set(MODELS)
        assert re.findall(r"`(\w+)`", sentence)


def test_every_rule_is_printed_once_and_followed_by_a_function(text: str) -> None:
    for names, printed in ((Rule, rules.OPENING), (MonitorRule, rules.MONITORS)):
        assert list(printed) == list(names) and [int(name) for name in names] == list(range(1, len(names) + 1))
        assert rules.printed(printed) in text
        assert all(callable(follows) and words.endswith(".") for follows, words in printed.values())


def test_a_rule_that_is_named_is_one_that_is_printed(text: str) -> None:
    numbers = {int(one) for one in re.findall(r"rules? (\d)", text)}
    assert numbers and numbers <= {int(rule) for rule in Rule}


def displaced(chosen: float, rejected: float) -> str:
    """The monitors' sentence on one preference training."""
    watched = {"dpo": Watched((chosen,), (rejected,), reward_margin_nats=(1.0,), reward_accuracy=(1.0,))}
    facts: dict[str, Any] = {"effects": {}, "reference": "sft", "confidence": "95 %", "monitor_rules": "1. One."}
    table = Table(["model"], [["dpo"]])
    return Renderer().render("monitors.md", watched=watched, monitors_table=table, **facts).splitlines()[0]


def test_every_displacement_has_its_own_sentence() -> None:
    pairs = [(chosen, rejected) for chosen in (0.1, -0.1, 0.0) for rejected in (0.1, -0.1, 0.0)]
    found = {pair: displaced(*pair) for pair in pairs}
    assert len(set(found.values())) == len(pairs)
    assert {pair for pair, sentence in found.items() if "displacement" in sentence} == {
        pair for pair in pairs if pair[0] < 0
    }
    assert [pair for pair, sentence in found.items() if "as intended" in sentence] == [(0.1, -0.1)]


def rendered(source: str, **facts: Any) -> str:
    renderer = Renderer()
    return renderer.of(source, **facts)


def test_a_paragraph_of_a_template_may_stand_on_several_lines() -> None:
    source = "One {{ x }}\n  two\n  {% if x %}\n  three\n  {% endif %}\n  {% if not x %}, four{% endif %}.\n\n- item\n"
    assert rendered(source, x=1) == "One 1 two three.\n\n- item"
    assert rendered(source, x=0) == "One 0 two, four.\n\n- item"


def test_statements_alone_on_their_lines_and_what_they_leave_out_leave_no_trace() -> None:
    source = "a\n\n{% if x %}\nb\n{% endif %}\n\n{% for y in z %}\n- {{ y }}\n{% endfor %}\n\nc\n"
    assert rendered(source, x=0, z=[1, 2]) == "a\n\n- 1\n- 2\n\nc"


def test_data_is_printed_as_it_is() -> None:
    assert rendered("{{ x }}", x="<a>\n  b {% c %}") == "<a>\n  b {% c %}"


def test_an_unknown_name_and_a_value_that_is_no_text_are_errors() -> None:
    with pytest.raises(UndefinedError, match="'missing'"):
        rendered("{{ missing }}")
    for value in (None, {"a": 1}):
        with pytest.raises(TypeError, match="which is no text"):
            rendered("{{ x }}", x=value)


def test_tables_that_are_printed_are_remembered() -> None:
    renderer = Renderer()
    one, other = Table(["model", Column("n", "f", "k")], [["a", "1"]]), Table(["model"], [])
    assert renderer.of("{{ one }}", one=one, other=other) == "| model | n |\n| --- | ---: |\n| a | 1 |"
    assert renderer.tables == [one]


def test_every_filter_is_used_by_a_template() -> None:
    folder = Path(report.__file__).parent / "reporting"
    texts = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.j2"))
    assert [name for name in FILTERS if f"| {name}" not in texts] == []
