"""A guarded service over TLS, and every client of ours that talks to it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from mimamba.service.acquire.acquirer import Acquirer
from mimamba.service.cli.main import app
from mimamba.service.client.client import Client, ServiceUnreachable
from mimamba.service.client.credentials import BadCertificate, Credentials, Unauthorized
from mimamba.service.protocol.messages import SessionState
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.certificates import Certificate, make_certificate
from tests.service.live import PATIENCE, Live, live
from tests.service.muse_recordings import write_muse

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_muse(tmp_path_factory.mktemp("muse") / "muse.csv", seconds=2)


@pytest.fixture(scope="module")
def service(certificate: Certificate, recording: Path) -> Iterator[Live]:
    with live(
        f"replay://{recording}?hold=1",
        trust=certificate.trust(),
        model="none",
        host="0.0.0.0",
        token=CONTROL,
        view_token=VIEW,
        **certificate.settings(),
    ) as service:
        service.opened("replay-1")
        yield service


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{CONTROL}\n")
    return path


def test_the_cookie_is_for_tls_alone(service: Live, certificate: Certificate) -> None:
    origin = {"Origin": service.url}
    with httpx.Client(
        base_url=service.url, timeout=PATIENCE, verify=certificate.trust()
    ) as browser:
        answer = browser.post("/v1/login", json={"token": VIEW}, headers=origin)
        assert "Secure" in answer.headers["set-cookie"].split("; ")
        assert browser.get("/v1/sessions", headers=origin).status_code == 200


def test_a_page_that_came_without_tls_is_foreign(service: Live) -> None:
    origin = {"Origin": service.url.replace("https", "http")}
    assert service.http.get("/v1/sessions", headers=origin).status_code == 403


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_a_right_token_opens_no_way_for_foreign_pages(
    service: Live, headers: dict[str, str]
) -> None:
    assert service.http.get("/v1/sessions", headers=headers).status_code == 403


async def test_the_client_shows_its_token(service: Live, certificate: Certificate) -> None:
    shown = Credentials(VIEW, certificate.authority)
    async with asyncio.timeout(PATIENCE), Client(service.url, credentials=shown) as client:
        async for message in client:
            if isinstance(message, SessionState):
                assert message.session == "replay-1"
                break


@pytest.mark.parametrize("token", [None, "a-token-of-another-service"])
async def test_a_client_without_the_token_is_told_so(
    service: Live, certificate: Certificate, token: str | None
) -> None:
    shown = Credentials(token, certificate.authority)
    async with asyncio.timeout(PATIENCE), Client(service.url, credentials=shown) as client:
        with pytest.raises(Unauthorized, match=r"oken.+ Use .+--token-file"):
            async for _ in client:
                pass


async def test_a_certificate_of_nobody_we_know_is_not_trusted(service: Live) -> None:
    with pytest.raises(ServiceUnreachable, match="--cafile"):
        async with Client(service.url, credentials=Credentials(CONTROL)):
            pass


async def test_an_acquirer_delivers_over_tls(
    service: Live, certificate: Certificate, recording: Path
) -> None:
    shown = Credentials(CONTROL, certificate.authority)
    to = service.url.replace("https", "wss")
    said: list[str] = []
    acquirer = Acquirer(str(recording), to, "far", "none", credentials=shown, on_change=said.append)
    async with asyncio.timeout(PATIENCE):
        await acquirer.run()
    assert acquirer.outbox is not None
    assert acquirer.outbox.delivered
    service.until(lambda: service.sessions()["far"]["state"] == "ended")
    assert CONTROL not in "".join(said)


@pytest.mark.parametrize("token", [None, "a-token-of-another-service", VIEW])
async def test_an_acquirer_that_may_not_push_is_told_so_before_its_source_is_opened(
    service: Live, certificate: Certificate, token: str | None
) -> None:
    acquirer = Acquirer(
        "no-such-file.csv", service.url, credentials=Credentials(token, certificate.authority)
    )
    with pytest.raises(Unauthorized, match=r"oken.+ Use"):
        await acquirer.run()


def test_the_commands_show_a_token(
    service: Live, certificate: Certificate, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = ["--cafile", str(certificate.authority)]
    control = ["control", "replay-1", "--url", service.url, *trusted]
    done = CliRunner().invoke(app, [*control, "--pause", "--token-file", str(token_file)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("paused")
    monkeypatch.setenv("MIMAMBA_TOKEN", VIEW)
    done = CliRunner().invoke(app, control)
    assert done.exit_code == 0
    done = CliRunner().invoke(app, [*control, "--resume"])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "Use the token for control" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "watch {url}",
        "control replay-1 --url {url}",
        "acquire --source {recording} --to {url}",
    ],
)
@pytest.mark.parametrize("token", ["", "a-token-of-another-service", "tooshort"])
def test_without_a_right_token_a_command_says_so_in_one_line(
    service: Live,
    certificate: Certificate,
    recording: Path,
    command: str,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIMAMBA_TOKEN", token)
    words = command.format(url=service.url, recording=recording).split()
    done = CliRunner().invoke(app, [*words, "--cafile", str(certificate.authority)])
    assert done.exit_code == 2
    [line] = done.stderr.splitlines()
    assert re.match(
        "mimamba: (The service requires a token|Token not accepted|Expected a token)", line
    )
    assert "token" in line
    assert not token or token not in line


def test_certificates_that_are_none_are_reported(certificate: Certificate, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pem", certificate.key):
        with pytest.raises(BadCertificate, match=r"Cannot read certificates .+: .+. Correct"):
            Credentials(None, path)
    for files in (("missing.pem", None), (certificate.authority, certificate.key)):
        flags = ["--ssl-certfile", str(files[0])]
        flags += ["--ssl-keyfile", str(files[1])] if files[1] else []
        done = CliRunner().invoke(app, ["serve", "--port", "0", *flags])
        assert done.exit_code == 2
        assert done.stderr.startswith("mimamba: Cannot use the certificate in ")
        assert done.stderr.count("\n") == 1
