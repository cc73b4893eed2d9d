"""Streams of a recording with the results of its signal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.xdf.writer import XDFWriter
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.prediction import Prediction
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.service.recordings.stream_headers import (
    bands_header,
    bands_rows,
    prediction_rows,
    predictions_header,
    quality_header,
    quality_rows,
    set_rows,
    sets_header,
)
from mimamba.service.sessions.epoch_logs import Event, SessionSnapshot
from mimamba.service.sessions.prediction_log import PublishedPrediction
from mimamba.service.sessions.session import Session


class ResultStreams:
    """Signal quality, band power and, with a model, predictions and their sets of labels.

    Parameters
    ----------
    writer
        The file; the streams are declared in it.
    session, snapshot
        At the recording's start.
    created
        Seconds on the LSL clock.
    """

    def __init__(
        self, writer: XDFWriter, session: Session, snapshot: SessionSnapshot, created: float
    ) -> None:
        self._writer, self._session = writer, session
        self._sets: int | None = None
        active = snapshot.logs.active_models[-1]
        self._outputs = active.outputs
        self._quality = writer.declare(quality_header(session), created)
        self._bands = writer.declare(bands_header(session), created)
        if active.model is not None and active.outputs is not None:
            header = predictions_header(session, active.model, active.outputs, snapshot)
            self._predictions = writer.declare(header, created)

    def write(self, entries: list[Event]) -> None:
        """Append the entries that belong to these streams."""
        qualities = [each for each in entries if isinstance(each, Quality)]
        self._write(self._quality, qualities, quality_rows(qualities))
        bands = [each for each in entries if isinstance(each, BandPower)]
        self._write(self._bands, bands, bands_rows(bands))
        if self._outputs is not None:
            made = [each.prediction for each in entries if isinstance(each, PublishedPrediction)]
            rows = prediction_rows(made, self._outputs)
            self._write(self._predictions, made, rows)
            self._write_sets([each for each in made if each.set])

    def _write_sets(self, made: Sequence[Prediction]) -> None:
        """Append prediction sets; their stream begins with the first one."""
        if not made or self._outputs is None:
            return
        if self._sets is None:
            header = sets_header(self._session, self._outputs)
            self._sets = self._writer.declare_late(header, local_clock())
        self._write(self._sets, made, set_rows(made, self._outputs))

    def _write(
        self,
        stream: int,
        made: Sequence[Quality | BandPower | Prediction],
        rows: NDArray[np.float64],
    ) -> None:
        if made:
            self._writer.numbers(stream, np.array([each.timestamp for each in made]), rows)
