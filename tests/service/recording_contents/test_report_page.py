"""Reports on recordings of the service and on files of others, as a browser shows them."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mimamba.drivers.driver import Marker
from mimamba.service.engine.engine import Engine
from mimamba.service.recording_contents.marker_editing import MarkerEditor
from mimamba.service.recording_contents.report_data import POINTS, OutputReport, read_report_data
from mimamba.service.recording_contents.report_page import make_report
from mimamba.service.recording_contents.report_pictures import draw_output
from mimamba.service.recordings.recorder import Recorder
from mimamba.service.recordings.sidecar import Sidecar, save_sidecar
from tests.browser import open_browser
from tests.page.axe import violations
from tests.service.cli.test_main import invoke
from tests.service.live import live
from tests.service.models import random_checkpoint
from tests.service.muse_recordings import write_muse
from tests.service.recordings.test_recorder import chunk_of, chunks_of
from tests.service.scripted import staged

TITLE = "Day 1 <i>\u05d0"
NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record with a gap, a flat electrode, ratings and a marker that is code."""
    folder = tmp_path_factory.mktemp("data")
    path = folder / "day1.xdf"
    markers = (
        Marker(500 + 700 / 256.003, 700, "rating valence 80 arousal 20", "ratings"),
        Marker(500 + 701 / 256.003, 701, NASTY, NASTY),
    )
    with staged(Engine(random_checkpoint(folder))) as stage:
        recorder = Recorder(path, stage.session, lambda _: None)
        recorder.start()
        stage.play(*chunks_of(0, 672), chunk_of(672, 96, markers=markers))
        flat = chunks_of(1300, 4000)
        for each in flat[10:40]:
            each.data[:, 1] = 0
        stage.play(*flat)
        recorder.stop()
    sidecar = Sidecar("day1", "finished", person="P01", notes=f"{NASTY}\nloud", title=TITLE)
    save_sidecar(path, sidecar)
    MarkerEditor(path).change("r1", 1.0, NASTY.upper())
    return path


def test_it_says_what_was_recorded(recorded: Path) -> None:
    data = read_report_data(recorded)
    assert data.seconds == pytest.approx(4000 / 256)
    assert data.lost == pytest.approx(532 / 256)
    assert [each.name for each in data.outputs] == ["valence", "arousal"]
    output = data.outputs[0]
    assert output.abstained is not None
    assert 0.1 < output.abstained < 0.9
    assert set(output.why) == {"warming up", "poor signal"}
    assert sum(output.why.values()) == pytest.approx(output.abstained)
    high, low = output.labels["high"].values, output.labels["low"].values
    known = np.isfinite(high)
    np.testing.assert_allclose((high + low)[known], 1, atol=1e-6)
    assert 0 < known.sum() < len(known)
    (at, valence, arousal) = data.ratings[0]
    assert (round(at * 256), valence, arousal) == (700, 80, 20)
    af7 = next(each for each in data.electrodes if each.name == "AF7")
    assert af7.good is not None
    assert af7.good < 0.9
    assert "flat" in af7.reasons
    assert set(data.bands) == {"delta", "theta", "alpha", "beta", "gamma"}
    assert "simulated" not in "".join(data.notices)
    info = replace(data.recording.info, simulated=True)
    simulated = replace(data, recording=replace(data.recording, info=info))
    assert "simulated" in simulated.notices[0]
    # No column over the gap: what was not measured is not drawn.
    columns = data.spectrogram
    lost = (columns.seconds > 768 / 256 - 0.9) & (columns.seconds < 1300 / 256 + 0.9)
    assert np.isnan(columns.values[lost]).all()
    assert not np.isnan(columns.values[~lost]).all()


def test_a_long_recording_is_thinned_by_means(tmp_path: Path) -> None:
    path = tmp_path / "long.xdf"

    def is_written(samples: int) -> bool:
        return path.stat().st_size > 4 * 4 * samples

    # A live session leaves out what waited too long, which a busy machine may take.
    with staged(None, max_wait=3600.0) as stage:
        recorder = Recorder(path, stage.session, lambda _: None)
        recorder.start()
        chunks = chunks_of(0, 256 * 60 * 8, n_times=2048)
        for part in (chunks[:20], chunks[20:40], chunks[40:]):
            stage.play(*part)  # all at once might leave the log before the recorder reads it
            stage.until(partial(is_written, part[-1].end))
        recorder.stop()
    data = read_report_data(path)
    assert data.model is None
    for series in (*data.bands.values(), *(each.score for each in data.electrodes)):
        assert POINTS / 2 < len(series.seconds) <= POINTS
        assert series.seconds[0] < 5
        assert series.seconds[-1] > 475


class Tags(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.links += [
            value or "" for name, value in attrs if name in ("href", "src", "xlink:href")
        ]


def test_a_browser_shows_it_without_scripts_or_requests(recorded: Path, tmp_path: Path) -> None:
    done = invoke(
        "report", "day1", "--data-dir", str(recorded.parent), "--out", f"{tmp_path}/r.html"
    )
    assert done.exit_code == 0, done.output
    tags = Tags((tmp_path / "r.html").read_text())
    assert "script" not in tags.names
    assert all(link.startswith(("#", "data:image/png")) for link in tags.links)
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url))
        page.goto(f"file://{tmp_path}/r.html")
        assert page.locator("svg").count() == 5
        assert page.locator("h1").inner_text() == TITLE
        for told in (NASTY, f"{NASTY}\nloud", f"0:01 {NASTY.upper()}", "1 changed"):
            assert told in page.locator("main").inner_text()
        assert violations(page) == []
        page.set_viewport_size({"width": 320, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert {re.sub(":.*", "", each) for each in sent} <= {"file", "data"}


def test_two_recordings_are_on_one_axis(recorded: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(recorded, tmp_path / "other.xdf"))
    save_sidecar(other, Sidecar("other", "finished", title="$\\frac $ <b>"))
    text = make_report(recorded, other)
    assert "A: <bdi>Day 1 &lt;i&gt;\u05d0</bdi> and B: <bdi>$\\frac $ &lt;b&gt;</bdi>" in text
    for told in ("Recording A", "Recording B", "Markers of A", "Markers of B"):
        assert text.count(f"<h2>{told}</h2>") == 1
    for line in ("high, A", "high, B", "alpha, B", "rating, A"):
        assert f">{line}<" in text
    assert text.count("<svg") == 6  # two outputs, bands, spectrograms, and the quality of each


def test_all_labels_of_an_output_have_a_line_and_a_whole_name(recorded: Path) -> None:
    data = read_report_data(recorded)
    series = next(iter(data.outputs[0].labels.values()))
    labels = {f"eyes closed and relaxed {n}": series for n in range(12)}
    report = replace(data, outputs=[OutputReport("state", labels, 0.0, {})])
    picture = draw_output([report, report], "state")
    names = {
        name: float(left)
        for left, name in re.findall(r'x="(\S+)" y="[^>]*>([^<]*relaxed[^<]*)<', picture)
    }
    assert names.keys() == {f"{label}, {of}" for label in labels for of in "AB"}
    assert min(names.values()) > 20  # left of a name is a sample of its line


def test_a_date_that_was_changed_by_hand_is_shown_as_it_is(recorded: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(recorded, tmp_path / "other.xdf"))
    for written, shown in (
        ("yesterday", "yesterday"),
        ("2026-07-01T12:00:00", "2026-07-01 12:00 UTC"),
        ("2026-07-01T12:00:00+02:00", "2026-07-01 10:00 UTC"),
    ):
        save_sidecar(other, Sidecar("other", "finished", started=written))
        assert f">{shown}<" in make_report(other)


def test_a_table_never_cuts_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    name = "P01-a-long-name-of-a-recording-2026-01-01"
    (tmp_path / f"{name}.xdf").write_bytes(b"XDF:")
    shown = invoke("recordings", "--data-dir", str(tmp_path)).stdout
    first = "".join(line[1:].split("│")[0].strip() for line in shown.splitlines() if "│" in line)
    assert name in first
    assert "…" not in shown


def test_over_the_api_and_for_files_of_others(recorded: Path, tmp_path: Path) -> None:
    with live(source=[], data_dir=recorded.parent) as service:
        answer = service.http.get("/v1/recordings/day1/report")
        assert answer.status_code == 200
        assert "day1-report.html" in answer.headers["content-disposition"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "<h2>valence</h2>" in answer.text
        with open_browser() as browser:
            page = browser.new_page()
            messages: list[str] = []
            page.on("console", lambda message: messages.append(message.text))
            page.goto(f"{service.url}/v1/recordings/day1/report?view=true")  # and no download
            assert page.locator("svg image").count()
            width = page.evaluate("getComputedStyle(document.body).maxWidth")
            assert width != "none"  # it has its own styles
            assert messages == []  # the policy refuses nothing that it has
        assert service.http.get("/v1/recordings/gone/report").status_code == 404
        summary = service.http.get("/v1/recordings/day1/summary").json()
        assert summary["n_markers"] == len(summary["markers"]) == 2
        assert summary["ratings"][0]["valence"] == 80
        assert sum(summary["outputs"]["valence"]["means"].values()) == pytest.approx(1)
        assert summary["electrodes"]["AF7"]["reasons"]["flat"] > 0
    muse = write_muse(tmp_path / "muse.csv", seconds=12)
    text = make_report(muse)
    assert "only the signal" in text
    assert text.count("<svg") == 1
    for arguments, message in (
        ([str(muse), "--out", str(muse)], "an existing one"),
        (["gone", "--data-dir", str(tmp_path)], "No recording"),
        ([str(muse), "--out", f"{tmp_path}/no/r.html"], "Choose another place"),
    ):
        done = invoke("report", *arguments)
        assert done.exit_code == 2, done.output
        assert message in done.output
