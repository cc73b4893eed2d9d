"""EDF, EDF+ and BDF, with what a BIDS dataset says beside them.

Samples are read record by record, as they lie in the file: nothing is resampled, the pauses of an
interrupted file (EDF+D) become gaps, and of a file that is cut the whole records remain.

Taken are the EEG channels of the rate that most of them have, the highest of these where several
are as common. What a channel is, BIDS's table says, else its label's first word (EDF+,
``EEG Fp1``), else its label and unit. An EDF's physical range is as wide as its signal was, so it
tells nothing about the device.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mimamba.drivers.channels import ChannelChoice, ChannelSelection
from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.errors import BadChannels, BadRecording
from mimamba.drivers.formats.bids_sidecars import Sidecars, beside
from mimamba.drivers.formats.edf.header import (
    BDF_VERSION,
    EDF_VERSION,
    EDFHeader,
    EDFSignal,
    read_header,
)
from mimamba.drivers.formats.edf.records import (
    events_of,
    map_records,
    positions,
    samples,
    starts_of,
    texts_of,
)
from mimamba.drivers.formats.events import with_events
from mimamba.drivers.formats.recording import Recording, refuse_stream

LARGEST_HEADER = 256 * 10_000
KINDS = {
    *("EEG", "ECG", "EKG", "EOG", "ERG", "EMG", "MEG", "MCG", "EP", "SEEG", "ECOG", "DBS"),
    *("TEMP", "RESP", "SAO2", "LIGHT", "SOUND", "EVENT", "BIO", "MISC", "STIM"),
}
"""First words of labels that tell a channel's type (EDF+, and as common)."""
OTHER = re.compile(
    r"(?i)\b(status|trigger|stim|marker|event|counter|time ?stamp|gyro|acc|accel\w*|batt\w*|aux"
    r"|temp|resp|airflow|pulse|pleth|ppg|spo2|sao2|ecg|ekg|v?[eh]?eog|[lr]oc|emg|gsr|eda|misc)\b"
)
"""Labels that are no electrode's, from files at hand and BioSemi's."""


def recognises(head: bytes) -> bool:
    """Whether a file's first bytes are this format's header."""
    return head[:8] in {EDF_VERSION, BDF_VERSION} and head[184:192].strip(b" \0").isdigit()


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    refuse_stream(stream, "EDF")
    with path.open("rb") as file:
        header = read_header(file.read(LARGEST_HEADER), path)
    notices: list[str] = []
    records = map_records(path, header, notices)
    tables = beside(path)
    channels = _channels(header, tables)
    picks = _pick(channels, choice, path, notices)
    chosen = [channels[row] for row in picks.rows]
    _tell_bad(chosen, tables, notices)
    sfreq = chosen[0].rate
    data = samples(records, header.width, [channel.signal for channel in chosen])
    texts = [texts_of(records, header.width, s) for s in header.signals if s.is_annotations]
    starts = starts_of(header, len(records), texts, notices)
    index = positions(starts, chosen[0].signal.n_times, sfreq, notices)
    noted = events_of(texts, float(starts[0]))
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=sfreq,
        ch_names=picks.names,
        live=False,
        notices=tuple(notices),
    )
    return with_events(info, data, index, noted, tables.events)


@dataclass(frozen=True)
class _Channel:
    """A signal that holds samples, what to call it, and what it is."""

    signal: EDFSignal
    name: str
    kind: str
    rate: float

    @property
    def is_eeg(self) -> bool:
        return self.kind == "EEG"


def _channels(header: EDFHeader, tables: Sidecars) -> list[_Channel]:
    """All signals but annotations, their names distinct."""
    channels: list[_Channel] = []
    seen: Counter[str] = Counter()
    for signal in header.signals:
        if signal.is_annotations or signal.n_times == 0:
            continue
        kind, name = _kind(signal)
        seen[name] += 1
        name = name if seen[name] == 1 else f"{name} {seen[name]}"
        kind = tables.kinds.get(signal.label, kind)
        channels.append(_Channel(signal, name, kind, signal.n_times / header.duration))
    return channels


def _kind(signal: EDFSignal) -> tuple[str, str]:
    """A signal's type and its name, without what says the type or the reference."""
    word, _, rest = signal.label.partition(" ")
    if rest and word.upper() in KINDS:
        kind, name = word.upper(), rest.strip()
    else:
        kind, name = "MISC" if OTHER.search(signal.label) else "EEG", signal.label
    if signal.factor is None and signal.unit not in {"", "?"}:
        kind = "MISC"  # no voltage
    name = re.sub(r"(?i)-(ref|le|avg)$", "", name.rstrip(". "))
    return kind, name or "?"


def _pick(
    channels: Sequence[_Channel], choice: ChannelChoice, path: Path, notices: list[str]
) -> ChannelSelection:
    """The channels asked for, else the EEG of one rate; all of one rate and to scale."""
    eeg = [channel for channel in channels if channel.is_eeg and channel.signal.is_scaled]
    if not eeg and choice.channels is None:
        found = ", ".join(channel.name for channel in channels) or "none"
        raise BadRecording("EEG channels", f"{found} in {path}", "choose some with channels=")
    asked = choice.channels
    if asked is None:
        taken = _of_one_rate(eeg)
        asked = tuple(str(channels.index(channel) + 1) for channel in taken)
        _tell_left_out(channels, taken, notices)
    by_number = [channel.name for channel in channels]
    picks = ChannelChoice(asked, choice.names).pick(by_number)
    chosen = [channels[row] for row in picks.rows]
    if len({channel.rate for channel in chosen}) > 1:
        rates = ", ".join(f"{channel.name} {channel.rate:g} Hz" for channel in chosen)
        raise BadChannels("channels of one rate", rates, "choose fewer with channels=")
    for channel in chosen:
        if not channel.signal.is_scaled:
            raise BadChannels(
                f"{channel.name}'s scale", "a range of nothing", "choose other channels"
            )
    unknown = [channel.name for channel in chosen if channel.signal.factor is None]
    if unknown:
        notices.append(f"{', '.join(unknown)}: no unit of voltage is given; taken as µV.")
    return picks


def _of_one_rate(eeg: Sequence[_Channel]) -> list[_Channel]:
    counts = Counter(channel.rate for channel in eeg)
    rate = max(counts, key=lambda rate: (counts[rate], rate))
    return [channel for channel in eeg if channel.rate == rate]


def _tell_left_out(
    channels: Sequence[_Channel], taken: Sequence[_Channel], notices: list[str]
) -> None:
    left = [
        f"{channel.name} ({channel.kind if not channel.is_eeg else f'{channel.rate:g} Hz'})"
        for channel in channels
        if channel not in taken
    ]
    if left:
        notices.append(f"Left out: {', '.join(left)}.")


def _tell_bad(chosen: Sequence[_Channel], tables: Sidecars, notices: list[str]) -> None:
    bad = [channel.name for channel in chosen if channel.signal.label in tables.bad]
    if bad:
        notices.append(f"{', '.join(bad)}: marked as bad in channels.tsv.")
