"""What a program shows a service, and how it knows the service: a token, and a certificate."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from mimamba.drivers.errors import UserError
from mimamba.service.auth.tokens import check_token, read_tokens
from mimamba.service.protocol.auth import TOKEN_WANTED, Scope
from mimamba.service.protocol.messages import Hello

ASKED = "a service that asks for a token"
REFUSED = "that this token is refused"


class Unauthorized(UserError):
    """The service wants a token, or another one; one clear line."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"Expected to be let in, but found {found}. "
            "Give the right token with --token-file or MIMAMBA_TOKEN."
        )


class BadCertificate(UserError):
    """The certificates to trust cannot be read; one clear line."""


@dataclass(frozen=True)
class Credentials:
    """What is shown to a service.

    Attributes
    ----------
    token
        None where it asks for none.
    trusted
        A file with the certificates to trust instead of the system's.

    Raises
    ------
    BadToken, BadCertificate
        If one is none.
    """

    token: str | None = field(default=None, repr=False)
    trusted: Path | None = None

    def __post_init__(self) -> None:
        if self.token is not None:
            check_token(self.token)
        if self.trusted is not None:
            self._trust(self.trusted)

    @property
    def headers(self) -> dict[str, str]:
        """What each request carries."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def context(self, url: str) -> ssl.SSLContext | None:
        """How to know the service at an address; None where it has no certificate."""
        if not url.startswith(("wss://", "https://")):
            return None
        return self._trust(self.trusted)

    @staticmethod
    def _trust(path: Path | None) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=path)
        except OSError as error:  # an ssl.SSLError is one
            raise BadCertificate(
                f"Expected certificates (PEM) in {path}, but found: {error.strerror or error}. "
                "Correct the path."
            ) from error


NOTHING = Credentials()
"""For a service of one's own machine."""


def find_credentials(token_file: Path | None, trusted: Path | None) -> Credentials:
    """Those of the command line: the first token of a file, else MIMAMBA_TOKEN, else none.

    Raises
    ------
    BadToken, BadCertificate
        If what is named is none.
    """
    token = read_tokens(token_file).control if token_file else os.environ.get("MIMAMBA_TOKEN")
    return Credentials(token or None, trusted)


def mend_of(error: object) -> str:
    """What to do where a service cannot be reached."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "name the certificate to trust with --cafile, if it is the right service"
    return "start one with mimamba serve, or correct the address"


def refusal_of(told: Hello | ConnectionClosed, need: Scope = "view") -> Unauthorized | None:
    """Why we are not let in, by a service's hello or by its farewell; None where that is not so."""
    if isinstance(told, ConnectionClosed):
        refused = told.rcvd is not None and told.rcvd.code == TOKEN_WANTED
        return Unauthorized(REFUSED) if refused else None
    if told.scope is None:
        return Unauthorized(ASKED)
    if need == "control" != told.scope:
        return Unauthorized("that this token only lets us view")
    return None
