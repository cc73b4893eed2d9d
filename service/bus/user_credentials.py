"""NATS credentials: a file with a user's JWT, and the seed of the key that proves it is ours.

Sources: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt,
and the encoding of keys in https://github.com/nats-io/nkeys.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mimamba.service.bus.bus import BusUnreachable

MOST_BYTES = 1 << 16
SEED_BYTES = 36
"""Bytes of a seed's text: two of its kind, 32 of the key, two of the checksum."""
SEED = 18 << 3
"""Upper bits of a seed's first byte; they make its text begin with S."""
USER = 20 << 3
"""Kind of key: of a user, whose text goes on with U."""
BLOCKS = ("NATS USER JWT", "USER NKEY SEED")
BLOCK = r"-+BEGIN {0}-+\s+(\S+)\s+-+END {0}-+"


@dataclass(frozen=True)
class UserCredentials:
    """Credentials of one user.

    Parameters
    ----------
    jwt
        What the server knows about the user, signed by its operator.
    key
        The user's key.
    """

    jwt: str
    key: Ed25519PrivateKey = field(repr=False)

    def tell(self) -> bytes:
        """Return the JWT."""
        return self.jwt.encode()

    def sign(self, nonce: str) -> bytes:
        """Sign what the server asks for, as base64."""
        return base64.b64encode(self.key.sign(nonce.encode()))


def read_credentials(path: Path) -> UserCredentials:
    """Read a credentials file (``.creds``), as ``nsc`` makes it.

    Raises
    ------
    BusUnreachable
        If it cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode("ascii")
        found = [re.search(BLOCK.format(each), text) for each in BLOCKS]
        jwt, seed = [each[1] for each in found if each is not None]
        return UserCredentials(jwt, Ed25519PrivateKey.from_private_bytes(decode_seed(seed)))
    except (OSError, ValueError) as error:  # ValueError also for what is no text
        reason = getattr(error, "strerror", None) or "none"
        raise BusUnreachable(
            f"Expected NATS credentials in {path}, a user's JWT and seed, but found: {reason}. "
            "Make the file with nsc generate creds."
        ) from error


def decode_seed(text: str) -> bytes:
    """Return the 32 bytes of a user's seed; raises ValueError for any other text."""
    whole = base64.b32decode(text + "=" * (-len(text) % 8))
    if len(whole) != SEED_BYTES:
        raise ValueError("not a seed")
    kind = (whole[0] & 7) << 5 | whole[1] >> 3
    checksum = binascii.crc_hqx(whole[:-2], 0).to_bytes(2, "little")
    if whole[0] & 0xF8 != SEED or kind != USER or whole[-2:] != checksum:
        raise ValueError("not the seed of a user")
    return whole[2:-2]
