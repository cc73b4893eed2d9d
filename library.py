"""mimamba as a library: drivers, recordings, checkpoints, the streaming decoder and the client.

Everything is loaded at its first use (PEP 562), so ``from mimamba import Client`` loads neither
PyTorch nor SciPy. This file is installed as ``mimamba/__init__.py``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mimamba.drivers.driver import Chunk, Driver, Marker, StreamInfo
    from mimamba.drivers.errors import DriverError, UserError
    from mimamba.drivers.formats.recording import Recording
    from mimamba.drivers.open import open_driver, open_recording
    from mimamba.models.checkpoints.checkpoint import Checkpoint, load_checkpoint
    from mimamba.models.decoding.decoder import StreamingDecoder
    from mimamba.models.prediction import Prediction
    from mimamba.service.client.client import Client
    from mimamba.service.protocol.messages import PredictionMessage

__all__ = [
    "Checkpoint",
    "Chunk",
    "Client",
    "Driver",
    "DriverError",
    "Marker",
    "Prediction",
    "PredictionMessage",
    "Recording",
    "StreamInfo",
    "StreamingDecoder",
    "UserError",
    "load_checkpoint",
    "open_driver",
    "open_recording",
]

_MODULES = {
    "Checkpoint": "models.checkpoints.checkpoint",
    "Chunk": "drivers.driver",
    "Client": "service.client.client",
    "Driver": "drivers.driver",
    "DriverError": "drivers.errors",
    "Marker": "drivers.driver",
    "Prediction": "models.prediction",
    "PredictionMessage": "service.protocol.messages",
    "Recording": "drivers.formats.recording",
    "StreamInfo": "drivers.driver",
    "StreamingDecoder": "models.decoding.decoder",
    "UserError": "drivers.errors",
    "load_checkpoint": "models.checkpoints.checkpoint",
    "open_driver": "drivers.open",
    "open_recording": "drivers.open",
}


def __getattr__(name: str) -> object:
    """Load a public name at its first use; raises AttributeError for any other name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not, and the module's own attributes."""
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
