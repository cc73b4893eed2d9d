"""The checks on made-up systems, and the lines that are printed."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from mimamba.drivers.bluetooth_errors import SWITCH_ON
from mimamba.drivers.discovery.discover import NO_WSL_DEVICES, find_adapters
from mimamba.models.network.mamba_kernels import MambaKernels, describe_scan
from mimamba.service.cli.main import app
from mimamba.service.doctor import check_devices, checks
from mimamba.service.doctor.finding import LINUX, ok
from mimamba.service.storage.folders import LEAST_BYTES
from tests.drivers.discovery.bluez import Adapter, bluez
from tests.drivers.discovery.test_bluetooth_scan import LATE, LONG, OTHERS
from tests.models.marks import without_cuda
from tests.models.network.test_mamba_kernels import selective_scan, selective_state_update

pytestmark = pytest.mark.skipif(not LINUX, reason="these are files of Linux")


def test_every_check_is_a_line_and_this_machine_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = partial(check_devices.check_lsl, LONG)  # a busy machine answers late
    monkeypatch.setattr("mimamba.service.doctor.doctor.check_lsl", patient)
    line = ["doctor", "--quick", "--json", "--data-dir", str(tmp_path / "recordings")]
    ended = CliRunner().invoke(app, line)
    lines = {each["name"]: each for each in map(json.loads, ended.stdout.splitlines())}
    assert lines.keys() == {
        *("Python", "PyTorch", "mamba-ssm", "BrainFlow", "LSL", "Bluetooth", "serial ports"),
        *("FTDI latency", "disk", "page", "device", "certificate"),
    }
    failed = {name for name, each in lines.items() if each["verdict"] == "fail"}
    assert failed <= {"Bluetooth", "serial ports"}  # may be missing on this machine
    assert ended.exit_code == (1 if failed else 0)
    assert all(lines[name]["remedy"] for name in failed)
    assert not (tmp_path / "recordings").exists()


def test_a_failure_is_status_1_and_says_how_to_fix_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mimamba.service.doctor.checks.find_page", lambda: None)
    monkeypatch.setattr("mimamba.service.doctor.doctor.check_lsl", lambda: ok("LSL", "left out"))
    ended = CliRunner().invoke(app, ["doctor", "--quick"])
    assert ended.exit_code == 1
    (line,) = [each for each in ended.stdout.splitlines() if each.startswith("fail  page")]
    assert "pip install ." in line


def test_a_slow_ftdi_chip_is_noted(tmp_path: Path) -> None:
    assert check_devices.check_ftdi(tmp_path).verdict == "ok"
    for port, time in (("ttyUSB0", 1), ("ttyUSB1", 16)):
        (tmp_path / port).mkdir()
        (tmp_path / port / "latency_timer").write_text(f"{time}\n")
    found = check_devices.check_ftdi(tmp_path)
    assert (found.verdict, found.found) == ("note", "ttyUSB0: 1 ms, ttyUSB1: 16 ms")
    assert found.remedy == f"echo 1 | sudo tee {tmp_path}/ttyUSB1/latency_timer"


def test_a_serial_port_must_be_accessible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_devices.check_serial(tmp_path).verdict == "note"
    (tmp_path / "ttyUSB0").touch()
    assert check_devices.check_serial(tmp_path).verdict == "ok"
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may open everything
    found = check_devices.check_serial(tmp_path)
    assert found.verdict == "fail"
    assert "usermod -aG" in (found.remedy or "")


def test_a_blocked_bluetooth_adapter_fails(tmp_path: Path) -> None:
    assert check_devices.check_bluetooth(tmp_path).verdict == "note"
    (tmp_path / "bluetooth" / "hci0").mkdir(parents=True)
    switch = tmp_path / "rfkill" / "rfkill0"
    switch.mkdir(parents=True)
    for name, value in (("type", "bluetooth"), ("soft", "1"), ("hard", "0")):
        (switch / name).write_text(value)
    found = check_devices.check_bluetooth(tmp_path)
    assert (found.verdict, found.remedy) == ("fail", "run: rfkill unblock bluetooth")


def test_wsl_has_no_devices_and_the_way_out_is_named(tmp_path: Path) -> None:
    kernel = tmp_path / "version"
    kernel.write_text("Linux version 5.15.167.4-microsoft-standard-WSL2 (root@f9c826d3017f)\n")
    for found in (
        check_devices.check_bluetooth(tmp_path, kernel),
        check_devices.check_serial(tmp_path, kernel),
    ):
        assert (found.verdict, found.found) == ("note", NO_WSL_DEVICES)
        assert "mimamba acquire" in (found.remedy or "")
    assert "mimamba acquire" in find_adapters(tmp_path, kernel).detail
    kernel.write_text("Linux version 6.1.0-13-amd64 (debian-kernel@lists.debian.org)\n")
    assert check_devices.check_serial(tmp_path, kernel).found == "none"
    assert check_devices.check_serial(tmp_path, tmp_path / "missing").found == "none"


def test_bluetooth_is_tried(tmp_path: Path) -> None:
    (tmp_path / "bluetooth" / "hci0").mkdir(parents=True)
    with bluez(Adapter(devices=[*OTHERS, LATE])):
        for seconds in (2.0, 8.0, LONG):  # a busy machine is slow to begin
            found = check_devices.check_bluetooth(tmp_path, seconds=seconds)
            if LATE.name and LATE.name in found.found:
                break
    assert (found.verdict, found.found) == ("ok", "hci0; headsets nearby: MuseS-1122")
    with bluez(Adapter(powered=False)):
        found = check_devices.check_bluetooth(tmp_path)
    assert (found.verdict, found.found) == ("fail", "hci0; an adapter that is off")
    assert found.remedy == SWITCH_ON


def test_a_stream_that_is_not_found_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_devices, "resolve_streams", lambda *_: [])
    found = check_devices.check_lsl()
    assert found.verdict == "fail"
    assert "KnownPeers" in (found.remedy or "")


def test_a_full_or_slow_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.check_disk(tmp_path / "not" / "yet").found.startswith(f"{tmp_path}: ")
    assert list(tmp_path.iterdir()) == []
    assert checks.check_disk(tmp_path, slow_sync=-1.0).verdict == "note"
    monkeypatch.setattr(checks, "free_space", lambda _: LEAST_BYTES)
    assert checks.check_disk(tmp_path).verdict == "fail"


def test_the_kernels_are_described_as_the_models_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = checks.check_mamba_ssm()
    assert (found.verdict, found.found) == ("ok", describe_scan(torch.device("cpu")))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for loaded, verdict in (
        (MambaKernels("2.2.9", selective_scan, selective_state_update), "ok"),
        ("mamba-ssm 2.1 has no state_batch_indices: it is too old", "note"),
    ):
        monkeypatch.setattr(
            "mimamba.models.network.mamba_kernels.load_kernels", lambda loaded=loaded: loaded
        )
        found = checks.check_mamba_ssm()
        assert (found.verdict, found.found) == (verdict, describe_scan(torch.device("cuda")))
        assert bool(found.remedy) == (verdict == "note")


def test_a_service_that_does_not_start_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mimamba.service.bench.service_process.sys.executable", "/bin/false")
    found = checks.check_latency()
    assert (found.verdict, found.remedy) == (
        "fail",
        "run: mimamba serve, and correct what it reports",
    )


@without_cuda
def test_an_unavailable_device_fails() -> None:
    found = checks.check_device("auto", "fp32")
    assert (found.verdict, found.found) == ("ok", "models run on the CPU; --device auto")
    found = checks.check_device("cuda", "fp32")
    assert (found.verdict, found.remedy) == ("fail", "use --device cpu or --device auto")
