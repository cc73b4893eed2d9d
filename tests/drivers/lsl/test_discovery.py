"""Handles of a stream: type in any case, name, source_id, hostname, uid and number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from mimamba.drivers.errors import BadSource, DeviceNotFound
from mimamba.drivers.lsl.discovery import StreamQuery, is_configured
from mimamba.drivers.open import open_driver
from mimamba.drivers.url import parse_source
from tests.drivers.lsl.senders import RealTimeSender
from tests.drivers.lsl.test_driver import EVENTUALLY, not_found, sending

pylsl = pytest.importorskip("pylsl", exc_type=ImportError)


@pytest.mark.parametrize("kind", ["eeg", "Eeg", "EEG"])
def test_the_type_is_found_in_any_case(kind: str) -> None:
    for also in ("", "&type=eEg"):
        with sending(50, kind=kind) as (sender, _, _), open_driver(sender.url + also) as driver:
            assert driver.info.name == sender.name


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[str, list[RealTimeSender]]]:
    """The name of two streams that send, and these."""
    name = f"two {uuid4()}"
    with (
        RealTimeSender(name=name, source_id="first") as one,
        RealTimeSender(name=name, source_id="second") as other,
    ):
        yield name, [one, other]


@pytest.mark.parametrize(
    ("handle", "found"),
    [
        ("stream=second", "second"),
        ("source_id=second", "second"),
        ("stream=2&name={name}", "second"),
        ("stream=1&name={name}", "first"),
        ("stream={uid}", "second"),
        ("uid={uid}", "second"),
        ("hostname={hostname}&source_id=second", "second"),
        ("stream={hostname}&name={name}", "first"),
    ],
)
def test_each_handle_selects(
    two: tuple[str, list[RealTimeSender]], handle: str, found: str
) -> None:
    name, _ = two
    by_id = {
        stream.source_id(): stream
        for stream in StreamQuery.from_url(parse_source(f"lsl://?name={name}")).find(EVENTUALLY, 2)
    }
    facts = {"uid": by_id["second"].uid(), "hostname": by_id["second"].hostname(), "name": name}
    with open_driver(f"lsl://?{handle.format(**facts)}&timeout={EVENTUALLY:g}") as driver:
        assert driver.info.source_id == f"lsl:{found}"


def test_the_notice_says_what_tells_them_apart(two: tuple[str, list[RealTimeSender]]) -> None:
    with open_driver(f"lsl://?name={two[0]}&timeout={EVENTUALLY:g}") as driver:
        (notice,) = driver.info.notices
    for word in ("source_id first", "source_id second", "hostname", "uid", "number"):
        assert word in notice


def test_a_number_that_is_not_there_is_reported(two: tuple[str, list[RealTimeSender]]) -> None:
    told = not_found(f"lsl://?name={two[0]}&stream=7&timeout=2", "source_id second")
    assert "stream='7'" in told
    assert "source_id first" in told


def test_a_network_without_streams_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pylsl.resolve_streams", lambda _: [])
    with pytest.raises(DeviceNotFound, match="firewall"):
        open_driver(f"lsl://?name={uuid4()}&timeout=0.2").__enter__()


@pytest.mark.parametrize("name", ["stream", "hostname", "uid", "type"])
def test_a_value_with_both_quotes_is_refused(name: str) -> None:
    with pytest.raises(BadSource):
        open_driver(f"lsl://?{name}=a'b\"c")


def test_a_configuration_is_found_and_a_home_that_is_missing_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LSLAPICFG", "~no-such-user/lsl_api.cfg")
    is_configured()  # raises nothing
    (tmp_path / "own.cfg").touch()
    monkeypatch.setenv("LSLAPICFG", "~/own.cfg")
    assert is_configured()
