"""Settings from flags, the environment and a file, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from mimamba.service.cli.main import app
from mimamba.service.cli.options import recordings_folder
from mimamba.service.settings.load import (
    BadConfig,
    CannotServe,
    find_config,
    make_settings,
    masked,
    origins,
)
from mimamba.service.storage.folders import NoDataFolder, data_folder
from tests.service.auth.test_tokens import CONTROL, VIEW


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mimamba.toml"
    path.write_text('port = 9001\nmodel = "none"\nsource = ["simulate://", "day 1.csv"]\n')
    return path


def test_flags_go_before_the_environment_before_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make_settings({}, file).port == 9001
    monkeypatch.setenv("MIMAMBA_PORT", "9002")
    assert make_settings({}, file).port == 9002
    settings = make_settings({"port": 9003}, file)
    assert settings.port == 9003
    assert settings.source == ["simulate://", "day 1.csv"]
    assert settings.model == "none"
    assert settings.host == "127.0.0.1"


def test_each_setting_says_where_it_came_from(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIMAMBA_PORT", "9002")
    came = origins({"lsl_out": True}, file)
    assert came["lsl_out"] == "flag --lsl-out"
    assert came["port"] == "environment MIMAMBA_PORT"
    assert came["model"] == str(file)
    assert came["host"] == "default"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1\n", "found the unknown key 'prot'. Use 'port'"),
        ("data-dir = 'x'\n", "Use 'data_dir'"),
        ("port = \n", "Expected TOML in"),
        ("name = 'caf\udce9'\n", "Expected TOML in"),
    ],
)
def test_a_file_that_is_none_is_one_line(file: Path, text: str, said: str) -> None:
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(BadConfig, match=said) as caught:
        make_settings({}, file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_that_is_none_names_the_file(file: Path) -> None:
    file.write_text("port = 'many'\n")
    with pytest.raises(CannotServe, match=f"{file}: port: Expected .*, but found 'many'"):
        make_settings({}, file)


def test_a_token_that_is_no_text_is_not_printed(file: Path) -> None:
    file.write_text("token = 1234567890123456\n")
    with pytest.raises(CannotServe, match="token: Expected") as caught:
        make_settings({}, file)
    assert "1234" not in str(caught.value)


def test_a_file_that_is_not_there_matters_only_where_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mimamba.service.settings.load.user_config_path", lambda *_, **__: tmp_path)
    assert find_config(None) is None
    (tmp_path / "mimamba.toml").touch()
    assert find_config(None) == tmp_path / "mimamba.toml"
    with pytest.raises(BadConfig, match="No such file"):
        make_settings({}, find_config(tmp_path / "other.toml"))


def test_the_file_also_tells_where_recordings_are_listed(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIMAMBA_DATA_DIR")
    monkeypatch.setenv("MIMAMBA_CONFIG", str(file))
    file.write_text(f"data_dir = '{tmp_path}/data'\n")
    with pytest.raises(NoDataFolder, match=f"Expected a data folder at {tmp_path}/data, but found"):
        recordings_folder(None)
    (tmp_path / "data").mkdir()
    assert recordings_folder(None) == tmp_path / "data"
    assert recordings_folder(tmp_path) == tmp_path


def test_commands_without_a_service_ask_no_more_than_where_files_lie(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIMAMBA_HOST", "0.0.0.0")  # without TLS: what serve refuses
    monkeypatch.setenv("MIMAMBA_PORT", "many")
    monkeypatch.setenv("MIMAMBA_CONFIG", str(file))
    monkeypatch.setenv("MIMAMBA_DATA_DIR", str(tmp_path))
    for line in (["recordings"], ["people"], ["recover"], ["recordings", "--json"]):
        ended = CliRunner().invoke(app, line)
        assert ended.exit_code == 0, (line, ended.output)
    ended = CliRunner().invoke(app, ["serve"])
    assert ended.exit_code == 2
    assert "port: Expected" in ended.stderr
    monkeypatch.delenv("MIMAMBA_PORT")
    ended = CliRunner().invoke(app, ["serve"])
    assert ended.exit_code == 2
    assert "Expected TLS beyond this machine" in ended.stderr
    monkeypatch.setenv("MIMAMBA_DATA_DIR", str(file))
    ended = CliRunner().invoke(app, ["recordings"])
    assert ended.exit_code == 2
    assert "Expected a folder of recordings" in ended.stderr


def test_the_command_shows_what_is_in_force(file: Path) -> None:
    file.write_text(f"{file.read_text()}view_token = '{VIEW}'\n")
    line = ["config", "--config", str(file), "--no-memory", "--port", "0"]
    ended = CliRunner().invoke(app, line, env={"COLUMNS": "300", "MIMAMBA_TOKEN": CONTROL})
    assert ended.exit_code == 0, ended.stderr
    assert CONTROL not in ended.output
    assert VIEW not in ended.output
    rows = {row[0]: row[1:] for each in ended.stdout.splitlines() if (row := each.split("│")[1:-1])}
    told = {name.strip(): [cell.strip() for cell in cells] for name, cells in rows.items()}
    assert told["port"] == ["0", "flag --port"]
    assert told["memory"] == ["False", "flag --memory"]
    assert told["source"] == ["simulate:// day 1.csv", str(file)]
    assert told["host"] == ["127.0.0.1", "default"]
    assert told["token"] == ["********", "environment MIMAMBA_TOKEN"]
    assert told["view_token"] == ["********", str(file)]


def test_a_default_that_a_person_has_not_named_is_reported_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIMAMBA_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    ended = CliRunner().invoke(app, ["config"], env={"COLUMNS": "300"})
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ended.stdout.splitlines()]
    assert ["model", "demo", "default"] in rows
    assert ["data_dir", str(data_folder(None)), "default"] in rows
    assert "…" not in CliRunner().invoke(app, ["config"], env={"COLUMNS": "40"}).stdout


def test_secrets_are_masked() -> None:
    assert masked("token", "hunter2") == masked("key", SecretStr("hunter2")) == "********"
    assert masked("token_file", Path("/etc/tokens")) == "/etc/tokens"
    assert masked("token", None) == "(none)"
