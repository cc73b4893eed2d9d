"""A certificate of the tests' own, for this machine."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import trustme


@dataclass(frozen=True)
class Certificate:
    """Where a certificate, its key, and who signed it lie."""

    certificate: Path
    key: Path
    authority: Path

    def settings(self) -> dict[str, Any]:
        """What a service needs of it."""
        return {"ssl_certfile": self.certificate, "ssl_keyfile": self.key}

    def trust(self) -> ssl.SSLContext:
        """Trusts who signed it."""
        return ssl.create_default_context(cafile=self.authority)


def make_certificate(
    folder: Path, begins: datetime | None = None, ends: datetime | None = None
) -> Certificate:
    """Make one for 127.0.0.1. Default: valid now, and for years."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", not_before=begins, not_after=ends)
    made = Certificate(folder / "service.pem", folder / "service.key", folder / "authority.pem")
    authority.cert_pem.write_to_path(made.authority)
    issued.private_key_pem.write_to_path(made.key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(made.certificate, append=True)
    return made
