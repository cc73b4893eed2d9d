"""Pictures of an evaluation: confusion matrices, and the live reading.

Needs the extra ``train``.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mimamba.models.evaluation.results import (
    PERMUTED,
    CandidateResult,
    EvaluationReport,
    LiveResult,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_confusions(report: EvaluationReport, path: Path) -> None:
    """Draw the confusion matrices as PNG, in percent of each true label's hops.

    There is a row per candidate and a column per protocol and output.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = [(e, output) for e in report.evaluations for output in report.outputs]
    rows = _rows(report)
    width, height = 2.4 + 1.7 * max(3, len(columns)), 1.3 + 1.4 * max(1, len(rows))
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    head = "\n".join(textwrap.wrap(" ".join(report.warnings) or report.data, round(13 * width)))
    ink = "#8c1c13" if report.warnings else "black"
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
        grid[0, column].set_title(f"{evaluation.title}\n{output}", fontsize=8)
        for result in evaluation.results:
            if result.output == output:
                _draw(grid[rows.index(result.title), column], result, report.outputs[output])
    for row, who in enumerate(rows):
        place = grid[row, 0].get_position()
        middle = (place.y0 + place.y1) / 2
        figure.text(0.1 / width, middle, textwrap.fill(who, 22), fontsize=8, va="center")
    figure.savefig(path, format="png", dpi=120)


def draw_live(report: EvaluationReport, path: Path) -> None:
    """Draw the live reading as PNG: accuracy against reaction time, by strength of smoothing.

    There is a panel per protocol and output, and a line per candidate, with a point for each
    strength of smoothing; the largest point is without any.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [(e, name) for e in report.evaluations if e.live for name in report.outputs]
    figure = Figure(figsize=(1.5 + 6.5 * len(panels), 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    ink = "#8c1c13" if report.permuted else "black"
    title = f"{report.data}: {PERMUTED}" if report.permuted else report.data
    figure.suptitle(textwrap.fill(title, 80 * len(panels)), fontsize=9, color=ink)
    grid = figure.subplots(1, len(panels), squeeze=False)
    for axes, (evaluation, output) in zip(grid[0], panels, strict=True):
        axes.set_title(f"{evaluation.title}: {output}", fontsize=9)
        axes.set_xlabel("seconds until a switch is followed", fontsize=8)
        axes.set_ylabel("live balanced accuracy", fontsize=8)
        axes.axhline(1 / len(report.outputs[output]), color="grey", linewidth=0.7, linestyle=":")
        for place, result in enumerate(r for r in evaluation.live if r.output == output):
            _draw_curve(axes, result, place)
        axes.tick_params(labelsize=7)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=6)
    figure.savefig(path, format="png", dpi=120)


def _draw_curve(axes: Axes, result: LiveResult, place: int) -> None:
    points = [
        (point.scores.latency, point.scores.balanced_accuracy)
        for point in result.curve
        if point.scores.latency is not None
    ]
    style = ("-", "--", ":")[place // 10 % 3]  # after ten candidates the colours repeat
    seconds, accuracies = zip(*points, strict=True)
    (line,) = axes.plot(seconds, accuracies, f"o{style}", markersize=3, label=result.contender)
    axes.plot(*points[0], "o", markersize=7, color=line.get_color())


def _rows(report: EvaluationReport) -> list[str]:
    """Return the name of every row, a candidate's smoothed row after its plain one."""
    results = [result for evaluation in report.evaluations for result in evaluation.results]
    candidates = list(dict.fromkeys(result.contender for result in results))
    order = {r.title: (candidates.index(r.contender), r.smoothing) for r in results}
    return sorted(order, key=lambda title: order[title])


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
