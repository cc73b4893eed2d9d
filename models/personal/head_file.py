"""The file of a person's own output: safetensors with a JSON header, a few kB, never a pickle.

The header holds all that the head was made of, so a recording gives the same bytes again.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import safetensors.numpy
from msgspec import Struct
from numpy.typing import NDArray
from safetensors import SafetensorError

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.formats.recording import Recording
from mimamba.models.checkpoints.tensor_metadata import read_metadata
from mimamba.models.personal.features import EDGES, SIGNAL
from mimamba.models.personal.fit_personal import (
    Attempt,
    CalibrationSettings,
    PersonalFit,
    calibrate,
    cut_attempt,
    make_attempt,
)
from mimamba.models.personal.head import HALF_LIFE, LinearHead
from mimamba.models.personal.joined_data import (
    JoinedData,
    MomentNote,
    RatedMoment,
    decode_moments,
    find_moments,
)
from mimamba.models.personal.statistics import RIDGE
from mimamba.models.personal.verdict import AccuracyTest, Verdict
from mimamba.models.signal.baseline import BAND_CENTRES, Baseline

VERSION = 1
"""Version of the header; a file of another version is refused."""
MAX_BYTES = 1 << 20
"""A larger file is refused unread; a head of four electrodes has 4 to 8 kB."""
MOMENTS = ".ratings"
"""Suffix of the file with rated moments, beside that of the head."""
KEY = "mimamba-head"
"""Key of the header in the file's metadata."""


class HeadError(Mismatch):
    """Raised for a head's file that is missing, damaged, or of another recording."""


class HeadHeader(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Header of a head's file.

    Parameters
    ----------
    version
        Version of the header.
    settings, attempts, verdict
        As in ``PersonalFit``.
    edges
        Edges of the bands, Hz.
    window, hop
        Length and distance of windows, seconds.
    ridge
        Strength of the regularisation.
    half_life
        Seconds of smoothing.
    bias, temperature, unsure
        As in ``LinearHead``.
    baseline
        Seconds of the rest in the file; 0 for none.
    days, moments, added, looks
        As in ``PersonalFit``; left out where nothing joined.
    """

    version: int
    settings: CalibrationSettings
    attempts: tuple[Attempt, ...]
    verdict: Verdict
    edges: tuple[float, ...]
    window: float
    hop: float
    ridge: float
    half_life: float
    bias: float
    temperature: float
    unsure: float
    baseline: float
    days: tuple[str, ...] = ()
    moments: tuple[MomentNote, ...] = ()
    added: AccuracyTest | None = None
    looks: int = 1


DECODER = msgspec.json.Decoder(HeadHeader)
"""Made here, as msgspec's first look at a type is not safe in two threads at once."""


def encode_head(fit: PersonalFit) -> bytes:
    """Return the bytes of a head's file.

    Raises
    ------
    HeadError
        If there is no head.
    """
    if fit.head is None:
        raise HeadError(
            "a head to write",
            f"none, as the verdict is '{fit.verdict.name}'",
            "calibrate again, or leave out the file",
        )
    head, rest = fit.head, fit.baseline
    header = HeadHeader(
        version=VERSION,
        settings=fit.settings,
        attempts=fit.attempts,
        verdict=fit.verdict,
        edges=EDGES,
        window=SIGNAL.window / SIGNAL.sfreq,
        hop=SIGNAL.hop / SIGNAL.sfreq,
        ridge=RIDGE,
        half_life=HALF_LIFE,
        bias=head.bias,
        temperature=head.temperature,
        unsure=head.unsure,
        baseline=rest.seconds if rest else 0.0,
        days=fit.days,
        moments=fit.moments,
        added=fit.added,
        looks=fit.looks,
    )
    tensors = {"weights": np.ascontiguousarray(head.weights)}
    if rest is not None:
        tensors["baseline"] = np.ascontiguousarray(rest.log_power)
    text = msgspec.json.encode(header).decode()
    return safetensors.numpy.save(tensors, metadata={KEY: text})


def save_head(path: Path, fit: PersonalFit) -> None:
    """Write a head's file atomically; raises HeadError without a head."""
    content = encode_head(fit)
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise HeadError(
            f"a place to write {path}", error.strerror or str(error), "choose another path"
        ) from error


def load_head(path: Path) -> PersonalFit:
    """Load a calibration from a head's file.

    Raises
    ------
    HeadError
        If the file is missing, damaged, or of another version.
    """
    return decode_head(_read(path), str(path))


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise HeadError(
                f"a head of at most {MAX_BYTES >> 10} kB", f"a larger file {path}", "choose another"
            )
        return path.read_bytes()
    except OSError as error:
        raise HeadError(
            f"a readable file {path}", error.strerror or str(error), "correct the path"
        ) from error


def decode_head(content: bytes, source: str) -> PersonalFit:
    """Decode the bytes of a head's file; raises HeadError with the name of the source."""
    try:
        tensors = safetensors.numpy.load(content)
        header = DECODER.decode(read_metadata(content)[KEY])
    except (SafetensorError, ValueError, KeyError) as error:
        raise HeadError(
            "a personal head", f"another or a damaged file: {source}", "choose another"
        ) from error
    n_electrodes = len(header.settings.montage)
    weights = _tensor(tensors, "weights", ((len(EDGES) - 1) * n_electrodes,), source)
    rest = None
    if header.baseline:
        power = _tensor(tensors, "baseline", (n_electrodes, len(BAND_CENTRES)), source)
        rest = Baseline(power, header.baseline)
    same = (header.version, header.edges, header.window, header.hop, header.half_life)
    ours = (VERSION, EDGES, SIGNAL.window / SIGNAL.sfreq, SIGNAL.hop / SIGNAL.sfreq, HALF_LIFE)
    if same != ours:
        raise HeadError(
            f"a head of version {VERSION}",
            f"one of version {header.version}, or with other features, in {source}",
            "calibrate again",
        )
    head = LinearHead(weights, header.bias, header.temperature, header.unsure)
    return PersonalFit(
        header.settings,
        header.attempts,
        header.verdict,
        head,
        rest,
        header.days,
        header.moments,
        header.added,
        header.looks,
    )


def _tensor(
    tensors: dict[str, NDArray[np.float64]], name: str, shape: tuple[int, ...], source: str
) -> NDArray[np.float64]:
    found = tensors.get(name)
    if (
        found is None
        or found.shape != shape
        or found.dtype != np.float64
        or not np.isfinite(found).all()
    ):
        raise HeadError(
            f"{name} of shape {shape} in a personal head", f"others in {source}", "choose another"
        )
    return found


def verify_head(path: Path, recordings: list[Recording]) -> PersonalFit:
    """Make a head again from its recordings, and compare the bytes.

    A recording of a live session may hold more than the sitting, which is found by its marker.
    Rated moments are read from the file beside the head's.

    Raises
    ------
    HeadError
        If a recording is another one, or the bytes differ.
    MomentsError
        If rated moments are missing.
    """
    content = _read(path)
    fit = decode_head(content, str(path))
    if len(recordings) != len(fit.attempts):
        raise HeadError(
            f"{len(fit.attempts)} recordings, in the order of the attempts",
            str(len(recordings)),
            "name those that the head was made of",
        )
    recordings = [
        cut_attempt(recording, attempt)
        for recording, attempt in zip(recordings, fit.attempts, strict=True)
    ]
    for number, (recording, attempt) in enumerate(zip(recordings, fit.attempts, strict=True), 1):
        if make_attempt(recording, attempt.blocks) != attempt:
            raise HeadError(
                f"the recording that {path} was made of",
                f"other samples in recording {number}",
                "name that recording",
            )
    joined = JoinedData(fit.days, _moments(path, fit), fit.baseline, fit.looks)
    again = calibrate(recordings, fit.attempts, fit.settings, joined)
    if again.head is None or encode_head(again) != content:
        raise HeadError(
            f"the bytes of {path} again",
            f"others, with the verdict '{again.verdict.name}'",
            "calibrate again if the head comes from another version or machine",
        )
    return again


def _moments(path: Path, fit: PersonalFit) -> tuple[RatedMoment, ...]:
    """Return the rated moments of a head, from the file beside it."""
    if not fit.moments:
        return ()
    source = path.with_suffix(MOMENTS)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise HeadError(
            f"the ratings that {path} was trained on, at {source}",
            error.strerror or str(error),
            "keep both files together",
        ) from error
    return find_moments(decode_moments(content, str(source)), fit.moments, str(source))
