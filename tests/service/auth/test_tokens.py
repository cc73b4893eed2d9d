"""Tokens: which are taken, where they come from, and that nobody else reads them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from mimamba.service.auth.tokens import BadToken, Tokens, read_tokens, write_tokens
from mimamba.service.settings.load import CannotServe, make_settings

CONTROL = "a-token-that-controls"
VIEW = "a-token-that-only-views"
BEYOND: dict[str, object] = {"host": "0.0.0.0", "insecure_http": True}


def test_a_token_has_its_scope_and_no_other_has_one() -> None:
    tokens = Tokens(CONTROL, VIEW)
    assert tokens.scope_of(CONTROL) == "control"
    assert tokens.scope_of(VIEW) == "view"
    for other in ("", CONTROL[:-1], CONTROL + "x", CONTROL.upper(), "µ" * 20):
        assert tokens.scope_of(other) is None
    assert Tokens().scope_of("") is None
    assert CONTROL not in repr(tokens)


@pytest.mark.parametrize("token", ["", "short", "with spaces in its midst", "ümläut-is-no-header"])
def test_what_is_no_token_is_reported_without_telling_it(token: str) -> None:
    with pytest.raises(BadToken, match=r"Expected .+, but found .+. .+") as caught:
        Tokens(control=token)
    assert not token or token not in str(caught.value)


def test_one_token_for_both_scopes_would_be_a_mistake() -> None:
    with pytest.raises(BadToken, match="different tokens"):
        Tokens(CONTROL, CONTROL)


def test_loopback_asks_for_nothing_unless_a_token_was_given() -> None:
    assert not make_settings({}).tokens().any
    given = make_settings({"token": CONTROL}).tokens()
    assert (given.control, given.view) == (CONTROL, None)
    given = make_settings({"view_token": VIEW}).tokens()
    assert given.view == VIEW
    assert given.control is not None


def test_beyond_loopback_tokens_are_made() -> None:
    first, second = (make_settings(BEYOND).tokens() for _ in range(2))
    assert len({first.control, first.view, second.control, second.view}) == 4
    assert min(len(each or "") for each in (first.control, first.view)) >= 43  # 256 bits
    assert make_settings(BEYOND | {"token": CONTROL}).tokens() == Tokens(CONTROL)
    behind_a_proxy = make_settings({"public_url": "https://eeg.example"})  # which others reach
    assert behind_a_proxy.on_loopback
    assert None not in (behind_a_proxy.tokens().control, behind_a_proxy.tokens().view)


def test_tokens_come_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIMAMBA_TOKEN", CONTROL)
    monkeypatch.setenv("MIMAMBA_VIEW_TOKEN", VIEW)
    settings = make_settings({})
    assert settings.tokens() == Tokens(CONTROL, VIEW)
    assert CONTROL not in f"{settings!r}{settings.model_dump()}"
    file = tmp_path / "token"
    file.write_text("another-token-of-a-file\r\n\n")
    assert make_settings({"token_file": file}).tokens() == Tokens("another-token-of-a-file")


def test_what_is_written_is_read_and_is_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tokens"
    for tokens in (Tokens(CONTROL, VIEW), Tokens(CONTROL)):
        write_tokens(path, tokens)
        assert read_tokens(path) == tokens
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)  # as somebody left it; what replaces it is private again
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, b"", b"\n \n", b"\xff\xfe", b"one\ntwo\nthree\n"])
def test_a_file_without_tokens_is_reported_in_one_line(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadToken, match=r"(Cannot read|Expected one or two).+. Correct") as caught:
        read_tokens(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"host": "0.0.0.0"}, "--insecure-http"),
        ({"host": "::"}, "--ssl-certfile"),
        ({"host": "lab.example"}, "--allowed-host"),
        ({"ssl_keyfile": Path("key.pem")}, "--ssl-certfile"),
    ],
)
def test_a_bind_that_is_not_safe_is_one_line(flags: dict[str, object], words: str) -> None:
    with pytest.raises(CannotServe, match=r"Expected .+, but found .+. .+") as caught:
        make_settings({**flags, "token": CONTROL})
    assert words in str(caught.value)
    assert CONTROL not in str(caught.value)
