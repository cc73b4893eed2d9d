"""The settings of a broker: where its password comes from, and mistakes in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mimamba.service.cli.main import app
from mimamba.service.client.credentials import BadCertificate
from mimamba.service.mqtt.broker import BadBroker, find_broker
from mimamba.service.settings.load import CannotServe, make_settings
from tests.service.mqtt.mosquitto import PASSWORD, USER, mosquitto

pytest.importorskip("aiomqtt", reason="the extra mqtt is not installed")


def password(**flags: object) -> str | None:
    broker = find_broker(make_settings(flags))
    assert broker is not None
    return broker.address.password


def test_a_file_goes_before_the_environment_before_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "mqtt://me:in-address@broker/lab"
    assert find_broker(make_settings({})) is None
    assert password(mqtt_out=address) == "in-address"
    monkeypatch.setenv("MIMAMBA_MQTT_PASSWORD", "in-environment")
    assert password(mqtt_out=address) == "in-environment"
    file = tmp_path / "password"
    file.write_text("in-file\n")
    assert password(mqtt_out=address, mqtt_password_file=file) == "in-file"
    shown = CliRunner().invoke(app, ["config", "--mqtt-out", address]).output
    assert "mqtt://me@broker:1883/lab" in " ".join(shown.split())
    assert "in-" not in shown


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadBroker, match="Expected a user with the password for mqtt://broker"):
        password(mqtt_out="mqtt://broker", mqtt_password="secret")
    with pytest.raises(BadBroker, match="Cannot read the broker's password"):
        password(mqtt_out="mqtt://me@broker", mqtt_password_file=tmp_path / "none")
    with pytest.raises(BadCertificate, match="Cannot read certificates"):
        password(mqtt_out="mqtts://broker", mqtt_cafile=tmp_path / "none")
    with pytest.raises(CannotServe, match="mqtt_discovery: Expected a prefix"):
        make_settings({"mqtt_discovery": "home/#"})
    for wrong in ("mqtt://a:secret@b/#", "a:secret@b:1883"):
        done = CliRunner().invoke(app, ["serve", "--port", "0", "--mqtt-out", wrong])
        assert (done.exit_code, done.output.count("\n")) == (2, 1)
        assert "secret" not in done.output


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    done = CliRunner().invoke(app, ["serve", "--port", "0", "--mqtt-out", "mqtt://broker"])
    assert done.exit_code == 2
    assert done.stderr.startswith("mimamba: Expected the package aiomqtt, but found ")
    assert done.stderr.endswith("Install it: pip install aiomqtt.\n")


def test_doctor_looks_for_the_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mimamba.service.doctor.check_broker import check_broker

    with mosquitto(tmp_path, guarded=True) as broker:
        settings = make_settings({"mqtt_out": f"mqtt://{USER}@127.0.0.1:{broker.port}"})
        refused = check_broker(settings)
        assert refused.verdict == "fail"
        assert f"the broker refused the user {USER} with this password" in refused.found
        monkeypatch.setenv("MIMAMBA_MQTT_PASSWORD", PASSWORD)
        found = check_broker(make_settings({"mqtt_out": str(settings.mqtt_out)}))
        assert found.verdict == "ok", found
    gone = check_broker(settings)
    assert (gone.verdict, gone.found.count("\n")) == ("fail", 0)
