"""The images' small parts; the images themselves need a builder (docker/README.md)."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from tests.service.live import live

ROOT = Path(__file__).resolve().parents[1]


def healthcheck(port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "docker" / "healthcheck.py"],
        env={**os.environ, "MIMAMBA_PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_health_check_tells_a_living_service_from_none() -> None:
    with live(model="none") as service:
        port = urlsplit(service.url).port
        assert port
        assert healthcheck(port).returncode == 0
    ended = healthcheck(port)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr


def test_the_dependencies_layer_is_what_the_project_needs() -> None:
    script = ROOT / "docker" / "requirements.py"
    told = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert told.splitlines() == project["dependencies"]
