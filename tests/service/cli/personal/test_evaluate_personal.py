"""The measures of personal calibrations, on a small BIDS set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mimamba.drivers.driver import Marker
from mimamba.drivers.formats.convert import export
from mimamba.models.personal.pseudo_calibrations import add_effect
from mimamba.service.cli.main import app
from tests.models.personal.sittings import ALPHA, MUSE, SFREQ, noise


def evaluate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", "personal", *arguments])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One person at rest, and in a task with more alpha; events of two kinds in both."""
    folder = tmp_path_factory.mktemp("set")
    rest = noise(100, 0)
    whole = [(0, rest.end)]
    task = add_effect(noise(100, 1), whole, np.array([1]), ALPHA, MUSE, np.random.default_rng(0))
    for name, recording in (("rest", rest), ("task", task)):
        markers = tuple(
            Marker(at, round(at * SFREQ), f"{name}{n % 2}", "test")
            for n, at in enumerate(range(6, 96, 10))
        )
        marked = replace(recording, markers=markers)
        export(marked, f"bids:{folder}/set?subject=01&task={name}")
    return str(folder / "set")


def test_false_verdicts(root: str) -> None:
    done = evaluate("false", "--root", root, "--tasks", "rest", "--draws", "2")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith(
        "random pairs, 12 blocks: 2 pseudo-calibrations of 1 recordings of 1 people, blocks of 8 to"
    )
    assert lines[1].startswith("  served 0.")
    assert lines[2].startswith("  random windows would have served ")
    assert lines[3].startswith("early against late, 12 blocks: 1 pseudo-calibrations")


def test_power(root: str) -> None:
    effect = ("--effect", "8-13:6", "--blocks", "8", "--draws", "1", "--tasks", "rest")
    done = evaluate("power", "--root", root, *effect)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("8-13:6, below-20, 8 blocks: 1 pseudo-calibrations")
    assert "served 1.000" in done.output
    flipped = evaluate("power", "--root", root, *effect, "--flipped", "2")
    assert "2 + 2 labelled the wrong way" in flipped.output


def test_flipped_ratings(root: str) -> None:
    done = evaluate("flips", "--root", root, "--tasks", "rest", "--draws", "1")
    assert done.exit_code == 0, done.output
    assert done.output.startswith(
        "nothing planted, 12 blocks: of 1 ratings that were flipped, 0 raised a verdict and 0 took"
    )


def test_seconds_of_training(root: str) -> None:
    done = evaluate("seconds", "--root", root, "--tasks", "rest,task", "--draws", "2")
    assert done.exit_code == 0, done.output
    assert len(done.output.splitlines()) == 1 + 5 * 3
    assert "28, below-20: 0." in done.output


def test_blocks_of_tasks_and_events(root: str) -> None:
    tasks = evaluate("blocks", "--root", root, "--tasks", "rest,task", "--cut", "10")
    assert tasks.exit_code == 0, tasks.output
    assert "9 + 9 blocks" in tasks.output
    events = evaluate("blocks", "--root", root, "--events", "rest0,rest1", "--model", "workload")
    assert events.exit_code == 0, events.output
    assert "4 + 4 blocks" in events.output
    assert "tokens" in events.output
    permuted = evaluate("blocks", "--root", root, "--events", "rest0,rest1", "--permute")
    assert permuted.exit_code == 0
    few = evaluate("blocks", "--root", root, "--tasks", "rest,task")
    assert few.output == "No person has enough blocks of both kinds.\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("blocks",), "two states, but found none"),
        (("seconds", "--tasks", "rest"), "two states, but found rest"),
        (("false", "--tasks", "sleep"), "recordings of the tasks sleep"),
        (("false", "--blocks", "7"), "an even number of blocks, but found 7"),
        (("power", "--effect", "alpha"), "an effect such as 8-13:1.5"),
        (("power", "--effect", "8-13:1@Cz"), "one of the electrodes"),
        (("power", "--effect", "30-90:1"), "below half of the sampling frequency"),
        (("power", "--flipped", "7"), "fewer blocks of each kind that are labelled the wrong way"),
    ],
)
def test_wrong_arguments_are_one_line(root: str, arguments: tuple[str, ...], error: str) -> None:
    done = evaluate(*arguments, "--root", root)
    assert done.exit_code == 2, done.output
    assert error in done.output
    assert done.output.count("\n") == 1


def test_a_folder_without_recordings(tmp_path: Path) -> None:
    done = evaluate("false", "--root", str(tmp_path))
    assert done.exit_code == 2
    assert "recordings such as sub-01" in done.output
