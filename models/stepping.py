"""A program of its own that steps a network for another process, which is told by ``apart.py``.

``python -m models.stepping`` reads requests from its standard input and answers each on its
standard output, in the frames of ``frames.py``; the network comes first. It holds the states of
all streams, and ends when its standard input does.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import FileIO

import msgspec
import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from models.architecture import MSiMambaConfig
from models.frames import MOST_HOPS, Batch, Frame, Kind, Pipes, frame, rows_within
from models.network import MSiMamba
from models.pool import EMPTY
from models.stepper import ProcessorStepper

MOST_ROWS = 1 << 16
"""Streams are never so many; a row above is an error of who asks, not a pool of gigabytes."""


class Answerer:
    """Answers what comes after the network."""

    def __init__(self, network: MSiMamba) -> None:
        self._config = network.config
        self._stepper = ProcessorStepper(network, MOST_HOPS)

    def answer(self, asked: Frame) -> bytes:
        """A whole frame; raises ValueError where nothing can be made of what is asked."""
        match asked.kind:
            case Kind.STEP:
                return frame(Kind.DONE, asked.count, self._step(asked))
            case Kind.SNAPSHOT:
                rows = self._rows(rows_within(asked.body, asked.count))
                return frame(Kind.DONE, 0, self._stepper.pool.snapshot(rows))
            case Kind.RESTORE:
                rows = self._rows(rows_within(asked.body, asked.count))
                self._stepper.pool.restore(rows, bytes(asked.body[4 * len(rows) :]))
                return frame(Kind.DONE)
        raise ValueError(f"wanted a step, a snapshot or what to restore; found kind {asked.kind}")

    def _step(self, asked: Frame) -> bytes:
        batch = Batch.within(asked.body, asked.count, self._config)
        if asked.count > self._stepper.largest:
            raise ValueError(f"wanted at most {self._stepper.largest} hops; found {asked.count}")
        rows = self._rows(batch.rows)
        logits = self._stepper.step(rows, list(batch.windows), batch.gates.tolist())
        return logits.numpy().tobytes()

    def _rows(self, rows: NDArray[np.int32]) -> list[int]:
        """As they are, with room for them in the pool."""
        listed: list[int] = rows.tolist()
        if not listed or len(set(listed)) < len(listed):
            raise ValueError(f"wanted rows, each once; found {listed}")
        if not EMPTY < min(listed) <= max(listed) < MOST_ROWS:
            raise ValueError(f"wanted rows between {EMPTY} and {MOST_ROWS}; found {listed}")
        self._stepper.pool.reserve(max(listed) + 1)
        return listed


def network_of(asked: Frame | None) -> MSiMamba:
    """The network that a first frame brings; raises ValueError where it brings none."""
    if asked is None or asked.kind != Kind.NETWORK:
        raise ValueError("wanted a network first; found none")
    architecture, weights = asked.body[: asked.count], asked.body[asked.count :]
    try:
        network = MSiMamba(msgspec.json.decode(architecture, type=MSiMambaConfig))
        network.load_state_dict(safetensors.torch.load(bytes(weights)), assign=True)
    except (msgspec.MsgspecError, SafetensorError, RuntimeError) as error:
        raise ValueError(f"wanted a network; found damage: {error}") from None
    return network.eval().requires_grad_(False)


def serve(pipes: Pipes) -> None:
    """Answer until nobody asks; what cannot be read ends it, as does a first frame that is none."""
    try:
        answerer = Answerer(network_of(pipes.receive()))
        pipes.send(frame(Kind.DONE))
        while asked := pipes.receive():
            try:
                answer = answerer.answer(asked)
            except ValueError as error:
                answer = refusal(error)
            pipes.send(answer)
    except ValueError as error:
        pipes.send(refusal(error))
        raise SystemExit(1) from None


def refusal(error: ValueError) -> bytes:
    """A whole frame that tells why."""
    return frame(Kind.REFUSED, 0, str(error).encode())


def main() -> None:
    """Take the standard output for frames; whatever else is written there goes to the errors."""
    # One thread steps a small batch fastest; see service/engine.py.
    torch.set_num_threads(1)
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(BrokenPipeError):  # nobody waits for the answer any more
        serve(Pipes(FileIO(sys.stdin.fileno(), closefd=False), FileIO(answers, "w")))


if __name__ == "__main__":
    main()
