"""Streams of a recording with the results of its signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from mimamba.drivers.formats.xdf.chunk_writer import XDFWriter
from mimamba.models.prediction import Prediction
from mimamba.models.signal.measures import BandPower, Quality
from mimamba.service.logs.epoch_logs import Event, SessionSnapshot
from mimamba.service.logs.prediction_log import PublishedPrediction
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

if TYPE_CHECKING:
    from mimamba.service.sessions.session import Session


@dataclass(frozen=True)
class ResultNumbers:
    """Numbers of a file's streams of results; None for one that is not declared."""

    quality: int
    bands: int
    predictions: int | None
    sets: int | None = None


class ResultStreams:
    """Signal quality, band power and, with a model, predictions and their sets of labels.

    Parameters
    ----------
    writer
        The file.
    session
        The session.
    numbers
        The streams as they are declared.
    outputs
        The model's outputs; None without one.
    """

    def __init__(
        self,
        writer: XDFWriter,
        session: Session,
        numbers: ResultNumbers,
        outputs: dict[str, list[str]] | None,
    ) -> None:
        self._writer, self._session = writer, session
        self.numbers, self.outputs = numbers, outputs

    @classmethod
    def declare(
        cls, writer: XDFWriter, session: Session, snapshot: SessionSnapshot, created: float
    ) -> Self:
        """Declare the streams at the recording's start; ``created``, s, is on the LSL clock."""
        active = session.active_model
        quality = writer.declare(quality_header(session), created)
        bands = writer.declare(bands_header(session), created)
        predictions = None
        if active.model is not None and active.outputs is not None:
            header = predictions_header(session, active.model, active.outputs, snapshot)
            predictions = writer.declare(header, created)
        return cls(writer, session, ResultNumbers(quality, bands, predictions), active.outputs)

    def write(self, entries: list[Event]) -> None:
        """Append the entries that belong to these streams."""
        qualities = [each for each in entries if isinstance(each, Quality)]
        self._write(self.numbers.quality, qualities, quality_rows(qualities))
        bands = [each for each in entries if isinstance(each, BandPower)]
        self._write(self.numbers.bands, bands, bands_rows(bands))
        if self.outputs is not None and self.numbers.predictions is not None:
            made = [each.prediction for each in entries if isinstance(each, PublishedPrediction)]
            rows = prediction_rows(made, self.outputs)
            self._write(self.numbers.predictions, made, rows)
            self._write_sets([each for each in made if each.set])

    def _write_sets(self, made: Sequence[Prediction]) -> None:
        """Append prediction sets; their stream begins with the first one."""
        if not made or self.outputs is None:
            return
        sets = self.numbers.sets
        if sets is None:
            header = sets_header(self._session, self.outputs)
            sets = self._writer.declare_late(header, self._session.now())
            self.numbers = replace(self.numbers, sets=sets)
        self._write(sets, made, set_rows(made, self.outputs))

    def _write(
        self,
        stream: int,
        made: Sequence[Quality | BandPower | Prediction],
        rows: NDArray[np.float64],
    ) -> None:
        if made:
            self._writer.numbers(stream, np.array([each.timestamp for each in made]), rows)
