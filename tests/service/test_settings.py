"""Settings from the environment, as a person writes them there."""

from __future__ import annotations

import pytest

from service.serve import CannotServe, make_settings


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("simulate://", ["simulate://"]),
        ("simulate://?ch=a,b  lsl://?type=EEG\n", ["simulate://?ch=a,b", "lsl://?type=EEG"]),
        ('["day 1/muse.csv", "lsl://"]', ["day 1/muse.csv", "lsl://"]),
    ],
)
def test_the_environment_names_sources(
    text: str, sources: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIMAMBA_SOURCE", text)
    assert make_settings({}).source == sources
    assert make_settings({"source": ["a b.csv"]}).source == ["a b.csv"]


def test_the_environment_names_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIMAMBA_ALLOWED_HOST", "eeg.example lab.example")
    assert make_settings({}).allowed_host == ["eeg.example", "lab.example"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("SOURCE", '["simulate://"'), ("SOURCE", "[1]"), ("PORT", "many"), ("MEMORY", "perhaps")],
)
def test_what_is_wrong_is_one_line(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MIMAMBA_{name}", text)
    with pytest.raises(CannotServe, match=name.lower()) as caught:
        make_settings({})
    assert "\n" not in str(caught.value)
