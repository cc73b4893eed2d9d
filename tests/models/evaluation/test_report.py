"""Reports: the warning is in all three forms, and nothing is lost in JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mimamba.models.evaluation.candidates.candidate import ClassificationTask, MajorityLabel
from mimamba.models.evaluation.evaluator import evaluate_sequences
from mimamba.models.evaluation.pictures import draw_confusions, draw_live
from mimamba.models.evaluation.report import (
    from_json,
    save_report,
    to_json,
    to_text,
)
from mimamba.models.evaluation.results import EvaluationReport
from tests.models.evaluation.people import TASK, people, silent


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    missing = ["wanted braindecode; found nothing"]
    return evaluate_sequences(
        "nobody", people(5, 6, 3, silent), TASK, [MajorityLabel(TASK)], missing=missing
    )


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_text_warns_before_the_numbers_and_shows_calibration(report: EvaluationReport) -> None:
    text = to_text(report)
    assert flat(text).index("WARNING: protocol paper leaks") < flat(text).index("majority label")
    assert "57.7 %" in flat(text)
    assert "paper (leaks)" in text
    for column in ("accuracy", "balanced accuracy", "macro-F1", "ECE raw", "ECE", "Brier"):
        assert column in text
    assert "0.500 ± 0.000" in text
    assert "majority label, smoothed" in text
    assert "not available: wanted braindecode; found nothing" in text
    assert "subject: tested 90 hops from 30 trials of 5 people in 5 folds" in text
    assert max(map(len, text.splitlines())) <= 140


def test_without_paper_there_is_no_warning(report: EvaluationReport) -> None:
    honest = replace(report, evaluations=report.evaluations[1:])
    assert honest.warnings == []
    assert "leak" not in to_text(honest)


def test_the_live_reading_and_the_risk_are_tables_of_their_own(report: EvaluationReport) -> None:
    text = flat(to_text(report))
    for words in ("live reading", "steady", "followed, s", "missed", "time until a switch"):
        assert words in text
    assert "share of wrong hops" in text
    assert "No window spans a switch" in text
    single = replace(report, evaluations=report.evaluations[:1])  # paper: single hops
    assert "No window spans a switch" not in to_text(single)


def test_the_curve_is_drawn_for_every_candidate_with_a_live_reading(
    report: EvaluationReport, tmp_path: Path
) -> None:
    image = pytest.importorskip("matplotlib.image", reason="the extra train is not installed")
    draw_live(report, tmp_path / "live.png")
    assert image.imread(tmp_path / "live.png").std() > 0
    single = replace(report, evaluations=report.evaluations[:1])
    names = [path.name for path in save_report(single, tmp_path / "single")]
    assert "live.png" not in names


def test_permuted_labels_and_refusals_are_reported(report: EvaluationReport) -> None:
    text = to_text(replace(report, permuted=True, refused={"trial": "wanted more"}))
    assert "labels are permuted" in text
    assert "nobody (permuted labels)" in text
    assert "trial: not evaluated. wanted more" in text


def test_json_comes_back_whole(report: EvaluationReport) -> None:
    content = to_json(report)
    assert from_json(content) == report
    assert b"protocol paper leaks" in content


def test_all_three_are_saved_and_the_picture_holds_the_warning(
    report: EvaluationReport, tmp_path: Path
) -> None:
    image = pytest.importorskip("matplotlib.image", reason="the extra train is not installed")
    paths = save_report(report, tmp_path / "new")
    names = [f"evaluation.{end}" for end in ("txt", "json", "png")]
    assert [path.name for path in paths] == [*names, "live.png"]
    assert paths[0].read_text(encoding="utf-8") == to_text(report)
    honest = tmp_path / "honest.png"
    draw_confusions(replace(report, evaluations=report.evaluations[1:]), honest)
    red = [reddish(image.imread(path)) for path in (paths[2], honest)]
    assert red[0] > 500
    assert red[1] == 0


def reddish(pixels: np.ndarray) -> int:
    """Count the pixels in the warning's colour."""
    r, g, b = (pixels[..., i] for i in range(3))
    return int(((r > 0.4) & (g < 0.25) & (b < 0.25)).sum())


def test_two_outputs_have_their_own_sections() -> None:
    task = ClassificationTask({"a": ("x", "y"), "b": ("u", "v")}, TASK.montage, TASK.signal)
    sequences = [replace(s, labels=np.repeat(s.labels, 2, 1)) for s in people(4, 4, 2, silent)]
    text = to_text(
        evaluate_sequences("two", sequences, task, [MajorityLabel(task)], protocols=["subject"])
    )
    rows = [line.split("│")[2].strip() for line in text.splitlines() if "majority" in line]
    # Blocks plain and smoothed of each output, the live reading, its curve, the risk, and sets.
    blocks = ["a", "a", "b", "b"]
    assert rows == [*blocks, *("a", "b") * 2, *blocks, *blocks]
