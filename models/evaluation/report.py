"""Evaluation reports as text, Markdown, JSON and figure; each includes the warnings."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from string import ascii_lowercase

import msgspec
from rich.console import Console
from rich.table import Table

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.formats.recording import one_line
from mimamba.models.evaluation.metrics import COVERAGES
from mimamba.models.evaluation.pictures import draw_confusions, draw_live
from mimamba.models.evaluation.results import (
    CandidateResult,
    EvaluationReport,
    LiveResult,
    LiveScores,
    ProtocolResult,
    SplitFacts,
)

WIDTH = 140
"""Maximum line length of the text, characters."""
HEADS = (
    *("protocol", "output", "candidate", "accuracy", "balanced accuracy", "macro-F1"),
    *("weighted F1", "ECE raw", "ECE", "Brier"),
)
LIVE_HEADS = (
    *("protocol", "output", "candidate", "live, plain", "live balanced accuracy", "steady"),
    *("followed, s", "missed", "keep", "r"),
)
SET_HEADS = (
    *("protocol", "output", "candidate", "coverage", "labels", "lowest person"),
    *("coverage, adapting", "labels, adapting", "lowest person, adapting"),
)
SET_NOTE = (
    "Prediction sets are to hold the true label in 0.9 of the hops. Coverage: how often they do, "
    "with the threshold of the validation set; labels: mean number of labels in a set. Adapting: "
    "the threshold then follows each person, told the label after every hop."
)
LIVE_NOTES = (
    "Live reading: the parts of different labels of one person are one stream, and nothing is "
    "reset. Steady: accuracy in the last 20 s of each part, mean of the labels. Followed: seconds "
    "from a switch to the first of three correct hops in a row, at most 60; missed: share of the "
    "switches not followed within 60 s. No window spans a switch, so a live session needs up to "
    "the length of a window more.",
    "Keep, the weight of the past in smoothing, and the gate r are chosen by the live reading of "
    "the validation set. Smoothing begins as the mean of the hops so far.",
)


def to_json(report: EvaluationReport) -> bytes:
    """Encode a report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2)


def from_json(content: bytes) -> EvaluationReport:
    """Decode a report from JSON; raises msgspec.MsgspecError."""
    return msgspec.json.decode(content, type=EvaluationReport)


def load_report(path: Path) -> EvaluationReport:
    """Read the file ``evaluation.json`` that ``save_report`` wrote; raises Mismatch."""
    try:
        return from_json(path.read_bytes())
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise Mismatch(
            f"an evaluation.json written by mimamba evaluate at {path}",
            f"the error: {one_line(str(error))}",
            "correct the path",
        ) from error


def to_text(report: EvaluationReport) -> str:
    """Return the table as plain text, with the warnings above and the notes below."""
    lines = StringIO()
    console = Console(file=lines, width=WIDTH, color_system=None)
    for part in to_parts(report):
        console.print(part, highlight=False, markup=False)
    return lines.getvalue()


def to_parts(report: EvaluationReport) -> list[str | Table]:
    """Return the parts of the text in order: warnings, tables, and notes."""
    live = any(evaluation.live for evaluation in report.evaluations)
    tables = [live_table(report), curve_table(report)] if live else []
    tables += [risk_table(report)]
    if any(result.sets for evaluation in report.evaluations for result in evaluation.results):
        tables += [set_table(report)]
    return [*report.warnings, to_table(report), *tables, *notes_of(report)]


def notes_of(report: EvaluationReport) -> list[str]:
    """Return notes: what was tested, what was not, and the meaning of the columns."""
    tested = [
        f"{e.title}: tested {e.n_hops} hops from {e.n_trials} trials of {e.n_people} people in "
        f"{e.n_folds} {'folds' if e.n_folds > 1 else 'fold'}" + "".join(f"; {n}" for n in e.notes)
        for e in report.evaluations
    ]
    refused = [f"{name}: not evaluated. {reason}" for name, reason in report.refused.items()]
    return [
        *tested,
        *(line for e in report.evaluations if e.split for line in _split_notes(e, e.split)),
        *refused,
        *(f"not available: {line}" for line in report.missing),
        "Mean over folds, ± standard deviation. ECE raw and ECE: expected calibration error before "
        "and after temperature scaling on the validation set. Brier: score after it.",
        *([SET_NOTE] if any(r.sets for e in report.evaluations for r in e.results) else []),
        *(LIVE_NOTES if any(e.live for e in report.evaluations) else []),
    ]


def _split_notes(evaluation: ProtocolResult, split: SplitFacts) -> list[str]:
    """Say how far a split's numbers can be compared with published ones."""
    found = []
    if split.missing:
        found.append(
            f"{split.name}: NOT COMPARABLE with published figures, because people of the split are "
            f"missing: {', '.join(split.missing)}"
        )
    if split.figures:
        found.append(f"{split.name}: published: {split.figures}")
    letters = _letters(evaluation)
    if letters:
        each = "; ".join(f"{letter}: {words}" for words, letter in letters.items())
        found.append(f"{split.name}: differs from the published setting by {each}")
    return found


def _letters(evaluation: ProtocolResult) -> dict[str, str]:
    """Return a letter for each difference of some row."""
    words = dict.fromkeys(words for result in evaluation.results for words in result.differs)
    return dict(zip(words, ascii_lowercase, strict=False))


def to_table(report: EvaluationReport) -> Table:
    """Return a table with a section per protocol and output and a row per candidate."""
    title = report.data + (" (permuted labels)" if report.permuted else "")
    table = _score_table(title, _heads(report))
    for evaluation in report.evaluations:
        for output in report.outputs:
            for result in evaluation.results:
                if result.output == output:
                    table.add_row(*_row(evaluation, result))
            table.add_section()
    return table


def _heads(report: EvaluationReport) -> tuple[str, ...]:
    differs = any(evaluation.split for evaluation in report.evaluations)
    return (*HEADS, "differs") if differs else HEADS


def _score_table(title: str, heads: Sequence[str]) -> Table:
    """Return a table without rows: three names, then numbers."""
    table = Table(title=title)
    for place, name in enumerate(heads):
        if place < 3:
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right")
    return table


def live_table(report: EvaluationReport) -> Table:
    """Return the live reading: a row per protocol, output and candidate."""
    table = _score_table("live reading", LIVE_HEADS)
    for evaluation, results in _live_sections(report):
        for result in results:
            table.add_row(*_live_row(evaluation, result))
        table.add_section()
    return table


def curve_table(report: EvaluationReport) -> Table:
    """Return the live balanced accuracy and reaction time at every strength of smoothing."""
    table = Table(title="live balanced accuracy and time until a switch is followed, by keep")
    for name in ("protocol", "output", "candidate"):
        table.add_column(name, overflow="fold")
    sections = _live_sections(report)
    for point in sections[0][1][0].curve:
        table.add_column(f"{point.keep:.3g}", justify="right")
    for evaluation, results in sections:
        for result in results:
            points = (_point(point.scores) for point in result.curve)
            table.add_row(evaluation.title, result.output, result.contender, *points)
        table.add_section()
    return table


def risk_table(report: EvaluationReport) -> Table:
    """Return the risk-coverage curve: the share of wrong hops among the most certain ones."""
    table = Table(title="share of wrong hops among the most certain 100 % to 10 % of the hops")
    for name in ("protocol", "output", "candidate"):
        table.add_column(name, overflow="fold")
    for coverage in COVERAGES:
        table.add_column(f"{coverage:.0%}".replace("%", " %"), justify="right")
    for evaluation in report.evaluations:
        for output in report.outputs:
            for result in evaluation.results:
                if result.output == output:
                    points = (f"{point.risk:.3f}" for point in result.risks)
                    table.add_row(evaluation.title, output, result.title, *points)
            table.add_section()
    return table


def set_table(report: EvaluationReport) -> Table:
    """Return the scores of prediction sets: a row per protocol, output and candidate."""
    table = _score_table("prediction sets: the true label in 0.9 of the hops", SET_HEADS)
    for evaluation in report.evaluations:
        for output in report.outputs:
            for result in evaluation.results:
                if result.output == output and result.sets is not None:
                    points = (f"{value:.3f}" for value in vars(result.sets).values())
                    table.add_row(evaluation.title, output, result.title, *points)
            table.add_section()
    return table


def _live_sections(report: EvaluationReport) -> list[tuple[ProtocolResult, list[LiveResult]]]:
    sections = [
        (evaluation, [result for result in evaluation.live if result.output == output])
        for evaluation in report.evaluations
        for output in report.outputs
    ]
    return [(evaluation, results) for evaluation, results in sections if results]


def _live_row(evaluation: ProtocolResult, result: LiveResult) -> list[str]:
    mean, spread = result.mean, result.spread
    balanced = f"{mean.balanced_accuracy:.3f}"
    if spread is not None:
        balanced += f" ± {spread.balanced_accuracy:.3f}"
    return [
        evaluation.title,
        result.output,
        result.contender,
        f"{result.curve[0].scores.balanced_accuracy:.3f}",
        balanced,
        f"{mean.steady_accuracy:.3f}",
        "-" if mean.latency is None else f"{mean.latency:.1f}",
        "-" if mean.missed is None else f"{mean.missed:.2f}",
        _range(result.keeps),
        _range(result.r) or "-",
    ]


def _range(values: Sequence[float]) -> str:
    """Write the values that occur in the folds, from lowest to highest."""
    ends = dict.fromkeys(f"{value:.3g}" for value in (min(values), max(values))) if values else {}
    return " to ".join(ends)


def _point(scores: LiveScores) -> str:
    seconds = "-" if scores.latency is None else f"{scores.latency:.1f} s"
    return f"{scores.balanced_accuracy:.3f}\n{seconds}"


def to_markdown(report: EvaluationReport) -> str:
    """Return the table with its warnings and notes, for a model card."""
    heads = _heads(report)
    table = [
        _cells(heads),
        _cells(("---",) * len(heads)),
        *(
            _cells(_row(evaluation, result))
            for evaluation in report.evaluations
            for output in report.outputs
            for result in evaluation.results
            if result.output == output
        ),
    ]
    live = [
        _cells(_live_row(evaluation, result))
        for evaluation, results in _live_sections(report)
        for result in results
    ]
    live_heads = [_cells(LIVE_HEADS), _cells(("---",) * len(LIVE_HEADS))]
    parts = [
        *report.warnings,
        "\n".join(table),
        *(["\n".join([*live_heads, *live])] if live else []),
        "\n".join(f"- {line}" for line in notes_of(report)),
    ]
    return "\n\n".join(parts)


def save_report(report: EvaluationReport, folder: Path) -> list[Path]:
    """Write ``evaluation.txt``, ``.json`` and ``.png`` to a folder, and return their paths.

    The curves of the live reading, if there is one, are in ``live.png``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text, data, picture = (folder / f"evaluation.{end}" for end in ("txt", "json", "png"))
    text.write_text(to_text(report), encoding="utf-8")
    data.write_bytes(to_json(report))
    draw_confusions(report, picture)
    if not any(evaluation.live for evaluation in report.evaluations):
        return [text, data, picture]
    curves = folder / "live.png"
    draw_live(report, curves)
    return [text, data, picture, curves]


def _row(evaluation: ProtocolResult, result: CandidateResult) -> list[str]:
    mean, spread = result.mean, result.spread
    balanced = f"{mean.balanced_accuracy:.3f}"
    if spread is not None:
        balanced += f" ± {spread.balanced_accuracy:.3f}"
    weighted = "-" if mean.weighted_f1 is None else f"{mean.weighted_f1:.3f}"
    others = (f"{number:.3f}" for number in (mean.raw_ece, mean.ece, mean.brier))
    letters = _letters(evaluation)
    differs = ["".join(letters[each] for each in result.differs)] if evaluation.split else []
    return [
        evaluation.title,
        result.output,
        result.title,
        f"{mean.accuracy:.3f}",
        balanced,
        f"{mean.macro_f1:.3f}",
        weighted,
        *others,
        *differs,
    ]


def _cells(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"
