"""A person's own output on a stream: chunks in, one output per hop.

It is for one source. A service that cuts hops for its model anyway feeds ``PersonalHead`` with the
features of the same hops.
"""

from __future__ import annotations

from dataclasses import dataclass

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.personal.features import SIGNAL, FeatureStream, HopFeatures
from mimamba.models.personal.fit_personal import PersonalFit
from mimamba.models.personal.head import PersonalHead, PersonalOutput


@dataclass(frozen=True, eq=False)
class PersonalPrediction:
    """Output for one hop; ``output`` is None unless the hop's status is ``ok``."""

    hop: HopFeatures
    output: PersonalOutput | None


class PersonalStream:
    """Steps a head over a source. Outputs do not depend on how the samples are chunked.

    Parameters
    ----------
    fit
        A calibration with a head.
    info
        Description of the source.

    Raises
    ------
    ValueError
        If the calibration has no head.
    MontageError, SignalError
        If the source is unsuitable.
    """

    def __init__(self, fit: PersonalFit, info: StreamInfo) -> None:
        if fit.head is None:
            raise ValueError(f"Expected a head, but found none. {fit.verdict.sentence}")
        self.features = FeatureStream(info, fit.settings.montage, fit.baseline)
        self._head = PersonalHead(fit.head, fit.settings.kinds, SIGNAL.hop / SIGNAL.sfreq)

    def start_baseline(self, seconds: float) -> None:
        """Measure the person's rest again; there is no output meanwhile."""
        self.features.start_baseline(seconds)

    def feed(self, chunk: Chunk) -> list[PersonalPrediction]:
        """Return the outputs for the hops that this chunk completes, in order."""
        return [
            PersonalPrediction(hop, self._head.step(hop.values, hop.restart))
            for hop in self.features.feed(chunk)
        ]
