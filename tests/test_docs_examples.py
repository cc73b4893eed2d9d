"""The Python in the README and the guide runs as it stands there."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mimamba.drivers.formats.convert import export
from tests.drivers.formats.made import recording
from tests.service.forked import LoadedProgram
from tests.service.live import PATIENCE, Live, live

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ADDRESS, FILE, PORT = "127.0.0.1:8765", "path/to/recording.xdf", "5005"
ENDLESS = ("asyncio.run", "open_driver")
"""Programs with these follow something that goes on."""


def examples() -> Iterator[tuple[str, str]]:
    """Each block of Python by its page and its place there."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        for number, code in enumerate(blocks, 1):
            yield f"{page.relative_to(ROOT)}-{number}", code


EXAMPLES = dict(examples())


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "recording.xdf"
    export(recording(labels=((20, "go"),)), str(path))
    return path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live("simulate://", data_dir=tmp_path_factory.mktemp("data")) as service:
        service.opened("simulate-1")
        yield service


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str, service: Live, file: Path, loaded: LoadedProgram) -> None:
    """To its end, or to the first line that it prints where it would go on for ever."""
    code = EXAMPLES[name].replace(ADDRESS, urlsplit(service.url).netloc).replace(FILE, str(file))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        code = code.replace(PORT, str(heard.getsockname()[1]))
        with loaded.start(code=code, folder=file.parent, unbuffered=True) as program:
            assert program.stdout is not None
            line = program.stdout.readline()
            if any(word in code for word in ENDLESS):
                assert line.strip()
            else:
                said, errors = program.communicate()
                assert program.returncode == 0, line + said + errors
        if "sendto" in code:
            heard.settimeout(PATIENCE)
            assert heard.recv(256)
