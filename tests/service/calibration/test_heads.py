"""Heads in sessions: served as offline, recorded and verified, grey on a later day, deleted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk
from mimamba.drivers.formats.read import read_recording
from mimamba.models.personal.features import SIGNAL
from mimamba.models.personal.head_file import load_head, verify_head
from mimamba.models.personal.personal_stream import PersonalStream
from mimamba.service.calibration.calibrations import CalibrationRefused, Calibrations
from mimamba.service.calibration.heads import Heads
from mimamba.service.calibration.ratings import add_rating
from mimamba.service.calibration.sittings import NoSitting, read_attempt
from mimamba.service.engine.engine import Engine
from mimamba.service.recordings.recorder import Recorder
from mimamba.service.recordings.verify import load_recorded, verify_personal
from tests.service.calibration.wearer import PLAN, Wearer, make_calibrations
from tests.service.models import random_checkpoint
from tests.service.scripted import Stage, staged

TODAY = date.today()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(random_checkpoint(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Path:
    """A folder in which P01 was calibrated today, and is served."""
    folder = tmp_path_factory.mktemp("people")
    with using(folder, engine) as (stage, calibrations, _):
        wearer = Wearer(stage, calibrations.begin(stage.session, "P01", PLAN))
        wearer.until_judged()
        # It is used in this session at once, and as offline.
        assert stage.session.head is not None
        record = wearer.live.record
        assert (stage.session.head.id, stage.session.head.confirmed) == (record.id, True)
        begun = wearer.sent
        for _ in range(12):
            wearer.second()
        sent = np.concatenate(wearer.data)
        fit = load_head(calibrations.sittings.head_path(record))
        stream = PersonalStream(fit, stage.script.info)
        made = stream.feed(Chunk(sent[begun:], 500 + np.arange(begun, len(sent)) / 256, begun))
        logs = stage.session.check_open()
        found = {
            entry.personal.index: entry.personal
            for _, entry in logs.prediction.read(0, 10_000)
            if entry.personal is not None
        }
        ok = {each.hop.index: each.output for each in made if each.output is not None}
        assert len(ok) > 5
        assert found.keys() >= {*list(ok)[:-1]}
        for index, reading in found.items():
            output = ok.get(index)
            assert reading.probabilities == (output.probabilities if output else None)
            assert reading.state == (output.state if output else None)
        assert logs.active_models[-1].head == stage.session.head
    return folder


@contextmanager
def using(
    folder: Path, engine: Engine | None, day: date = TODAY
) -> Iterator[tuple[Stage, Calibrations, Heads]]:
    """A session with the heads of a folder, on a day."""
    calibrations = make_calibrations(folder)
    calibrations.today = lambda: day
    heads = Heads(calibrations)
    with staged(engine) as stage:
        yield stage, calibrations, heads
        stage.close()
        calibrations.close()


def play(stage: Stage, seconds: int, first: int = 0, alpha: float = 6.0) -> int:
    rng = np.random.default_rng(first)
    for at in range(first, first + 256 * seconds, 256):
        index = np.arange(at, at + 256)
        data = rng.normal(0, 15, (256, 4)) + alpha * np.sin(2 * np.pi * 10 * index / 256)[:, None]
        stage.play(Chunk(data.astype(np.float32), 500 + index / 256, at))
    return first + 256 * seconds


@pytest.fixture(scope="module")
def sharing(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A model with the signal settings of heads, which take its hops."""
    return Engine(random_checkpoint(tmp_path_factory.mktemp("model"), "sharing", signal=SIGNAL))


@pytest.mark.parametrize("shares", [False, True])
def test_recordings_make_the_same_output_again(
    calibrated: Path, engine: Engine, sharing: Engine, tmp_path: Path, shares: bool
) -> None:
    with using(calibrated, sharing if shares else engine) as (stage, _, heads):
        [card] = heads.all("P01")
        at = play(stage, 3)
        recorder = Recorder(tmp_path / "one.xdf", stage.session, lambda _: None)
        recorder.start()
        at = play(stage, 3, at)
        heads.use(stage.session, "P01", card.id)  # in its midst
        at = play(stage, 9, at)
        recorder.stop()
        recorder = Recorder(tmp_path / "two.xdf", stage.session, lambda _: None)
        recorder.start()
        at = play(stage, 9, at)
        heads.take_away(stage.session)
        play(stage, 2, at)
        recorder.stop()
        assert stage.session.head is None
        logs = stage.session.check_open()
        if shares:  # each prediction holds the output of the same hop
            held = [each for _, each in logs.prediction.read(0, 10_000)]
            same = [each.personal.index == each.prediction.index for each in held if each.personal]
            assert same == [True] * 18
    for name in ("one.xdf", "two.xdf"):
        recorded = load_recorded(tmp_path / name)
        [stream] = recorded.personal
        assert (stream.values[:, 4] == 0).sum() >= 4  # ok
        assert stream.text("desc/mimamba/hops") == ("model" if shares else "own")
        assert verify_personal(recorded)
        stream.values[-1, 0] += 1e-6
        assert not verify_personal(recorded)


def test_the_output_goes_on_with_the_hops_of_another_model(
    calibrated: Path, engine: Engine, sharing: Engine
) -> None:
    with using(calibrated, engine) as (stage, _, heads):
        [card] = heads.all("P01")
        at = play(stage, 2)
        heads.use(stage.session, "P01", card.id)
        for chosen, shares in ((sharing, True), (None, False), (engine, False)):
            stage.session.set_model(chosen, 1.0)
            at = play(stage, 7, at)
            used = stage.session.check_open().heads
            origin = used[max(used)].output.origin
            assert origin is not None
            assert origin.shares == shares
            reading = stage.session.last_reading
            assert reading is not None
            assert reading.status == "ok"
            assert reading.index > at - 256


def test_a_recording_of_the_session_gives_the_head_again(tmp_path: Path, engine: Engine) -> None:
    with using(tmp_path, engine) as (stage, calibrations, _):
        at = play(stage, 2)  # the recording begins before the sitting
        recorder = Recorder(tmp_path / "all.xdf", stage.session, lambda _: None)
        recorder.start()
        at = play(stage, 2, at)
        wearer = Wearer(stage, calibrations.begin(stage.session, "P01", PLAN))
        wearer.sent = at
        wearer.until_judged()
        wearer.second()
        recorder.stop()
        head = calibrations.sittings.head_path(wearer.live.record)
        fit = verify_head(head, [read_recording(str(tmp_path / "all.xdf"))])
        assert fit.verdict.served == "yes"
        assert fit.attempts[0].blocks[0].rating in (20.0, 80.0)


def test_grey_on_a_later_day_until_six_of_six(calibrated: Path, engine: Engine) -> None:
    with using(calibrated, engine, TODAY + timedelta(1)) as (stage, _, heads):
        [card] = heads.all("P01")
        assert not card.confirmed
        heads.use(stage.session, "P01", card.id)
        at = play(stage, 8)
        reading = stage.session.last_reading
        assert reading is not None
        assert reading.reason is not None
        assert reading.reason.startswith("baseline")
        at = play(stage, 40, at, alpha=6.0)
        reading = stage.session.last_reading
        assert reading is not None
        assert reading.state == "strained"  # as at rest: less alpha
        heads.check_by_rating(stage.session, 50, 52)  # not clear
        for n in range(6):
            head = stage.session.head
            assert head is not None
            assert (head.confirmed, head.checked) == (False, n)
            heads.check_by_rating(stage.session, 50, 90)
        assert stage.session.head is not None
        assert stage.session.head.confirmed
        heads.check_by_rating(stage.session, 50, 10)  # it is confirmed: no more checks
        assert heads.all("P01")[0].checked == 6
    with using(calibrated, engine, TODAY + timedelta(2)) as (_, _, heads):
        assert not heads.all("P01")[0].confirmed  # every day anew


def test_check_blocks_confirm_a_head(calibrated: Path, engine: Engine) -> None:
    day = TODAY + timedelta(3)
    with using(calibrated, engine, day) as (stage, calibrations, heads):
        [card] = heads.all("P01")
        heads.use(stage.session, "P01", card.id)
        plan = calibrations.check_plan("P01", card.id)
        live = calibrations.begin(stage.session, "P01", plan, checked_head=card.id)
        wearer = Wearer(stage, live)
        wearer.until_judged()
        assert live.progress.phase == "done"
        assert (live.progress.of, live.record.verdict) == (6, None)
        assert stage.session.head is not None
        assert (stage.session.head.right, stage.session.head.checked) == (6, 6)
        assert stage.session.head.confirmed
        assert [each.id for each in heads.all("P01")] == [card.id]
        # The day's blocks have joined its training, which its file says and gives again.
        assert stage.session.head.days == (day.isoformat(),)
        assert "1 confirmed day joined its training." in stage.session.head.sentence
        sittings = calibrations.sittings
        records = [sittings.get("P01", card.id), live.record]
        path = sittings.head_path(records[0])
        assert load_head(path).days == (day.isoformat(),)
        recordings = [read_attempt(sittings, each)[0] for each in records]
        assert verify_head(path, recordings).holds
        # A minute of rest was taken today already.
        assert heads.use(stage.session, "P01", card.id).confirmed
        play(stage, 9, wearer.sent)
        assert stage.session.last_reading is not None
        assert stage.session.last_reading.status == "ok"


@pytest.mark.parametrize("honest", [True, False])
def test_ratings_train_a_head_if_they_hold(
    calibrated: Path, engine: Engine, tmp_path: Path, honest: bool
) -> None:
    shutil.copytree(calibrated, tmp_path / "copy")
    with using(tmp_path / "copy", engine) as (stage, calibrations, heads):
        [card] = heads.all("P01")
        heads.use(stage.session, "P01", card.id)
        path = calibrations.sittings.head_path(calibrations.sittings.get("P01", card.id))
        before, at = path.read_bytes(), 0
        for n in range(8):
            strained = n in (0, 3, 5, 6)
            low = strained if honest else n % 2 == 1
            at = play(stage, 31, at, alpha=6.0 if low else 18.0)
            rating = add_rating(stage.session, 50.0, 85.0 if strained else 15.0)
            assert rating.personal is not None
            heads.train_by_rating(stage.session, rating)
            heads.train_by_rating(stage.session, rating)  # the same half minute trains once
        calibrations.refits.wait()
        record = calibrations.sittings.get("P01", card.id)
        assert len(calibrations.sittings.moments(record)) == 8
        assert record.looks is not None
        assert (record.looks.tests, record.looks.ratings) == (1, 8)
        assert (path.read_bytes() != before) == honest
        assert stage.session.head is not None
        assert stage.session.head.ratings == (8 if honest else 0)
        if honest:
            assert record.refit is not None
            names = [card.id, *record.refit.sittings]
            records = [calibrations.sittings.get("P01", name) for name in names]
            recordings = [read_attempt(calibrations.sittings, each)[0] for each in records]
            assert len(verify_head(path, recordings).moments) == 8
            assert "8 ratings joined its training" in stage.session.head.sentence
        heads.take_away(stage.session)
        heads.delete("P01", card.id, card.id, [stage.session])
        assert not list((tmp_path / "copy").rglob(f"{card.id}*"))


def test_refusals_and_deletion(calibrated: Path, engine: Engine) -> None:
    with using(calibrated, engine) as (stage, calibrations, heads):
        [card] = heads.all("P01")
        with pytest.raises(NoSitting, match="no calibration"):
            heads.use(stage.session, "P01", "another")
        with pytest.raises(CalibrationRefused, match="earlier day"):
            calibrations.check_plan("P01", card.id)
        heads.use(stage.session, "P01", card.id)
        with pytest.raises(CalibrationRefused, match="uses this head"):
            heads.delete("P01", card.id, card.id, [stage.session])
        heads.take_away(stage.session)
        with pytest.raises(CalibrationRefused, match="confirmation"):
            heads.delete("P01", card.id, "yes", [stage.session])
        with (
            using(calibrated, None) as (bare, _, _),
            pytest.raises(CalibrationRefused, match="session with a model"),
        ):
            heads.use(bare.session, "P01", card.id)
        heads.delete("P01", card.id, card.id, [stage.session])
        assert heads.all("P01") == []
        assert not list(calibrated.rglob(f"{card.id}*"))
