"""Verification of a person's own output in a recording: made again from the file's signal."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.xdf.reader import XDFStream
from mimamba.models.decoding.decoder_state import SnapshotError, unpack_cutter
from mimamba.models.personal.features import SIGNAL
from mimamba.models.personal.head_file import HeadError, decode_head
from mimamba.models.signal.baseline import BAND_CENTRES, Baseline
from mimamba.models.signal.hops import HopCutter
from mimamba.service.protocol.personal import HeadCard
from mimamba.service.recordings.personal_streams import MODEL_HOPS, personal_rows
from mimamba.service.sessions.personal_decoder import PersonalDecoder, ServedHead

HEAD = "desc/mimamba/head"
EXACT = 1e-12
"""Of a probability: nothing is computed together with other sessions."""


def compare_personal(
    stream: XDFStream, chunks: Iterator[Chunk], info: StreamInfo, path: Path, snapshot: str
) -> tuple[int, int, str | None]:
    """Make the outputs of a head again.

    Parameters
    ----------
    stream
        Its recorded outputs.
    chunks
        The signal of the recording.
    info
        The source.
    path
        The recording, for messages.
    snapshot
        State of the model's pipeline before the first chunk, in base64.

    Returns
    -------
    The numbers of confirmed and recorded outputs, and the first difference if there is one.

    Raises
    ------
    BadRecording
        If the header is damaged.
    """
    decoder, first = _decoder(stream, info, path)
    cutter = _model_cutter(decoder, info, path, snapshot) if decoder.shares else None
    epoch = cutter.state.epoch or 0 if cutter else 0
    for chunk in chunks:
        if cutter is not None:
            hops = cutter.feed(replace(chunk, epoch=epoch))
            decoder.take_hops(hop for hop in hops if hop.index >= first)
            continue
        if chunk.end <= first:
            continue
        start = max(0, first - chunk.first)
        part = Chunk(chunk.data[start:], chunk.timestamps[start:], chunk.first + start, chunk.epoch)
        decoder.take(part)
    made = [entry for _, entry in decoder.readings.read(0, decoder.readings.next)]
    found = personal_rows([each.reading for each in made], decoder.head.card.kinds)
    for n, (row, stamp) in enumerate(zip(stream.values, stream.stamps, strict=True)):
        if n == len(made):
            return n, len(stream.values), f"the signal ends before personal output {n}"
        same = np.array_equal(np.isnan(found[n]), np.isnan(row))
        if not same or np.nanmax(np.abs(found[n] - row), initial=0.0) > EXACT:
            text = f"personal output {n} is {row.tolist()}, but was {found[n].tolist()} again"
            return n, len(stream.values), text
        if made[n].timestamp != stamp:
            return n, len(stream.values), f"the time of personal output {n} differs"
    return len(stream.values), len(stream.values), None


def _model_cutter(
    decoder: PersonalDecoder, info: StreamInfo, path: Path, snapshot: str
) -> HopCutter:
    """Return the model's cutter as it was at the start of the recording."""
    rows = [electrode.row for electrode in decoder.electrodes]
    names = [electrode.channel for electrode in decoder.electrodes]
    cutter = HopCutter(SIGNAL, info, rows, names)
    try:
        content = b64decode(snapshot, validate=True)
        cutter.state = unpack_cutter(content, SIGNAL, len(rows), info.sfreq)
    except (SnapshotError, ValueError) as error:
        raise BadRecording(
            f"a snapshot of the pipeline in {path}",
            str(error),
            "do not use the file: it is damaged",
        ) from error
    return cutter


def _decoder(stream: XDFStream, info: StreamInfo, path: Path) -> tuple[PersonalDecoder, int]:
    """Make the decoder that a header describes."""
    try:
        content = b64decode(stream.text(f"{HEAD}/file"), validate=True)
        fit = decode_head(content, str(path))
        first = int(stream.text("desc/mimamba/first"))
        rest = stream.number("desc/mimamba/rest") or 0.0
        power = b64decode(stream.text("desc/mimamba/baseline/log_power"), validate=True)
        seconds = stream.number("desc/mimamba/baseline/seconds") or 0.0
        shape = (len(fit.settings.montage), len(BAND_CENTRES))
        baseline = None
        if power:
            baseline = Baseline(np.frombuffer(power, "<f8").reshape(shape), seconds)
    except (HeadError, ValueError) as error:
        raise BadRecording(
            f"a head in {path}", str(error), "do not use the file: it is damaged"
        ) from error
    card = _card(stream, fit.settings.kinds)
    # A recording of before the choice has no such field: it cut its own.
    shares = stream.text("desc/mimamba/hops") == MODEL_HOPS
    head = ServedHead(card, fit, content, rest)
    return PersonalDecoder(head, info, baseline, kept=1 << 20, shares=shares), first


def _card(stream: XDFStream, kinds: tuple[str, str]) -> HeadCard:
    """Make a card for the decoder, which needs the names only."""
    return HeadCard(
        id=stream.text(f"{HEAD}/id"),
        person="",
        contrast="",
        kinds=kinds,
        dimension=None,
        day="",
        verdict="",
        served="yes",
        sentence="",
        accuracy=None,
        interval=None,
        p=None,
        attempts=1,
        confirmed=False,
        right=0,
        checked=0,
        half_life=0.0,
        delay=0.0,
        usable=False,
    )
