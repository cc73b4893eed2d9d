"""Reader of EDF, EDF+ and BDF, with the sidecar tables of a BIDS dataset.

Nothing is resampled. The pauses of an interrupted file (EDF+D) become gaps. Of a file that is cut
off, the complete records are read.

By default the recording has the EEG channels of the most common rate, of the highest one if several
are equally common. A channel's type comes from BIDS's table, else from the first word of its label
(EDF+, ``EEG Fp1``), else from its unit and name (``drivers.channels.find_eeg``). An EDF's physical
range is as wide as its signal, so it is not the device's range.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mimamba.drivers.channels import (
    EEG,
    OTHER,
    ChannelChoice,
    ChannelSelection,
    DeclaredChannel,
    EEGChannels,
    find_eeg,
    guess_notices,
    names_other_signal,
)
from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.errors import BadChannels, BadRecording
from mimamba.drivers.formats.bids_sidecars import BIDSSidecars, read_sidecars
from mimamba.drivers.formats.edf.file import (
    BDF_VERSION,
    EDF_VERSION,
    EDFHeader,
    EDFSignal,
    annotation_texts,
    check_duration,
    map_records,
    read_annotations,
    read_header,
    read_samples,
    record_starts,
    sample_positions,
)
from mimamba.drivers.formats.events import recording_with_events
from mimamba.drivers.formats.recording import Recording, reject_stream

MAX_HEADER_BYTES = 256 * 10_000
CHANNEL_TYPES = {
    *("EEG", "ECG", "EKG", "EOG", "ERG", "EMG", "MEG", "MCG", "EP", "SEEG", "ECOG", "DBS"),
    *("TEMP", "RESP", "SAO2", "LIGHT", "SOUND", "EVENT", "BIO", "MISC", "STIM"),
}
"""First words of labels that give a channel's type (EDF+, and common ones)."""


def recognises(head: bytes) -> bool:
    """Return True if a file's first bytes are this format's header."""
    return head[:8] in {EDF_VERSION, BDF_VERSION} and head[184:192].strip(b" \0").isdigit()


def read(path: Path, choice: ChannelChoice, stream: str | None) -> Recording:
    """Read a file; see ``drivers.formats.read.read_recording``."""
    reject_stream(stream, "EDF")
    with path.open("rb") as file:
        header = read_header(file.read(MAX_HEADER_BYTES), path)
    notices: list[str] = []
    records = map_records(path, header, notices)
    header = check_duration(header, records, notices)
    tables = read_sidecars(path)
    channels, found = _channels(header, tables)
    picks = _pick(channels, choice, path, notices)
    if choice.channels is None:
        notices.extend(guess_notices(found, picks.names))
    chosen = [channels[row] for row in picks.rows]
    _note_bad(chosen, tables, notices)
    sfreq = chosen[0].rate
    notices.extend(tables.rate_notices(sfreq))
    data = read_samples(records, header.width, [channel.signal for channel in chosen])
    texts = [annotation_texts(records, header.width, s) for s in header.signals if s.is_annotations]
    starts = record_starts(header, len(records), texts, notices)
    index = sample_positions(starts, chosen[0].signal.n_times, sfreq, notices)
    annotations = read_annotations(texts, float(starts[0]))
    info = StreamInfo(
        name=path.name,
        source_id=str(path),
        sfreq=sfreq,
        ch_names=picks.names,
        live=False,
        notices=tuple(notices),
    )
    return recording_with_events(info, data, index, annotations, tables.events)


@dataclass(frozen=True)
class _EDFChannel:
    """A signal with samples: its name, its type and its rate, Hz."""

    signal: EDFSignal
    name: str
    kind: str
    rate: float

    @property
    def is_eeg(self) -> bool:
        return self.kind == EEG


def _channels(header: EDFHeader, tables: BIDSSidecars) -> tuple[list[_EDFChannel], EEGChannels]:
    """List all signals except annotations, with distinct names; and the EEG among them."""
    signals = [signal for signal in header.signals if not signal.is_annotations and signal.n_times]
    declared = [
        DeclaredChannel(
            signal.label, tables.kinds.get(signal.label, _kind(signal.label)), signal.unit
        )
        for signal in signals
    ]
    found = find_eeg(declared)
    if header.is_own and not tables.kinds:  # all that mimamba writes is EEG, whatever its name
        found = EEGChannels(tuple(range(len(signals))), (EEG,) * len(signals))
    channels: list[_EDFChannel] = []
    seen: Counter[str] = Counter()
    for signal, kind in zip(signals, found.kinds, strict=True):
        name = _name(signal.label)
        seen[name] += 1
        name = name if seen[name] == 1 else f"{name} {seen[name]}"
        channels.append(_EDFChannel(signal, name, kind, signal.n_times / header.duration))
    return channels, found


def _kind(label: str) -> str:
    """Return the type in a label; empty without one.

    Exporters write ``EEG`` before every input of their amplifier, also in ``EEG EKG1-REF``.
    """
    word, _, rest = label.partition(" ")
    kind = word.upper() if rest and word.upper() in CHANNEL_TYPES else ""
    return OTHER if kind == EEG and names_other_signal(rest) else kind


def _name(label: str) -> str:
    """Return a signal's name without type and reference."""
    name = label.partition(" ")[2].strip() if _kind(label) else label
    return re.sub(r"(?i)-(ref|le|avg)$", "", name.rstrip(". ")) or "?"


def _pick(
    channels: Sequence[_EDFChannel], choice: ChannelChoice, path: Path, notices: list[str]
) -> ChannelSelection:
    """Select the channels asked for, else the EEG of one rate; raises BadChannels."""
    eeg = [channel for channel in channels if channel.is_eeg and channel.signal.is_scaled]
    if not eeg and choice.channels is None:
        found = ", ".join(channel.name for channel in channels) or "none"
        raise BadRecording("EEG channels", f"{found} in {path}", "select channels with channels=")
    asked = choice.channels
    if asked is None:
        taken = _of_one_rate(eeg)
        asked = tuple(str(channels.index(channel) + 1) for channel in taken)
        _note_left_out(channels, taken, notices)
    by_number = [channel.name for channel in channels]
    picks = ChannelChoice(asked, choice.names).select(by_number)
    chosen = [channels[row] for row in picks.rows]
    if len({channel.rate for channel in chosen}) > 1:
        rates = ", ".join(f"{channel.name} {channel.rate:g} Hz" for channel in chosen)
        raise BadChannels("channels of one rate", rates, "select fewer with channels=")
    for channel in chosen:
        if not channel.signal.is_scaled:
            raise BadChannels(
                f"a scale for {channel.name}", "an empty range", "select other channels"
            )
    unknown = [channel.name for channel in chosen if channel.signal.factor is None]
    if unknown:
        notices.append(
            f"{', '.join(unknown)}: not a unit of voltage; the values are treated as µV."
        )
    return picks


def _of_one_rate(eeg: Sequence[_EDFChannel]) -> list[_EDFChannel]:
    counts = Counter(channel.rate for channel in eeg)
    rate = max(counts, key=lambda rate: (counts[rate], rate))
    return [channel for channel in eeg if channel.rate == rate]


def _note_left_out(
    channels: Sequence[_EDFChannel], taken: Sequence[_EDFChannel], notices: list[str]
) -> None:
    left = [
        f"{channel.name} ({channel.kind if not channel.is_eeg else f'{channel.rate:g} Hz'})"
        for channel in channels
        if channel not in taken
    ]
    if left:
        notices.append(f"Left out: {', '.join(left)}.")


def _note_bad(chosen: Sequence[_EDFChannel], tables: BIDSSidecars, notices: list[str]) -> None:
    bad = [channel.name for channel in chosen if channel.signal.label in tables.bad]
    if bad:
        notices.append(f"{', '.join(bad)}: marked as bad in channels.tsv.")
