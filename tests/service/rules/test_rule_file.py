"""Files of rules, and the state of a rule from value to value."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimamba.service.rules.rule_file import BadRule, Rule, Watched, check_rules, read_rules
from mimamba.service.rules.rule_state import RuleState

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "rules.toml"
GOOD = '[[rule]]\nwhen = "valence/high"\nabove = 0.5\nmarker = "high"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_is_complete() -> None:
    calm, drowsy, away = read_rules(EXAMPLE)
    assert calm.watched == Watched("output", "arousal", "low")
    assert (calm.side, calm.at, calm.back, calm.seconds, calm.cooldown) == (
        "above",
        0.7,
        0.05,
        5,
        30,
    )
    assert drowsy.watched == Watched("band", "theta")
    assert away.watched.kind == "link"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("0.5", "2"), "a number from 0 to 1 in the field above of rule 1 of rules"),
        (GOOD + "below = 0.1\n", "either above or below in rule 1 of rules.toml, but found above"),
        (GOOD.replace("above = 0.5\n", ""), "but found neither"),
        (GOOD.replace('marker = "high"\n', ""), "webhook, osc, mqtt or marker in rule 1"),
        (GOOD + 'webhook = "file:///etc"\n', "http://127.0.0.1:1880/calm in the field webhook"),
        (GOOD + 'osc = "here"\n', "HOST:PORT in the field osc"),
        (GOOD + 'mqtt = "home/#"\n', "a topic such as home/calm, without '+' and '#'"),
        (GOOD + 'mqtt_payload = "ON"\n', "the field mqtt with mqtt_payload in rule 1"),
        (GOOD.replace("valence/high", "band/beat"), "OUTPUT/LABEL, personal/STATE"),
        (GOOD.replace("valence/high", "link/lost"), "neither above nor below with link/lost"),
        (GOOD + GOOD.replace("marker", "mark"), "the field 'mark'. Use marker, or remove it."),
        ('[[rule]]\nmarker = "a"\n', "the field when in rule 1"),
        ("", "one to 100 [[rule]] in rules.toml, but found none"),
        ("name = 1\n" + GOOD, "nothing but [[rule]] in rules.toml, but found the field 'name'"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadRule) as raised:
        read_rules(written(tmp_path, text))
    assert words in str(raised.value)


def test_a_rule_that_publishes_needs_a_broker(tmp_path: Path) -> None:
    rules = read_rules(written(tmp_path, GOOD + 'mqtt = "home/calm"\nmqtt_payload = "ON"\n'))
    assert (rules[0].mqtt, rules[0].mqtt_payload) == ("home/calm", "ON")
    check_rules(rules, has_broker=True)
    check_rules(read_rules(EXAMPLE), has_broker=False)
    with pytest.raises(BadRule, match=r"for the field mqtt of rule 1, .+ with --mqtt-out"):
        check_rules(rules, has_broker=False)


def rule(seconds: float = 0, cooldown: float = 0, back: float = 0) -> Rule:
    watched = Watched("output", "valence", "high")
    return Rule("a", "valence/high", watched, "above", 0.5, back, seconds, cooldown, marker="a")


def acts(made: Rule, values: list[float | None]) -> list[int]:
    state = RuleState(made)
    return [at for at, value in enumerate(values) if state.step(at, value)]


def test_a_rule_acts_once_for_each_crossing_that_lasts() -> None:
    assert acts(rule(), [0.4, 0.5, 0.9, 0.4, 0.6]) == [1, 4]
    assert acts(rule(seconds=2), [0.6, 0.6, 0.4, 0.6, 0.6, 0.6, 0.6]) == [5]
    assert acts(rule(seconds=2), [0.6, 0.6, None, 0.6, 0.6, 0.6]) == [5]
    assert acts(rule(back=0.2), [0.6, 0.4, 0.6, 0.2, 0.6]) == [0, 4]
    assert acts(rule(cooldown=4), [0.6, 0, 0.6, 0, 0.6, 0.6]) == [0, 4]


def test_nothing_holds_over_a_gap() -> None:
    state = RuleState(rule(seconds=2))
    assert [state.step(at, 0.6) for at in (0, 1, 30, 31, 32)] == [False] * 4 + [True]
    assert [state.step(at, 0.6) for at in (0, 1, 2)] == [False, False, True]  # a new epoch


@given(
    st.lists(st.none() | st.floats(0, 1), max_size=60),
    st.sampled_from([0, 1, 3]),
    st.sampled_from([0, 2, 5]),
    st.sampled_from([0, 0.2]),
)
def test_acts_keep_their_distance(
    values: list[float | None], seconds: int, cooldown: int, back: float
) -> None:
    found = acts(rule(seconds, cooldown, back), values)
    assert all(b - a >= max(cooldown, 1) for a, b in itertools.pairwise(found))
    for at in found:
        row = values[max(0, at - seconds) : at + 1]
        assert all(value is not None and value >= 0.5 - back for value in row)
