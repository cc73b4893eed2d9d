"""Metadata of safetensors files, beside their tensors."""

from __future__ import annotations

import json


def read_metadata(content: bytes) -> dict[str, str]:
    """Return the metadata of a file that safetensors has loaded, and so checked; empty without any.

    The library gives it for files on a disk only. Format: eight bytes with the header's length,
    then the header as JSON (https://huggingface.co/docs/safetensors).
    """
    n_bytes = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + n_bytes]).get("__metadata__") or {}
    return metadata
