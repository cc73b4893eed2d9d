"""Recordings made of simulated signal, in the layout that muse-lsl writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.simulator.synthesis import Synthesizer
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.decoding.decoder import StreamingDecoder


def write_muse(path: Path, seconds: float, seed: int = 0, broken: bool = False) -> Path:
    """Write a Muse recording.

    Parameters
    ----------
    path
        The file to write.
    seconds
        Its length.
    seed
        Of the simulated person.
    broken
        Whether it has a short and a long gap, a flat electrode for 1 s, and a railed one for 3 s.
    """
    n_times = round(256 * seconds)
    data = np.array(Synthesizer("tour", seed).next(n_times))
    times = np.arange(n_times) / 256
    keep = np.ones(n_times, bool)
    if broken:
        keep[int(0.25 * n_times) :][:20] = False  # 78 ms: bridged
        keep[int(0.35 * n_times) :][:200] = False  # 0.78 s: starts anew
        data[int(0.55 * n_times) :][:256, 1] = data[int(0.55 * n_times), 1]
        data[int(0.7 * n_times) :][:768, 3] = 999.51
    rows = np.column_stack([1000 + times, data, np.zeros(n_times)])[keep]
    header = "timestamps,TP9,AF7,AF8,TP10,Right AUX"
    np.savetxt(path, rows, "%.3f", delimiter=",", header=header, comments="")
    return path


def last_index(path: Path, checkpoint: Checkpoint) -> int:
    """The sample of the last prediction of a recording that is played to its end."""
    recording = read_recording(path)
    decoder = StreamingDecoder(checkpoint, recording.info)
    return [made for chunk in recording.chunks(256) for made in decoder.feed(chunk)][-1].index
