"""The certificate for TLS: whether it can be used with its key, and until when it is valid."""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mimamba.service.settings.load import CannotServe

NOT_YET_VALID, EXPIRED = 9, 10
"""Codes of OpenSSL (X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED)."""
SOON = 14 * 86400.0
"""Time before the end in which a person should renew it, s."""
ROUND_TRIPS = 4
"""At least those of a handshake."""
REMEDY = "Renew it, and start the service again."


@dataclass(frozen=True)
class CertificateState:
    """Validity of a certificate.

    Parameters
    ----------
    ends
        End of its validity (s since 1970); None if unknown.
    problem
        Reason why clients refuse it, or will soon, in words; None if there is none.
    expired
        Whether they refuse it now.
    """

    ends: float | None
    problem: str | None = None
    expired: bool = False


def check_certificate(
    certificate: Path, key: Path | None, now: float | None = None
) -> CertificateState:
    """Return the state of a certificate. ``now`` (s since 1970) is for ``problem``.

    Raises
    ------
    CannotServe
        If the certificate or its key cannot be used.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(certificate, key, lambda: "")  # else OpenSSL asks for a password
    except OSError as error:  # an ssl.SSLError is one
        raise CannotServe(
            f"Cannot use the certificate in {certificate} with the key in "
            f"{key or 'the same file'}: {error.strerror or error}. "
            "Correct the paths; the key must have no password."
        ) from error
    try:
        ends = ssl.cert_time_to_seconds(_shown_to_client(server, certificate))
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == EXPIRED:
            return CertificateState(
                None, f"The certificate {certificate} has expired. {REMEDY}", True
            )
        if error.verify_code == NOT_YET_VALID:
            early = f"The certificate {certificate} is not valid yet. Check the clock. {REMEDY}"
            return CertificateState(None, early, True)
        return CertificateState(None)
    except (ssl.SSLError, KeyError, ValueError):  # a client may still take it
        return CertificateState(None)
    if ends - (time.time() if now is None else now) < SOON:
        day = datetime.fromtimestamp(ends, UTC).date()
        return CertificateState(ends, f"The certificate {certificate} expires on {day}. {REMEDY}")
    return CertificateState(ends)


def _shown_to_client(server: ssl.SSLContext, certificate: Path) -> str:
    """Make a handshake in memory with a client that trusts the certificate; return its end.

    Python's ssl module shows a certificate's fields to a client that has verified it, and nowhere
    else. Raises ssl.SSLCertVerificationError if it is not valid now.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(certificate)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be an authority's
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(back, there),
        server.wrap_bio(there, back, server_side=True),
    )
    for _ in range(ROUND_TRIPS):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    shown = ends[0].getpeercert() or {}
    return str(shown["notAfter"])
