"""Each example runs as it stands, against a real service."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from playwright.sync_api import expect
from pythonosc.osc_packet import OscPacket

from mimamba.drivers.formats.convert import export
from mimamba.service.protocol.schema import json_schema
from tests.browser import open_browser
from tests.drivers.formats.edf.edffile import File, Signal
from tests.drivers.formats.made import recording
from tests.npm import npm
from tests.ports import kept_port, kept_udp_port, port_of
from tests.service.forked import LoadedProgram
from tests.service.live import PATIENCE, Live, live

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MUSE = ("TP9", "AF7", "AF8", "TP10")
RATE = 256
LONGEST = 2 * PATIENCE
"""Seconds that a program may take: it may import PyTorch on a busy machine."""


@pytest.fixture(scope="module")
def osc() -> Iterator[socket.socket]:
    """A port that the service sends OSC to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE)
        yield receiver


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, osc: socket.socket) -> Iterator[Live]:
    folder, target = tmp_path_factory.mktemp("data"), f"127.0.0.1:{port_of(osc)}"
    with live("simulate://", data_dir=folder, osc_out=target) as service:
        service.opened("simulate-1")
        yield service


def run(*command: str | Path, cwd: Path, patience: float = 2 * LONGEST) -> str:
    surroundings = {
        "MPLBACKEND": "agg",
        "MIMAMBA_DATA_DIR": str(cwd / "data"),
        "XDG_CACHE_HOME": str(cwd / "cache"),
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # the list of fonts takes a second to make
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=os.environ | surroundings,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_predictions_are_followed_and_plotted(service: Live, tmp_path: Path) -> None:
    picture = tmp_path / "plot.png"
    program = (sys.executable, EXAMPLES / "subscribe_and_plot.py", "--url", service.url)
    said = run(*program, "--save", picture, "--seconds", "1", cwd=tmp_path)
    assert len(said.splitlines()) >= 2
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_marker_is_set(service: Live, tmp_path: Path) -> None:
    program = (sys.executable, EXAMPLES / "send_marker.py", "simulate-1", "stimulus/left")
    assert "stimulus/left" in run(*program, "--url", service.url, cwd=tmp_path)


def test_the_notebook_decodes_a_file(tmp_path: Path, loaded: LoadedProgram) -> None:
    export(recording(labels=((20, "go"),)), str(tmp_path / "recording.xdf"))
    notebook = json.loads((EXAMPLES / "decode_file.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    with loaded.start(
        code="\n".join(cells), environment=os.environ | {"MPLBACKEND": "agg"}, folder=tmp_path
    ) as program:
        said, errors = program.communicate(timeout=LONGEST)
    assert program.returncode == 0, said + errors
    assert "predictions" in said


@pytest.mark.timeout(4 * LONGEST)
def test_a_model_is_trained_on_bids(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for person in range(1, 4):
        for number, (task, f) in enumerate((("calm", 4), ("tense", 12)) * 2, 1):
            folder = tmp_path / "dataset" / f"sub-{person:02d}" / "eeg"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"sub-{person:02d}_task-{task}_run-{number}_eeg.edf"
            File([sine(name, f, rng) for name in MUSE]).write(path)
    options = ("--outputs", "mood", "--epochs", "1")
    script = EXAMPLES / "train_on_bids.sh"
    command = ("bash", script, tmp_path / "dataset", "mine", *options)
    said = run(*command, cwd=tmp_path, patience=3 * LONGEST)
    assert "mimamba serve --model mine" in said
    assert (tmp_path / "evaluation" / "evaluation.txt").is_file()


def sine(name: str, f: float, rng: np.random.Generator) -> Signal:
    times = np.arange(8 * RATE) / RATE
    values = 40 * np.sin(2 * np.pi * f * times) + 10 * rng.standard_normal(len(times))
    return Signal(name, values.round().astype(int).tolist(), RATE)


def test_predictions_become_sound(tmp_path: Path) -> None:
    file = tmp_path / "tone.wav"
    program = (sys.executable, EXAMPLES / "osc_to_sound.py", "--wav", file, "--seconds", "6")
    with (
        kept_udp_port() as port,
        subprocess.Popen(
            [*map(str, program), "--port", str(port)], stdout=subprocess.PIPE
        ) as sound,
        live("simulate://", osc_out=f"127.0.0.1:{port}", data_dir=tmp_path / "data"),
    ):
        said, _ = sound.communicate(timeout=LONGEST)
    assert sound.returncode == 0
    assert b"/mimamba/simulate-1/prediction/valence/high" in said
    with wave.open(str(file)) as tone:
        samples = np.frombuffer(tone.readframes(tone.getnframes()), "<i2")
    assert np.abs(samples).max() > 5000


def sent_by_osc(osc: socket.socket) -> Iterator[tuple[str, list[Any]]]:
    """Addresses and arguments that the service sends, one after the other."""
    while True:
        for each in OscPacket(osc.recv(1 << 16)).messages:
            yield each.message.address, each.message.params


class Table:
    """As TouchDesigner's Table DAT: rows of cells, found by the first one."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    def row(self, key: str) -> list[Any] | None:
        return [key, self.rows[key]] if key in self.rows else None

    def col(self, _number: int) -> list[str]:
        return list(self.rows)

    def appendRow(self, cells: list[Any]) -> None:  # noqa: N802
        self.rows[cells[0]] = cells[1]

    def deleteRow(self, key: str) -> None:  # noqa: N802
        del self.rows[key]

    def __setitem__(self, cell: tuple[str, int], value: Any) -> None:
        self.rows[cell[0]] = value

    def parent(self) -> Table:
        return self

    def op(self, name: str) -> Table:
        assert name == "mimamba"
        return self


@pytest.mark.usefixtures("service")
def test_touchdesigner_has_a_row_for_each_value(osc: socket.socket) -> None:
    receive = runpy.run_path(str(EXAMPLES / "touchdesigner" / "osc_callbacks.py"))["onReceiveOSC"]
    table = Table()
    wanted = {"simulate-1/prediction/valence/high", "simulate-1/bands/TP9/alpha"}
    for address, params in sent_by_osc(osc):
        receive(table, 0, "", b"", 0.0, address, params, None)
        if wanted <= table.rows.keys() and table.rows["simulate-1/prediction/status"] == "ok":
            break
    assert 0 <= table.rows["simulate-1/prediction/valence/high"] <= 1
    status = "/mimamba/simulate-1/prediction/status"
    receive(table, 0, "", b"", 0.0, status, ["poor_signal"], None)
    assert not any("valence" in each for each in table.rows)
    assert table.rows["simulate-1/prediction/status"] == "poor_signal"
    receive(table, 0, "", b"", 0.0, "/other/program", [1.0], None)
    assert not any("other" in each for each in table.rows)


@pytest.mark.usefixtures("service")
def test_the_max_patch_listens_to_what_is_sent(osc: socket.socket) -> None:
    patcher = json.loads((EXAMPLES / "max" / "mimamba.maxpat").read_text("utf-8"))["patcher"]
    boxes = {each["box"]["id"]: each["box"] for each in patcher["boxes"]}
    for each in patcher["lines"]:
        (source, outlet), (target, inlet) = (
            each["patchline"][e] for e in ("source", "destination")
        )
        assert outlet < boxes[source]["numoutlets"]
        assert inlet < boxes[target]["numinlets"]
    _, *addresses = boxes["route"]["text"].split(" ")
    assert boxes["route"]["numoutlets"] == len(addresses) + 1
    missing = set(addresses)
    for address, _ in sent_by_osc(osc):
        missing.discard(address)
        if not missing:
            break


@pytest.mark.parametrize(
    ("file", "message", "field"),
    [
        ("p5/sketch.js", r"message\.type === '(\w+)'", r"message\.(\w+)"),
        ("unity/MimambaStream.cs", r'type == "(\w+)"', r'(?:message\["|SelectToken\(\$")(\w+)'),
    ],
)
def test_programs_of_other_worlds_name_real_messages_and_fields(
    file: str, message: str, field: str
) -> None:
    text = (EXAMPLES / file).read_text("utf-8")
    schemas = {each["properties"]["type"]["enum"][0]: each for each in schemas_of_messages()}
    read = set(re.findall(message, text))
    assert "prediction" in read
    known = {name for each in read for name in schemas[each]["properties"]}
    assert set(re.findall(field, text)) <= known
    for kind in ("auth", "subscribe"):
        assert all(re.search(rf"\b{name}\b", text) for name in (kind, *schemas[kind]["required"]))


def schemas_of_messages() -> list[dict[str, Any]]:
    return [each for each in json_schema()["$defs"].values() if "type" in each["properties"]]


def test_the_sketch_is_javascript(tmp_path: Path) -> None:
    node = shutil.which("node", path=str(npm())) or "node"
    run(node, "--check", EXAMPLES / "p5" / "sketch.js", cwd=tmp_path)


def test_a_page_of_ones_own_shows_predictions(service: Live, tmp_path: Path) -> None:
    program = (sys.executable, EXAMPLES / "own_page" / "server.py", "--url", service.url)
    with kept_port() as port:
        server = subprocess.Popen([*map(str, program), "--port", str(port)], cwd=tmp_path)
        try:
            service.until(lambda: answers(port))
            with open_browser() as browser:
                page = browser.new_page()
                page.goto(f"http://127.0.0.1:{port}/")
                meter = page.locator("#outputs meter").first
                expect(meter).to_be_visible(timeout=1e3 * PATIENCE)
                expect(page.locator("#outputs")).to_contain_text("valence")
        finally:
            server.terminate()
            server.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
