"""Recorded predictions, made again from the file alone."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.driver import Chunk, Marker
from mimamba.drivers.errors import BadRecording
from mimamba.models.body.motion import MOVED
from mimamba.models.checkpoints.checkpoint import Checkpoint, CheckpointError
from mimamba.models.decoding.decoder_state import SnapshotError, pack_state, unpack_state
from mimamba.models.signal.measures import Quality
from mimamba.service.engine.engine import Engine
from mimamba.service.recording_contents.marker_editing import MarkerEditor
from mimamba.service.recordings.recorder import Recorder
from mimamba.service.recordings.recovery import recover
from mimamba.service.recordings.sidecar import Sidecar, save_sidecar
from mimamba.service.recordings.verify import VerificationResult, compare, load_recorded, verify
from tests.models.body.planted import ROTATION, pulse
from tests.models.body.planted import chunks_of as measured
from tests.service.cli.test_main import invoke
from tests.service.models import random_checkpoint
from tests.service.muse_recordings import write_muse
from tests.service.recordings.test_recorder import chunk_of, chunks_of
from tests.service.scripted import Stage, staged


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return random_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture
def engine(checkpoint: Checkpoint) -> Engine:
    return Engine(checkpoint)


def record(stage: Stage, path: Path, *chunks: Chunk) -> Path:
    """Record these chunks of a session that may have begun before."""
    recorder = Recorder(path, stage.session, lambda _: None)
    recorder.start()
    stage.play(*chunks)
    recorder.stop()
    return path


def test_sets_of_labels_that_come_while_it_runs(
    tmp_path: Path, engine: Engine, checkpoint: Checkpoint
) -> None:
    """True labels from before the recording, by markers of any source, and from a rating."""
    output, labels = next(iter(checkpoint.outputs.items()))
    one, other = labels[:2]
    with staged(engine) as stage:
        first = Marker(500 + 600 / 256.003, 600, f"{output}={one}", "presenter")
        stage.play(*chunks_of(0, 600), chunk_of(600, 200, markers=(first,)))
        recorder = Recorder(tmp_path / "a.xdf", stage.session, lambda _: None)
        recorder.start()
        stage.play(*chunks_of(800, 1600))
        stage.session.log_marker(Marker(500 + 1500 / 256.003, 1500, f"{output}={other}", "keys"))
        stage.play(*chunks_of(1600, 3000))
        recorder.stop()
        logs = stage.session.check_open()
        made = [each.prediction for _, each in logs.prediction.read(0, logs.prediction.next)]
        content = stage.session.snapshot().state
    assert content is not None
    saved = unpack_state(content, checkpoint, 256.0)
    assert saved.sets[0].label == other
    sets = [each.set for each in made if each.set]
    assert [each[output].labelled for each in sets] == list(range(1, len(sets) + 1))
    recorded = load_recorded(tmp_path / "a.xdf")
    verdict = compare(recorded, checkpoint)
    assert verdict.difference is None
    assert verdict.sets > 25
    assert f"{verdict.sets} with their sets" in str(verdict)
    assert [text for _, text in recorded.labelled] == [f"{output}={other}"]
    unknown = replace(recorded, labelled=((1600, f"{output}="),))
    assert "was reproduced as" in (compare(unknown, checkpoint).difference or "")
    assert pack_state(saved) == content
    damaged = replace(saved, sets=(replace(saved.sets[0], hits="2"), *saved.sets[1:]))
    with pytest.raises(SnapshotError, match="prediction sets"):
        unpack_state(pack_state(damaged), checkpoint, 256.0)


def flat(chunks: list[Chunk]) -> list[Chunk]:
    return [replace(each, data=np.zeros_like(each.data)) for each in chunks]


def check(path: Path, checkpoint: Checkpoint) -> VerificationResult:
    return compare(load_recorded(path), checkpoint)


def test_from_the_first_sample(tmp_path: Path, engine: Engine, checkpoint: Checkpoint) -> None:
    with staged(engine) as stage:
        path = record(stage, tmp_path / "a.xdf", *chunks_of(0, 2000))
    verdict = check(path, checkpoint)
    assert verdict.difference is None
    assert verdict.confirmed == 31


def test_with_pulse_and_motion_in_the_file(
    tmp_path: Path, engine: Engine, checkpoint: Checkpoint
) -> None:
    """A movement is told with the quality, and changes no prediction."""
    turned = np.full((52 * 14, 3), 90.0, np.float32)
    with staged(engine) as stage:
        stage.script.measure(*measured(turned, info=ROTATION, start=500.0))
        stage.script.measure(*measured(pulse(14, 70, 0.2), start=500.0))
        logs = stage.session.check_open()
        stage.until(lambda: logs.ppg.next > 0)
        recorder = Recorder(tmp_path / "a.xdf", stage.session, lambda _: None)
        recorder.start()
        stage.script.measure(*measured(pulse(4, 70, 0.2), start=514.0))
        stage.until(lambda: logs.ppg.next > 1)
        stage.play(*chunks_of(0, 2000))
        recorder.stop()
        told = [each for _, each in logs.quality.read(0, logs.quality.next)]
    assert {each.motion for each in told if isinstance(each, Quality)} == {MOVED}
    verdict = check(tmp_path / "a.xdf", checkpoint)
    assert verdict.difference is None
    assert verdict.confirmed == 31


@pytest.mark.parametrize("begun", [1, 300, 700, 1543, 1800])
def test_from_mid_session_with_gaps_and_poor_signal(
    tmp_path: Path, engine: Engine, checkpoint: Checkpoint, begun: int
) -> None:
    """Wherever it begins: warming up, within a hop, in flat signal, in the memory of a stretch."""
    story = [
        *chunks_of(0, 1500, 37),
        *flat(chunks_of(1500, 1700, 37)),
        *chunks_of(1710, 2500, 37),  # bridged
        *chunks_of(2700, 4000, 37),  # begins anew
    ]
    with staged(engine) as stage:
        stage.play(*(each for each in story if each.end <= begun))
        path = record(stage, tmp_path / "a.xdf", *(each for each in story if each.end > begun))
    verdict = check(path, checkpoint)
    assert verdict.difference is None
    assert verdict.confirmed == verdict.recorded > 25


def without_numbers(chunks: list[Chunk]) -> list[Chunk]:
    """The first electrode gives no numbers in these chunks."""
    made = [replace(each, data=each.data.copy()) for each in chunks]
    for each in made:
        each.data[:, 0] = np.nan
    return made


@pytest.mark.parametrize("begun", [1, 300, 1400, 1543, 1800])
def test_an_electrode_without_numbers_is_named_live_and_again(
    tmp_path: Path, engine: Engine, checkpoint: Checkpoint, begun: int
) -> None:
    story = [
        *chunks_of(0, 1300, 37),
        *without_numbers(chunks_of(1300, 1900, 37)),
        *chunks_of(1900, 3000, 37),
    ]
    with staged(engine) as stage:
        stage.play(*(each for each in story if each.end <= begun))
        path = record(stage, tmp_path / "a.xdf", *(each for each in story if each.end > begun))
        logs = stage.session.logs
        assert logs is not None
        made = [each.prediction for _, each in logs.prediction.read(0, logs.prediction.next)]
    named = [each for each in made if each.reason == f"{checkpoint.montage[0]}: no numbers"]
    assert len(named) == 600 // 64
    recorded = load_recorded(path)
    verdict = compare(recorded, checkpoint)
    assert verdict.difference is None
    assert verdict.confirmed == verdict.recorded > 15
    # Older recordings have no such predictions: all others are made again alike.
    kept = ~np.isin(recorded.predictions.stamps, [each.timestamp for each in named])
    stream = recorded.predictions
    older = replace(stream, stamps=stream.stamps[kept], values=stream.values[kept])
    verdict = compare(replace(recorded, predictions=older), checkpoint)
    assert verdict.difference is None
    assert verdict.confirmed == kept.sum() < len(kept)


def test_the_memory_matters(tmp_path: Path, engine: Engine, checkpoint: Checkpoint) -> None:
    """Without the snapshot's states the predictions of a mid-session recording are others."""
    with staged(engine) as stage:
        stage.play(*chunks_of(0, 1500))
        path = record(stage, tmp_path / "a.xdf", *chunks_of(1500, 2500))
    forget_states(path, checkpoint)
    assert "hop 0 is" in (check(path, checkpoint).difference or "")


def snapshot_of(path: Path) -> bytes:
    found = re.search(rb"<snapshot>([^<]+)</snapshot>", path.read_bytes())
    assert found
    return found[1]


def change_snapshot(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Put another snapshot of the same length into a file."""
    old = snapshot_of(path)
    new = base64.b64encode(change(base64.b64decode(old)))
    assert len(new) == len(old)
    path.write_bytes(path.read_bytes().replace(old, new))


def forget_states(path: Path, checkpoint: Checkpoint) -> None:
    def change(content: bytes) -> bytes:
        state = unpack_state(content, checkpoint, 256.0)
        nothing = checkpoint.network.initial_states(1)
        assert not np.array_equal(state.states.h.numpy(), nothing.h.numpy())
        return pack_state(replace(state, states=nothing))

    change_snapshot(path, change)


def test_a_hop_that_was_skipped(tmp_path: Path, engine: Engine, checkpoint: Checkpoint) -> None:
    """A loop that is held up makes a live session skip; the recording says so."""
    with staged(engine, live=True, max_wait=0.5) as stage:
        stage.play(*chunks_of(0, 1000))
        recorder = Recorder(tmp_path / "a.xdf", stage.session, lambda _: None)
        recorder.start()
        stage.overload(chunks_of(1000, 1000 + 64 * 12))
        stage.play(*chunks_of(1000 + 64 * 12, 3000))
        recorder.stop()
    recorded = load_recorded(tmp_path / "a.xdf")
    assert recorded.skipped
    verdict = compare(recorded, checkpoint)
    assert verdict.difference is None
    assert compare(replace(recorded, skipped=frozenset()), checkpoint).difference is not None


@pytest.fixture
def aligned(tmp_path: Path) -> Engine:
    """An engine whose model takes 2 s of the person's rest first."""
    return Engine(random_checkpoint(tmp_path, "aligned", baseline=2.0))


def begin(stage: Stage, seconds: float) -> None:
    with stage.session.between_chunks() as model:
        assert model is not None
        model.start_baseline(seconds)


@pytest.mark.parametrize("before", [0, 517, 1100])
def test_baselines_that_are_begun_in_a_recording(
    tmp_path: Path, aligned: Engine, before: int
) -> None:
    """Wherever the recording begins: before the first sample, within a baseline, after it."""
    with staged(aligned) as stage:
        stage.play(*chunks_of(0, before, 37))
        recorder = Recorder(tmp_path / "a.xdf", stage.session, lambda _: None)
        recorder.start()
        if before == 1100:
            begin(stage, 9.0)  # at its very start, and at once another one
            begin(stage, 1 / 3)
        stage.play(*chunks_of(before, 2000, 101))
        begin(stage, 1.5)
        stage.play(*flat(chunks_of(2000, 2100, 37)), *chunks_of(2100, 2301, 101))
        begin(stage, 2.0)  # anew, before it is complete; then a gap
        stage.play(*chunks_of(2306, 4100, 101))
        recorder.stop()
    recorded = load_recorded(tmp_path / "a.xdf")
    assert recorded.begun[-2:] == ((2000, 1.5), (2301, 2.0))
    verdict = compare(recorded, aligned.checkpoint)
    assert verdict.difference is None
    assert verdict.confirmed > 30
    for others in (recorded.begun[:-1], ((2500, 2.0),)):
        assert compare(replace(recorded, begun=others), aligned.checkpoint).difference is not None


@pytest.mark.parametrize("recorded_from", [300, 1000, 1500])
def test_a_baseline_that_is_broken_off_in_a_recording(
    tmp_path: Path, aligned: Engine, recorded_from: int
) -> None:
    """Whether the recording begins within the first one, after it, or with the second."""
    with staged(aligned) as stage:
        recorder = Recorder(tmp_path / "a.xdf", stage.session, lambda _: None)
        stage.play(*chunks_of(0, recorded_from, 37))
        recorder.start()
        stage.play(*chunks_of(recorded_from, 1500, 37))
        begin(stage, 9.0)
        stage.play(*chunks_of(1500, 1700, 37))
        with stage.session.between_chunks() as model:
            assert model is not None
            model.cancel_baseline()
        stage.play(*chunks_of(1700, 2600, 37))
        recorder.stop()
    recorded = load_recorded(tmp_path / "a.xdf")
    assert recorded.begun[-2:] == ((1500, 9.0), (1700, None))
    verdict = compare(recorded, aligned.checkpoint)
    assert verdict.difference is None
    assert verdict.confirmed > 10
    without = replace(recorded, begun=recorded.begun[:-1])
    assert compare(without, aligned.checkpoint).difference is not None


def test_hops_that_were_skipped_while_a_baseline_was_taken(tmp_path: Path, aligned: Engine) -> None:
    """They are part of it, although nothing was said of them."""
    with staged(aligned, live=True, max_wait=0.5) as stage:
        stage.play(*chunks_of(0, 1472))
        recorder = Recorder(tmp_path / "a.xdf", stage.session, lambda _: None)
        recorder.start()
        stage.play(*chunks_of(1472, 1536, 64))
        begin(stage, 4.0)
        stage.overload(chunks_of(1536, 1536 + 64 * 12, 64))
        stage.play(*chunks_of(1536 + 64 * 12, 4000))
        recorder.stop()
    recorded = load_recorded(tmp_path / "a.xdf")
    assert len(recorded.skipped) >= 3
    verdict = compare(recorded, aligned.checkpoint)
    assert verdict.difference is None
    assert verdict.confirmed == verdict.recorded > 20


def test_a_baseline_that_is_none_is_damage(tmp_path: Path, aligned: Engine) -> None:
    with staged(aligned) as stage:
        recorder = Recorder(tmp_path / "a.xdf", stage.session, lambda _: None)
        recorder.start()
        stage.play(*chunks_of(0, 300))
        begin(stage, 2.0)
        stage.play(*chunks_of(300, 600))
        recorder.stop()
    content = (tmp_path / "a.xdf").read_bytes()
    for old, new in (
        (b"2 s of rest are", b"x s of rest are"),
        (b'"first":300', b'"first":3.0'),
        (b"2 s of rest are", b"0 s of rest are"),
    ):
        assert content.count(old) == 1
        (tmp_path / "b.xdf").write_bytes(content.replace(old, new))
        with pytest.raises(BadRecording, match="baselines"):
            load_recorded(tmp_path / "b.xdf")


def test_a_changed_sample_or_prediction_is_found(
    tmp_path: Path, engine: Engine, checkpoint: Checkpoint
) -> None:
    with staged(engine) as stage:
        stage.play(*chunks_of(0, 700))
        path = record(stage, tmp_path / "a.xdf", *chunks_of(700, 1700))
    recorded = load_recorded(path)
    recorded.signal.values[500, 2] += 5.0
    assert 0 < compare(recorded, checkpoint).confirmed < len(recorded.predictions.values)
    recorded.signal.values[500, 2] -= 5.0
    recorded.predictions.values[3, 0] += 2e-5
    assert compare(recorded, checkpoint).confirmed == 3
    recorded.predictions.values[3, 0] = np.nan
    assert compare(recorded, checkpoint).confirmed == 3


def test_a_cut_and_recovered_recording(
    tmp_path: Path, engine: Engine, checkpoint: Checkpoint
) -> None:
    path = tmp_path / "a.xdf"
    with staged(engine) as stage:
        recorder = Recorder(path, stage.session, lambda _: None)
        recorder.start()
        sizes = []
        for begin in (0, 700, 1400):
            size = path.stat().st_size
            stage.play(*chunks_of(begin, begin + 700))
            stage.until(partial(lambda least: path.stat().st_size > least, size + 700 * 24))
            sizes.append(path.stat().st_size)
        recorder.stop()
    content = path.read_bytes()
    confirmed = []
    for size in sizes:
        (tmp_path / "cut.xdf").write_bytes(content[: size - 5])
        recover(tmp_path / "cut.xdf")
        verdict = check(tmp_path / "cut.xdf", checkpoint)
        assert verdict.difference is None
        confirmed.append(verdict.confirmed)
    assert confirmed[2] > confirmed[1] > confirmed[0]


def test_what_cannot_be_verified(tmp_path: Path, engine: Engine, checkpoint: Checkpoint) -> None:
    with pytest.raises(BadRecording, match="another format"):
        verify(str(write_muse(tmp_path / "muse.csv", 3)), None)
    with staged(None) as stage:
        path = record(stage, tmp_path / "signal.xdf", *chunks_of(0, 300))
    with pytest.raises(BadRecording, match="predictions"):
        verify(str(path), None)
    with staged(engine) as stage:
        path = record(stage, tmp_path / "a.xdf", *chunks_of(0, 300))
    with pytest.raises(CheckpointError, match=checkpoint.sha256):
        verify(str(path), "demo")
    for old, new, what in (
        (b'\\"end\\":300', b'\\"end\\":999', "sample 999"),
        (b'\\"newest\\":299', b'\\"newest\\":999', "newest sample"),
    ):
        with staged(engine) as stage:
            stage.play(*chunks_of(0, 300))
            other = record(stage, tmp_path / f"{what}.xdf", *chunks_of(300, 600))
        change_snapshot(other, lambda content, old=old, new=new: content.replace(old, new))  # type: ignore[misc]
        with pytest.raises(BadRecording, match=what):
            check(other, checkpoint)
    change_snapshot(path, lambda content: b"\xff" * len(content))
    with pytest.raises(BadRecording, match="damage"):
        check(path, checkpoint)


def test_a_snapshot_of_another_model_is_refused(engine: Engine, checkpoint: Checkpoint) -> None:
    with staged(engine) as stage:
        stage.play(*chunks_of(0, 500))
        state = stage.session.snapshot().state
    assert state is not None
    content = state
    again = unpack_state(content, checkpoint, 256.0)
    assert pack_state(again) == content
    with pytest.raises(SnapshotError, match="history"):
        unpack_state(content, checkpoint, 1000.0)
    for cut in range(0, len(content), 97):
        with pytest.raises(SnapshotError):
            unpack_state(content[:cut], checkpoint, 256.0)


def test_the_command(tmp_path: Path, engine: Engine, checkpoint: Checkpoint) -> None:
    with staged(engine) as stage:
        stage.play(*chunks_of(0, 500))
        path = record(stage, tmp_path / "a.xdf", *chunks_of(500, 1500))
    model = random_checkpoint(tmp_path)
    assert model.sha256 == checkpoint.sha256
    MarkerEditor(path).add(1.0, "an edit changes nothing that was recorded")
    save_sidecar(path, Sidecar("a", "finished", title="Tag ä"))
    where = ("--data-dir", str(tmp_path))
    arguments = ("score", "Tag ä", *where, "--verify", "--model", f"{tmp_path}/random.safetensors")
    done = invoke(*arguments)
    assert done.exit_code == 0, done.stderr
    assert "16 of 16 recorded predictions confirmed" in done.stderr
    forget_states(path, checkpoint)
    assert not verify(str(path), str(tmp_path / "random.safetensors"))
