"""Calibrations in scripted sessions: verdicts, resuming after a kill, pooling, deletion."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mimamba.models.personal.fit_personal import fit_personal
from mimamba.models.personal.head_file import encode_head
from mimamba.models.personal.joined_data import KeptMoment
from mimamba.service.calibration.calibrations import (
    CalibrationRefused,
    Calibrations,
    NoCalibration,
)
from mimamba.service.calibration.heads import Heads
from mimamba.service.calibration.sittings import (
    CannotCalibrate,
    NoSitting,
    SignalFile,
    SittingRecord,
    Sittings,
    SittingTaken,
    is_locked,
    read_attempt,
    read_frames,
)
from mimamba.service.calibration.state_machine import NotNow
from mimamba.service.people.people import People
from mimamba.service.protocol.personal import CalibrationEntry
from mimamba.service.sessions.session import Session, SessionOver
from tests.service.calibration.wearer import PATIENCE, PLAN, Wearer, make_calibrations
from tests.service.forked import LoadedProgram
from tests.service.scripted import Stage, staged

ROOT = Path(__file__).resolve().parents[3]
WEARER = "import sys; from tests.service.calibration.wearer import main; main(*sys.argv[1:])"


@contextmanager
def sitting(folder: Path, gain: float = 3.0) -> Iterator[tuple[Stage, Calibrations, Wearer]]:
    """A session in which the calibration of P01 has begun, or is resumed."""
    calibrations = make_calibrations(folder)
    with staged(None) as stage:
        live = calibrations.begin(stage.session, "P01", PLAN)
        yield stage, calibrations, Wearer(stage, live, gain)
        stage.close()
        calibrations.close()


def test_the_verdict_is_that_of_the_offline_core(tmp_path: Path) -> None:
    with sitting(tmp_path) as (stage, calibrations, wearer):
        refused: list[SittingTaken] = []

        def delete(_: Session, record: SittingRecord) -> None:
            try:
                Sittings(People(tmp_path / "people")).delete(record)  # another service
            except SittingTaken as error:
                refused.append(error)

        calibrations.on_judged = delete
        wearer.until_judged()
        assert len(refused) == 1
        record = wearer.live.record
        assert record.verdict is not None
        assert (record.verdict.name, record.verdict.served) == ("reliable", "yes")
        recording, attempt = read_attempt(calibrations.sittings, record)
        # Everything that was sent is there.
        sent = np.concatenate(wearer.data)[: recording.n_times]
        assert np.array_equal(recording.data, sent)
        fit = fit_personal(recording, attempt.blocks, kinds=PLAN.kinds or (), baseline=PLAN.rest)
        head = calibrations.sittings.head_path(record).read_bytes()
        assert head == encode_head(fit)
        logs = stage.session.check_open()
        entries = [
            e for _, e in logs.calibration.read(0, 10_000) if isinstance(e, CalibrationEntry)
        ]
        assert entries[-1].verdict == record.verdict
        assert {entry.progress.phase for entry in entries} == {
            *("rest", "cue", "block", "rating", "pause", "judging", "done")
        }
        labels = [getattr(entry, "label", "") for _, entry in logs.marker.read(0, 10_000)]
        assert [each.split()[-1] for each in labels if " begin " in each] == [
            block.kind for block in record.state.blocks
        ]
        assert sum(" rating block " in each for each in labels) == 8


def test_nothing_is_served_where_there_is_nothing(tmp_path: Path) -> None:
    with sitting(tmp_path, gain=1.0) as (_, _, wearer):
        wearer.until_judged()
        assert wearer.live.record.verdict is not None
        assert wearer.live.record.verdict.served == "no"


def test_kill_9_in_block_7_resumes_at_block_7(tmp_path: Path, loaded: LoadedProgram) -> None:
    with loaded.start(str(tmp_path), "7", code=WEARER, folder=ROOT) as process:
        assert process.stdout is not None
        name, plan_hash = process.stdout.readline().split()
        process.kill()  # SIGKILL
    with sitting(tmp_path) as (_, calibrations, wearer):
        live = wearer.live
        assert live.record.id == name
        assert live.machine.drawn.sha256 == plan_hash
        assert live.progress.phase == "cue"
        assert (live.progress.block, len(live.machine.rated)) == (7, 6)
        assert live.record.resumed == 1
        wearer.until_judged()
        assert live.record.verdict is not None
        assert live.record.verdict.n_blocks == (4, 4)
        assert live.record.verdict.served == "yes"
        recording, attempt = read_attempt(calibrations.sittings, live.record)
        fit = fit_personal(recording, attempt.blocks, kinds=PLAN.kinds or (), baseline=PLAN.rest)
        assert calibrations.sittings.head_path(live.record).read_bytes() == encode_head(fit)


def test_stopped_and_resumed_in_another_session(tmp_path: Path) -> None:
    with sitting(tmp_path) as (stage, calibrations, wearer):
        wearer.until(lambda: wearer.live.progress.phase == "rating")
        with stage.loop.held():
            wearer.live.stop("stopped on request")
        [note] = calibrations.notes("P01")
        wearer.live.wait()
        [note] = calibrations.notes("P01")
        assert (note.phase, note.resumable) == ("stopped", True)
    with sitting(tmp_path) as (_, _, wearer):
        assert wearer.live.progress.rating_due
        assert wearer.live.progress.block == 1


def test_a_session_that_ends_leaves_it_resumable(tmp_path: Path) -> None:
    with sitting(tmp_path) as (stage, calibrations, wearer):
        wearer.until(lambda: wearer.live.progress.block == 2)
        stage.script.close()
        stage.until(lambda: stage.session.state == "ended")
        wearer.live.wait()
        [record] = calibrations.sittings.all("P01")
        assert (record.state.phase, record.reason) == ("stopped", "the session ended")
        with pytest.raises(SessionOver):
            calibrations.begin(stage.session, "P01", PLAN)


def test_a_session_that_ends_as_it_begins_leaves_the_person_free(tmp_path: Path) -> None:
    calibrations = make_calibrations(tmp_path)
    sittings = calibrations.sittings

    class EndingSittings(Sittings):
        """Sittings during whose opening the session ends."""

        def open_signal(self, record: SittingRecord) -> SignalFile:
            opened = super().open_signal(record)
            first.script.close()
            first.until(lambda: first.session.state == "ended")
            return opened

    with staged(None) as first:
        calibrations.sittings = EndingSittings(People(tmp_path / "people"))
        with pytest.raises(SessionOver) as refused:  # noqa: F841  what it holds stays open
            calibrations.begin(first.session, "P01", PLAN)
        with pytest.raises(NoCalibration):
            calibrations.of(first.session)
    with staged(None) as second:
        calibrations.sittings = sittings
        live = calibrations.begin(second.session, "P01", PLAN)
        with second.loop.held():
            live.stop()
        calibrations.close()


def test_one_that_no_process_can_judge_fails_on_the_disk_before_it_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sitting(tmp_path) as (stage, calibrations, wearer):
        locked: list[bool] = []

        class WatchedSittings(Sittings):
            """Sittings that note if others are kept from one while it is saved."""

            def save(self, record: SittingRecord, head: bytes | None = None) -> None:
                super().save(record, head)
                locked.append(is_locked(self.signal_path(record)))

        calibrations.sittings = WatchedSittings(People(tmp_path / "people"))
        monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
        with stage.loop.held():
            wearer.live.judge_again()
        end = time.monotonic() + PATIENCE
        while wearer.live.progress.phase == "judging":
            assert time.monotonic() < end
            time.sleep(0.01)
        record = calibrations.sittings.get("P01", wearer.live.record.id)
        assert record.state.phase == "failed"
        assert "could not be judged" in str(record.reason)
        assert locked == [True]
        assert not is_locked(calibrations.sittings.signal_path(record))


def test_attempts_of_a_day_are_pooled_and_counted(tmp_path: Path) -> None:
    with sitting(tmp_path, gain=1.0) as (_, _, wearer):
        wearer.until_judged()
        assert wearer.live.record.attempt == 1
    with sitting(tmp_path, gain=3.0) as (_, _, wearer):
        wearer.until_judged()
        verdict = wearer.live.record.verdict
        assert wearer.live.record.attempt == 2
        assert verdict is not None
        assert (verdict.attempts, verdict.tests, verdict.n_blocks) == (2, 2, (8, 8))


def test_finishing_early(tmp_path: Path) -> None:
    with sitting(tmp_path) as (stage, calibrations, wearer):
        with stage.loop.held(), pytest.raises(NotNow):
            wearer.live.finish()
        with pytest.raises(CalibrationRefused, match="P01"):
            calibrations.begin(stage.session, "P01", PLAN)
    with staged(None) as stage, pytest.raises(NoCalibration):
        make_calibrations(tmp_path).of(stage.session)


def test_another_service_leaves_it_alone_while_it_goes_on(tmp_path: Path) -> None:
    other = make_calibrations(tmp_path)
    with sitting(tmp_path) as (_, _, wearer), staged(None) as stage:
        wearer.until(lambda: wearer.live.progress.block == 1)
        name = wearer.live.record.id
        with pytest.raises(SittingTaken, match="another service goes on with it"):
            Heads(other).delete("P01", name, name, [])
        with pytest.raises(SittingTaken, match=f"{name} of P01 has ended"):
            other.begin(stage.session, "P01", PLAN, resume=False)
        assert [each.id for each in other.notes("P01")] == [name]
        with wearer.live.session.between_chunks():
            wearer.live.stop()
        wearer.live.close()
        Heads(other).delete("P01", name, name, [])
        assert other.notes("P01") == []
        other.close()


def test_a_torn_frame_is_dropped(tmp_path: Path) -> None:
    with sitting(tmp_path) as (_, calibrations, wearer):
        wearer.until(lambda: wearer.live.progress.block == 1)
        path = calibrations.sittings.signal_path(wearer.live.record)
    whole = list(read_frames(path, 4))
    with path.open("ab") as file:
        file.write(b"\x01\x02\x03" * 7)
    with sitting(tmp_path) as (_, _, wearer):
        assert wearer.live.progress.block == 1
        wearer.second()
    again = list(read_frames(path, 4))
    assert [first for _, first, _ in again[: len(whole)]] == [first for _, first, _ in whole]
    assert len(again) == len(whole) + 1


def test_a_deleted_person_leaves_nothing(tmp_path: Path) -> None:
    with sitting(tmp_path) as (_, calibrations, wearer):
        wearer.until(lambda: wearer.live.progress.block == 1)
        calibrations.forget("P01")
        assert not wearer.live.going_on
        make_calibrations(tmp_path)
        assert People(tmp_path / "people").delete("P01")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".people.lock"]


def test_a_person_whom_another_service_deletes_leaves_nothing(tmp_path: Path) -> None:
    with sitting(tmp_path) as (_, calibrations, wearer):
        wearer.until(lambda: wearer.live.progress.block == 1)
        assert People(tmp_path / "people").delete("P01")
        wearer.until(lambda: not wearer.live.going_on)
        assert "deleted" in str(wearer.live.record.reason)
        sittings, record = calibrations.sittings, wearer.live.record
        with pytest.raises(CannotCalibrate, match="deleted"):
            sittings.save(record, b"head")
        with pytest.raises(CannotCalibrate, match="deleted"):
            sittings.open_signal(record)
        moment = KeptMoment("2026-11-29", "a", 0, 1.0, 1.0, None, b"", 0, b"", 0.0)
        with pytest.raises(NoSitting):
            sittings.add_moment(record, moment)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".people.lock"]
