"""``mimamba acquire``: the headset is here, the service elsewhere; one line says how it goes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mimamba.service.acquire.acquirer import Acquirer
from mimamba.service.client.credentials import Credentials

PERIOD = 0.5
"""Seconds between two looks."""
RATE_SECONDS = 5.0


class Rate:
    """How fast samples have come of late."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=round(RATE_SECONDS / PERIOD) + 1)

    def __call__(self, taken: int, now: float) -> float:
        """Samples a second over the last 5 s, from how many have come by now."""
        self._seen.append((now, taken))
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return (after - before) / (end - start) if end > start else 0.0


def acquire(
    source: str,
    to: str,
    session: str | None,
    model: str | None,
    memory: bool,
    buffer: float,
    credentials: Credentials,
) -> None:
    """Send a source's samples to a service until the source ends or a person interrupts.

    Raises
    ------
    DriverError, ServiceUnreachable, NotLetIn, PushRefused
        If the source, or the service, cannot be used.
    """
    asyncio.run(_acquire(source, to, session, model, memory, buffer, credentials))


async def _acquire(
    source: str,
    to: str,
    session: str | None,
    model: str | None,
    memory: bool,
    buffer: float,
    credentials: Credentials,
) -> None:
    console = Console(stderr=True)

    def tell(line: str) -> None:
        console.print(f"{time.strftime('%H:%M:%S')} {line}", highlight=False, markup=False)

    acquirer = Acquirer(source, to, session, model, memory, buffer, tell, credentials)
    sending = asyncio.create_task(acquirer.run())
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError):  # Windows has none of this
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await _show(acquirer, sending, console)
    except asyncio.CancelledError:
        task.uncancel()
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):  # before there was anything to end
            await sending
        return
    await sending


async def _show(acquirer: Acquirer, sending: asyncio.Task[None], console: Console) -> None:
    """Keep one line up to date; only a terminal gets it."""
    rate = Rate()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not sending.done():
            if console.is_terminal:
                live.update(status(acquirer, rate), refresh=True)
            await asyncio.wait({sending}, timeout=PERIOD)


def status(acquirer: Acquirer, rate: Rate) -> Text:
    """How it goes, in one line."""
    outbox = acquirer.outbox
    if outbox is None:
        return Text("connecting to the source (Ctrl+C stops)")
    colour = "green" if acquirer.state == "connected" else "yellow"
    rest = (
        f" | {outbox.info.name} | {rate(outbox.taken, time.monotonic()):.0f} of "
        f"{outbox.info.sfreq:g} Hz | {outbox.taken:,} samples | "
        f"{outbox.seconds:.1f} s to be sent | {outbox.lost:,} lost (Ctrl+C stops)"
    )
    where = f" as {acquirer.session}" if acquirer.session else ""
    return Text.assemble((acquirer.state + where, colour), rest)
