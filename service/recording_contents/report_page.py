"""Report on a recording: one HTML file with pictures, and without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path

from mimamba.drivers.driver import Marker
from mimamba.service.recording_contents.report_data import (
    OutputReport,
    ReportData,
    read_report_data,
)
from mimamba.service.recording_contents.report_pictures import (
    NAMES,
    all_pictures,
    draw_output,
    draw_quality,
)
from mimamba.service.recordings.sidecar import in_utc

MAX_MARKERS = 500
"""Markers that are listed."""
STYLE = """
:root { color-scheme: light; }
body { max-width: 68rem; padding: 1rem; margin: 0 auto; color: #16232b; background: #fff;
       font: 1rem/1.5 system-ui, sans-serif; }
h1, h2, h3 { line-height: 1.2; overflow-wrap: anywhere; }
figure { margin: 0.5rem 0 1.5rem; overflow-x: auto; }
svg { width: 100%; min-width: 44rem; height: auto; }
table { border-collapse: collapse; }
th, td { padding: 0.25rem 0.75rem 0.25rem 0; text-align: left; vertical-align: top;
         border-bottom: 1px solid #d5dae0; overflow-wrap: anywhere; }
th, td:first-child { overflow-wrap: normal; }
td { white-space: pre-line; }
.table { overflow-x: auto; }
.note { color: #4c5a64; }
.warning { padding: 0.5rem 1rem; background: #fff1d6; border-radius: 0.5rem; }
"""


def make_report(path: Path, other: Path | None = None) -> str:
    """Return the report on a recording as HTML.

    Parameters
    ----------
    path
        The recording; any format that a replay can read.
    other
        A recording to compare it with: both are drawn on one axis of time from their beginnings.

    Raises
    ------
    BadRecording
        If one cannot be read.
    """
    recordings = [read_report_data(each) for each in (path, other) if each is not None]
    several = len(recordings) > 1
    name = " and ".join(escape(each.title) for each in recordings)
    body = [
        "<h1>"
        + " and ".join(
            (f"{letter}: " if several else "") + f"<bdi>{escape(data.title)}</bdi>"
            for letter, data in zip(NAMES, recordings, strict=False)
        )
        + "</h1>",
        '<p class="note">Not a medical device. Estimates only, no diagnosis.</p>',
    ]
    for letter, data in zip(NAMES, recordings, strict=False):
        body += [f"<h2>Recording {letter}</h2>"] if several else []
        body += [
            *(f'<p class="warning">{escape(each)}</p>' for each in data.notices),
            _facts(data),
        ]
    body += [
        *_outputs(recordings),
        *(f"<h2>{escape(t)}</h2>{_figure(t, svg)}" for t, svg in all_pictures(recordings)),
    ]
    for letter, data in zip(NAMES, recordings, strict=False):
        of = f" of {letter}" if several else ""
        body += [
            *_quality(data, recordings, of),
            *_ratings(data, of),
            *_markers(data, of),
            *_edits(data, of),
        ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}, mimamba</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + f'\n<p class="note">Made by mimamba {version("mimamba")}.</p>\n</main>\n'
        "</body>\n</html>\n"
    )


def _figure(title: str, svg: str) -> str:
    labelled = svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
    return f'<figure tabindex="0">{labelled}</figure>'  # on a phone it is moved by keys, too


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    headings = "".join(f'<th scope="col">{escape(each)}</th>' for each in head)
    cells = "".join(
        "<tr>" + "".join(f"<td>{escape(each)}</td>" for each in row) + "</tr>" for row in rows
    )
    table = f"<table><thead><tr>{headings}</tr></thead><tbody>{cells}</tbody></table>"
    return f'<div class="table">{table}</div>'


def _percent(share: float) -> str:
    if 0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _date(written: str | None) -> str | None:
    """Return a date in ISO 8601 as people read it, in UTC; one that is none, as it is."""
    if written is None:
        return None
    try:
        return f"{in_utc(written):%Y-%m-%d %H:%M} UTC"
    except ValueError:  # changed by hand
        return written


def _facts(data: ReportData) -> str:
    about, info = data.about, data.recording.info
    facts = {
        "File": about.name if about.title else None,
        "Started": _date(about.started),
        "Length": f"{_clock(data.seconds)}, "
        + (f"of which {data.lost:.1f} s were lost" if data.lost >= 0.05 else "nothing lost"),
        "Person": about.person,
        "Source": about.source or info.name,
        "Electrodes": f"{', '.join(info.ch_names)} at {info.sfreq:g} Hz",
        "Model": data.model or "none: only the signal was recorded",
        "Notes": about.notes,
        "End": about.reason,
    }
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td dir="auto">{escape(value)}</td></tr>'
        for name, value in facts.items()
        if value
    )
    return f'<div class="table"><table><tbody>{rows}</tbody></table></div>'


def _why(shares: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name} {_percent(share)}"
        for name, share in sorted(shares.items(), key=lambda each: -each[1])
    )


def _outputs(recordings: Sequence[ReportData]) -> Iterable[str]:
    for name in dict.fromkeys(each.name for data in recordings for each in data.outputs):
        yield f"<h2>{escape(name)}</h2>"
        for letter, data in zip(NAMES, recordings, strict=False):
            of = f"{letter}: " if len(recordings) > 1 else ""
            for output in data.outputs:
                if output.name == name:
                    yield f"<p>{of}{escape(_abstention(output))}</p>"
        yield _figure(f"{name} over time", draw_output(recordings, name))


def _abstention(output: OutputReport) -> str:
    if not output.abstained:
        return "The model never abstained."
    why = _why(output.why)
    return f"The model abstained {_percent(output.abstained)} of the time" + (
        f": {why}." if why else "."
    )


def _quality(data: ReportData, recordings: Sequence[ReportData], of: str) -> Iterable[str]:
    if not data.electrodes:
        return
    yield f"<h2>Signal quality{of}</h2>"
    yield _figure(f"Quality of each electrode over time{of}", draw_quality(data, recordings))
    yield _table(
        ("Electrode", "Good", "Otherwise"),
        (
            (each.name, "" if each.good is None else _percent(each.good), _why(each.reasons))
            for each in data.electrodes
        ),
    )


def _ratings(data: ReportData, of: str) -> Iterable[str]:
    if data.ratings:
        yield f"<h2>Ratings{of}</h2>"
        rows = ((_clock(at), f"{v:g}", f"{a:g}") for at, v, a in data.ratings)
        yield _table(("Time", "Valence, 0 to 100", "Arousal, 0 to 100"), rows)


def _markers(data: ReportData, of: str) -> Iterable[str]:
    if not data.markers:
        return
    yield f"<h2>Markers{of}</h2>"
    if len(data.markers) > MAX_MARKERS:
        yield f'<p class="note">The first {MAX_MARKERS} of {len(data.markers)}.</p>'
    rows = ((_clock(at), each.label, each.source) for at, each in data.markers[:MAX_MARKERS])
    yield _table(("Time", "Marker", "From"), rows)


def _edits(data: ReportData, of: str) -> Iterable[str]:
    if not data.edits:
        return
    rate = data.recording.info.sfreq

    def text(marker: Marker) -> str:
        return f"{_clock(marker.index / rate)} {marker.label}"

    yield f"<h2>Markers{of} edited after the recording</h2>"
    yield '<p class="note">The recorded file itself was not changed.</p>'
    if len(data.edits) > MAX_MARKERS:
        yield f'<p class="note">The first {MAX_MARKERS} of {len(data.edits)}.</p>'
    rows = (
        (
            each.state,
            "" if each.recorded is None else text(each.recorded),
            "" if each.is_deleted else text(each.marker),
            (each.date or "")[:16].replace("T", " "),
        )
        for each in data.edits[:MAX_MARKERS]
    )
    yield _table(("Edit", "Recorded", "Now", "On, UTC"), rows)
