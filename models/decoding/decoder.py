"""A decoder for one source: chunks in, predictions out. The engine does the same for many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.conformal.label_sets import LabelSets, OutputSets
from mimamba.models.inference.cpu.network import MAX_BATCH, CPUNetwork
from mimamba.models.network.ssm import States
from mimamba.models.prediction import Outputs, Prediction
from mimamba.models.signal.baseline import UNALIGNED, AlignerState, Baseline, BaselineAligner
from mimamba.models.signal.hops import CutterState, Hop, HopCutter
from mimamba.models.signal.montage import match_montage

OFFLINE_CHUNK = 16.0
"""Seconds of signal to decode in one go offline, between two updates of a progress bar."""
NOT_FINITE = "the model's output was not finite; its state is reset"
"""Reason of a prediction without outputs."""


def gate(hop: Hop, r: float) -> float:
    """Return the factor for the state at the start of an ok hop: r, or 0 for a reset."""
    return 0.0 if hop.restart else r


def make_prediction(hop: Hop, outputs: Outputs | None) -> Prediction:
    """Make the prediction for a hop; ``outputs`` is None if the model was not stepped or failed."""
    if outputs is not None:
        return Prediction(hop.index, hop.timestamp, "ok", None, outputs)
    if hop.status == "ok":
        return Prediction(hop.index, hop.timestamp, "poor_signal", NOT_FINITE, None)
    return Prediction(hop.index, hop.timestamp, hop.status, hop.reason, None)


def choose_r(checkpoint: Checkpoint, r: float | None) -> float:
    """Return the gate to run with: the checkpoint's (also for None), or 0.

    Raises
    ------
    ValueError
        For any other value, since the weights were not trained with it.
    """
    if r not in (None, 0, checkpoint.r):
        raise ValueError(
            f"Expected r = {checkpoint.r:g} or 0, with which {checkpoint.name} was trained, "
            f"but found {r:g}. Choose one of these."
        )
    return checkpoint.r if r is None else r


@dataclass(frozen=True, eq=False)
class DecoderState:
    """Complete state of a decoder. Its arrays are never modified.

    Parameters
    ----------
    cutter
        State of the hop cutter.
    states
        State of the network.
    failed
        True if the last output was not finite, so that the next hop resets the network's state.
    aligner
        State of the alignment by a baseline.
    sets
        State of each output's prediction sets; empty for those of a new decoder.
    """

    cutter: CutterState
    states: States
    failed: bool
    aligner: AlignerState = UNALIGNED
    sets: tuple[OutputSets, ...] = ()


class StreamingDecoder:
    """Decodes one stream, hop by hop. Predictions do not depend on how samples are chunked.

    Markers such as ``workload=rest`` tell the true label, from which prediction sets learn.

    Parameters
    ----------
    checkpoint
        The model.
    info
        Description of the source.
    r
        Gate at each hop: the checkpoint's r (the default) carries the state on, 0 resets it.

    Raises
    ------
    MontageError
        If the source's channels cannot replace the model's electrodes.
    SignalError
        If the source's sampling frequency is unsuitable.
    ValueError
        For an r that the checkpoint was not trained with.
    """

    def __init__(self, checkpoint: Checkpoint, info: StreamInfo, r: float | None = None) -> None:
        self.checkpoint = checkpoint
        self.montage = match_montage(checkpoint.montage, info.ch_names)
        self.r = choose_r(checkpoint, r)
        self._states = checkpoint.network.initial_states(1)
        rows = [electrode.row for electrode in self.montage]
        self._cutter = HopCutter(checkpoint.signal, info, rows, checkpoint.montage)
        self._aligner = BaselineAligner(checkpoint.signal)
        self._failed = False
        self.label_sets = LabelSets(checkpoint.outputs, checkpoint.set_thresholds)
        self._cpu_network = CPUNetwork(checkpoint.network)

    @property
    def state(self) -> DecoderState:
        """Complete state; set it to continue from there."""
        sets = self.label_sets.state
        return DecoderState(
            self._cutter.state, self._states, self._failed, self._aligner.state, sets
        )

    @state.setter
    def state(self, state: DecoderState) -> None:
        self._cutter.state, self._states, self._failed = state.cutter, state.states, state.failed
        self._aligner.state = state.aligner
        if state.sets:
            self.label_sets.state = state.sets

    @property
    def baseline(self) -> Baseline | None:
        """Baseline by which windows are aligned, or None."""
        return self._aligner.state.baseline

    def start_baseline(self, seconds: float) -> None:
        """Measure the person's baseline on the next ``seconds`` of good signal."""
        self._aligner.start(seconds)

    def cancel_baseline(self) -> None:
        """Stop measuring a baseline and align as before."""
        self._aligner.cancel()

    def set_baseline(self, baseline: Baseline | None) -> None:
        """Align by this baseline from the next hop on."""
        self._aligner.set_baseline(baseline)

    def feed(self, chunk: Chunk) -> list[Prediction]:
        """Return the predictions for the hops that this chunk completes, in order."""
        if chunk.epoch != self._cutter.state.epoch:
            self.label_sets.begin_epoch()
        for marker in chunk.markers:
            self.label_sets.put(marker.index, marker.label)
        made = self._decode_all([self._aligner.feed(hop) for hop in self._cutter.feed(chunk)])
        return [self._with_set(each) for each in made]

    def predict(self, hop: Hop) -> Prediction:
        """Align and decode a hop as the cutter gives it."""
        return self._with_set(self.decode(self._aligner.feed(hop)))

    def _with_set(self, prediction: Prediction) -> Prediction:
        self.label_sets.use_due(prediction)
        return self.label_sets.add_to(prediction)

    def skip(self, hop: Hop) -> None:
        """Skip a hop that there was no time for; the state is reset at the next ok hop."""
        self._aligner.feed(hop)
        self._failed = True

    @torch.inference_mode()
    def _decode_all(self, hops: Sequence[Hop]) -> list[Prediction]:
        """Decode hops like ``decode``, but a long chunk's together.

        The windows are embedded in batches, then the recurrence runs over all of them.
        """
        ok = [(gate(hop, self.r), hop.window) for hop in hops if hop.window is not None]
        if len(ok) < 2:
            return [self.decode(hop) for hop in hops]
        gates = torch.tensor([[r for r, _ in ok]])
        if self._failed:
            gates[0, 0] = 0.0
        windows = torch.from_numpy(np.stack([window for _, window in ok]))
        tokens = torch.cat(
            [self._cpu_network.embed(part) for part in torch.split(windows, MAX_BATCH)]
        )
        (logits,), states = self.checkpoint.network.scan_tokens(tokens[None], gates, self._states)
        if not logits.isfinite().all():  # only hop by hop can the next one be reset
            return [self.decode(hop) for hop in hops]
        self._states, self._failed = states, False
        outputs = iter(self.checkpoint.probabilities(logits))
        return [make_prediction(hop, None if hop.window is None else next(outputs)) for hop in hops]

    @torch.inference_mode()
    def decode(self, hop: Hop) -> Prediction:
        """Step the network on an ok hop that is aligned already; hold the state on any other."""
        if hop.window is None:
            return make_prediction(hop, None)
        r = torch.tensor([0.0 if self._failed else gate(hop, self.r)])
        window = torch.from_numpy(hop.window)[None]
        logits, self._states = self.checkpoint.network.step(window, r, self._states)
        self._failed = not bool(logits.isfinite().all())
        return make_prediction(
            hop, None if self._failed else self.checkpoint.probabilities(logits)[0]
        )
