"""Decode a client's frames, and name the errors of those that cannot be decoded."""

from __future__ import annotations

import msgspec

from mimamba.service.protocol.messages import ClientMessage, Error, decode_client

CLOSE_CODES = {1002: "no_frame", 1007: "no_text", 1009: "too_long"}
"""Error codes of frames that closed their WebSocket, by its close code."""


def decode_frame(payload: bytes | str | None, binary: bool) -> ClientMessage | Error:
    """Decode a frame, or return the error to answer; None stands for the other kind of frame."""
    wanted = "a msgpack message in a binary frame" if binary else "a JSON text frame"
    if payload is None:
        return Error("bad_frame", f"Expected {wanted}, but found the other kind of frame.")
    try:
        return decode_client(payload, binary)
    except msgspec.MsgspecError as error:
        return Error("bad_message", f"Expected {wanted} of protocol v1, but found: {error}.")
    except (UnicodeError, RecursionError) as error:  # bytes and texts that are not UTF-8
        return Error("bad_message", f"Expected {wanted}, but found {type(error).__name__}.")
