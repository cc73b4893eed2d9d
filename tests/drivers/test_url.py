from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimamba.drivers.errors import BadSource
from mimamba.drivers.url import SCHEMES, SourceURL, parse_source


def source(query: str = "") -> SourceURL:
    return parse_source(f"simulate://?{query}")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_url_has_scheme_place_and_parameters(scheme: str) -> None:
    parsed = parse_source(f"{scheme.upper()}://some/place?a=1&b=two%20words&c=")
    assert (parsed.scheme, parsed.target) == (scheme, "some/place")
    assert parsed.parameters == {"a": "1", "b": "two words", "c": ""}


@pytest.mark.parametrize(
    "path", ["muse.csv", "/data/a b.xdf", "C:/data/muse.csv", r"C:\data\muse.csv", "a?b.csv"]
)
def test_a_bare_path_is_a_recording(path: str) -> None:
    assert parse_source(path) == SourceURL("replay", path, {})


def test_a_scheme_alone_is_told_how_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSource, match="Write muse://"):
        parse_source("muse")
    (tmp_path / "muse").touch()
    assert parse_source("muse").target == "muse"


def test_an_escaped_path_is_unescaped() -> None:
    assert parse_source("replay:///data/my%20file%3F.xdf?speed=2").target == "/data/my file?.xdf"


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(BadSource, match="simulate://, replay://, brainflow://, lsl://"):
        parse_source("http://example.org/")


def test_a_parameter_that_stands_twice() -> None:
    with pytest.raises(BadSource, match="once"):
        source("seed=1&seed=2")


@given(st.floats(-10.0, 10.0))
@settings(deadline=None)
def test_a_number_in_range_is_taken(value: float) -> None:
    assert source(f"x={value!r}").number("x", 0.0, -10.0, 10.0) == value


@pytest.mark.parametrize("text", ["11", "-10.1", "nan", "inf", "ten", ""])
def test_a_number_out_of_range(text: str) -> None:
    with pytest.raises(BadSource, match="x from -10 to 10"):
        source(f"x={text}").number("x", 0.0, -10.0, 10.0)


def test_what_is_absent_has_its_default() -> None:
    assert source().text("x") is None
    assert source().number("x", 99.0, 0.0, 1.0) == 99.0
    assert source().integer("x", 7, 0, 9) == 7
    assert source().flag("x") is False
    assert source().choice("x", "a", ("a", "b")) == "a"


def test_a_whole_number() -> None:
    assert source("x=3").integer("x", 0, 0, 9) == 3
    with pytest.raises(BadSource, match="whole"):
        source("x=2.5").integer("x", 0, 0, 9)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("TRUE", True), ("yes", True), ("on", True), ("0", False), ("Off", False)],
)
def test_a_flag(text: str, value: bool) -> None:
    assert source(f"x={text}").flag("x") is value


def test_a_flag_that_is_neither() -> None:
    with pytest.raises(BadSource, match="x=0 or x=1"):
        source("x=maybe").flag("x")


def test_a_choice() -> None:
    assert source("x=b").choice("x", "a", ("a", "b")) == "b"
    with pytest.raises(BadSource, match="a, b"):
        source("x=c").choice("x", "a", ("a", "b"))


def test_what_nobody_took_is_refused() -> None:
    parsed = source("seed=1&sede=2")
    parsed.integer("seed", 0, 0, 9)
    with pytest.raises(BadSource, match=r"\(seed\), but found sede"):
        parsed.check_unused()
    parsed.text("sede")
    parsed.check_unused()
