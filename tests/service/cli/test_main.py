"""The program as a person uses it: the service, its clients, and one line for each mistake."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest
from typer.testing import CliRunner, Result

from mimamba.service.cli.main import app
from tests.drivers.discovery.bluez import Adapter, bluez
from tests.drivers.discovery.test_bluetooth_scan import MUSE, OTHERS
from tests.service.auth.test_tokens import CONTROL
from tests.service.forked import ForkedProcess, LoadedProgram
from tests.service.live import live
from tests.service.models import demo_indices
from tests.service.muse_recordings import write_muse

MIMAMBA = Path(sys.executable).with_name("mimamba")
LONGEST = 60


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MIMAMBA, *arguments], capture_output=True, text=True, timeout=LONGEST, check=False
    )


def invoke(*arguments: str) -> Result:
    """Run a command in this process, which is faster than a new one by seconds."""
    return CliRunner().invoke(app, arguments)


@contextmanager
def serving(
    *arguments: str, loaded: LoadedProgram | None = None
) -> Iterator[tuple[str, subprocess.Popen[str] | ForkedProcess]]:
    """A service process and its address; it is forked where there is a loaded program."""
    command = ("serve", "--port", "0", *arguments)
    process: subprocess.Popen[str] | ForkedProcess
    if loaded is None:
        process = subprocess.Popen([MIMAMBA, *command], stderr=subprocess.PIPE, text=True)
    else:
        process = loaded.start(*command)
    assert process.stderr is not None
    with process:
        try:
            line = process.stderr.readline()
            found = re.search(r"http://\S+/", line)
            assert found, line
            yield found[0], process
        finally:
            process.kill()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Make invalid files and one recording in a folder."""
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "letter.txt").write_text("Dear Sir,\nno EEG here.\n")
    (tmp_path / "header.csv").write_text("timestamps,TP9,AF7,AF8,TP10,Right AUX\n")
    (tmp_path / "short.xdf").write_bytes(b"XDF:\x04")
    (tmp_path / "not-a-model.safetensors").write_bytes(b"{}")
    write_muse(tmp_path / "muse.csv", seconds=6)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        "serve --source ftp://somewhere",
        "serve --source simulate://?colour=blue",
        "serve --source simulate://?seed=many",
        "serve --source brainflow://no_such_board",
        "serve --source brainflow://muse_2",
        "serve --source brainflow://cyton",
        "serve --source lsl://?name=nobody&timeout=0.5",
        "serve --source {files}/missing.csv",
        "serve --source {files}/empty.csv",
        "serve --source {files}/binary.csv",
        "serve --source {files}/letter.txt",
        "serve --source {files}/header.csv",
        "serve --source {files}/short.xdf",
        "serve --source {files}",
        "serve --source replay://{files}/muse.csv?channels=Cz",
        "serve --source replay://{files}/muse%00.csv",
        "serve --source replay://{files}/muse.csv?names=1,2,3,4 --model demo",
        "serve --model no-such-model",
        "serve --model {files}/not-a-model.safetensors",
        "serve --host 192.0.2.1",
        "serve --port 99999",
        "serve --files {files}/missing",
        "score {files}/missing.csv",
        "score {files}/letter.txt",
        "score replay://{files}/muse.csv?names=1,2,3,4",
        "score simulate://",
        "score {files}/muse.csv --model no-such-model",
        "watch http://127.0.0.1:9",
        "watch nonsense://",
    ],
)
def test_each_mistake_is_one_line_and_status_2(arguments: str, files: Path) -> None:
    where = [] if "--port" in arguments or not arguments.startswith("serve") else ["--port", "0"]
    ended = invoke(*arguments.format(files=files).split(), *where)
    assert ended.exit_code == 2, ended.stderr
    assert isinstance(ended.exception, SystemExit)
    assert_one_line(ended.stdout, ended.stderr)


def test_a_mistake_in_its_own_process() -> None:
    ended = run("watch", "nonsense://")  # which imports little
    assert ended.returncode == 2
    assert_one_line(ended.stdout, ended.stderr)


@pytest.mark.parametrize(
    "wrong", ["ftp://somewhere", "{files}/missing.csv", "simulate://?colour=1"]
)
def test_a_wrong_source_is_reported_once_and_without_an_address(wrong: str, files: Path) -> None:
    ended = invoke("serve", "--port", "0", "--source", wrong.format(files=files))
    assert ended.exit_code == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"mimamba: {wrong.format(files=files)}: Expected ")


def test_each_wrong_source_has_its_line(files: Path) -> None:
    sources = ("ftp://somewhere", str(files / "missing.csv"))
    ended = invoke("serve", "--port", "0", "--source", sources[0], "--source", sources[1])
    assert ended.exit_code == 2
    lines = ended.stderr.splitlines()
    assert len(lines) == 2
    for source in sources:
        assert sum(line.startswith(f"mimamba: {source}: ") for line in lines) == 1


def test_a_source_that_takes_long_does_not_delay_the_address() -> None:
    ended = invoke("serve", "--port", "0", "--source", "lsl://?name=nobody&timeout=5")
    assert ended.exit_code == 2
    lines = [line for line in ended.stderr.splitlines() if "mimamba" in line]
    assert lines[0].startswith("mimamba is at http://127.0.0.1:")
    assert [line.startswith("mimamba: lsl://?name=nobody") for line in lines[1:]] == [True]


def test_a_folder_that_cannot_be_written_is_said_at_the_start(
    service: tuple[str, list[str]],
) -> None:
    _, lines = service
    said = " ".join("".join(lines).split())  # a terminal's width ends lines
    assert said.count("Cannot write a recording to") == said.count("Not a directory.") == 1


def assert_one_line(stdout: str, stderr: str) -> None:
    """A sentence says what is wrong, another what to do; and no traceback."""
    assert "Traceback" not in stderr
    lines = [line for line in stderr.splitlines() if line.startswith("mimamba: ")]
    assert lines, stderr
    assert re.fullmatch(r"mimamba: .+\S\. [A-Z].+", lines[0]), lines[0]
    assert stdout == ""


def test_without_a_token_there_is_no_empty_table() -> None:
    with live(source=[], token=CONTROL) as service:
        ended = CliRunner().invoke(app, ["watch", service.url], env={"MIMAMBA_TOKEN": ""})
    assert ended.exit_code == 2
    assert_one_line(ended.stdout, ended.stderr)


def test_a_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = invoke("serve", "--port", str(taken.getsockname()[1]))
    assert ended.exit_code == 2
    assert "in use" in ended.stderr
    assert "--port" in ended.stderr


def assert_ends_in_good_order(process: subprocess.Popen[str] | ForkedProcess, signal: int) -> None:
    process.send_signal(signal)
    rest = process.communicate(timeout=LONGEST)[1]
    assert "Traceback" not in rest
    assert "Error" not in rest


def test_a_signal_ends_the_service_in_good_order() -> None:
    """Another signal ends the service of the tests below."""
    with serving() as (_, process):
        assert process.stderr is not None
        while "simulate-1" not in process.stderr.readline():
            pass
        assert_ends_in_good_order(process, SIGTERM)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, loaded: LoadedProgram
) -> Iterator[tuple[str, list[str]]]:
    """A service whose sources have opened or failed: its address, and a line for each source.

    It cannot write to its folder of recordings. An interrupt ends it in good order.
    """
    folder = tmp_path_factory.mktemp("sources")
    (folder / "file").write_bytes(b"")
    named = write_muse(folder / "muse.csv", seconds=6)
    sources = (
        str(folder / "missing.csv"),
        "simulate://",
        f"replay://{named}?names=[/a],[red],c,d&hold=1",
    )
    arguments = [word for source in sources for word in ("--source", source)]
    arguments += ["--data-dir", str(folder / "file" / "below")]
    with serving(*arguments, loaded=loaded) as (url, process):
        assert process.stderr is not None
        lines: list[str] = []
        while not all(any(part in line for line in lines) for part in REPORTED):
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        yield url, lines
        assert_ends_in_good_order(process, SIGINT)


REPORTED = ("missing.csv", "simulate-2", "replay-3")
"""Parts of the lines for the three sources."""


def test_one_source_that_fails_leaves_the_others(service: tuple[str, list[str]]) -> None:
    url, _ = service
    watching = subprocess.Popen(
        [MIMAMBA, "watch", url, "--json", "--session", "simulate-2"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        received: list[dict[str, object]] = []
        while not {"prediction", "quality"} <= {each["type"] for each in received}:
            received.append(json.loads(watching.stdout.readline()))
        watching.send_signal(SIGINT)
        watching.communicate(timeout=LONGEST)
    finally:
        watching.kill()
        watching.wait()
    assert watching.returncode == 130
    assert [each["type"] for each in received[:2]] == ["session", "subscribed"]


def test_channel_names_are_printed_literally(service: tuple[str, list[str]]) -> None:
    _, lines = service
    (line,) = [each for each in lines if "replay-3" in each]
    assert "[/a], [red], c, d" in line


def test_a_shell_completes_commands() -> None:
    asked = {"_MIMAMBA_COMPLETE": "complete_bash", "COMP_WORDS": "mimamba ", "COMP_CWORD": "1"}
    ended = CliRunner().invoke(app, [], prog_name="mimamba", env=asked)
    assert {"recordings", "record", "sessions", "open"} <= set(ended.stdout.split())


def test_score_prints_one_object_per_prediction(files: Path) -> None:
    ended = invoke("score", str(files / "muse.csv"))
    assert ended.exit_code == 0, ended.stderr
    predictions = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [each["index"] for each in predictions] == demo_indices(1536)
    assert set(predictions[0]) == {"index", "timestamp", "status", "reason", "outputs"}
    assert predictions[0]["status"] == "warming_up"
    assert predictions[-1]["status"] == "ok"
    assert predictions[-1]["outputs"].keys() == {"valence", "arousal"}
    assert "simulated" in ended.stderr


def test_sources_lists_boards_streams_and_bluetooth() -> None:
    ended = invoke("sources", "--timeout", "0.2")
    assert ended.exit_code == 0, ended.stderr
    for expected in ("muse_2", "ganglion", "LSL", "Bluetooth", "simulate://"):
        assert expected in ended.stdout


def test_sources_finds_a_headset_nearby() -> None:
    for seconds in ("2", "20"):  # a busy machine may need all of the first ones to begin
        with bluez(Adapter(devices=[*OTHERS, MUSE])):
            ended = invoke("sources", "--timeout", seconds)
        assert ended.exit_code == 0, ended.stderr
        if str(MUSE.name) in ended.stdout:
            break
    own, other = [each for each in ended.stdout.splitlines() if str(MUSE.name) in each]
    assert own.strip().startswith(f"muse://?address={MUSE.address} ")
    assert other.strip().startswith(f"brainflow://muse_2?mac_address={MUSE.address} ")
    assert " dBm" in own
    assert "Anna" not in ended.stdout
    assert "Bluetooth adapter: yes" in ended.stdout


def test_help_says_that_this_is_no_medical_device() -> None:
    assert "not a medical device" in invoke("--help").stdout
