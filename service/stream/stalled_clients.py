"""WebSockets under uvicorn that limit clients that do not read, or send too much.

uvicorn answers every ping, reads all that a client sends, and waits forever for a client to take
what is written. Here a client that does not read gets no pong, frames are taken at a limited rate,
and a connection that does not close is aborted. Until a token is accepted, the limits are narrower.
An upgrade that is not valid counts as a request without a token, and is always answered.
"""

from __future__ import annotations

import logging
from asyncio import TimerHandle
from collections.abc import Callable
from typing import Any

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.http11 import Request
from websockets.protocol import State

from mimamba.service.http.allowance import StrangerAllowances
from mimamba.service.monitoring.service_counters import ServiceCounters

log = logging.getLogger(__name__)

KEEPALIVE_TIMEOUT = 30.0
"""Seconds without reading: half of them until a ping, half for its answer."""
WINDOW = 0.02
"""Seconds in which a client may send a number of frames; more of them wait in its socket."""
FRAMES = 32
"""Frames taken in a window: 1,600 a second. An acquirer sends at most some hundred."""
MOST_WAITING = 8
"""Messages that may wait for the application before nothing more is read. uvicorn stops reading at
each one: two calls of the system, in which another thread can take the interpreter."""
UNKNOWN_WINDOW, UNKNOWN_FRAMES = 0.1, 2
"""The same before a token is accepted: 20 a second. One frame is enough to send it."""
UNKNOWN_BYTES = 1 << 14
"""Longest message before a token is accepted; a token has at most 1,024 characters."""
BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 40\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nInvalid upgrade to a WebSocket received."
)
UNKNOWN_CLOSE_SECONDS = 1.0
"""For a client without a token to answer the close."""


class KeepaliveProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, with limits on what a client can make the service do.

    Parameters are those of uvicorn.

    Attributes
    ----------
    unknown
        Whether no token has been accepted yet. The application calls ``admit`` of its state.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unknown = True
        self._input = bytearray()  # not yet given to the parser
        self._frame_rest = 0  # bytes to come of a frame that is given to the parser already
        self._left = UNKNOWN_FRAMES
        self._window_start = self.loop.time()
        self._resting: TimerHandle | None = None
        self._pong = b""
        self._take: Callable[[bytes], bool] | None = None
        self._idle = False  # the application waits for a message
        self.conn.max_message_size = UNKNOWN_BYTES

    def admit(self) -> None:
        """Give a client whose token was accepted the usual limits."""
        self.unknown = False
        self._left = FRAMES
        self.conn.max_message_size = self.config.ws_max_size
        if self._resting is not None:
            self._resting.cancel()
            self._on_window_over()
        self._on_message_taken()

    # Reading -------------------------------------------------------------------------------------

    def handle_connect(self, event: Request) -> None:
        """Start the application, which can call some of these methods by its state.

        They are ``admit``, ``send_frame`` and ``give_at_once``. An upgrade that is not valid is
        refused.
        """
        response = self.conn.accept(event)
        if response.status_code != 101:
            self.conn.send_response(response)
            return
        super().handle_connect(event)
        self.scope["state"] |= {
            "admit": self.admit,
            "send_frame": self.send_frame,
            "give_at_once": self.give_at_once,
        }

    def data_received(self, data: bytes) -> None:
        """Take the head of the request, which comes in one piece; then what the window allows."""
        if not self.handshake_initiated:
            super().data_received(data)
            if not self.handshake_initiated:
                self._refuse(b"".join(self.conn.data_to_send()) or BAD_REQUEST)
            return
        self._input += data
        self._take_frames()

    def _refuse(self, answer: bytes) -> None:
        """Answer and close; where an address has asked too often, only when it is its turn."""
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        counters: ServiceCounters = self.app_state["counters"]
        strangers: StrangerAllowances = self.app_state["strangers"]
        counters.errors["invalid_request"] += 1
        wait = strangers.requests.take(self.client[0] if self.client else "")
        self.transport.pause_reading()
        self._resting = self.loop.call_later(wait, self._answer_and_close, answer)

    def _answer_and_close(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next event.

        An unknown client's next message is parsed when the application asks for it: it has handled
        the last one by then, which may have been the token, after which longer ones are allowed.
        """
        if self.unknown:
            self._on_message_taken()
        self._idle = True
        try:
            event = await self.queue.get()
        finally:
            self._idle = False
        if not self.unknown:
            self._on_message_taken()
        return event

    def give_at_once(self, take: Callable[[bytes], bool]) -> None:
        """Give binary messages to ``take`` as they are read, while the application waits for one.

        What it returns False for comes to the application as ever.
        """
        self._take = take

    def send_receive_event_to_app(self) -> None:
        """Give a message to the application; stop reading where several wait already."""
        if self.unknown:
            super().send_receive_event_to_app()
            return
        if self._taken_at_once():
            self.frames = []
            return
        self.read_paused = True  # so that uvicorn does not stop
        super().send_receive_event_to_app()
        self.read_paused = self.queue.qsize() >= MOST_WAITING
        if self.read_paused:
            self.transport.pause_reading()

    def _taken_at_once(self) -> bool:
        waits = self._idle and self.queue.empty() and not self.close_sent
        if self._take is None or not waits or self.curr_msg_data_type != "bytes":
            return False
        return self._take(b"".join(self.frames))

    def _on_message_taken(self) -> None:
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._read_on()

    def _read_on(self) -> None:
        """Parse what is there, or read more, unless the application or the window says no."""
        if self._resting is None and not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()
            self._take_frames()

    def _take_frames(self) -> None:
        now = self.loop.time()
        window = UNKNOWN_WINDOW if self.unknown else WINDOW
        if now >= self._window_start + window:
            self._window_start = now
            self._left = UNKNOWN_FRAMES if self.unknown else FRAMES
        while self._left and not (self.unknown and self.read_paused):
            part = self._next_part()
            if not part or self.transport.is_closing():
                break
            super().data_received(part)
        if self.transport.is_closing():
            self._input.clear()
        elif not self._left:
            self.transport.pause_reading()
            if self._resting is None:
                end = self._window_start + window
                self._resting = self.loop.call_at(end, self._on_window_over)

    def _on_window_over(self) -> None:
        self._resting = None
        self._read_on()

    def _next_part(self) -> bytes:
        """Cut the next frame, or what is there of it, from the input; nothing without a header."""
        if not self._frame_rest:
            size = frame_size(self._input)
            if size is None:
                return b""
            self._frame_rest = size
            self._left -= 1
        part = bytes(self._input[: self._frame_rest])
        del self._input[: len(part)]
        self._frame_rest -= len(part)
        return part

    # Writing -------------------------------------------------------------------------------------

    def handle_ping(self) -> None:
        """Answer a ping; while the client does not read, keep the newest answer only."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)
        else:
            self._pong = pong

    def resume_writing(self) -> None:
        """Go on writing, with the answer to the newest ping first."""
        super().resume_writing()
        if self._pong and not self.transport.is_closing():
            self.transport.write(self._pong)
        self._pong = b""

    async def send_frame(self, frame: bytes, binary: bool) -> None:
        """Send a message of an accepted connection: ``send`` without the middlewares around it.

        Text is UTF-8. Waits until the client reads; raises ClientDisconnected if it has gone.
        """
        await self.writable.wait()
        if self.transport.is_closing():
            raise ClientDisconnected
        try:
            (self.conn.send_binary if binary else self.conn.send_text)(frame)
        except InvalidState:
            raise ClientDisconnected from None
        self.transport.write(b"".join(self.conn.data_to_send()))

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message; raise ClientDisconnected after a failed write.

        The loop reports the end later; the rest of a batch would be written in vain, and asyncio
        would warn for each frame. A client that does not read is not sent a close, but aborted.
        """
        if message["type"] == "websocket.send" and self.transport.is_closing():
            raise ClientDisconnected
        if message["type"] == "websocket.close" and not self.writable.is_set():
            self.transport.abort()
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.close" and self.unknown and self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(UNKNOWN_CLOSE_SECONDS, self.transport.abort)

    def shutdown(self) -> None:
        """End the connection with the service.

        One that its client is closing gets no close: uvicorn fails at that, and the rest of the
        service's end would be left out.
        """
        closes = self.handshake_complete and self.conn.state is not State.OPEN
        if closes and not self.close_sent:
            self.stop_keepalive()
            self.transport.close()
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        if self._resting is not None:
            self._resting.cancel()
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        """Drop a connection that did not answer a ping, with all frames that wait."""
        counters: ServiceCounters = self.app_state["counters"]
        counters.errors["stalled"] += 1
        peer = self.client[0] if self.client else None
        log.warning("client does not read", extra={"peer": peer})
        self.transport.abort()


def frame_size(data: bytearray) -> int | None:
    """Return the bytes of the frame that begins here, with its header (RFC 6455, section 5.2).

    None if its length is not yet there.
    """
    if len(data) < 2:
        return None
    masked, length = data[1] & 0x80, data[1] & 0x7F
    extended = {126: 2, 127: 8}.get(length, 0)
    if len(data) < 2 + extended:
        return None
    if extended:
        length = int.from_bytes(data[2 : 2 + extended], "big")
    return 2 + extended + (4 if masked else 0) + length
