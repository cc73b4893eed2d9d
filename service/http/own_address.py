"""The address at which others reach a server, and TLS where it leads beyond this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

PUBLIC_URL: Final = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?((/[A-Za-z0-9_.~-]+)*)/*",
    re.IGNORECASE,
)


def parse_public_url(text: str) -> str:
    """Return the public address of a server, without a slash at its end; raises ValueError."""
    found = PUBLIC_URL.fullmatch(text)
    if found is None or not 0 < int((found[2] or ":1")[1:]) <= 65535:
        raise ValueError(
            "Expected the address at which browsers reach the service, such as "
            f"https://eeg.example.org/base, but found {text!r}. Write it with http:// or https://, "
            "and without a user, '?' and '#'."
        )
    parts = urlsplit(text)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def host_of(public_url: str) -> str:
    """Return the host name of a public address."""
    return urlsplit(public_url).hostname or ""


def path_of(public_url: str) -> str:
    """Return the path of a public address, empty for none."""
    return urlsplit(public_url).path


def require_tls(
    on_loopback: bool, certificate: Path | None, key: Path | None, insecure: bool
) -> None:
    """Require TLS beyond this machine, unless a person decides otherwise; raises ValueError."""
    if key and not certificate:
        raise ValueError("Expected a certificate with the key, but found none. Add --ssl-certfile.")
    if not (on_loopback or certificate or insecure):
        raise ValueError(
            "Expected TLS beyond this machine, but found no --ssl-certfile. Add one, or use "
            "--insecure-http if the network itself is private."
        )
