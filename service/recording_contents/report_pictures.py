"""Pictures of a report, as SVG that needs nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from mimamba.service.recording_contents.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 10.0
"""Width of a picture, inches."""
LEFT, RIGHT, TOP, BOTTOM = 0.75, 0.9, 0.3, 0.5
"""Margins of a picture, inches: names of lines are above it, and a bar of colours is on its right.
Those of the sides are equal in all pictures, so that their times are below each other."""
BAR, GAP = 0.12, 0.1
"""Width of a bar of colours, and its distance from the picture, inches."""
MINUTES_FROM = 180.0
"""Length from which times are in minutes, s."""
LARGEST = 78.0
"""Size of an electrode's name times its letters that the left margin has room for, points."""
SAMPLE, LETTER, ROW = 0.45, 0.065, 0.17
"""Width of a line's sample above a picture with the space around it, width of a letter of its name,
and height of a row of names, inches."""
MANY = 100
"""Ratio of an axis's ends from which powers of ten are enough for it."""
INKS = (
    *("#0b6b75", "#c2571a", "#5b3f9e", "#2e7d32", "#8c1c13"),
    *("#1f4fa3", "#a0306d", "#7a6a00", "#4f5b66", "#00a0b0"),
)
"""Colours of lines; an output with more labels has the first ones again."""
NEUTRAL = "#b9c0c8"
STYLES = ("-", "--")
"""Lines of the first recording, and of one that it is compared with."""
NAMES = ("A", "B")
"""Names of the two in pictures."""


class TimeAxis:
    """Time axis that all pictures of a report share."""

    def __init__(self, seconds: float) -> None:
        minutes = seconds >= MINUTES_FROM
        self.scale, self.unit = (60.0, "min") if minutes else (1.0, "s")
        self.end = max(seconds, 1e-3) / self.scale

    def apply(self, axes: Axes, named: bool = True) -> None:
        """Give axes the whole recording's time."""
        axes.set_xlim(0, self.end)
        axes.set_xlabel(f"time, {self.unit}" if named else "")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)


def draw_output(recordings: Sequence[ReportData], name: str) -> str:
    """Draw an output's probabilities, with ratings of the same name, and markers.

    Lines of a second recording are dashed.
    """
    time = _time_axis(recordings)
    figure, axes = _figure(2.4)
    for data, style, of in _styled(recordings):
        for output in data.outputs:
            labels = list(output.labels.items()) if output.name == name else []
            shown = labels[-1:] if len(labels) == 2 else labels
            inks = INKS[STYLES.index(style) :] if len(labels) == 2 else INKS
            for (label, series), ink in zip(shown, cycle(inks), strict=False):
                axes.plot(
                    series.seconds / time.scale,
                    series.values,
                    color=ink,
                    ls=style,
                    lw=1.2,
                    label=f"{label}{of}",
                )
        _draw_ratings(axes, data, name, time, style, of)
        _draw_markers(axes, data, time, style)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("probability")
    _name_lines(axes)
    time.apply(axes)
    return _svg(figure)


def _draw_ratings(
    axes: Axes, data: ReportData, output: str, time: TimeAxis, style: str, of: str
) -> None:
    column = {"valence": 1, "arousal": 2}.get(output)
    if column is None or not data.ratings:
        return
    at = [rating[0] / time.scale for rating in data.ratings]
    axes.plot(
        at,
        [rating[column] / 100 for rating in data.ratings],
        "D",
        color="#8c1c13",
        fillstyle="full" if style == STYLES[0] else "none",
        ms=5,
        label=f"rating{of}",
    )


def _draw_markers(axes: Axes, data: ReportData, time: TimeAxis, style: str) -> None:
    at = np.array([each for each, _ in data.markers]) / time.scale
    if at.size:
        axes.vlines(at, *axes.get_ylim(), color=NEUTRAL, ls=style, lw=0.6, zorder=0)


def _name_lines(axes: Axes) -> None:
    """Put the names of the lines above the axes, where they cover nothing: in rows that fit.

    The picture grows by the height of the rows after the first.
    """
    _, names = axes.get_legend_handles_labels()
    longest = max(map(len, names), default=0)
    columns = max(1, int((WIDTH - RIGHT) / (SAMPLE + LETTER * longest)))
    more = ROW * (max(1, -(-len(names) // columns)) - 1)
    figure = axes.get_figure(root=True)
    if more and figure is not None:
        height = figure.get_figheight() + more
        figure.set_figheight(height)
        figure.subplots_adjust(bottom=BOTTOM / height, top=1 - (TOP + more) / height)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        borderaxespad=0,
        fontsize=8,
        frameon=False,
        ncols=columns,
        handlelength=1.5,
        columnspacing=1.2,
    )


def draw_bands(recordings: Sequence[ReportData]) -> str:
    """Draw the power in each band over time, on a logarithmic axis."""
    # Plain numbers: powers of ten would be drawn by its parser of formulas, which is slow.
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    time = _time_axis(recordings)
    figure, axes = _figure(2.6)
    for data, style, of in _styled(recordings):
        for (band, series), ink in zip(data.bands.items(), INKS, strict=False):
            at, label = series.seconds / time.scale, f"{band}{of}"
            axes.semilogy(at, series.values, color=ink, ls=style, lw=0.8, label=label)
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1,) if high > MANY * low else (1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda power, _: f"{power:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("median power, µV²")
    _name_lines(axes)
    time.apply(axes)
    return _svg(figure)


def draw_spectrogram(recordings: Sequence[ReportData]) -> str:
    """Draw the median power density of the electrodes by time and frequency, in equal colours."""
    time = _time_axis(recordings)
    figure, rows = _coloured_figure(2.8, len(recordings))
    values = [each.spectrogram.values for each in recordings]
    known = np.concatenate([power[np.isfinite(power)] for power in values])
    low, high = np.percentile(known, (2, 98)) if known.size else (-20.0, 20.0)
    for (axes, bar), data, power in zip(rows, recordings, values, strict=True):
        f = data.frequencies
        picture = axes.imshow(
            power.T,
            origin="lower",
            aspect="auto",
            extent=(0, data.seconds / time.scale, float(f[0]), float(f[-1])),
            vmin=low,
            vmax=max(high, low + 1),
            cmap="viridis",
            interpolation="nearest",
        )
        figure.colorbar(picture, cax=bar, label="dB re 1 µV²/Hz")
        axes.set_ylabel("frequency, Hz")
        time.apply(axes)
    for (axes, _), of in zip(rows, NAMES, strict=False):
        axes.set_title(of if len(recordings) > 1 else "", loc="left", fontsize=10)
    return _svg(figure)


def draw_quality(data: ReportData, recordings: Sequence[ReportData]) -> str:
    """Draw each electrode's score over time as a row of colours, on the axis of all recordings."""
    time = _time_axis(recordings)
    figure, [(axes, bar)] = _coloured_figure(0.9 + 0.28 * len(data.electrodes))
    for row, electrode in enumerate(data.electrodes):
        at = electrode.score.seconds / time.scale
        edges = np.concatenate([at[:1] - (at[1] - at[0] if len(at) > 1 else 1), at])
        picture = axes.pcolormesh(
            edges,
            [row - 0.4, row + 0.4],
            electrode.score.values[np.newaxis],
            vmin=0,
            vmax=1,
            cmap="RdYlBu",
            rasterized=True,
        )
    longest = max(len(each.name) for each in data.electrodes)
    axes.set_yticks(
        range(len(data.electrodes)),
        [each.name for each in data.electrodes],
        fontsize=min(10, LARGEST / longest),
    )
    axes.invert_yaxis()
    figure.colorbar(picture, cax=bar, label="score")
    time.apply(axes)
    return _svg(figure)


def _time_axis(recordings: Sequence[ReportData]) -> TimeAxis:
    return TimeAxis(max(each.seconds for each in recordings))


def _styled(recordings: Sequence[ReportData]) -> Iterator[tuple[ReportData, str, str]]:
    """Yield each recording with its style of lines, and the end of its labels."""
    # Not their titles: a font may lack the letters, and "$" would begin a formula.
    for data, style, name in zip(recordings, STYLES, NAMES, strict=False):
        yield data, style, f", {name}" if len(recordings) > 1 else ""


def _figure(height: float) -> tuple[Figure, Axes]:
    """Make a picture of one pair of axes."""
    figure, [axes] = _rows(height, 1)
    return figure, axes


def _coloured_figure(height: float, rows: int = 1) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Make a picture of rows of this height, each with axes, and axes for what its colours mean."""
    figure, plots = _rows(height, rows)
    found = []
    for plot in plots:
        _, bottom, _, part = plot.get_position().bounds
        left = 1 - (RIGHT - GAP) / WIDTH
        found.append((plot, figure.add_axes((left, bottom, BAR / WIDTH, part))))
    return figure, found


def _rows(height: float, rows: int) -> tuple[Figure, list[Axes]]:
    # The margins are given: to measure texts takes Matplotlib as long as to draw a picture.
    figure = _empty_figure(height * rows)
    figure.subplots_adjust(
        left=LEFT / WIDTH,
        right=1 - RIGHT / WIDTH,
        bottom=BOTTOM / (height * rows),
        top=1 - TOP / (height * rows),
        hspace=(BOTTOM + TOP) / (height - BOTTOM - TOP),
    )
    return figure, list(figure.subplots(rows, squeeze=False)[:, 0])


def _empty_figure(height: float) -> Figure:
    # Without pyplot, which keeps figures and is not safe in threads.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasSVG(figure)
    return figure


def _svg(figure: Figure) -> str:
    """Return a figure as an ``svg`` element, its text as text."""
    from matplotlib import rc_context

    file = StringIO()
    with rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)


def all_pictures(recordings: Sequence[ReportData]) -> Sequence[tuple[str, str]]:
    """Return the pictures that are no output's, with their titles."""
    pictures = [("Spectrogram, median of the electrodes", draw_spectrogram(recordings))]
    if any(each.bands for each in recordings):
        pictures.insert(0, ("Band power, median of the electrodes", draw_bands(recordings)))
    return pictures
