"""The command as a person uses it: a verdict, a head, the same bytes again, one line for errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.tables.csv_writer import write_csv
from mimamba.service.cli.main import app
from tests.models.personal.sittings import ALPHA, SFREQ, marked, sitting

SITTING = sitting(ALPHA)


def write(path: Path, recording: Recording) -> str:
    write_csv(recording, path)
    return str(path)


def events(path: Path, ratings: bool = False) -> str:
    rows = ["onset\tduration\ttrial_type\tvalence"]
    for n, block in enumerate(SITTING[1]):
        rating = 80 if (block.kind == "b") != (n == 4) else 20
        rows.append(
            f"{block.start / SFREQ}\t{(block.stop - block.start) / SFREQ}\t{block.kind}\t"
            f"{rating if ratings else 'n/a'}"
        )
    path.write_text("\n".join(rows) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("sitting")
    return write(folder / "sitting.csv", marked(*SITTING))


def calibrate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["calibrate", *arguments])


MARKERS = ("--from-markers", "begin a=calm,begin b=lively")


def test_markers_give_a_verdict_and_a_head(recording: str, tmp_path: Path) -> None:
    head = tmp_path / "head.safetensors"
    done = calibrate(recording, *MARKERS, "--head", str(head))
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Reliable today: your own output told calm from lively in ")
    assert "6 blocks of calm, 6 of lively" in done.output
    assert "20 to 40 Hz alone" in done.output
    again = calibrate(recording, "--verify", "--head", str(head))
    assert again.exit_code == 0, again.output
    assert again.output.startswith(f"{head}: the same bytes again.")
    first = head.read_bytes()
    calibrate(recording, *MARKERS, "--head", str(head))
    assert head.read_bytes() == first


def test_a_table_gives_the_same_as_markers(recording: str, tmp_path: Path) -> None:
    table = events(tmp_path / "events.tsv")
    from_table = calibrate(recording, "--from-table", table, "--json")
    from_markers = calibrate(recording, "--from-markers", "begin a=a,begin b=b", "--json")
    assert from_table.exit_code == 0, from_table.output
    assert json.loads(from_table.output) == json.loads(from_markers.output)


def test_a_rating_the_wrong_way_is_counted(recording: str, tmp_path: Path) -> None:
    table = events(tmp_path / "events.tsv", ratings=True)
    done = calibrate(recording, "--from-table", table, "--rating", "valence")
    assert "1 ratings contradict their block" in done.output
    plain = calibrate(recording, "--from-table", table, "--json")
    rated = calibrate(recording, "--from-table", table, "--rating", "valence", "--json")
    found = [json.loads(each.output)["verdict"]["result"]["p"] for each in (plain, rated)]
    assert found[1] >= found[0]


def test_attempts_are_pooled(recording: str, tmp_path: Path) -> None:
    other = write(tmp_path / "second.csv", marked(*sitting(ALPHA, 1)))
    done = calibrate(recording, other, *MARKERS)
    assert "2 attempts were pooled." in done.output
    assert "each p is multiplied by 2" in done.output


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), "either --from-markers or --from-table, but found neither"),
        (
            (*MARKERS, "--from-table", "x.tsv"),
            "either --from-markers or --from-table, but found both",
        ),
        (
            ("--from-markers", "pause"),
            "markers with the label pause, but found begin a, begin b, end",
        ),
        (("--from-markers", "begin a"), "blocks of two kinds"),
        (("--from-table", "none.tsv"), "no such file"),
        (("--from-table", "x.tsv", "--seconds", "20"), "--seconds with markers"),
        ((*MARKERS, "--rating", "valence"), "--rating with a table"),
        (
            (*MARKERS, "--states", "calm,sad"),
            "blocks of two kinds: calm, sad, but found calm, lively",
        ),
        ((*MARKERS, "--baseline", "5"), "a baseline of 0 or at least 10 s"),
        ((*MARKERS, "--baseline", "60"), "60 s of rest before the first block, but found 6.0 s"),
        ((*MARKERS, "--montage", "Cz,Pz"), "a channel within 55 mm of"),
        (("--verify",), "a head to verify, but found none"),
        (("--verify", "--head", "none.safetensors"), "a readable file none.safetensors"),
    ],
)
def test_wrong_arguments_are_one_line(
    recording: str, arguments: tuple[str, ...], error: str
) -> None:
    done = calibrate(recording, *arguments)
    assert done.exit_code == 2
    assert error in " ".join(done.output.split())
    assert done.output.count("\n") == 1


def test_too_few_blocks_write_no_head(recording: str, tmp_path: Path) -> None:
    rows = events(tmp_path / "events.tsv")
    short = tmp_path / "short.tsv"
    short.write_text("\n".join(Path(rows).read_text().split("\n")[:7]) + "\n")
    head = tmp_path / "head.safetensors"
    done = calibrate(recording, "--from-table", str(short), "--head", str(head))
    assert done.exit_code == 2
    assert done.output.startswith("Too little to judge by: 3 of a and 3 of b can be used")
    assert "a head to write, but found none" in done.output
    assert not head.exists()
