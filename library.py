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
    from mimamba.models.personal.blocks import Block, blocks_from_markers, blocks_from_table
    from mimamba.models.personal.fit_personal import PersonalFit, fit_personal
    from mimamba.models.personal.head_file import load_head, save_head
    from mimamba.models.personal.personal_stream import PersonalStream
    from mimamba.models.prediction import Prediction
    from mimamba.service.client.client import Client
    from mimamba.service.client.credentials import Credentials
    from mimamba.service.client.signal_frames import SignalFrame
    from mimamba.service.client.sync_client import SyncClient
    from mimamba.service.protocol.messages import PredictionMessage

__all__ = [
    "Block",
    "Checkpoint",
    "Chunk",
    "Client",
    "Credentials",
    "Driver",
    "DriverError",
    "Marker",
    "PersonalFit",
    "PersonalStream",
    "Prediction",
    "PredictionMessage",
    "Recording",
    "SignalFrame",
    "StreamInfo",
    "StreamingDecoder",
    "SyncClient",
    "UserError",
    "blocks_from_markers",
    "blocks_from_table",
    "fit_personal",
    "load_checkpoint",
    "load_head",
    "open_driver",
    "open_recording",
    "save_head",
]

_MODULES = {
    "Block": "models.personal.blocks",
    "Checkpoint": "models.checkpoints.checkpoint",
    "Chunk": "drivers.driver",
    "Client": "service.client.client",
    "Credentials": "service.client.credentials",
    "Driver": "drivers.driver",
    "DriverError": "drivers.errors",
    "Marker": "drivers.driver",
    "PersonalFit": "models.personal.fit_personal",
    "PersonalStream": "models.personal.personal_stream",
    "Prediction": "models.prediction",
    "PredictionMessage": "service.protocol.messages",
    "Recording": "drivers.formats.recording",
    "SignalFrame": "service.client.signal_frames",
    "StreamInfo": "drivers.driver",
    "StreamingDecoder": "models.decoding.decoder",
    "SyncClient": "service.client.sync_client",
    "UserError": "drivers.errors",
    "blocks_from_markers": "models.personal.blocks",
    "blocks_from_table": "models.personal.blocks",
    "fit_personal": "models.personal.fit_personal",
    "load_checkpoint": "models.checkpoints.checkpoint",
    "load_head": "models.personal.head_file",
    "open_driver": "drivers.open",
    "open_recording": "drivers.open",
    "save_head": "models.personal.head_file",
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
