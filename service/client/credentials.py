"""Credentials of a client: its token, and the certificates that it trusts."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from websockets.exceptions import ConnectionClosed, InvalidStatus

from mimamba.drivers.errors import UserError
from mimamba.service.auth.tokens import check_token, read_tokens
from mimamba.service.protocol.auth import TOKEN_WANTED, Scope
from mimamba.service.protocol.messages import Hello

REMEDY = (
    "Use the one that `mimamba serve` printed, with --token-file or MIMAMBA_TOKEN; in Python, with "
    'Client(url, credentials=Credentials("TOKEN")).'
)
TOKEN_MISSING = f"The service requires a token. {REMEDY}"
TOKEN_REFUSED = f"Token not accepted. {REMEDY}"
VIEW_ONLY = "This token allows viewing only. Use the token for control."


class Unauthorized(UserError):
    """The service requires a token, or another one."""


class BadCertificate(UserError):
    """The certificates to trust cannot be read."""


def tls_context(path: Path | None) -> ssl.SSLContext:
    """Return a TLS context that trusts a file's certificates (PEM), or without one the system's.

    Raises BadCertificate if they cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # an ssl.SSLError is one
        raise BadCertificate(
            f"Cannot read certificates (PEM) from {path}: {error.strerror or error}. "
            "Correct the path."
        ) from error


@dataclass(frozen=True)
class Credentials:
    """Token and trusted certificates.

    Attributes
    ----------
    token
        None if the service requires none.
    trusted
        A file with certificates (PEM) to trust instead of the system's.

    Raises
    ------
    BadToken, BadCertificate
        If one is not valid.
    """

    token: str | None = field(default=None, repr=False)
    trusted: Path | None = None

    def __post_init__(self) -> None:
        if self.token is not None:
            check_token(self.token)
        if self.trusted is not None:
            tls_context(self.trusted)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of each request."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def context(self, url: str) -> ssl.SSLContext | None:
        """Return the TLS context for an address; None without TLS."""
        if not url.startswith(("wss://", "https://")):
            return None
        return tls_context(self.trusted)


NO_CREDENTIALS = Credentials()
"""For a service on the same machine."""


def find_credentials(token_file: Path | None, trusted: Path | None) -> Credentials:
    """Return the command line's credentials: the token of a file, or of MIMAMBA_TOKEN, or none.

    Raises
    ------
    BadToken, BadCertificate
        If the named token or certificate is not valid.
    """
    token = read_tokens(token_file).control if token_file else os.environ.get("MIMAMBA_TOKEN")
    return Credentials(token or None, trusted)


def remedy_for(error: object) -> str:
    """Return what to do if a service cannot be reached."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "If it is the right service, name its certificate with --cafile."
    return "Start one with mimamba serve, or correct the address."


def describe_unreachable(url: str, error: Exception) -> str:
    """Return why a stream could not be opened, and what to do."""
    if isinstance(error, InvalidStatus) and error.response.status_code == 503:
        return f"The service at {url} is not ready (HTTP 503). Try again later."
    if isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.reason:
        return f"The service at {url} takes no streams now: {error.rcvd.reason}. Try again later."
    said = error or type(error).__name__
    return f"No mimamba service answers at {url}: {said}. {remedy_for(error)}"


def refusal_of(answer: Hello | ConnectionClosed, required: Scope = "view") -> Unauthorized | None:
    """Return why the service refuses a token, from its hello or its close code; None if not."""
    if isinstance(answer, ConnectionClosed):
        refused = answer.rcvd is not None and answer.rcvd.code == TOKEN_WANTED
        return Unauthorized(TOKEN_REFUSED) if refused else None
    if answer.scope is None:
        return Unauthorized(TOKEN_MISSING)
    if required == "control" != answer.scope:
        return Unauthorized(VIEW_ONLY)
    return None
