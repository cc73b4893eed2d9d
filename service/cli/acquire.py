"""Command ``acquire``: send a source on this machine to a service on another machine."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from mimamba.service.cli.options import (
    LIVE,
    CaFile,
    Memory,
    TokenFile,
    credentials,
    one_line_errors,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from mimamba.service.acquire.acquirer import Acquirer
    from mimamba.service.acquire.bus_acquirer import BusAcquirer

PERIOD = 0.5
"""Seconds between two updates of the status line."""
RATE_SECONDS = 5.0
"""Seconds over which the sampling rate is averaged."""

app = typer.Typer()


@app.command(rich_help_panel=LIVE)
def acquire(
    source: Annotated[str, typer.Option(help="Source to send, as for `mimamba serve`.")],
    to: Annotated[
        str,
        typer.Option(
            help="Address of the service, wss://host or ws://127.0.0.1:8765, or of a bus with "
            "workers, nats://host:4222."
        ),
    ],
    session: Annotated[
        str | None,
        typer.Option(
            "--id", help="Id of the new session. [default: push-1, ...; headset-.. on a bus]"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Name of a checkpoint on the service, or 'none' for the signal without "
            "predictions. [default: the service's default]"
        ),
    ] = None,
    memory: Memory = True,
    buffer: Annotated[
        float,
        typer.Option(
            help="Signal to buffer while the connection is interrupted, s.", min=1, max=3600
        ),
    ] = 90.0,
    token_file: TokenFile = None,
    cafile: CaFile = None,
) -> None:
    """Send a source on this machine to a service on another machine, without losing samples."""
    with one_line_errors():
        from rich.console import Console

        from mimamba.service.acquire.acquirer import Acquirer

        console = Console(stderr=True)

        def report(line: str) -> None:
            console.print(f"{time.strftime('%H:%M:%S')} {line}", highlight=False, markup=False)

        if to.startswith(("nats://", "tls://")):
            asyncio.run(_run_on_bus(source, to, session, model, memory, buffer, report, console))
            return
        shown = credentials(token_file, cafile)
        acquirer = Acquirer(source, to, session, model, memory, buffer, report, shown)
        asyncio.run(_run(acquirer, console))


async def _run_on_bus(
    source: str,
    to: str,
    session: str | None,
    model: str | None,
    memory: bool,
    buffer: float,
    report: Callable[[str], None],
    console: Console,
) -> None:
    """Send to a bus, as ``_run``."""
    from mimamba.service.acquire.bus_acquirer import BusAcquirer
    from mimamba.service.bus.connect import connect_bus

    bus = await connect_bus(to, "mimamba acquire")
    try:
        await _run(BusAcquirer(source, bus, session, model, memory, buffer, report), console)
    finally:
        await bus.close()


async def _run(acquirer: Acquirer | BusAcquirer, console: Console) -> None:
    """Send until the source ends, or until Ctrl+C or SIGTERM."""
    sending = asyncio.create_task(acquirer.run())
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError):  # on Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await _show_status(acquirer, sending, console)
    except asyncio.CancelledError:
        task.uncancel()
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):  # cancelled before it had started
            await sending
        return
    await sending


async def _show_status(
    acquirer: Acquirer | BusAcquirer, sending: asyncio.Task[None], console: Console
) -> None:
    """Keep one line up to date; only a terminal gets it."""
    from rich.live import Live

    rate = SamplingRate()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not sending.done():
            if console.is_terminal:
                live.update(status_line(acquirer, rate), refresh=True)
            await asyncio.wait({sending}, timeout=PERIOD)


class SamplingRate:
    """Sampling rate over the last 5 s."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque(maxlen=round(RATE_SECONDS / PERIOD) + 1)

    def update(self, count: int, now: float) -> float:
        """Note the number of samples so far, and return the rate, Hz."""
        self._counts.append((now, count))
        (start, before), (end, after) = self._counts[0], self._counts[-1]
        return (after - before) / (end - start) if end > start else 0.0


def status_line(acquirer: Acquirer | BusAcquirer, rate: SamplingRate) -> Text:
    """Describe the state of the connection and of the buffer in one line."""
    from rich.text import Text

    outbox = acquirer.outbox
    if outbox is None:
        return Text("connecting to the source (Ctrl+C stops)")
    colour = "green" if acquirer.state == "connected" else "yellow"
    rest = (
        f" | {outbox.info.name} | {rate.update(outbox.taken, time.monotonic()):.0f} of "
        f"{outbox.info.sfreq:g} Hz | {outbox.taken:,} samples | "
        f"{outbox.seconds:.1f} s buffered | {outbox.lost:,} lost (Ctrl+C stops)"
    )
    name = f" as {acquirer.session}" if acquirer.session else ""
    return Text.assemble((acquirer.state + name, colour), rest)
