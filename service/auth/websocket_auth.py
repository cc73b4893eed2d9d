"""A WebSocket's way in: a stranger has some seconds to show a token, or is sent away.

Until then it is told nothing but hello and errors; that hello tells neither the service's version
nor its clock, which would tell how long the machine has been up.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.websockets import WebSocket, WebSocketDisconnect

from mimamba.service.auth.authenticator import Authenticator, AuthRefusal, Permission, address_of
from mimamba.service.auth.permissions import ConnectionPermissions
from mimamba.service.auth.scopes import count_refusal, judgement_of
from mimamba.service.protocol.auth import TOKEN_WANTED, TOO_MANY, Auth
from mimamba.service.protocol.decode import decode_frame
from mimamba.service.protocol.messages import MSGPACK_SUBPROTOCOL, PROTOCOL, Error, Hello, encode

GRACE = 5.0
"""Seconds to show a token."""
NO_TOKEN = AuthRefusal(
    401, "Expected a token of this service, but found none in time. Say auth first."
)


async def authenticate_websocket(
    socket: WebSocket, door: Authenticator, grace: float
) -> ConnectionPermissions | None:
    """Accept a socket and find out its rights; None where it is closed again, or has gone."""
    binary = MSGPACK_SUBPROTOCOL in socket.scope["subprotocols"]
    await socket.accept(MSGPACK_SUBPROTOCOL if binary else None)
    judged = judgement_of(socket)
    if isinstance(judged, Permission):
        return ConnectionPermissions(door, address_of(socket), judged)
    rights = ConnectionPermissions(door, address_of(socket), None)
    with contextlib.suppress(WebSocketDisconnect):
        refusal = judged or await _ask(socket, rights, grace, binary)
        if refusal is None:
            return rights
        count_refusal(socket.scope, None if refusal is NO_TOKEN else refusal)
        await socket.close(TOO_MANY if refusal.wait else TOKEN_WANTED, refusal.reason)
    return None


async def _ask(
    socket: WebSocket, rights: ConnectionPermissions, grace: float, binary: bool
) -> AuthRefusal | None:
    """Why a stranger must go; None where its token is right. Raises WebSocketDisconnect."""
    try:
        async with asyncio.timeout(grace):
            return rights.show(await _hear_auth(socket, rights, binary))
    except TimeoutError:
        return NO_TOKEN


async def _hear_auth(socket: WebSocket, rights: ConnectionPermissions, binary: bool) -> Auth:
    """Greet a stranger and wait for a token; raises WebSocketDisconnect where it goes."""
    said: Hello | Error | None = Hello(PROTOCOL, "mimamba", None, None)
    while True:
        if said is not None:
            frame = encode(said, binary)
            await (socket.send_bytes(frame) if binary else socket.send_text(frame.decode()))
        heard = await socket.receive()
        if heard["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(heard["code"])
        message = decode_frame(heard.get("bytes") if binary else heard.get("text"), binary)
        if isinstance(message, Auth):
            return message
        said = message if isinstance(message, Error) else rights.refusal(message)
