"""Output on terminals of any encoding, on full disks, and with too little memory."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import pytest

from mimamba.drivers.errors import CannotWrite
from mimamba.service.server.console import explain, write_plainly
from tests.service.cli.test_main import LONGEST, MIMAMBA
from tests.service.forked import COMMAND, LoadedProgram
from tests.service.muse_recordings import write_muse

SCORE = "score {folder}/m\u00fcse.csv"
COMMANDS = [
    "--help",
    "serve --help",
    "config",
    "models",
    "models --json",
    "recordings",
    "people",
    SCORE,
    "convert {folder}/m\u00fcse.csv {folder}/o\u00fct.csv --force",
    "doctor --quick --json",
]

pytestmark = pytest.mark.timeout(5 * LONGEST)  # the first waits for all commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_muse(folder / "m\u00fcse.csv", seconds=4)
    return folder


def run(
    command: str,
    folder: Path,
    before: Callable[[], None] | None = None,
    stdout: int | IO[bytes] = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [MIMAMBA, *(word.format(folder=folder) for word in command.split(" "))],
        timeout=LONGEST,
        check=False,
        preexec_fn=before,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=env,
    )


PRINTING = """
import os, sys

for descriptor, path in enumerate({files!r}, 1):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
for each in (sys.stdout, sys.stderr):
    each.reconfigure(encoding={encoding!r}, errors=each.errors)
"""
"""Where a command prints to, and in which encoding."""


def run_forked(
    loaded: LoadedProgram,
    commands: Sequence[str],
    folder: Path,
    results: Path,
    stdout: str = "",
    encoding: str = "utf-8",
) -> dict[str, subprocess.CompletedProcess[bytes]]:
    """Run commands as ``run`` does; files in ``results`` take what they print."""
    ended = {}
    for number, command in enumerate(commands):
        out, err = results / f"{number}.out", results / f"{number}.err"
        files = (stdout or str(out), str(err))
        with loaded.start(
            *(each.format(folder=folder) for each in command.split(" ")),
            code=PRINTING.format(files=files, encoding=encoding) + COMMAND,
            folder=results,
        ) as process:
            code = process.wait(LONGEST)
        printed = b"" if stdout else out.read_bytes()
        ended[command] = subprocess.CompletedProcess(command, code, printed, err.read_bytes())
    return ended


def assert_sentence(stderr: bytes, part: str) -> None:
    """One sentence of ours that holds ``part``, and no traceback."""
    text = stderr.decode()
    assert "Traceback" not in text
    assert "Exception ignored" not in text
    (line,) = [each for each in text.splitlines() if each.startswith("mimamba: ")]
    assert part in line


Ended = dict[str, subprocess.CompletedProcess[bytes]]


@pytest.fixture(scope="module")
def in_encodings(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, loaded: LoadedProgram
) -> dict[str, Ended]:
    """How each command ends, by the terminal's encoding."""
    return {
        encoding: run_forked(
            loaded, commands, folder, tmp_path_factory.mktemp(encoding), encoding=encoding
        )
        for encoding, commands in (("ascii", COMMANDS), ("latin-1", ("--help", "models")))
    }


@pytest.fixture(scope="module")
def on_full_disk(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, loaded: LoadedProgram
) -> Ended:
    """How each command ends whose output has no space."""
    return run_forked(loaded, COMMANDS, folder, tmp_path_factory.mktemp("full"), "/dev/full")


@pytest.mark.parametrize(
    ("command", "encoding"),
    [*((each, "ascii") for each in COMMANDS), ("--help", "latin-1"), ("models", "latin-1")],
)
def test_any_encoding_of_a_terminal_will_do(
    command: str, encoding: str, in_encodings: dict[str, Ended]
) -> None:
    ended = in_encodings[encoding][command]
    assert b"Traceback" not in ended.stderr
    assert ended.returncode == 0, ended.stderr
    shown = ended.stdout.decode(encoding)
    assert shown
    if "--json" in command or "score" in command:
        assert all(json.loads(line) for line in shown.splitlines())


def test_a_locale_without_utf8_will_do(folder: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    ended = run("convert {folder}/missing-\u00fc.csv x.csv", folder, env={**os.environ, **plain})
    assert ended.returncode == 2
    assert_sentence(ended.stderr, "No such file")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_sentence(command: str, on_full_disk: Ended) -> None:
    ended = on_full_disk[command]
    assert ended.returncode == 2
    assert_sentence(ended.stderr, "No space left on device. Free some space")


def test_a_reader_that_has_gone_is_no_error(folder: Path) -> None:
    end, pipe = os.pipe()
    os.close(end)
    ended = run("models --json", folder, stdout=pipe)
    os.close(pipe)
    assert ended.returncode == 1
    assert ended.stderr == b""


def test_a_closed_output_is_no_error(folder: Path) -> None:
    ended = run("models --json", folder, before=lambda: os.close(1))
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize(
    "command", ["recordings", "score {folder}/m\u00fcse.csv", "serve --port 0"]
)
def test_too_little_memory_is_one_sentence(command: str, folder: Path) -> None:
    few = 400 << 20
    ended = run(command, folder, lambda: resource.setrlimit(resource.RLIMIT_AS, (few, few)))
    assert ended.returncode == 2
    assert_sentence(ended.stderr, "ulimit -v")


def test_errors_of_the_system_are_explained() -> None:
    for error in (
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ):
        assert "Too little memory" in str(explain(error))
        group = ExceptionGroup("several", [ValueError("other"), error])
        assert explain(group) == explain(error)
    full = OSError(errno.ENOSPC, "No space left on device", "/tmp/x")
    assert "Cannot write to /tmp/x: No space left on device." in str(explain(full))
    denied = PermissionError(errno.EACCES, "Permission denied", "/tmp/x")
    assert "Cannot read or write /tmp/x: Permission denied." in str(explain(denied))
    for fault in (ValueError("a fault of ours"), ImportError("no module"), RuntimeError("bug")):
        assert explain(fault) is None
    assert explain(CannotWrite("a", "b", "c")) is None


def test_replacements_are_ascii() -> None:
    text = "12 \u00b5V\u00b2 \u2013 \u283f \udcff \U0001f600"
    error = UnicodeEncodeError("ascii", text, 0, len(text), "not in range")
    shown, end = write_plainly(error)
    assert shown == "12 uV2 - * \\udcff \\U0001f600"
    assert end == len(text)
