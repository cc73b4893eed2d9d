"""Recordings as other programs write them, made for tests and benchmarks.

Each of ``FORMATS`` writes ``n_times`` samples of four channels at 256 Hz (OpenBCI: 250) into a
folder, and gives the file to read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import mne
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.formats.edf.writer import write_bdf, write_edf
from mimamba.drivers.formats.recording import Recording
from mimamba.drivers.formats.tables.csv_writer import write_csv
from mimamba.drivers.formats.tables.parquet_writer import write_parquet
from tests.drivers.formats.xdf import xdffile

LABELS = ("TP9", "AF7", "AF8", "TP10")
BANDS = [f"{band}_{name}" for band in ("Delta", "Theta", "Alpha") for name in LABELS]
MIND_MONITOR = ["TimeStamp", *BANDS, *(f"RAW_{name}" for name in LABELS), "Battery", "Elements"]


def signal(n_times: int, n_channels: int = 4) -> NDArray[np.float64]:
    """(n_times, n_channels) µV, with three decimals; the same for the same sizes."""
    return np.random.default_rng(7).normal(0, 40, (n_times, n_channels)).round(3)


def text(path: Path, lines: Sequence[str], end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def muselsl(folder: Path, n_times: int) -> Path:
    rows = [
        f"{1e9 + k / 256:.3f},{a},{b},{c},{d},0.0,{int(k % 500 == 100)}"
        for k, (a, b, c, d) in enumerate(signal(n_times).tolist())
    ]
    return text(folder / "muse.csv", [f"timestamps,{','.join(LABELS)},Right AUX,Marker0", *rows])


def mindmonitor(folder: Path, n_times: int) -> Path:
    times = np.datetime64("2024-05-01T10:00:00.000") + (np.arange(n_times) / 0.256).astype("m8[ms]")
    stamps = [str(time).replace("T", " ").removesuffix(".000") for time in times]
    empty = "," * len(BANDS)
    lines = [
        f"{stamp}{empty},{a + 841.4075:.4f},{b + 841.4075:.4f},{c + 841.4075:.4f},"
        f"{d + 841.4075:.4f},87.5,"
        for stamp, (a, b, c, d) in zip(stamps, signal(n_times).tolist(), strict=True)
    ]
    if n_times > 100:
        lines.insert(100, f"{stamps[100]}{empty},,,,,,/muse/elements/blink")
    return text(folder / "mind.csv", [",".join(MIND_MONITOR), *lines])


def brainflow(folder: Path, n_times: int) -> Path:
    """A Muse 2's rows, with a packet number for each 12 samples."""
    rows = [
        f"{k // 12 % 65536}.000000\t{a:.6f}\t{b:.6f}\t{c:.6f}\t{d:.6f}\t0.000000\t"
        f"{1.7e9 + k / 256:.6f}\t{int(k % 500 == 100)}.000000"
        for k, (a, b, c, d) in enumerate(signal(n_times).tolist())
    ]
    return text(folder / "brainflow.csv", rows)


def _openbci(folder: Path, n_times: int, version: int) -> Path:
    board = ["%Board = OpenBCI_GUI$BoardCytonSerial"] if version > 4 else ["%First Column = x"]
    head = ["%OpenBCI Raw EXG Data", "%Number of channels = 8", "%Sample Rate = 250 Hz", *board]
    names = [
        *("Sample Index", *(f"EXG Channel {n}" for n in range(8)), "Accel Channel 0"),
        *("Timestamp", "Marker Channel", "Timestamp (Formatted)"),
    ]
    if version == 5:
        head.append(",".join(["0.0"] * 12))
    if version == 6:
        head.append(", ".join(names))
    rows = []
    for k, values in enumerate(signal(n_times, 8).tolist()):
        stamp = f"{1.5e12 + 4 * k:.0f}"
        end = {
            4: f"12:00:00.000, {stamp}",
            5: f"{stamp}, 12:00:00.000",
            6: f"{stamp},{int(k % 500 == 100)}, 12:00:00.000",
        }[version]
        rows.append(f"{k % 256}, {', '.join(map(str, values))}, 0.1, {end}")
    return text(folder / f"OpenBCI-{version}.txt", [*head, *rows])


def openbci_legacy(folder: Path, n_times: int) -> Path:
    return _openbci(folder, n_times, 4)


def openbci_5(folder: Path, n_times: int) -> Path:
    return _openbci(folder, n_times, 5)


def openbci_6(folder: Path, n_times: int) -> Path:
    return _openbci(folder, n_times, 6)


def recording(n_times: int) -> Recording:
    index = np.arange(n_times)
    info = StreamInfo("made", "/made", 256.0, LABELS, live=False)
    return Recording(info, signal(n_times).astype(np.float32), 1.7e9 + index / 256, index)


def edf(folder: Path, n_times: int) -> Path:
    write_edf(recording(n_times), folder / "made.edf")
    return folder / "made.edf"


def bdf(folder: Path, n_times: int) -> Path:
    write_bdf(recording(n_times), folder / "made.bdf")
    return folder / "made.bdf"


def own_csv(folder: Path, n_times: int) -> Path:
    write_csv(recording(n_times), folder / "made.csv")
    return folder / "made.csv"


def parquet(folder: Path, n_times: int) -> Path:
    write_parquet(recording(n_times), folder / "made.parquet")
    return folder / "made.parquet"


def xdf(folder: Path, n_times: int) -> Path:
    stamps = (500 + np.arange(n_times) / 256).tolist()
    (folder / "made.xdf").write_bytes(xdffile.recording(stamps, marks=[(501.0, "start")]))
    return folder / "made.xdf"


def eeglab(folder: Path, n_times: int) -> Path:
    """A set as EEGLAB 2024 saves it in one file, with an event and a channel that is no EEG."""
    names = (*LABELS, "VEOG")
    event = {"type": "look", "latency": 129.0, "duration": 0.0}
    content = {
        "setname": "made",
        "nbchan": len(names),
        "trials": 1,
        "pnts": n_times,
        "srate": 256.0,
        "xmin": 0.0,
        "xmax": (n_times - 1) / 256,
        "data": signal(n_times, len(names)).T.astype(np.float32),
        "chanlocs": np.array([(name,) for name in names], [("labels", object)]),
        "event": np.array([tuple(event.values())], [(name, object) for name in event]),
        "ref": "common",
        **{
            name: np.array([])
            for name in ("icawinv", "icasphere", "icaweights", "urevent", "epoch")
        },
    }
    path = folder / "made.set"
    savemat(path, {"EEG": content}, do_compression=True, appendmat=False)
    return path


def fif(folder: Path, n_times: int) -> Path:
    info = mne.create_info([*LABELS, "ECG"], 256.0, ["eeg"] * 4 + ["ecg"])
    raw = mne.io.RawArray(signal(n_times, 5).T * 1e-6, info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([0.5], [0.0], ["start"]))
    raw.save(folder / "made_raw.fif", overwrite=True, verbose="ERROR")
    return folder / "made_raw.fif"


VHDR = """Brain Vision Data Exchange Header File Version 1.0

[Common Infos]
Codepage=UTF-8
DataFile=made.eeg
MarkerFile=made.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels=5
SamplingInterval=3906.25

[Binary Infos]
BinaryFormat=IEEE_FLOAT_32

[Channel Infos]
Ch1=TP9,,1,µV
Ch2=AF7,,1,µV
Ch3=AF8,,1,µV
Ch4=TP10,,1,µV
Ch5=HEOGL,,1,µV
"""
VMRK = """Brain Vision Data Exchange Marker File, Version 1.0

[Common Infos]
Codepage=UTF-8
DataFile=made.eeg

[Marker Infos]
Mk1=New Segment,,1,1,0,20240501100000000000
Mk2=Stimulus,S  1,129,1,0
"""


def brainvision(folder: Path, n_times: int) -> Path:
    (folder / "made.vhdr").write_text(VHDR, encoding="utf-8")
    (folder / "made.vmrk").write_text(VMRK, encoding="utf-8")
    signal(n_times, 5).astype("<f4").tofile(folder / "made.eeg")
    return folder / "made.vhdr"


def openbci_sd(folder: Path, n_times: int) -> Path:
    """A Cyton's SD card: 24 bits of 0.02235 µV in hexadecimal."""
    counts = np.rint(signal(n_times, 8) / (4.5e6 / 24 / (2**23 - 1))).astype(np.int64) & 0xFFFFFF
    rows = [
        ",".join([f"{k % 256:02X}", *(f"{value:06X}" for value in row)])
        for k, row in enumerate(counts.tolist())
    ]
    return text(folder / "OBCI_01.TXT", ["%STARTED", *rows, "%STOP AT", "000F4240"])


FORMATS: dict[str, Callable[[Path, int], Path]] = {
    "XDF": xdf,
    "EDF+": edf,
    "BDF+": bdf,
    "FIF": fif,
    "BrainVision": brainvision,
    "EEGLAB": eeglab,
    "muse-lsl CSV": muselsl,
    "Mind Monitor CSV": mindmonitor,
    "BrainFlow CSV": brainflow,
    "OpenBCI text, before 5": openbci_legacy,
    "OpenBCI text, 5": openbci_5,
    "OpenBCI text, 6": openbci_6,
    "OpenBCI SD card": openbci_sd,
    "mimamba CSV": own_csv,
    "Parquet": parquet,
}
