"""From one source's chunks to predictions: what the engine does for many sessions, for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.inference.cpu.network import BLOCK, CPUNetwork
from mimamba.models.network.ssm import States
from mimamba.models.prediction import Outputs, Prediction
from mimamba.models.signal.baseline import UNALIGNED, Aligner, AlignerState, Baseline
from mimamba.models.signal.hops import CutterState, Hop, HopCutter
from mimamba.models.signal.montage import meet_montage

NOT_FINITE = "the model's answer was no number; its memory begins anew"


def gate(hop: Hop, r: float) -> float:
    """What an ok hop's state is multiplied by at its start."""
    return 0.0 if hop.restart else r


def prediction(hop: Hop, outputs: Outputs | None) -> Prediction:
    """What is said of a hop; ``outputs`` is None where the model was not stepped, or failed."""
    if outputs is not None:
        return Prediction(hop.index, hop.timestamp, "ok", None, outputs)
    if hop.status == "ok":
        return Prediction(hop.index, hop.timestamp, "poor_signal", NOT_FINITE, None)
    return Prediction(hop.index, hop.timestamp, hop.status, hop.reason, None)


def choose_r(checkpoint: Checkpoint, r: float | None) -> float:
    """The gate to run with: the checkpoint's, which None means, or 0.

    Raises
    ------
    ValueError
        For any other: the weights were not trained with it.
    """
    if r not in (None, 0, checkpoint.r):
        raise ValueError(
            f"Expected r = {checkpoint.r:g} or 0, which {checkpoint.name} was trained with, but "
            f"found {r:g}. Choose one of these."
        )
    return checkpoint.r if r is None else r


@dataclass(frozen=True, eq=False)
class DecoderState:
    """All that a decoder remembers. Its arrays are never written again.

    ``failed`` tells that the last answer was no number, so that the next hop begins anew.
    """

    cutter: CutterState
    states: States
    failed: bool
    aligner: AlignerState = UNALIGNED


class StreamingDecoder:
    """Decodes one stream, hop by hop; the same samples give the same predictions in any chunks.

    Parameters
    ----------
    checkpoint
        The model.
    info
        Of the source.
    r
        The checkpoint's r carries the state over hops (None means that); 0 takes each window alone.

    Raises
    ------
    MontageError
        If the source's channels cannot stand in for the model's electrodes.
    SignalError
        If the source's rate does not serve.
    ValueError
        For an r that the checkpoint was not trained with.
    """

    def __init__(self, checkpoint: Checkpoint, info: StreamInfo, r: float | None = None) -> None:
        self.checkpoint = checkpoint
        self.montage = meet_montage(checkpoint.montage, info.ch_names)
        self.r = choose_r(checkpoint, r)
        self._states = checkpoint.network.initial_states(1)
        rows = [electrode.row for electrode in self.montage]
        self._cutter = HopCutter(checkpoint.signal, info, rows, checkpoint.montage)
        self._aligner = Aligner(checkpoint.signal)
        self._failed = False
        self._form = CPUNetwork(checkpoint.network)

    @property
    def state(self) -> DecoderState:
        """All that the past has left; set it again to go on from there."""
        return DecoderState(self._cutter.state, self._states, self._failed, self._aligner.state)

    @state.setter
    def state(self, state: DecoderState) -> None:
        self._cutter.state, self._states, self._failed = state.cutter, state.states, state.failed
        self._aligner.state = state.aligner

    @property
    def baseline(self) -> Baseline | None:
        """What windows are aligned by."""
        return self._aligner.state.baseline

    def begin_baseline(self, seconds: float) -> None:
        """Take the person's baseline from the next so many seconds of good signal."""
        self._aligner.begin(seconds)

    def break_off_baseline(self) -> None:
        """Take no more of it, and align as before it began."""
        self._aligner.break_off()

    def use_baseline(self, baseline: Baseline | None) -> None:
        """Align by this one from the next hop on."""
        self._aligner.use(baseline)

    def feed(self, chunk: Chunk) -> list[Prediction]:
        """The predictions that this chunk makes due, in order."""
        return self._decode_all([self._aligner.feed(hop) for hop in self._cutter.feed(chunk)])

    def predict(self, hop: Hop) -> Prediction:
        """The prediction of a hop as the cutter gives it."""
        return self.decode(self._aligner.feed(hop))

    def skip(self, hop: Hop) -> None:
        """A hop that nobody had time to predict; the memory begins anew at the next ok one."""
        self._aligner.feed(hop)
        self._failed = True

    @torch.inference_mode()
    def _decode_all(self, hops: Sequence[Hop]) -> list[Prediction]:
        """As ``decode`` of one after the other. A long chunk's are decoded at once: the windows
        side by side, then the recurrence over all of them.
        """
        ok = [(gate(hop, self.r), hop.window) for hop in hops if hop.window is not None]
        if len(ok) < 2:
            return [self.decode(hop) for hop in hops]
        gates = torch.tensor([[r for r, _ in ok]])
        if self._failed:
            gates[0, 0] = 0.0
        windows = torch.from_numpy(np.stack([window for _, window in ok]))
        tokens = torch.cat([self._form.embed(part) for part in torch.split(windows, BLOCK)])
        (logits,), states = self.checkpoint.network.remember(tokens[None], gates, self._states)
        if not logits.isfinite().all():  # whoever follows one that is no number begins anew
            return [self.decode(hop) for hop in hops]
        self._states, self._failed = states, False
        outputs = iter(self.checkpoint.probabilities(logits))
        return [prediction(hop, None if hop.window is None else next(outputs)) for hop in hops]

    @torch.inference_mode()
    def decode(self, hop: Hop) -> Prediction:
        """Step the network on an ok hop, aligned already; hold the state on any other."""
        if hop.window is None:
            return prediction(hop, None)
        r = torch.tensor([0.0 if self._failed else gate(hop, self.r)])
        window = torch.from_numpy(hop.window)[None]
        logits, self._states = self.checkpoint.network.step(window, r, self._states)
        self._failed = not bool(logits.isfinite().all())
        return prediction(hop, None if self._failed else self.checkpoint.probabilities(logits)[0])


CHUNK = 16.0
"""Seconds of signal that are decoded at once, between two moves of the progress bar."""
