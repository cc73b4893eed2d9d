"""Rules on band power in a running session, however it is measured and read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.driver import Chunk
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.service.logs.epoch_logs import ActiveModel, EpochLogs
from mimamba.service.recordings.recorder import Recorder
from mimamba.service.rules.dry_run import try_rules
from mimamba.service.rules.quality_join import MOST_WINDOWS, QualityJoin
from mimamba.service.rules.rule_file import Rule, read_rules
from mimamba.service.rules.rules_runner import RuledSession
from tests.service.scripted import INFO, staged

SECONDS = 24
RULES = """
[[rule]]
name = "for a while"
when = "band/alpha"
above = 0.05
for = 2
marker = "a"
[[rule]]
name = "often"
when = "band/alpha/AF7"
above = 0.2
marker = "b"
"""

Measures = list[Quality | BandPower]
Acts = set[tuple[str, float, float]]


@dataclass(frozen=True, repr=False)
class Recorded:
    """Rules, the measures of a recording in order, and what a dry run does in it."""

    rules: list[Rule]
    measures: Measures
    acts: Acts


def signal() -> list[Chunk]:
    """Noise in which alpha comes and goes; an electrode is off twice, and samples are lost."""
    rng = np.random.default_rng(0)
    at = np.arange(256 * SECONDS)
    data = rng.normal(0, 8, (len(at), 4))
    data += (20 * np.sin(2 * np.pi * 10 * at / 256) * (at // 512 % 2))[:, np.newaxis]
    data[2000:2600, 1] = data[4500:4800, 2] = 0
    lost = range(3300, 3400)
    return [
        Chunk(data[n : n + 20].astype(np.float32), 500 + at[n : n + 20] / 256, n)
        for n in range(0, len(at), 20)
        if n not in lost
    ]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("dry")
    file = folder / "rules.toml"
    file.write_text(RULES, encoding="utf-8")
    rules = read_rules(file)
    with staged(None) as stage:
        recorder = Recorder(folder / "one.xdf", stage.session, lambda _: None)
        recorder.start()
        stage.play(*signal())
        recorder.stop()
        logs = stage.session.check_open()
        bands = [entry for _, entry in logs.bands.read(0, logs.bands.next)]
        quality = {
            entry.index: entry
            for _, entry in logs.quality.read(0, logs.quality.next)
            if isinstance(entry, Quality)
        }
    measures: Measures = []
    for each in bands:
        assert isinstance(each, BandPower)
        measures += [quality[each.index], each] if each.index in quality else [each]
    dry = try_rules(rules, folder / "one.xdf")
    acts = {(act.rule.name, round(500 + act.seconds, 3), round(act.value, 3)) for act in dry}
    assert {name for name, *_ in acts} == {"for a while", "often"}
    assert len(acts) >= 6
    return Recorded(rules, measures, acts)


@settings(max_examples=25)
@given(st.sets(st.integers(1, 8 * SECONDS), max_size=40))
def test_rules_act_as_in_a_dry_run_however_many_windows_come_at_once(
    recorded: Recorded, cuts: set[int]
) -> None:
    """A read may also come between the quality of a window and its bands."""
    measures = recorded.measures
    acts: Acts = set()
    borders = [0, *sorted(cuts), len(measures)]
    with staged(None) as stage:
        followed = RuledSession(stage.session, recorded.rules)
        for start, stop in pairwise(borders):
            stage.session.add_measures(measures[start:stop])
            acts |= {
                (act.rule.name, round(act.timestamp, 3), round(act.value, 3))
                for act in followed.acts()
            }
    assert acts == recorded.acts


def test_qualities_without_bands_and_of_another_epoch_are_not_kept() -> None:
    one, other = (EpochLogs(name, INFO, ActiveModel()) for name in ("one", "other"))
    power = np.ones((4, 5))
    join = QualityJoin()
    for n in range(2 * MOST_WINDOWS):
        join.add(Quality(n, 0.0, {}), one)
    newest = 2 * MOST_WINDOWS - 1
    for index, logs, found in (
        (0, one, False),
        (newest - 1, one, True),
        (newest - 1, one, False),
        (newest, other, False),
        (newest, one, True),
    ):
        bands = BandPower(index, 0.0, INFO.ch_names, power)
        assert (join.take(bands, logs) is not None) is found
    join.add(Quality(7, 0.0, {}), one)
    join.add(Quality(3, 0.0, {}), other)
    assert join.take(BandPower(7, 0.0, INFO.ch_names, power), other) is None
