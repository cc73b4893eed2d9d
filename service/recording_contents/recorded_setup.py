"""Setup of a recorded session: its model, person and baseline, for the recording's replay."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from xml.etree.ElementTree import Element

from mimamba.drivers.formats.xdf.chunk_writer import SAMPLES, STREAM_HEADER
from mimamba.drivers.formats.xdf.intact_chunks import (
    MAGIC,
    Bytes,
    extract_complete_chunks,
    leading_chunks,
)
from mimamba.drivers.formats.xdf.sample_index import PREDICTIONS_TOPIC, QUALITY_TOPIC, TOPIC_PATH
from mimamba.models.checkpoints.checkpoint import CheckpointError, load_checkpoint
from mimamba.models.decoding.decoder_state import SnapshotError, unpack_aligner
from mimamba.service.people.subject import RecordedBaseline
from mimamba.service.recordings.sidecar import load_sidecar, played_file
from mimamba.service.sessions.model_choice import ModelChoice


@dataclass(frozen=True)
class RecordedSetup:
    """Setup of a session when its recording began.

    Parameters
    ----------
    choice
        Its model; none if the recording has no predictions, or the model is not available.
    person
        Pseudonym of the recording's person.
    baseline
        Baseline in use then, or being taken.
    notices
        What a person should know about the replay.
    """

    choice: ModelChoice
    person: str | None = None
    baseline: RecordedBaseline | None = None
    notices: tuple[str, ...] = ()


def recorded_setup(url: str, models: Path | None) -> RecordedSetup | None:
    """Return the setup of the recording that a source plays; blocks on the disk.

    Parameters
    ----------
    url
        A source.
    models
        Folder of the person's own checkpoints.

    Returns
    -------
    RecordedSetup or None
        None if the source is no file, or no session of mimamba is recorded in it.
    """
    path = played_file(url)
    if path is None:
        return None
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            ours, predictions = _headers(data)
    except (OSError, ValueError):  # missing, a folder, or empty; opening it says so
        return None
    if not ours:
        return None
    person = load_sidecar(path).person
    if predictions is None:
        return RecordedSetup(ModelChoice(None, required=False), person)
    return _with_model(predictions, person, models)


def _headers(data: Bytes) -> tuple[bool, Element | None]:
    """Return whether a session of mimamba is recorded in the file, and its predictions' header.

    The recorder declares the quality, then the predictions, before the first sample of either. A
    file that was uploaded has neither.
    """
    ours, start = False, len(MAGIC)
    for chunk in leading_chunks(data):
        if chunk.tag == SAMPLES and ours:
            break
        if chunk.tag == STREAM_HEADER:
            part = extract_complete_chunks(MAGIC + data[start : chunk.stop])
            header = part.headers[chunk.stream]
            topic = header.findtext(TOPIC_PATH)
            if topic == PREDICTIONS_TOPIC:
                return True, header
            ours = ours or topic == QUALITY_TOPIC
        start = chunk.stop
    return ours, None


def _with_model(header: Element, person: str | None, models: Path | None) -> RecordedSetup:
    """Return the setup with the recorded model, or the signal only if it is another one now."""
    name = header.findtext("desc/mimamba/model/name") or ""
    sha256 = header.findtext("desc/mimamba/model/sha256") or ""
    try:
        checkpoint = load_checkpoint(name, models)
    except CheckpointError:
        checkpoint = None
    if checkpoint is None or checkpoint.sha256 != sha256:
        notice = (
            f"Recorded with the model {name} {sha256[:12]}, which is not available here: "
            "only the signal is played. Choose a model to predict again."
        )
        return RecordedSetup(ModelChoice(None, required=False), person, notices=(notice,))
    memory = float(header.findtext("desc/mimamba/model/r") or 0) > 0
    baseline: RecordedBaseline | None = None
    notices: tuple[str, ...] = ()
    try:
        snapshot = b64decode(header.findtext("desc/mimamba/snapshot") or "", validate=True)
        aligner = unpack_aligner(snapshot, checkpoint)
    except (SnapshotError, ValueError):
        notices = ("The recording's baseline cannot be read; another one is used.",)
    else:
        if checkpoint.baseline:
            baseline = RecordedBaseline(sha256, aligner)
    choice = ModelChoice(name, required=False, memory=memory)
    return RecordedSetup(choice, person, baseline, notices)
