"""Credentials files, on a real server whose users are signed by an operator."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mimamba.service.bus.bus import BusUnreachable, publish
from mimamba.service.bus.connect import connect_bus
from tests.service.bus.nats_server import running

OPERATOR, ACCOUNT, USER = 14 << 3, 0, 20 << 3
LIMITS: dict[str, object] = {
    "wildcards": True,
    **dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1),
}
STORAGE = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)


def base32(content: bytes) -> str:
    checksum = binascii.crc_hqx(content, 0).to_bytes(2, "little")
    return base64.b32encode(content + checksum).decode().rstrip("=")


def base64_url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class Signer:
    """A key of an operator, an account or a user."""

    def __init__(self, kind: int) -> None:
        self._kind, self._key = kind, Ed25519PrivateKey.generate()
        self.name = base32(bytes([kind]) + self._key.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        kind = bytes([18 << 3 | self._kind >> 5, (self._kind & 31) << 3])
        return base32(kind + self._key.private_bytes_raw())

    def sign(self, subject: str, claims: dict[str, object]) -> str:
        body = {"iss": self.name, "sub": subject, "name": "x", "jti": "x", "iat": 1_700_000_000}
        parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, body | {"nats": claims | {"version": 2}}]
        text = ".".join(base64_url(json.dumps(part).encode()) for part in parts)
        return f"{text}.{base64_url(self._key.sign(text.encode()))}"


def credentials(account: Signer, user: Signer) -> str:
    claims = {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
    return (
        f"-----BEGIN NATS USER JWT-----\n{account.sign(user.name, claims)}\n"
        "------END NATS USER JWT------\n\nKeep it secret.\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )


def test_a_user_of_an_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operator, account, system = Signer(OPERATOR), Signer(ACCOUNT), Signer(ACCOUNT)
    accounts = {
        each.name: operator.sign(each.name, {"type": "account", "limits": LIMITS | more})
        for each, more in ((account, STORAGE), (system, {}))
    }
    preload = "\n".join(f"{name}: {jwt}" for name, jwt in accounts.items())
    (tmp_path / "server.conf").write_text(
        f"operator: {operator.sign(operator.name, {'type': 'operator'})}\n"
        f"system_account: {system.name}\nresolver: MEMORY\n"
        f"resolver_preload: {{\n{preload}\n}}\njetstream {{}}\n",
        encoding="utf-8",
    )
    good, stranger = tmp_path / "good.creds", tmp_path / "stranger.creds"
    good.write_text(credentials(account, Signer(USER)), encoding="ascii")
    stranger.write_text(credentials(Signer(ACCOUNT), Signer(USER)), encoding="ascii")

    async def scene(url: str) -> int:
        bus = await connect_bus(url)
        try:
            return await publish(bus, "in.1.a", b"x")
        finally:
            await bus.close()

    with running(tmp_path / "store", "-c", str(tmp_path / "server.conf")) as server:
        monkeypatch.setenv("MIMAMBA_BUS_CREDS", str(good))
        assert asyncio.run(scene(server.url)) == 1
        monkeypatch.setenv("MIMAMBA_BUS_CREDS", str(stranger))
        with pytest.raises(BusUnreachable, match="Expected a NATS server"):
            asyncio.run(scene(server.url))


@pytest.mark.parametrize("fault", ["missing", "empty", "another seed", "two ways", "an account's"])
def test_what_is_no_credentials_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    path = tmp_path / "user.creds"
    monkeypatch.setenv("MIMAMBA_BUS_CREDS", str(path))
    user = Signer(ACCOUNT if fault == "an account's" else USER)
    text = credentials(Signer(ACCOUNT), user)
    if fault == "another seed":
        middle = user.seed[20]
        text = text.replace(user.seed, user.seed.replace(middle, "A" if middle != "A" else "B"))
    if fault != "missing":
        path.write_text("" if fault == "empty" else text, encoding="ascii")
    if fault == "two ways":
        monkeypatch.setenv("MIMAMBA_BUS_USER", "worker")
    match = "found both" if fault == "two ways" else "Expected NATS credentials in"
    with pytest.raises(BusUnreachable, match=match):
        asyncio.run(connect_bus("nats://127.0.0.1:1"))
