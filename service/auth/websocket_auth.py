"""Authentication of a WebSocket: a client has some seconds to send a token.

Until then it gets nothing but hello and errors. That hello has neither the service's version nor
its clock, which would reveal how long the machine has been running.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.websockets import WebSocket, WebSocketDisconnect

from mimamba.service.auth.authenticator import (
    Authenticator,
    AuthRefusal,
    Permission,
    client_address,
)
from mimamba.service.auth.permissions import ConnectionPermissions
from mimamba.service.auth.scopes import auth_result_of, count_refusal
from mimamba.service.protocol.auth import TOKEN_WANTED, TOO_MANY, Auth
from mimamba.service.protocol.decode import decode_frame
from mimamba.service.protocol.messages import MSGPACK_SUBPROTOCOL, PROTOCOL, Error, Hello, encode

GRACE = 5.0
"""Seconds to send a token."""
MOST_MESSAGES = 16
"""Messages before the token that are answered; a client needs none."""
NO_TOKEN = AuthRefusal(401, "No token was sent in time. Send an auth message first.")
OTHER_MESSAGES = AuthRefusal(401, "Messages came instead of a token. Send an auth message first.")


async def authenticate_websocket(
    socket: WebSocket, authenticator: Authenticator, grace: float
) -> ConnectionPermissions | None:
    """Accept a socket and return its permissions; None if it was refused or has gone."""
    binary = MSGPACK_SUBPROTOCOL in socket.scope["subprotocols"]
    await socket.accept(MSGPACK_SUBPROTOCOL if binary else None)
    result = auth_result_of(socket)
    if isinstance(result, Permission):
        return ConnectionPermissions(authenticator, client_address(socket), result)
    permissions = ConnectionPermissions(authenticator, client_address(socket), None)
    with contextlib.suppress(WebSocketDisconnect):
        refusal = result or await _wait_for_token(socket, permissions, grace, binary)
        if refusal is None:
            return permissions
        silent = refusal in (NO_TOKEN, OTHER_MESSAGES)
        count_refusal(socket.scope, None if silent else refusal)
        await socket.close(TOO_MANY if refusal.wait else TOKEN_WANTED, refusal.reason)
    return None


async def _wait_for_token(
    socket: WebSocket, permissions: ConnectionPermissions, grace: float, binary: bool
) -> AuthRefusal | None:
    """Return why the client is refused; None if its token is right. Raises WebSocketDisconnect."""
    try:
        async with asyncio.timeout(grace):
            message = await _receive_auth(socket, permissions, binary)
            return permissions.authenticate(message) if message else OTHER_MESSAGES
    except TimeoutError:
        return NO_TOKEN


async def _receive_auth(
    socket: WebSocket, permissions: ConnectionPermissions, binary: bool
) -> Auth | None:
    """Send hello and wait for a token; None if too much else comes. Raises WebSocketDisconnect."""
    answer: Hello | Error | None = Hello(PROTOCOL, "mimamba", None, None)
    for _ in range(MOST_MESSAGES):
        if answer is not None:
            frame = encode(answer, binary)
            await (socket.send_bytes(frame) if binary else socket.send_text(frame.decode()))
        event = await socket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event["code"])
        message = decode_frame(event.get("bytes") if binary else event.get("text"), binary)
        if isinstance(message, Auth):
            return message
        answer = message if isinstance(message, Error) else permissions.refusal(message)
    return None
