"""Evaluation reports as text, Markdown, JSON and figure; each includes the warnings."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from mimamba.drivers.errors import Mismatch
from mimamba.drivers.formats.recording import one_line
from mimamba.models.evaluation.results import CandidateResult, EvaluationReport, ProtocolResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 140
"""Maximum line length of the text, characters."""
PERMUTED = "labels are permuted: every row should be at chance"


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
    for part in (*warnings_of(report), to_table(report), *notes_of(report)):
        console.print(part, highlight=False, markup=False)
    return lines.getvalue()


def warnings_of(report: EvaluationReport) -> list[str]:
    """Return the warnings to show before the numbers."""
    warnings = [f"WARNING: {e.warning}" for e in report.evaluations if e.warning]
    return [*warnings, *([f"WARNING: {PERMUTED}"] if report.permuted else [])]


def notes_of(report: EvaluationReport) -> list[str]:
    """Return notes: what was tested, what was not, and the meaning of the columns."""
    tested = [
        f"{e.protocol}: tested {e.n_hops} hops from {e.n_trials} trials of {e.n_people} people in "
        f"{e.n_folds} folds" + "".join(f"; {note}" for note in e.notes)
        for e in report.evaluations
    ]
    refused = [f"{name}: not evaluated. {reason}" for name, reason in report.refused.items()]
    return [
        *tested,
        *refused,
        *(f"not available: {line}" for line in report.missing),
        "Mean over folds, ± standard deviation. ECE raw and ECE: expected calibration error before "
        "and after temperature scaling on the validation set. Brier: score after it.",
    ]


def to_table(report: EvaluationReport) -> Table:
    """Return a table with a section per protocol and output and a row per candidate."""
    table = Table(title=report.data + (" (permuted labels)" if report.permuted else ""))
    for name in ("protocol", "output", "candidate"):
        table.add_column(name, overflow="fold")
    for name in ("accuracy", "balanced accuracy", "macro-F1", "ECE raw", "ECE", "Brier"):
        table.add_column(name, justify="right")
    for evaluation in report.evaluations:
        for output in report.outputs:
            for result in evaluation.results:
                if result.output == output:
                    table.add_row(*_row(evaluation, result))
            table.add_section()
    return table


def to_markdown(report: EvaluationReport) -> str:
    """Return the table with its warnings and notes, for a model card."""
    heads = ("protocol", "output", "candidate", "accuracy", "balanced accuracy", "macro-F1")
    table = [
        _cells((*heads, "ECE raw", "ECE", "Brier")),
        _cells(("---",) * 9),
        *(
            _cells(_row(evaluation, result))
            for evaluation in report.evaluations
            for output in report.outputs
            for result in evaluation.results
            if result.output == output
        ),
    ]
    parts = [
        *warnings_of(report),
        "\n".join(table),
        "\n".join(f"- {line}" for line in notes_of(report)),
    ]
    return "\n\n".join(parts)


def save_report(report: EvaluationReport, folder: Path) -> list[Path]:
    """Write ``evaluation.txt``, ``.json`` and ``.png`` to a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    text, data, picture = (folder / f"evaluation.{end}" for end in ("txt", "json", "png"))
    text.write_text(to_text(report), encoding="utf-8")
    data.write_bytes(to_json(report))
    draw_confusions(report, picture)
    return [text, data, picture]


def draw_confusions(report: EvaluationReport, path: Path) -> None:
    """Draw the confusion matrices as PNG, in percent of each true label's hops.

    There is a row per candidate and a column per protocol and output. Needs the extra ``train``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = [(e, output) for e in report.evaluations for output in report.outputs]
    rows = _rows(report)
    width, height = 2.4 + 1.7 * max(3, len(columns)), 1.3 + 1.4 * max(1, len(rows))
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    head = "\n".join(textwrap.wrap(" ".join(warnings_of(report)) or report.data, round(13 * width)))
    ink = "#8c1c13" if warnings_of(report) else "black"
    figure.suptitle(head, fontsize=9, color=ink, y=1 - 0.1 / height, va="top")
    edges = {"left": 2.1 / width, "right": 1 - 0.1 / width, "bottom": 0.2 / height}
    grid = figure.subplots(
        max(1, len(rows)),
        max(1, len(columns)),
        squeeze=False,
        gridspec_kw={**edges, "top": 1 - 1.1 / height, "wspace": 0.3, "hspace": 0.3},
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for column, (evaluation, output) in enumerate(columns):
        grid[0, column].set_title(f"{_marked(evaluation)}\n{output}", fontsize=8)
        for result in evaluation.results:
            if result.output == output:
                _draw(grid[rows.index(_who(result)), column], result, report.outputs[output])
    for row, who in enumerate(rows):
        place = grid[row, 0].get_position()
        middle = (place.y0 + place.y1) / 2
        figure.text(0.1 / width, middle, textwrap.fill(who, 22), fontsize=8, va="center")
    figure.savefig(path, format="png", dpi=120)


def _rows(report: EvaluationReport) -> list[str]:
    """Return the name of every row, a candidate's smoothed row after its plain one."""
    results = [result for evaluation in report.evaluations for result in evaluation.results]
    candidates = list(dict.fromkeys(result.contender for result in results))
    order = {_who(r): (candidates.index(r.contender), r.smoothing) for r in results}
    return sorted(order, key=lambda who: order[who])


def _marked(evaluation: ProtocolResult) -> str:
    return f"{evaluation.protocol} (leaks)" if evaluation.warning else evaluation.protocol


def _who(result: CandidateResult) -> str:
    return result.contender + (", smoothed" if result.smoothing == "smoothed" else "")


def _row(evaluation: ProtocolResult, result: CandidateResult) -> list[str]:
    mean, spread = result.mean, result.spread
    numbers = (mean.accuracy, mean.macro_f1, mean.raw_ece, mean.ece, mean.brier)
    first, *others = (f"{number:.3f}" for number in numbers)
    balanced = f"{mean.balanced_accuracy:.3f} ± {spread.balanced_accuracy:.3f}"
    return [_marked(evaluation), result.output, _who(result), first, balanced, *others]


def _cells(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"


def _draw(axes: Axes, result: CandidateResult, labels: tuple[str, ...]) -> None:
    matrix = np.array(result.confusion)
    shares = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.set_axis_on()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    places = range(len(labels))
    axes.set_xticks(places, labels, fontsize=6)
    axes.set_yticks(places, labels, fontsize=6, rotation=90, va="center")
    for (row, column), share in np.ndenumerate(shares):
        ink = "white" if share > 60 else "black"
        axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color=ink)
