"""A certificate that clients refuse is reported at the start and by ``mimamba doctor``."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mimamba.service.cli.main import app
from mimamba.service.doctor.checks import check_tls
from mimamba.service.doctor.finding import ok
from mimamba.service.server.certificate import check_certificate
from mimamba.service.server.serve import serve
from mimamba.service.server.server import Server
from mimamba.service.settings.load import CannotServe, make_settings
from tests.service.certificates import make_certificate

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("begins", "ends", "problem", "expired"),
    [
        (NOW - 400 * DAY, NOW - DAY, "has expired", True),
        (NOW + DAY, NOW + 90 * DAY, "is not valid yet", True),
        (NOW - DAY, NOW + 5 * DAY, "expires on", False),
        (NOW - DAY, NOW + 90 * DAY, None, False),
    ],
)
def test_its_validity_is_known(
    tmp_path: Path, begins: datetime, ends: datetime, problem: str | None, expired: bool
) -> None:
    made = make_certificate(tmp_path, begins, ends)
    state = check_certificate(made.certificate, made.key)
    assert state.expired == expired
    assert (state.problem is None) == (problem is None)
    assert (problem or "") in (state.problem or "")
    if not expired:
        assert state.ends == int(ends.timestamp())
    finding = check_tls(made.certificate, made.key)
    assert finding.verdict == ("fail" if expired else "note" if problem else "ok")


def test_no_certificate_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    assert check_tls(None, None).verdict == "ok"
    assert check_tls(tmp_path / "missing.pem", None).verdict == "fail"
    with pytest.raises(CannotServe, match="Cannot use the certificate"):
        check_certificate(tmp_path / "missing.pem", None)


class Ended(Server):
    """Ends as soon as it has started."""

    async def main_loop(self) -> None:
        """Return at once."""


def test_the_start_says_that_it_has_expired(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_certificate(tmp_path, NOW - 400 * DAY, NOW - DAY)
    settings = make_settings(
        {"port": 0, "source": [], "data_dir": tmp_path / "data", **made.settings()}
    )
    with caplog.at_level(logging.WARNING):
        serve(settings, Ended)
    assert "has expired" in " ".join(capsys.readouterr().err.split())
    (line,) = [each for each in caplog.records if each.getMessage() == "certificate"]
    assert "has expired" in line.__dict__["reason"]


def test_doctor_says_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_certificate(tmp_path, NOW - 400 * DAY, NOW - DAY)
    monkeypatch.setattr("mimamba.service.doctor.doctor.check_lsl", lambda: ok("LSL", "left out"))
    flags = ["--ssl-certfile", str(made.certificate), "--ssl-keyfile", str(made.key)]
    ended = CliRunner().invoke(app, ["doctor", "--quick", "--json", *flags])
    found = {each["name"]: each for each in map(json.loads, ended.stdout.splitlines())}
    assert found["certificate"]["verdict"] == "fail"
    assert "has expired" in found["certificate"]["found"]
    assert ended.exit_code == 1
