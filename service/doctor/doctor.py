"""Run all checks, and print a line for each with the way to fix a problem."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

from mimamba.service.doctor.check_broker import check_broker
from mimamba.service.doctor.check_bus import check_bus_at
from mimamba.service.doctor.check_devices import (
    check_bluetooth,
    check_brainflow,
    check_ftdi,
    check_lsl,
    check_serial,
)
from mimamba.service.doctor.checks import (
    check_device,
    check_disk,
    check_latency,
    check_mamba_ssm,
    check_page,
    check_python,
    check_tls,
    check_torch,
)
from mimamba.service.doctor.finding import Finding
from mimamba.service.server.console import print_json
from mimamba.service.settings.settings import DoctorSettings
from mimamba.service.storage.folders import data_folder

COLOURS = {"ok": "green", "note": "yellow", "fail": "bold red"}


def run_checks(settings: DoctorSettings, json: bool, quick: bool) -> bool:
    """Run all checks, and print each finding as it comes.

    Parameters
    ----------
    settings
        The data folder, the device and precision of models, the certificate, the bus, and the
        broker.
    json
        Print one JSON object per line.
    quick
        Skip the latency measurement, which takes 15 s.

    Returns
    -------
    bool
        False if a check failed.
    """
    show = _show_json if json else _show
    healthy = True
    for finding in findings(settings, quick):
        show(finding)
        healthy = healthy and finding.verdict != "fail"
    return healthy


def findings(settings: DoctorSettings, quick: bool) -> Iterator[Finding]:
    """Run one check after the other."""
    checks: list[Callable[[], Finding]] = [
        check_python,
        check_torch,
        lambda: check_device(settings.device, settings.precision),
        check_mamba_ssm,
        check_brainflow,
        check_lsl,
        check_bluetooth,
        check_serial,
        check_ftdi,
        lambda: check_disk(data_folder(settings.data_dir)),
        lambda: check_tls(settings.ssl_certfile, settings.ssl_keyfile),
        check_page,
    ]
    if (bus := settings.bus) is not None:
        checks.append(lambda: check_bus_at(bus))
    if settings.mqtt_out is not None:
        checks.append(lambda: check_broker(settings))
    for check in checks if quick else [*checks, check_latency]:
        yield check()


def _show_json(finding: Finding) -> None:
    print_json(finding)
    sys.stdout.flush()


def _show(finding: Finding) -> None:
    line = Text()
    line.append(f"{finding.verdict:<6}", COLOURS[finding.verdict])
    line.append(f"{finding.name:<14}", "bold")
    line.append(finding.found)
    if finding.remedy:
        line.append(f"; {finding.remedy}", "italic")
    Console().print(line, soft_wrap=True)
