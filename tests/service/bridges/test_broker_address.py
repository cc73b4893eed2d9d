"""Addresses of brokers, and topics."""

from __future__ import annotations

import pytest

from mimamba.service.bridges.broker_address import (
    BadAddress,
    BrokerAddress,
    is_topic,
    parse_address,
)


def test_an_address_has_defaults_and_hides_its_password() -> None:
    assert parse_address("mqtt://broker") == BrokerAddress("broker", 1883)
    assert parse_address("mqtts://broker/lab/eeg/") == BrokerAddress(
        "broker", 8883, "lab/eeg", secure=True
    )
    found = parse_address("mqtt://me:p%40ss%2Fw%3Ard@[::1]:99/my%20home")
    assert found == BrokerAddress("::1", 99, "my home", user="me", password="p@ss/w:rd")
    assert str(found) == "mqtt://me@[::1]:99/my home"
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("broker", "found another"),
        ("http://broker", "found another"),
        ("mqtt://", "found another"),
        ("mqtt://me:secret@broker:99999/a", "found another"),
        ("mqtt://me:secret@broker/a#", "'?' or '#'"),
        ("mqtt://me:secret@broker/a?b", "'?' or '#'"),
        ("mqtt://me:secret@broker/+/a", "the prefix '+/a'"),
        ("mqtt://me:secret@broker/a//b", "the prefix 'a//b'"),
        ("mqtt://me:sec/ret@broker", "found another"),
        ("me:secret@broker:1883", "('***@broker:1883')"),
        ("mqtt:me:secret@broker", "('***@broker')"),
        ("mqtt://me:123/sec+ret@broker", "one with '@' after '/'"),
        ("mqtt://me:123/secret@broker", "one with '@' after '/'"),
        ("mqtt://me:secret@home..lan", "the host 'home..lan'"),
        (f"mqtt://{'a' * 64}.lan", "the host 'aaaa"),
    ],
)
def test_what_is_no_address_is_told_without_its_password(text: str, words: str) -> None:
    with pytest.raises(BadAddress) as raised:
        parse_address(text)
    assert words in str(raised.value)
    assert "sec" not in str(raised.value)


def test_topics_to_publish_to_have_no_wildcards() -> None:
    assert is_topic("home/calm light")
    for other in ("", "$SYS/a", "a/+", "a/#", "a//b", "/a", "a\n", "a" * 300, 5):
        assert not is_topic(other)
