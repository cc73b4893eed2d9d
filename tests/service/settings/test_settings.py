"""Settings from the environment, as a person writes them there."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from mimamba.service.cli.main import app
from mimamba.service.settings.load import CannotServe, make_settings
from tests.models.marks import without_cuda


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


def test_the_environment_names_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIMAMBA_DEVICE", "cuda")
    monkeypatch.setenv("MIMAMBA_PRECISION", "bf16")
    settings = make_settings({})
    assert (settings.device, settings.precision) == ("cuda", "bf16")
    assert make_settings({"device": "cpu"}).device == "cpu"
    with pytest.raises(
        CannotServe, match="device: Expected 'auto', 'cpu' or 'cuda', but found 'gpu'"
    ):
        make_settings({"device": "gpu"})


@without_cuda
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--device", "cuda"], "Expected a CUDA device, but found"),
        (["--precision", "tf32"], "Expected a CUDA device for --precision tf32, but found"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(flags: list[str], said: str) -> None:
    ended = CliRunner().invoke(app, ["serve", "--port", "0", *flags])
    assert ended.exit_code == 2
    assert ended.stderr.startswith(f"mimamba: {said}")
    assert ended.stderr.count("\n") == 1
