"""Sessions of a running service, listed and opened in the terminal."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from tests.service.cli.live.conftest import Invoke
from tests.service.live import Live


def test_a_session_is_opened_and_listed(service: Live, invoke: Invoke) -> None:
    opened = invoke("open", "simulate://?seed=8", "--id", "second", "--person", "P01")
    assert opened.stdout == f"second: {service.url}/#second\n"
    listed = invoke("sessions")
    rows = [line for line in listed.stdout.splitlines() if "(simulated)" in line]
    assert [row.split()[1] for row in rows] == ["simulate-1", "second"]
    assert "open" in rows[1]
    assert "TP9, AF7, AF8, TP10" in rows[1]
    assert "P01" in rows[1]
    found = [json.loads(line) for line in invoke("sessions", "--json").stdout.splitlines()]
    assert [each["id"] for each in found] == ["simulate-1", "second"]
    service.http.delete("/v1/sessions/second")
    again = invoke("open", "simulate://", "--model", "none", "--json")
    assert json.loads(again.stdout)["model"] is None
    service.http.delete(f"/v1/sessions/{json.loads(again.stdout)['id']}")


def test_a_link_for_another_device_is_printed_with_its_code(service: Live, invoke: Invoke) -> None:
    base = f"http://eeg.example:{service.url.rsplit(':', 1)[1]}"
    shared = invoke("share")
    *drawn, link = shared.stdout.splitlines()
    assert shared.stderr.startswith(f"The link leads to {base}, not to {service.url}. If other")
    assert re.fullmatch(rf"{base}/#watch=[a-z2-9]{{10}}", link)
    assert "within 2 minutes" in drawn[0]
    assert sum("▄" in line for line in drawn) > 10
    made = json.loads(invoke("share", "--json").stdout)
    assert made["url"] == f"{base}/#watch={made['code']}"
    assert made["url"] != link
    codes = [{"code": each.rpartition("=")[2]} for each in (link, made["url"])]
    with httpx.Client(base_url=service.url, timeout=30, verify=False) as device:
        assert device.post("/v1/login/code", json=codes[0]).status_code == 200
        assert device.get("/v1/sessions").status_code == 200
        assert invoke("share", "--end").stdout.startswith("All links have ended")
        assert device.get("/v1/sessions").status_code == 401
        assert device.post("/v1/login/code", json=codes[1]).status_code == 401
    assert invoke("share", "--end", "--json").exit_code == 2


def test_tokens_are_made_listed_and_revoked(service: Live, invoke: Invoke) -> None:
    made = invoke("tokens make", "stimulus-pc", "--days", "7")
    token = made.stdout.strip()
    assert re.fullmatch(r"[\w-]{43}", token)
    assert re.fullmatch(r"Token stimulus-pc for view, until 20\d\d-\d\d-\d\d:\n", made.stderr)
    assert invoke("sessions", token=token).exit_code == 0
    assert invoke("tokens list", token=token).exit_code == 2  # it may only view
    (row,) = (line for line in invoke("tokens list").stdout.splitlines() if "stimulus-pc" in line)
    assert "view" in row
    (listed,) = invoke("tokens list", "--json").stdout.splitlines()
    assert token not in listed
    assert invoke("tokens revoke", "stimulus-pc").stdout == "stimulus-pc is revoked.\n"
    assert invoke("sessions", token=token).exit_code == 2
    assert service.http.get("/v1/tokens").json() == []


@pytest.mark.parametrize(
    ("arguments", "token", "said"),
    [
        (["sessions"], "", "The service requires a token. Use"),
        (["tokens revoke", "nobody"], None, "Expected the name of an issued token"),
        (["tokens make", "a", "--scope", "all"], None, "body.scope: Input should be 'view'"),
        (["share"], "w" * 40, "Token not accepted. Use"),
        (["sessions"], "w" * 40, "Token not accepted. Use"),
        (["open", "muse"], None, "Expected"),
        (["open", "/etc/passwd"], None, "Expected a live source or a recording's name"),
        (["sessions", "--url", "127.0.0.1:9"], None, "No mimamba service answers at"),
        (["open", "simulate://", "--url", "127.0.0.1:9"], None, "No mimamba service answers at"),
        (["sessions", "--url", "http://["], None, "Expected a service of mimamba at"),
    ],
)
def test_each_mistake_is_one_sentence(
    arguments: list[str], token: str | None, said: str, invoke: Invoke
) -> None:
    ended = invoke(*arguments) if token is None else invoke(*arguments, token=token)
    assert ended.exit_code == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"mimamba: {said}")
