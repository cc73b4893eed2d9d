"""Ratings at any time: what was predicted before is kept; agreement from eight on."""

from __future__ import annotations

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk
from mimamba.drivers.timing.clock import local_clock
from mimamba.service.bridges.lsl_out import _prediction_channels
from mimamba.service.bridges.osc_out import messages
from mimamba.service.calibration.ratings import (
    Agreement,
    add_rating,
    agreement_of,
    ratings_of,
)
from mimamba.service.cli.personal.calibrate_live import (
    BadRating,
    describe_phase,
    parse_rating,
)
from mimamba.service.cli.watch import describe_personal
from mimamba.service.engine.engine import Engine
from mimamba.service.logs.prediction_log import PublishedPrediction
from mimamba.service.protocol.messages import PredictionMessage
from mimamba.service.protocol.personal import PersonalReading, RatingEntry
from mimamba.service.sessions.session import Session
from mimamba.service.stream.reader import topic_message
from mimamba.service.topics import Timing
from tests.service.models import random_checkpoint
from tests.service.scripted import Stage, staged


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(random_checkpoint(tmp_path_factory.mktemp("model")))


def play(stage: Stage, seconds: int) -> None:
    rng = np.random.default_rng(0)
    for at in range(0, 256 * seconds, 256):
        data = rng.normal(0, 15, (256, 4)).astype(np.float32)
        stage.play(Chunk(data, 500 + np.arange(at, at + 256) / 256, at))


def test_a_rating_holds_what_was_predicted_before(engine: Engine) -> None:
    with staged(engine) as stage:
        session = stage.session
        assert add_rating(session, 50, 50).outputs is None
        play(stage, 8)
        entry = add_rating(session, 71, 64.5)
        logs = session.check_open()
        [(_, last)] = logs.prediction.read(logs.prediction.next - 1, logs.prediction.next)
        assert entry.outputs == last.prediction.outputs
        assert entry.index == 8 * 256 - 1
        assert [each.valence for _, each in ratings_of(session)] == [50, 71]
        labels = [getattr(each, "label", "") for _, each in logs.marker.read(0, 10)]
        assert labels[-1] == "rating valence 71 arousal 64.5"


def test_a_rating_of_a_live_session_is_of_now() -> None:
    """Its sample has not come yet, as chunks that nobody watches are logged once per hop."""
    with staged(None, live=True) as stage:
        session, then = stage.session, local_clock()
        stamps = then - 2 + np.arange(256) / 256
        stage.play(Chunk(np.zeros((256, 4), np.float32), stamps, 1000))
        entry = add_rating(session, 50, 50)
        assert entry.timestamp >= then
        ahead = (entry.timestamp - float(stamps[-1])) * 256
        assert abs(entry.index - (1255 + ahead)) <= 0.5


def agreement(session: Session, noise: float, n: int = 30) -> Agreement | None:
    rng = np.random.default_rng(3)
    for _ in range(n):
        rating = float(rng.uniform(0, 100))
        high = float(np.clip(rating + noise * rng.normal(), 0, 100)) / 100
        outputs = {"valence": {"low": 1 - high, "high": high}}
        session.log_personal(RatingEntry(0, 0.0, rating, 50.0, None, outputs))
    return agreement_of(session, "valence")


def test_agreement_from_eight_on() -> None:
    with staged(None) as stage:
        assert agreement(stage.session, 5, n=7) is None
        assert agreement_of(stage.session, "arousal") is None
        found = agreement(stage.session, 5)
        assert found is not None
        assert (found.n, found.source) == (37, "model")
        assert found.ccc > 0.9
        assert found.spearman is not None
        assert found.spearman > 0.9
        assert found.ccc_interval[0] <= found.ccc <= found.ccc_interval[1]


def test_a_constant_prediction_agrees_with_nothing() -> None:
    with staged(None) as stage:
        for rating in np.linspace(0, 100, 12):
            outputs = {"valence": {"low": 0.5, "high": 0.5}}
            stage.session.log_personal(RatingEntry(0, 0.0, float(rating), 50.0, None, outputs))
        found = agreement_of(stage.session, "valence")
        assert found is not None
        assert (found.spearman, found.spearman_interval, found.ccc) == (None, None, 0.0)


READING = PersonalReading(9, "ok", None, {"calm": 0.25, "very strained": 0.75}, "very strained")
UNSURE = PersonalReading(9, "ok", None, {"calm": 0.45, "very strained": 0.55}, None)
POOR = PersonalReading(9, "poor_signal", "TP9: flat", None, None)


def published(reading: PersonalReading, stage: Stage) -> PublishedPrediction:
    logs = stage.session.check_open()
    [(_, last)] = logs.prediction.read(logs.prediction.next - 1, logs.prediction.next)
    return PublishedPrediction(last.prediction, Timing(1, 2, 3), reading)


def test_the_output_goes_to_other_programs(engine: Engine) -> None:
    with staged(engine) as stage:
        play(stage, 8)
        sent = dict(messages(published(READING, stage)))
        assert sent["personal/very_strained"] == 0.75
        assert (sent["personal/status"], sent["personal/state"]) == ("ok", "very strained")
        assert dict(messages(published(UNSURE, stage)))["personal/state"] == ""
        poor = dict(messages(published(POOR, stage)))
        assert poor["personal/reason"] == "TP9: flat"
        assert "personal/calm" not in poor
        for reading, text in (
            (READING, "personal: very strained 75%"),
            (UNSURE, "personal: unsure"),
            (POOR, "personal: TP9: flat"),
        ):
            message = topic_message("s", 1, published(reading, stage))
            assert isinstance(message, PredictionMessage)
            assert describe_personal(message) == text
    channels = list(_prediction_channels({"valence": ["low", "high"]}, ("calm", "strained")))
    assert channels[2:4] == ["personal/calm", "personal/strained"]
    assert channels[-2:] == ["index", "status"]


def test_typed_ratings() -> None:
    assert parse_rating(" 70, 40\n") == {"valence": 70.0, "arousal": 40.0}
    for line in ("70", "a b", "70 101", "nan 1", "1 2 3", ""):
        with pytest.raises(BadRating):
            parse_rating(line)


def test_phases_in_words() -> None:
    progress = {
        "phase": "cue",
        "block": 3,
        "of": 12,
        "kind": "strained",
        "repeat": "signal",
        "number": 783,
        "step": 7,
        "total": 6.0,
    }
    text = describe_phase(progress)
    assert "Block 3 of 12 (again: the signal was poor): strained. Subtract 7 from 783" in text
    assert "Be bored." in describe_phase({**progress, "kind": "bored"})
    assert describe_phase({**progress, "phase": "failed"}) == "The calibration has failed."
