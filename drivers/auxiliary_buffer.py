"""Buffer for auxiliary samples between a driver and the one who takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mimamba.drivers.driver import AUXILIARY_SECONDS, AuxiliaryChunk


class AuxiliaryBuffer:
    """Chunks of all sensors in order of arrival, of the last ``AUXILIARY_SECONDS``.

    One thread adds, and any other takes.
    """

    def __init__(self) -> None:
        self._chunks: deque[AuxiliaryChunk] = deque()

    def add(self, chunks: Iterable[AuxiliaryChunk]) -> None:
        """Add chunks, and drop the oldest that nobody has taken."""
        for chunk in chunks:
            self._chunks.append(chunk)
            oldest = chunk.timestamps[-1] - AUXILIARY_SECONDS
            while self._chunks and self._chunks[0].timestamps[-1] < oldest:
                self._chunks.popleft()

    def take(self) -> list[AuxiliaryChunk]:
        """Return the chunks since the last call."""
        return [self._chunks.popleft() for _ in range(len(self._chunks))]
