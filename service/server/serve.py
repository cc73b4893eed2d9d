"""``mimamba serve``: bind the port, open the sources, run until stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial

from rich.console import Console
from rich.markup import escape

from mimamba.drivers.errors import UserError
from mimamba.drivers.lsl.discovery import load_pylsl
from mimamba.drivers.runtime.cpu_affinity import pin_to_one_cpu
from mimamba.models.inference.device import find_device
from mimamba.service.api.dependencies import ServiceState
from mimamba.service.auth.authenticator import Authenticator
from mimamba.service.auth.tokens import Tokens, write_tokens
from mimamba.service.auth.watch_codes import CODE_SECONDS
from mimamba.service.auth.watch_link import base_url, network_host, own_host, watch_url
from mimamba.service.bridges.osc_out import find_address
from mimamba.service.bridges.udp_markers import bind_datagrams
from mimamba.service.bus.connect import check_bus
from mimamba.service.monitoring import logging as eventlog
from mimamba.service.mqtt.broker import find_broker
from mimamba.service.recording_contents.recorded_setup import RecordedSetup, recorded_setup
from mimamba.service.rules.rule_file import check_rules, read_rules
from mimamba.service.server.app import make_app
from mimamba.service.server.certificate import check_certificate
from mimamba.service.server.console import print_montage, print_watch_link
from mimamba.service.server.limited_server import listen, make_config
from mimamba.service.server.runtime_tuning import limit_blas_threads, limit_malloc_arenas
from mimamba.service.server.server import Server
from mimamba.service.sessions.registry import SessionView, view_session
from mimamba.service.sessions.session import Session
from mimamba.service.settings.load import CannotServe
from mimamba.service.settings.settings import Settings
from mimamba.service.storage.folders import data_folder
from mimamba.service.storage.own_checkpoints import models_folder

log = logging.getLogger(__name__)

ANNOUNCING = 2.0
"""Seconds after which the address is printed although no source is open yet."""


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    CannotServe
        If the port is in use or not allowed.
    """
    try:
        return listen(host, port)
    except OSError as error:
        raise CannotServe(
            f"Cannot listen on {host}:{port}: {error.strerror}. "
            "Stop the program that uses the port, or choose another with --port (0: any free one)."
        ) from None


class NoSourceOpened(UserError):
    """None of the sources could be opened; each one's reason is printed already."""


class SourceOpener:
    """Opens the sources while the server runs, and stops it if none can be opened.

    Parameters
    ----------
    settings
        Of the service.
    console
        Prints a line for each source.
    announce
        Prints the address: when the first source is open, or after ``patience`` seconds if some
        are still opening. Never called where none can be opened before that.
    patience
        Seconds; a headset may take longer, and the page shows how it goes.
    """

    def __init__(
        self,
        settings: Settings,
        console: Console,
        announce: Callable[[], None] = lambda: None,
        patience: float = ANNOUNCING,
    ) -> None:
        self._settings = settings
        self._console = console
        self._announce = announce
        self._patience = patience
        self._waiting: list[Callable[[], None]] | None = []
        self.server: Server | None = None
        self.failed = False

    async def __call__(self, running: ServiceState) -> None:
        """Open all sources concurrently; prints a line for each that fails."""
        sources = self._settings.source
        if problem := await asyncio.to_thread(running.recordings.problem):
            self._print(partial(self._report_folder, problem))
        # Before any of them is opened: opening begins with their ids, which follow their order.
        setups = [await self._find_setup(source) for source in sources]
        opening = [
            asyncio.ensure_future(self._open(running, source, setup))
            for source, setup in zip(sources, setups, strict=True)
        ]
        try:
            if not opening or await self._is_worth_announcing(opening):
                self._say_address()
            opened = await asyncio.gather(*opening)
        finally:
            for each in opening:
                each.cancel()
        if sources and not any(opened) and not running.sessions.ending:
            self.failed = True
            self._print_waiting()
            assert self.server is not None
            self.server.should_exit = True

    async def _is_worth_announcing(self, opening: Sequence[asyncio.Future[bool]]) -> bool:
        """Wait for a source that opens, or for the patience to end; False if all fail before."""
        try:
            async with asyncio.timeout(self._patience):
                for first in asyncio.as_completed(map(asyncio.shield, opening)):
                    if await first:
                        return True
        except TimeoutError:
            return True
        return False

    def _say_address(self) -> None:
        """Announce the service, then print what sources have reported before."""
        self._announce()
        self._print_waiting()

    def _print_waiting(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        for each in waiting:
            each()

    def _print(self, report: Callable[[], None]) -> None:
        """Print a source's lines, after the address."""
        if self._waiting is None:
            report()
        else:
            self._waiting.append(report)

    async def _find_setup(self, source: str) -> RecordedSetup | None:
        """Return what a recording of mimamba was made with, where no model is set."""
        if self._settings.model is not None or self._settings.bus is not None:
            return None
        folder = models_folder(self._settings.data_dir)
        return await asyncio.to_thread(recorded_setup, source, folder)

    async def _open(self, running: ServiceState, source: str, setup: RecordedSetup | None) -> bool:
        try:
            session = await self._open_session(running, source, setup)
        except UserError as error:
            if not running.sessions.ending:
                self._print(partial(self._report_failure, source, error))
            return False
        self._print(partial(self._report_session, view_session(session)))
        return True

    async def _open_session(
        self, running: ServiceState, source: str, setup: RecordedSetup | None
    ) -> Session:
        """Open a source; a recording with what it was made with."""
        settings = self._settings
        if setup is None:
            return await running.sessions.open(source, person=settings.person)
        return await running.sessions.open(
            source,
            choice=setup.choice,
            person=settings.person or setup.person,
            recorded=setup.baseline,
            notices=setup.notices,
        )

    def _report_session(self, opened: SessionView) -> None:
        assert opened.info is not None
        model = f"model {opened.model.name}" if opened.model else "signal only"
        facts = f"{opened.info.sfreq:g} Hz, {', '.join(opened.info.ch_names)}, {model}"
        description = escape(f"{opened.info.name} ({facts})")
        self._console.print(f"[bold]{opened.id}[/]: {description}", highlight=False)
        print_montage(self._console, opened.montage or [])
        for notice in (*opened.info.notices, opened.model.notice if opened.model else None):
            if notice:
                self._console.print(f"  [yellow]{escape(notice)}[/]", highlight=False)

    def _report_folder(self, problem: str) -> None:
        if self._settings.log_format == "json":
            log.warning("recordings cannot be written", extra={"reason": problem})
        else:
            self._console.print(f"[yellow]{escape(problem)}[/]", highlight=False)

    def _report_failure(self, source: str, error: UserError) -> None:
        if self._settings.log_format == "json":
            log.error("source failed", extra={"source": source, "reason": str(error)})
        else:
            print(f"mimamba: {source}: {error}", file=sys.stderr)  # noqa: T201


def announce(settings: Settings, tokens: Tokens, port: int, console: Console) -> None:
    """Print the service's address, and once the tokens that were made for it."""
    host = settings.allowed_host[0] if settings.allowed_host else settings.host
    everywhere = " and at every address of this machine" if host in ("0.0.0.0", "::") else ""
    url = f"{base_url(_scheme(settings), own_host(host), port, settings.root_path)}/"
    if settings.public_url:
        url, everywhere = f"{settings.public_url}/", f", and on this machine at {url}"
    console.print(f"mimamba is at {url}{everywhere} (Ctrl+C stops it)", highlight=False)
    console.print("This is not a medical device.", style="dim")
    log.info("serving", extra={"address": url})
    if tokens != settings.given_tokens():
        for line in _token_lines(settings, tokens, port):
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def announce_watching(
    settings: Settings, authenticator: Authenticator, port: int, console: Console
) -> None:
    """Print a link with a one-time code for another device of the network.

    Only on a terminal, because a log must hold no secret, and only where others reach the service.
    """
    if not _is_watched(settings) or not authenticator.requires_token:
        return
    base = settings.public_url
    if base is None and not settings.on_loopback:
        host = network_host(settings.host, settings.allowed_host)
        base = host and base_url(_scheme(settings), host, port, settings.root_path)
    if base:
        url = watch_url(base, authenticator.make_watch_code())
        print_watch_link(console, url, CODE_SECONDS)


def _scheme(settings: Settings) -> str:
    return "https" if settings.ssl_certfile else "http"


def _is_watched(settings: Settings) -> bool:
    """Return whether a person reads the service's output, and no log keeps it."""
    return sys.stderr.isatty() and settings.log_format == "text"


def _token_lines(settings: Settings, tokens: Tokens, port: int) -> list[str]:
    """Return lines with the new tokens on a terminal, never in a log; otherwise with their file."""
    if _is_watched(settings):
        view = [f"Token for view:    {tokens.view}"] if tokens.view else []
        return [f"Token for control: {tokens.control}", *view]
    path = data_folder(settings.data_dir) / f"tokens-{port}"
    try:
        write_tokens(path, tokens)
    except OSError as error:
        raise CannotServe(
            f"Cannot write the new tokens to {path}: {error.strerror}. "
            "Give tokens with --token-file, or choose another --data-dir."
        ) from error
    log.info("tokens were made", extra={"file": str(path)})
    return [f"The tokens (control, then view, one per line) are in {path}"]


def serve(settings: Settings, kind: type[Server] = Server) -> None:
    """Run the service until it is interrupted.

    Parameters
    ----------
    settings
        Of the service.
    kind
        Class of the server.

    Raises
    ------
    CannotServe
        If the port or the certificate cannot be used, or events are to be found by a gateway.
    NoSourceOpened
        If none of the sources can be opened; the reasons are printed already.
    BadToken
        If a given token is not valid.
    LibraryMissing
        If LSL output is enabled and liblsl does not load, or MQTT output without aiomqtt.
    CannotSend
        If the address for OSC messages is not valid.
    BadBroker
        If the password for the MQTT broker cannot be read.
    BadCertificate
        If the certificates to trust for the MQTT broker cannot be read.
    BadRule
        If the file of rules has a mistake, or a rule wants a broker and there is none.
    CannotListen
        If the port for markers cannot be used.
    DeviceError
        If the device for models does not exist.
    BusUnreachable
        If there is no usable bus at its address.
    """
    limit_malloc_arenas()
    limit_blas_threads()
    device = find_device(settings.device, settings.precision)
    if settings.lsl_out:
        load_pylsl()
    certificate = settings.ssl_certfile and check_certificate(
        settings.ssl_certfile, settings.ssl_keyfile
    )
    tokens = settings.tokens()
    if settings.osc_out is not None:
        find_address(settings.osc_out)
    broker = find_broker(settings)
    if settings.rules is not None:
        check_rules(read_rules(settings.rules), has_broker=broker is not None)
    if settings.bus is not None:
        if settings.detect:
            raise CannotServe(
                "Expected --detect at the workers, but found it at a gateway, which computes "
                "nothing. Give it to mimamba worker."
            )
        check_bus(settings.bus)
    if settings.udp_markers is not None:
        bind_datagrams(settings.udp_markers).close()
    listener = bind(settings.host, settings.port)
    console = Console(stderr=True, quiet=settings.log_format == "json")
    port = listener.getsockname()[1]

    def say_address() -> None:
        announce(settings, tokens, port, console)
        announce_watching(settings, app.state.authenticator, port, console)

    start = SourceOpener(settings, console, say_address)
    app = make_app(settings, start, tokens, device=device)
    app.openapi()  # kept; made at its first request, it would hold up predictions for 0.2 s
    config = make_config(app, settings.ssl_certfile, settings.ssl_keyfile)
    start.server = kind(config, app, is_proxy=settings.is_trusted_proxy)
    events = eventlog.configure_logging(settings.log_format, settings.log_level)
    with contextlib.closing(listener), events, pin_to_one_cpu():
        if certificate and certificate.problem:
            console.print(f"[yellow]{escape(certificate.problem)}[/]", highlight=False)
            log.warning("certificate", extra={"reason": certificate.problem})
        log.info("models", extra={"device": str(device)})
        start.server.run(sockets=[listener])
    if start.failed:
        raise NoSourceOpened
