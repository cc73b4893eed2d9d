"""Tools for agents over HTTP: who may send requests, and the server (streamable HTTP transport).

A request must name this machine or an allowed host, must not come from another page in a browser
(DNS rebinding), and must show the token: the same checks, and the same limit on wrong tokens, as
those of the service.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import secrets
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mimamba.drivers.errors import UserError
from mimamba.service.auth.authenticator import Authenticator, AuthRefusal, Permission
from mimamba.service.auth.scopes import refusal_response
from mimamba.service.auth.tokens import Tokens, check_token, read_tokens
from mimamba.service.auth.watch_link import base_url, own_host
from mimamba.service.http.allowance import StrangerAllowances
from mimamba.service.http.host_and_origin import refusal
from mimamba.service.http.own_address import parse_public_url, require_tls
from mimamba.service.http.problem import problem
from mimamba.service.monitoring.service_counters import ServiceCounters
from mimamba.service.server.certificate import check_certificate
from mimamba.service.server.limited_server import LimitedServer, listen, make_config

log = logging.getLogger(__name__)

PATH = "/mcp"
TOKEN = "MIMAMBA_MCP_TOKEN"
"""Variable of the environment with the token that agents show."""
MOST_BYTES = 1 << 20
"""Size of a request: a tool has short arguments."""
MISSING = f"Send the token of {TOKEN}, or of --http-token-file, as Authorization: Bearer TOKEN."


class CannotOffer(UserError):
    """The tools cannot be offered at this address. The message never contains a token."""


@dataclass(frozen=True)
class HTTPAddress:
    """An address to listen on, and how.

    Parameters
    ----------
    host, port
        An IP address of this machine; port 0 is any free one.
    certificate, key
        Of TLS (PEM); None for HTTP.
    public_url
        Address at which a proxy shows it; None without one.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    public_url: str | None = None

    def url(self, port: int) -> str:
        """Return the address of the tools: the public one, else that at the port that was found."""
        if self.public_url:
            return self.public_url + PATH
        scheme = "https" if self.certificate else "http"
        return base_url(scheme, own_host(self.host), port, PATH)


def parse_http_address(
    text: str,
    certificate: Path | None,
    key: Path | None,
    insecure: bool,
    public_url: str | None = None,
) -> HTTPAddress:
    """Parse HOST:PORT; without a host it is loopback.

    Raises
    ------
    CannotOffer
        If it is no such address, or one beyond this machine without TLS and not ``insecure``, or
        there is a key without a certificate, or the public address is not valid.
    """
    found = re.fullmatch(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/@]*)):(?P<port>\d+)", text)
    name = (found["six"] or found["host"] or "127.0.0.1") if found else ""
    try:
        host = ipaddress.ip_address("127.0.0.1" if name == "localhost" else name)
    except ValueError:
        host = None
    if found is None or host is None or int(found["port"]) > 65535:
        raise CannotOffer(
            f"Expected HOST:PORT with an IP address of this machine, but found {text!r}. "
            "Use one such as 127.0.0.1:8766."
        )
    try:
        require_tls(host.is_loopback, certificate, key, insecure)
        public = parse_public_url(public_url) if public_url else None
    except ValueError as error:
        raise CannotOffer(str(error)) from None
    return HTTPAddress(str(host), int(found["port"]), certificate, key, public)


def find_http_token(file: Path | None) -> tuple[str, bool]:
    """Return the token that agents show, and whether it is new.

    It is that of a file's first line, else of MIMAMBA_MCP_TOKEN, else a new one for a terminal.

    Raises
    ------
    BadToken
        If the given one is not valid.
    CannotOffer
        If there is none, and no terminal to show a new one on.
    """
    given = (read_tokens(file).control if file else os.environ.get(TOKEN)) or None
    if given is not None:
        return check_token(given), False
    if not sys.stderr.isatty():  # in a log others could read it
        raise CannotOffer(
            f"Expected a token for agents, but found none. Name one with {TOKEN} or "
            "--http-token-file; make it with: openssl rand -hex 32."
        )
    return secrets.token_urlsafe(32), True


def make_http_app(server: MCPServer, token: str, allowed: Collection[str] = ()) -> ASGIApp:
    """Return the application: the server's, behind the checks of ``GuardMiddleware``."""
    inner = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,  # each tool answers once
        stateless_http=True,  # so that nothing is kept of agents that are gone
        max_request_body_size=MOST_BYTES,
        # Those of the guard are stricter, and know the allowed hosts.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return GuardMiddleware(inner, Authenticator(Tokens(token)), allowed)


class GuardMiddleware:
    """Refuses other hosts and origins with 403, and requests without the token with 401.

    Parameters
    ----------
    app
        The application.
    authenticator
        Knows the token.
    allowed
        Host names that may be used as well as localhost.
    """

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, allowed: Collection[str]
    ) -> None:
        self._app, self._authenticator = app, authenticator
        self._allowed = frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, or refuse it."""
        if scope["type"] == "lifespan":
            scope["state"] |= {"counters": ServiceCounters(), "strangers": StrangerAllowances()}
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "forbidden"})
            return
        refused = refusal(Headers(scope=scope), self._allowed, scope["scheme"] == "https")
        if refused is not None:
            await _refuse(problem(403, "Forbidden", refused[1]), scope, receive, send)
            return
        result = self._authenticator.authenticate(HTTPConnection(scope))
        if isinstance(result, Permission):
            await self._app(scope, receive, send)
            return
        if isinstance(result, AuthRefusal) and not result.wait:
            result = replace(result, reason=f"Token not accepted. {MISSING}")
        await _refuse(refusal_response(result, MISSING), scope, receive, send)


async def _refuse(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a request, and close its connection: a stranger's body would keep it."""
    answer.headers["Connection"] = "close"
    await answer(scope, receive, send)


def run_http(app: ASGIApp, address: HTTPAddress, announce: Callable[[str], None]) -> None:
    """Serve until interrupted; ``announce`` is called with the address of the tools.

    Raises
    ------
    CannotOffer
        If the port cannot be used.
    CannotServe
        If the certificate or its key cannot be used.
    """
    if address.certificate:
        state = check_certificate(address.certificate, address.key)
        if state.problem:
            log.warning("certificate", extra={"reason": state.problem})
    config = make_config(app, address.certificate, address.key, websockets=False)
    try:
        listener = listen(address.host, address.port)
    except OSError as error:
        raise CannotOffer(
            f"Cannot listen on {address.host}:{address.port}: {error.strerror or error}. "
            "Choose another address with --http."
        ) from error
    with listener:
        announce(address.url(listener.getsockname()[1]))
        LimitedServer(config).run(sockets=[listener])
