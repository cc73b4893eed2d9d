"""Selection and naming of a source's channels, and the question which of them are EEG.

A source declares a type and a unit per channel, or neither. ``find_eeg`` believes the declared type
first, then the unit, then the names of electrodes: those of the 10-05 system (Oostenveld and
Praamstra 2001, doi:10.1016/S1388-2457(00)00527-7) and the numbers of BioSemi and EGI.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mimamba.drivers.errors import BadChannels
from mimamba.drivers.units import microvolts_per
from mimamba.drivers.url import SourceURL

HEADSET_CHANNELS = {"muse": ("TP9", "AF7", "AF8", "TP10")}
"""Electrode names of known headsets, in the headset's order, for ``names=muse``."""

EEG, OTHER = "EEG", "MISC"
"""Types of a channel that is EEG, and of one that is not, if the source does not declare one."""
OTHER_TYPES = {
    *("GRAD", "CHPI", "EXCI", "IAS", "SYST", "DIPOLE", "GOF", "WHITENED", "CSD"),
    *("FNIRS_CW_AMPLITUDE", "FNIRS_FD_AC_AMPLITUDE", "FNIRS_FD_PHASE", "FNIRS_OD"),
    *("MEG", "MEGGRAD", "MEGMAG", "REF_MEG", "MCG", "SEEG", "ECOG", "IEEG", "DBS", "EP", "ERG"),
    *("ECG", "EKG", "EOG", "VEOG", "HEOG", "EMG", "RESP", "RESPIRATION", "PPG", "PULSE", "BVP"),
    *("SAO2", "SPO2", "OXY", "GSR", "EDA", "SCR", "SC", "TEMP", "TEMPERATURE", "LIGHT", "SOUND"),
    *("AUDIO", "ACC", "ACCEL", "ACCELEROMETER", "GYRO", "GYROSCOPE", "MAG", "MAGN", "ORN", "ORNT"),
    *("ORIENTATION", "IMU", "POS", "POSITION", "VEL", "JNTANG", "GAZE", "EYEGAZE", "PUPIL"),
    *("HBO", "HBR", "NIRS", "FNIRS", "NIRSCWAMPLITUDE", "OPTICS", "IMPEDANCE", "QUALITY"),
    *("STIM", "TRIG", "TRIGGER", "TRIGGERS", "MARKER", "MARKERS", "EVENT", "EVENTS", "SYSCLOCK"),
    *("LATENCY", "COUNTER", "STATUS", "TIMESTAMP", "TIME", "BATTERY", "AUX", "BIO", "MISC"),
}
"""Declared types, in upper case, of channels that are no EEG (EDF+, BIDS, XDF, MNE). A type in
neither this set nor EEG, such as ``ExG`` or ``n/a``, declares nothing."""
UNDECLARED_UNITS = {
    *("", "?", "-", "n/a", "na", "none", "unknown", "unitless", "raw", "adc", "lsb", "a.u.", "au"),
    *("count", "counts", "code", "codes", "bit", "bits", "digital"),
}
"""Units, in lower case, that say nothing about the quantity."""

_ELECTRODE = (
    r"(?:(?:AFp|AFF|AF|Fp|FFT|FFC|FTT|FCC|FT|FC|F|TTP|TPP|TP|T|CCP|CPP|CP|C|PPO|POO|PO|P|OI|O|I|N)"
    r"(?:z|10|[1-9])h?|[AM][12]|Cb[12])"
)
_REFERENCE = rf"(?:{_ELECTRODE}|ref|vref|le|re|avg?|average|aa|a1a2|m1m2|com|car|cms|gnd|org|g?\d)"
_ELECTRODE_NAME = re.compile(
    rf"(?i)(?:(?:EEG|POL|RAW)[ ._-]*)?{_ELECTRODE}[.']*(?:\s*[-:/]\s*{_REFERENCE})*"
)
"""Names of electrodes, decorated as in ``EEG Fp1-Ref``, ``EEG.AF3``, ``Fc5.``, ``T8-P8-0``."""
_NUMBERED_NAME = re.compile(r"(E|[A-H]|EEG)[ _]?(\d{1,3})")
"""Electrodes by number: EGI's E1 to E256, BioSemi's A1 to H32, MNE's EEG001."""
MIN_NUMBERED = 8
"""Fewest electrodes of a cap that numbers them. E1 and E2 alone are eyes, A1 and A2 ears."""
_COUNTED_NAME = re.compile(
    r"(?i)(?:EEG|EXG|ch|chan|channel|electrode|E)?[ _-]*(?:channel)?[ _-]*\d+"
)
"""Names that say no more than a number."""
_BOOKKEEPING = re.compile(
    r"(?i)\b(status|trig|trg|triggers?|stim|mark(?:er)?s?|events?|counter|cnt|interpolated"
    r"|time ?stamps?|sync|packet|sample index|cq|quality|gyro\w*|acc"
    r"|accel\w*|acc[xyz]|mag[xyz]?|batt\w*)\b"
)
"""Names of channels that come with the samples, and are no signal from a body."""
_OTHER_SIGNAL = re.compile(
    r"(?i)\b(aux|temp|resp|airflow|pulse|pleth|ppg|spo2|sao2|ecg\w*|ekg|[vh]?eog\w*|[lr]oc|emg\w*|gsr"
    r"|eda|misc|cms|drl|hr|heart ?rate)\b"
)
"""Names of other signals from a body, and of electrodes for reference only."""


@dataclass(frozen=True)
class DeclaredChannel:
    """A channel's label, and its type and unit as its source declares them, or empty."""

    label: str
    kind: str = ""
    unit: str = ""


@dataclass(frozen=True)
class EEGChannels:
    """The EEG among a source's channels.

    Parameters
    ----------
    rows
        Numbers of the EEG channels, from 0, in order. Empty if the person has to choose.
    kinds
        Type of every channel: EEG, or the declared type in upper case, or MISC.
    guessed
        True if neither a type nor a name of an electrode says that these channels are EEG.
    """

    rows: tuple[int, ...]
    kinds: tuple[str, ...]
    guessed: bool = False


def find_eeg(channels: Sequence[DeclaredChannel]) -> EEGChannels:
    """Find the EEG channels: by declared type and unit, then by the electrodes' names.

    If any channel is declared as EEG, only such channels are. Else channels of another type, or
    with a unit that is no voltage, are none; and if some of the others have the name of an
    electrode, only those are. Else all are that do not have the name of another signal.
    """
    declared = [channel.kind.strip().upper() for channel in channels]
    typed = [row for row, kind in enumerate(declared) if kind == EEG]
    named: list[int] = []
    if typed:
        rows = _with_voltage(typed, channels)
        rows = [row for row in rows if not _matches(_BOOKKEEPING, channels[row])] or rows
    else:
        rows = [row for row, kind in enumerate(declared) if kind not in OTHER_TYPES]
        rows = [row for row in rows if _may_be_voltage(channels[row])]
        named = _electrodes(rows, channels)
        rows = named or [row for row in rows if not names_other_signal(channels[row].label)]
    kinds = tuple(
        EEG if row in rows else kind if kind in OTHER_TYPES else OTHER
        for row, kind in enumerate(declared)
    )
    counted = all(_COUNTED_NAME.fullmatch(channels[row].label.strip()) for row in rows)
    return EEGChannels(tuple(rows), kinds, not (typed or named or counted))


def eeg_notices(found: EEGChannels, labels: Sequence[str]) -> tuple[str, ...]:
    """Say which channels are left out, and if the others are only taken for EEG."""
    left = [
        f"{label} ({kind})" for label, kind in zip(labels, found.kinds, strict=True) if kind != EEG
    ]
    notices = (f"Left out: {', '.join(left)}.",) if left else ()
    return notices + guess_notices(found, [labels[row] for row in found.rows])


def guess_notices(found: EEGChannels, names: Sequence[str]) -> tuple[str, ...]:
    """Say that channels of these names are only taken for EEG, if so."""
    if not found.guessed or not names:
        return ()
    return (
        f"No channel has a type or the name of an electrode: {', '.join(names)} "
        f"{'is' if len(names) == 1 else 'are'} taken for EEG; channels= selects others.",
    )


def _may_be_voltage(channel: DeclaredChannel) -> bool:
    unit = channel.unit.strip(" []()").lower()
    return unit in UNDECLARED_UNITS or microvolts_per(channel.unit) is not None


def _with_voltage(rows: list[int], channels: Sequence[DeclaredChannel]) -> list[int]:
    """Leave out rows whose unit is no voltage, unless none is one."""
    return [row for row in rows if _may_be_voltage(channels[row])] or rows


def _electrodes(rows: Sequence[int], channels: Sequence[DeclaredChannel]) -> list[int]:
    """Select the rows that have an electrode's name, or its number if many have one."""
    labels = {row: channels[row].label.strip() for row in rows}
    prefixes = {
        row: match[1]
        for row, label in labels.items()
        if (match := _NUMBERED_NAME.fullmatch(label)) is not None
    }
    counts = Counter(prefixes.values())
    return [
        row
        for row in rows
        if counts[prefixes.get(row, "")] >= MIN_NUMBERED or _ELECTRODE_NAME.fullmatch(labels[row])
    ]


def names_other_signal(label: str) -> bool:
    """Return True if a label names a signal that is no EEG, as ``EKG1`` or ``LOC-Ref``."""
    channel = DeclaredChannel(label)
    return _matches(_OTHER_SIGNAL, channel) or _matches(_BOOKKEEPING, channel)


def _matches(pattern: re.Pattern[str], channel: DeclaredChannel) -> bool:
    """Return True if a label has one of the words; ``GYRO_X1`` and ``GyroX`` have the word gyro."""
    words = re.sub(r"[\d\W_]+", " ", channel.label)
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words)
    return any(pattern.search(text) for text in (words, split))


@dataclass(frozen=True)
class ChannelSelection:
    """Channel numbers from 0 (``rows``) in the order asked for, and their ``names``."""

    rows: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class ChannelChoice:
    """The parameters ``channels`` (names or numbers from 1) and ``names`` (labels or a headset)."""

    channels: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None

    @classmethod
    def from_url(cls, source: SourceURL) -> ChannelChoice:
        """Read both parameters from a source's URL."""
        channels, names = source.text("channels"), source.text("names")
        labels = _split_commas(names)
        if names is not None and names.lower() in HEADSET_CHANNELS:
            labels = HEADSET_CHANNELS[names.lower()]
        return cls(_split_commas(channels), labels)

    def select(self, available: Sequence[str]) -> ChannelSelection:
        """Select among the source's channels; all of them if ``channels`` is not given.

        Raises
        ------
        BadChannels
            If a channel does not exist or appears twice, or there are too few or too many names.
        """
        asked = self.channels or tuple(str(n) for n in range(1, len(available) + 1))
        rows = tuple(_find_row(channel, available) for channel in asked)
        names = self.names or tuple(available[row] for row in rows)
        if len(names) != len(rows):
            raise BadChannels(
                f"as many names as channels ({len(rows)})",
                f"{len(names)}: {','.join(names)}",
                "name each channel, or select fewer with channels=",
            )
        for what, values in (("channels", [available[row] for row in rows]), ("names", names)):
            if len(set(values)) != len(values):
                raise BadChannels(f"different {what}", ",".join(values), "remove the repeats")
        return ChannelSelection(rows, names)


def _split_commas(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(","))


def _find_row(channel: str, available: Sequence[str]) -> int:
    """Find a channel by its name, in upper or lower case, or else by its number from 1."""
    names = [name.lower() for name in available]
    if channel.lower() in names:
        return names.index(channel.lower())
    if channel.isdecimal() and 1 <= int(channel) <= len(available):
        return int(channel) - 1
    raise BadChannels(
        f"channel {channel}",
        f"{len(available)} channels: {', '.join(available)}",
        "select channels by name or by number from 1",
    )
