"""Issued tokens: kept as hashes, until their day, and not a moment after they were revoked."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from mimamba.service.auth import issued_tokens
from mimamba.service.auth.issued_tokens import (
    DAY,
    FILE,
    CannotKeepTokens,
    IssuedTokens,
    NoToken,
    TokenRefused,
)


def test_a_token_outlives_the_service_and_is_written_nowhere(tmp_path: Path) -> None:
    made, token = IssuedTokens(tmp_path, lambda: 1000.0).make("lab-pc", "control", 2)
    path = tmp_path / FILE
    assert token not in path.read_text("utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = IssuedTokens(tmp_path, lambda: 1000.0 + 2 * DAY - 1)
    assert again.find(token) == made
    assert again.all() == [made]
    assert again.find("of-nobody") is None
    late = IssuedTokens(tmp_path, lambda: 1000.0 + 2 * DAY)
    assert late.find(token) is None
    assert late.all() == [made]
    newer, other = late.make("lab-pc", "view", 1)  # in the place of the expired one
    assert late.all() == [newer]
    assert late.find(other) == newer


def test_names_are_taken_once_and_revoked_by(tmp_path: Path) -> None:
    issued = IssuedTokens(tmp_path)
    _, token = issued.make("lab-pc", "view", 1)
    with pytest.raises(TokenRefused, match="called 'lab-pc' already"):
        issued.make("lab-pc", "view", 1)
    issued.revoke("lab-pc")
    assert issued.find(token) is None
    assert IssuedTokens(tmp_path).all() == []
    with pytest.raises(NoToken, match="but found 'lab-pc'"):
        issued.revoke("lab-pc")


def test_two_services_share_a_folder(tmp_path: Path) -> None:
    """A token that one of them revokes ends in the other, and comes back with no other change."""
    one, other = IssuedTokens(tmp_path), IssuedTokens(tmp_path)
    _, token = one.make("lab-pc", "control", 1)
    assert other.find(token)
    one.revoke("lab-pc")
    assert other.find(token) is None
    _, second = other.make("tablet", "view", 1)
    assert one.find(token) is None
    assert one.find(second)
    assert [each.name for each in one.all()] == ["tablet"]


def test_a_full_disk_keeps_no_token_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = IssuedTokens(tmp_path)
    _, token = issued.make("lab-pc", "control", 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(issued_tokens, "replace_file", full)
    with pytest.raises(CannotKeepTokens, match="has ended, but will be good again after a restart"):
        issued.revoke("lab-pc")
    assert issued.find(token) is None
    with pytest.raises(CannotKeepTokens, match="Cannot write"):
        issued.make("tablet", "view", 1)
    assert issued.all() == []


def test_tokens_are_bounded(tmp_path: Path) -> None:
    issued = IssuedTokens(tmp_path, most=2)
    for number in range(2):
        issued.make(f"token-{number}", "view", 1)
    with pytest.raises(TokenRefused, match="at most"):
        issued.make("one-more", "view", 1)


@pytest.mark.parametrize("content", [b"{", b'[{"name": "a"}]', b"\xff"])
def test_a_damaged_file_is_said_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(CannotKeepTokens, match="Cannot read the issued tokens in"):
        IssuedTokens(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_folder_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    issued = IssuedTokens(tmp_path / "file")
    with pytest.raises(CannotKeepTokens, match="Cannot write"):
        issued.make("lab-pc", "view", 1)
    assert issued.all() == []
