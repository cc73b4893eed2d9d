"""Damaged files of every format: one clear error or a valid recording, within bounds.

``MIMAMBA_MUTATIONS`` says how many of each (``make fuzz``: 200).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

from tests.drivers.formats.edf.edffile import File, Signal
from tests.drivers.formats.files import FORMATS
from tests.drivers.formats.mutations import mutate

N_MUTATIONS = int(os.environ.get("MIMAMBA_MUTATIONS", "20"))
N_TIMES = 3000
HANG = 30.0
"""Seconds without an answer after which a process hangs, also on a busy machine."""
ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits memory as Linux does"
)


class Reader:
    """A process that reads files, as ``tests.drivers.formats.hostile`` says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.answer()

    def read(self, path: Path, only_cut: bool) -> dict[str, str | None]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(path), only_cut]) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, str | None]:
        assert self._process.stdout is not None
        watchdog = Timer(HANG, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            return {"wrong": f"the process died or hung: {self._process.wait()}", "how": "crash"}
        answer: dict[str, str | None] = json.loads(line)
        return answer


@contextmanager
def reader(whole: Path, errors: Path) -> Iterator[Reader]:
    command = [sys.executable, "-m", "tests.drivers.formats.hostile", str(whole)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=ROOT,
            env=environment,
        ) as process,
    ):
        try:
            yield Reader(process)
        finally:
            process.kill()


def damaged(whole: Path, folder: Path, name: str, number: int) -> tuple[Path, bool]:
    """A copy of the file and those that belong to it, one of them damaged."""
    shutil.copytree(whole.parent, folder)
    parts = sorted(folder.iterdir())
    victim = parts[number // 6 % len(parts)]  # in each part, each kind of damage
    content, only_cut = mutate(victim.read_bytes(), name, number)
    victim.write_bytes(content)
    # A header that is cut speaks of fewer channels, not of fewer samples.
    is_signal = victim.name == whole.name if len(parts) == 1 else victim.suffix == ".eeg"
    return folder / whole.name, only_cut and is_signal


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "whole").mkdir()
    whole = FORMATS[name](tmp_path / "whole", N_TIMES)
    errors = tmp_path / "errors"
    wrong = {}
    with reader(whole, errors) as process:
        for number in range(N_MUTATIONS):
            path, only_cut = damaged(whole, tmp_path / f"{number}", name, number)
            answer = process.read(path, only_cut)
            if answer["wrong"]:
                wrong[number] = answer["wrong"]
            shutil.rmtree(path.parent)
            if answer["how"] == "crash":
                break
    assert wrong == {}
    assert errors.read_text() == ""


def test_a_sound_file_that_is_larger_than_the_memory_there_is(tmp_path: Path) -> None:
    small = File([Signal("Fp1", [0] * 256, 256)]).write(tmp_path / "small.edf")
    large = File([Signal("Fp1", [0] * 256, 256)], fields={"records": "-1"})
    path = large.write(tmp_path / "large.edf")
    with path.open("r+b") as file:
        file.truncate(2**30)  # as zeros that take no place on the disk
    with reader(small, tmp_path / "errors") as process:
        assert process.read(path, False) == {"wrong": None, "how": "refused"}
