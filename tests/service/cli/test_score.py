"""Scores of a recording with the rest of the person in another one, or stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mimamba.drivers.formats.convert import convert
from mimamba.drivers.formats.read import read_recording
from mimamba.models.checkpoints.checkpoint import Checkpoint
from mimamba.models.signal.rest import measure_baseline
from mimamba.service.people.people import People, people_folder, stored_baseline
from tests.service.cli.test_main import assert_one_line, invoke
from tests.service.models import random_checkpoint
from tests.service.muse_recordings import write_muse


@pytest.fixture
def model(tmp_path: Path) -> Checkpoint:
    return random_checkpoint(tmp_path, baseline=10.0)


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return write_muse(tmp_path / "task.csv", 8, seed=1)


@pytest.fixture
def rest(tmp_path: Path) -> Path:
    return write_muse(tmp_path / "rest.csv", 16, seed=2)


def scored(*arguments: str | Path) -> list[dict[str, object]]:
    ended = invoke("score", *map(str, arguments))
    assert ended.exit_code == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_a_short_task_is_judged_by_rest_in_another_file(
    tmp_path: Path, model: Checkpoint, task: Path, rest: Path
) -> None:
    chosen = ("--model", tmp_path / "random.safetensors")
    alone = scored(task, *chosen)
    assert {each["status"] for each in alone} == {"warming_up"}
    found = scored(task, *chosen, "--baseline-from", rest)
    assert [each["index"] for each in found] == [each["index"] for each in alone]
    assert [each["status"] for each in found].count("ok") > 20
    url = f"replay://{rest}?channels=TP9,AF7,AF8,TP10"
    assert scored(task, *chosen, "--baseline-from", url) == found
    other = scored(task, *chosen, "--baseline-from", rest, "--baseline", "12")
    assert [each["status"] for each in other] == [each["status"] for each in found]
    assert other != found

    data = tmp_path / "data"
    data.mkdir()
    convert(str(rest), str(data / "resting.xdf"), force=False)
    where = ("--data-dir", data)
    assert scored(task, *chosen, "--baseline-from", "resting", *where) == found

    people = People(people_folder(data))
    people.add("P01")
    baseline = measure_baseline(read_recording(rest), model.montage, model.signal, 10.0)
    people.store_baseline("P01", stored_baseline(model, baseline))
    assert scored(task, *chosen, "--baseline-from", "person:P01", *where) == found


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("more", "word"),
    [
        ("--baseline-from {rest} --verify", "Expected --verify without --baseline-from"),
        ("--baseline-from {rest} --model demo", "Leave --baseline-from out"),
        ("--baseline-from {rest} --baseline 30", "30 s of good signal"),
        ("--baseline-from missing.edf", "missing.edf"),
        ("--baseline-from nothing", "nothing"),
        ("--baseline-from person:P09", "P09"),
        ("--baseline-from person:P02", "a stored baseline of P02 for random"),
        ("--baseline-from person:P02 --baseline 20", "its own length"),
        ("--baseline-from person:P02 --data-dir missing", "a data folder at missing"),
    ],
)
def test_each_mistake_is_one_line_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: Path,
    rest: Path,
    more: str,
    word: str,
) -> None:
    monkeypatch.setenv("MIMAMBA_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    People(people_folder(tmp_path)).add("P02")
    given = more.format(rest=rest).split()
    chosen = [] if "--model" in given else ["--model", str(tmp_path / "random.safetensors")]
    ended = invoke("score", str(task), *chosen, *given)
    assert ended.exit_code == 2, ended.stderr
    assert_one_line(ended.stdout, ended.stderr)
    assert word in ended.stderr
