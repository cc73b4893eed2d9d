"""A proxy's headers count if it is trusted, and a prefix works whether it removes it or not."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from mimamba.service.auth.login_throttle import MAX_FAILURES
from mimamba.service.http.proxy import address_of
from mimamba.service.protocol.messages import Heartbeat, Hello
from mimamba.service.settings.load import CannotServe, make_settings
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.cli.test_main import invoke
from tests.service.live import PATIENCE, Live, bearer, live, talk


def ask(method: str, url: httpx.URL | str, **more: Any) -> httpx.Response:
    """Send a request as a stranger does: without a token, and on a connection of its own."""
    return httpx.request(method, url, timeout=PATIENCE, verify=False, **more)


def attempt(service: Live, forwarded: str | None) -> int:
    """Send a wrong token for somebody, and return the answer's status."""
    headers = bearer("wrong-token-wrong-token")
    if forwarded is not None:
        headers["X-Forwarded-For"] = forwarded
    return ask("GET", f"{service.url}/v1/sessions", headers=headers).status_code


def test_a_client_cannot_give_another_address_for_each_wrong_token() -> None:
    with live(source=[], token=CONTROL) as service:
        tried = [attempt(service, f"203.0.113.{n}") for n in range(MAX_FAILURES + 1)]
        assert tried == [401] * MAX_FAILURES + [429]


def test_a_trusted_proxy_names_the_client_it_sends_for() -> None:
    with live(source=[], token=CONTROL, trusted_proxy=["127.0.0.0/8"]) as service:
        # What the client itself sent comes first; the proxy appended the last.
        tried = [attempt(service, f"198.51.100.{n}, 203.0.113.1") for n in range(MAX_FAILURES + 1)]
        assert tried == [401] * MAX_FAILURES + [429]
        assert attempt(service, "203.0.113.2") == 401
        assert attempt(service, "nonsense") == 401
        assert attempt(service, "203.0.113.1, 127.0.0.5") == 429


@pytest.mark.parametrize(("trusted", "secure"), [([], False), (["127.0.0.1"], True)])
def test_the_scheme_is_believed_of_a_trusted_proxy_only(trusted: list[str], secure: bool) -> None:
    with live(source=[], token=CONTROL, trusted_proxy=trusted) as service:
        headers = {"X-Forwarded-Proto": "https"}
        answer = ask("POST", f"{service.url}/v1/login", json={"token": CONTROL}, headers=headers)
        assert ("Secure" in answer.headers["set-cookie"]) == secure


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("203.0.113.1:80", "203.0.113.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("evil", None),
        ("", None),
        ("[::1", "::1"),
    ],
)
def test_entries_of_a_header(text: str, address: str | None) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize(
    ("address", "trusted"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("fd00::1", True), ("11.0.0.1", False),
     ("fe80::1%eth0", False), ("", False)],
)  # fmt: skip
def test_networks_of_proxies(address: str, trusted: bool) -> None:
    settings = make_settings({"trusted_proxy": ["10.9.9.9/8", "fd00::/16"]})
    assert settings.is_trusted_proxy(address) == trusted


@pytest.mark.parametrize(
    "flags",
    [{"trusted_proxy": ["*"]}, {"trusted_proxy": ["proxy.example"]}, {"root_path": "eeg"},
     {"root_path": "/a b"}, {"root_path": "/../a?b"}, {"root_path": "//evil.example"},
     {"public_url": "eeg.example"}, {"public_url": "ftp://eeg.example"},
     {"public_url": "https://me@eeg.example"}, {"public_url": "https://eeg.example/a?b"},
     {"public_url": "https://eeg.example:99999"},
     {"public_url": "https://eeg.example/a", "root_path": "/b"}],
)  # fmt: skip
def test_what_is_no_proxy_and_no_path_is_refused(flags: dict[str, object]) -> None:
    with pytest.raises(CannotServe, match="Expected"):
        make_settings(flags)


def test_a_public_address_has_the_name_and_the_path() -> None:
    settings = make_settings({"public_url": "HTTPS://EEG.example:8443/Base/"})
    assert settings.public_url == "https://eeg.example:8443/Base"
    assert (settings.root_path, settings.host_names) == ("/Base", ["eeg.example"])
    assert make_settings({"public_url": "http://[2001:db8::7]"}).host_names == ["2001:db8::7"]
    assert make_settings({"public_url": ""}).public_url is None


def test_links_have_the_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    public = "https://eeg.example.org/base"
    with live(source=[], token=CONTROL, view_token=VIEW, public_url=public) as service:
        made = service.http.post("/v1/watch-codes").json()
        assert (made["url"], made["public"]) == (f"{public}/#watch={made['code']}", True)
        monkeypatch.setenv("MIMAMBA_TOKEN", CONTROL)
        shared = invoke("share", "--url", service.url)
        assert shared.stderr == f"The link leads to {public}, the service's public address.\n"
        named = {"Host": "eeg.example.org", "Origin": "https://eeg.example.org"}
        assert service.http.get("/base/v1/sessions", headers=named).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("prefix", ["", "/lab/eeg"])
async def test_a_prefix_works_whether_the_proxy_removes_it_or_not(prefix: str) -> None:
    with live(source=[], token=CONTROL, view_token=VIEW, root_path="/lab/eeg/") as service:
        page = ask("GET", f"{service.url}{prefix}/")
        assert page.status_code == 200
        for address in re.findall(r'(?:href|src)="([^"]+)"', page.text):
            part = ask("GET", httpx.URL(f"{service.url}{prefix}/").join(address))
            assert part.status_code == 200, address
        assert ask("GET", f"{service.url}{prefix}/v1/sessions").status_code == 401
        assert ask("GET", f"{service.url}{prefix}/healthz").status_code == 200
        assert service.http.get(f"{prefix}/v1/sessions").json() == []
        answer = ask("POST", f"{service.url}{prefix}/v1/login", json={"token": VIEW})
        assert "Path=/lab/eeg;" in answer.headers["set-cookie"]
        async with talk(f"{service.url}{prefix}", headers=bearer(VIEW)) as client:
            assert (await client.find(Hello)).scope == "view"
            await client.find(Heartbeat)
        document = service.http.get(f"{prefix}/v1/openapi.json").json()
        assert document["servers"] == [{"url": "/lab/eeg"}]


def test_a_prefix_without_its_slash_leads_to_the_page() -> None:
    with live(source=[], root_path="/eeg") as service:
        answer = ask("GET", f"{service.url}/eeg")
        assert (answer.status_code, answer.headers["location"]) == (307, "/eeg/")
        assert ask("GET", f"{service.url}/eegs").status_code == 404
