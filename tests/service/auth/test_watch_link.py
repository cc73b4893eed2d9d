"""Links for other devices: the right address, and a QR code that a reader would accept."""

from __future__ import annotations

import re

import pytest
import segno

from mimamba.service.auth.watch_link import (
    QUIET_ZONE,
    base_url,
    draw_qr,
    is_loopback,
    network_host,
    own_host,
    watch_url,
)


def test_a_drawn_code_has_the_modules_of_the_library() -> None:
    url = watch_url(base_url("http", "192.0.2.7", 8765, "/eeg"), "k7m2qx9dab")
    assert url == "http://192.0.2.7:8765/eeg/#watch=k7m2qx9dab"
    drawn = draw_qr(url)
    dark = {
        (int(row), int(column) + step)
        for column, row, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", drawn.path)
        for step in range(int(width))
    }
    rows = list(segno.make(url, micro=False).matrix_iter(border=QUIET_ZONE))
    assert drawn.size == len(rows)
    assert dark == {(y, x) for y, row in enumerate(rows) for x, each in enumerate(row) if each}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("0.0.0.0", True),
        ("[::]", True),
        ("192.0.2.7", False),
        ("eeg.example", False),
    ],
)
def test_which_hosts_lead_to_this_machine_only(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


def test_a_name_goes_before_an_address_and_that_before_a_search() -> None:
    assert network_host("0.0.0.0", ["eeg.example"]) == "eeg.example"
    assert network_host("192.0.2.7", []) == "192.0.2.7"
    for wildcard in ("0.0.0.0", "::"):
        found = network_host(wildcard, [])
        assert found is None or not is_loopback(found)
    assert [own_host(each) for each in ("0.0.0.0", "::", "::2")] == ["127.0.0.1", "::1", "::2"]
    assert base_url("https", "2001:db8::7", 443, "") == "https://[2001:db8::7]:443"
