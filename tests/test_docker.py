"""The images' small parts; the images themselves need a builder (docker/README.md)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from mimamba.service.auth.tokens import Tokens
from mimamba.service.cli.main import app
from mimamba.service.settings.load import make_settings
from tests.service.auth.test_tokens import CONTROL, VIEW
from tests.service.certificates import make_certificate
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


def test_the_health_check_asks_a_guarded_service_over_tls(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    settings = {"host": "0.0.0.0", "token": CONTROL, **certificate.settings()}
    with live(source=[], trust=certificate.trust(), **settings) as service:
        port = urlsplit(service.url).port
        assert port
        assert healthcheck(port).returncode == 0


def enter(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIMAMBA_")}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return subprocess.run(
        [sys.executable, ROOT / "docker" / "entrypoint.py", *arguments],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_container_refuses_to_serve_without_a_token_and_does_all_else() -> None:
    refused = enter("serve", "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert refused.stderr.startswith("Expected a token")
    assert enter("serve", "--nonsense", MIMAMBA_TOKEN=CONTROL).stderr.count("No such option") == 1
    assert "mimamba" in enter("--version").stdout


def test_compose_starts_a_service_that_asks_for_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docker" / "compose.yaml").read_text()
    (line,) = re.findall(r"^ +command: \[serve, (.+)\]$", text, re.MULTILINE)
    named = re.findall(r"^ +(MIMAMBA_\w+):", text, re.MULTILINE)
    assert named == ["MIMAMBA_TOKEN", "MIMAMBA_VIEW_TOKEN", "MIMAMBA_SOURCE"]
    for name, value in zip(named, (CONTROL, VIEW, "simulate://"), strict=True):
        monkeypatch.setenv(name, value)
    told = CliRunner().invoke(app, ["config", *line.split(", ")], env={"COLUMNS": "300"})
    assert told.exit_code == 0, told.output
    assert len(re.findall("environment MIMAMBA_(?:VIEW_)?TOKEN", told.output)) == 2
    settings = make_settings({"host": "0.0.0.0", "insecure_http": True})
    assert settings.tokens() == Tokens(CONTROL, VIEW)


def test_one_address_leads_to_the_gateways_of_the_compose_file() -> None:
    """The proxy asks them as they allow it, with a token."""
    compose = (ROOT / "docker" / "compose.scale.yaml").read_text()
    proxy = (ROOT / "docker" / "gateways.caddyfile").read_text()
    gateways = re.findall(r"^  (gateway-\d+):", compose, re.MULTILINE)
    named = " ".join(f"{each}:8765" for each in gateways)
    assert f"\treverse_proxy /v1/stream {named} {{\n\t\thealth_uri /readyz\n" in proxy
    assert f"\treverse_proxy {named} {{\n\t\tlb_try" in proxy  # REST goes on without the bus
    (host,) = re.findall(r"Host (\S+)", proxy)
    assert f"--allowed-host, {host}]" in compose
    (token,) = re.findall(r"{\$(\w+)}", proxy)
    assert f"{token}: ${{{token}}}\n" in compose
    assert "./gateways.caddyfile:/etc/caddy/Caddyfile:ro" in compose


def test_the_dependencies_layer_is_what_the_project_needs() -> None:
    script = ROOT / "docker" / "requirements.py"
    told = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert told.splitlines() == project["dependencies"]
