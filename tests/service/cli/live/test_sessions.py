"""Sessions of a running service, listed and opened in the terminal."""

from __future__ import annotations

import json

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


@pytest.mark.parametrize(
    ("arguments", "token", "said"),
    [
        (["sessions"], "", "The service requires a token. Use"),
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
