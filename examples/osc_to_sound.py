"""Turn predictions that come over OSC into a tone: a higher probability is a higher pitch.

    mimamba serve --osc-out 127.0.0.1:9000
    python osc_to_sound.py --output valence --label high

The tone is played with sounddevice (pip install sounddevice). With --wav FILE it is written to a
file instead. While the model gives no prediction, the tone is silent.
"""

import argparse
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import ThreadingOSCUDPServer

RATE = 44_100
BLOCK = 2_048
LOW, HIGH = 220.0, 880.0
"""Pitch in Hz where the probability is 0 and 1."""


class Tone:
    """A sine whose pitch follows a probability without clicks."""

    def __init__(self) -> None:
        self.probability: float | None = None
        self._phase = 0.0
        self._pitch = LOW
        self._loudness = 0.0

    def on_prediction(self, address: str, probability: float) -> None:
        """Take the probability of an OSC message."""
        print(f"{address} {probability:.2f}", flush=True)
        self.probability = probability

    def on_status(self, _address: str, status: str) -> None:
        """Be silent while the model abstains."""
        if status != "ok":
            self.probability = None

    def block(self) -> NDArray[np.float32]:
        """The next samples, shape (BLOCK,), between -1 and 1."""
        probability = self.probability
        loudness = 0.0 if probability is None else 0.3
        pitch = self._pitch if probability is None else LOW * (HIGH / LOW) ** probability
        pitches = np.linspace(self._pitch, pitch, BLOCK)
        phases = self._phase + 2 * np.pi * np.cumsum(pitches) / RATE
        samples = np.sin(phases) * np.linspace(self._loudness, loudness, BLOCK)
        self._phase, self._pitch, self._loudness = phases[-1] % (2 * np.pi), pitch, loudness
        return samples.astype(np.float32)


def blocks(tone: Tone, seconds: float) -> Iterator[NDArray[np.float32]]:
    """Blocks at the pace at which they sound."""
    start = time.monotonic()
    for number in range(int(seconds * RATE / BLOCK)):
        time.sleep(max(0.0, start + number * BLOCK / RATE - time.monotonic()))
        yield tone.block()


def write(path: Path, tone: Tone, seconds: float) -> None:
    """Write the tone to a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for block in blocks(tone, seconds):
            file.writeframes((block * 32_767).astype("<i2").tobytes())


def play(tone: Tone, seconds: float) -> None:
    """Play the tone on the default device."""
    import sounddevice

    with sounddevice.OutputStream(RATE, BLOCK, channels=1) as stream:
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            stream.write(tone.block()[:, None])


def main() -> None:
    """Read the options, listen for OSC, and make the sound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=9000, help="UDP port to listen on")
    parser.add_argument("--session", default="*", help="session to follow")
    parser.add_argument("--output", default="valence", help="output of the model")
    parser.add_argument("--label", default="high", help="label of that output")
    parser.add_argument("--seconds", type=float, default=3600.0, help="how long to go on")
    parser.add_argument("--wav", type=Path, help="write a WAV file instead of playing")
    options = parser.parse_args()
    tone, dispatcher = Tone(), Dispatcher()
    prefix = f"/mimamba/{options.session}/prediction"
    dispatcher.map(f"{prefix}/{options.output}/{options.label}", tone.on_prediction)
    dispatcher.map(f"{prefix}/status", tone.on_status)
    with ThreadingOSCUDPServer(("127.0.0.1", options.port), dispatcher) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        if options.wav:
            write(options.wav, tone, options.seconds)
        else:
            play(tone, options.seconds)
        server.shutdown()


if __name__ == "__main__":
    main()
