"""Small files in the exact layouts of the data sets, written from scratch."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from mimamba.models.datasets.deap import SHAPES
from mimamba.models.datasets.seed import CHANNELS as SEED_CHANNELS
from tests.drivers.formats.edf.edffile import File, Signal


def python2_pickle(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A dict of arrays as Python 2 writes it with protocol 2: strings are bytes."""
    items = b"".join(_short(key) + python2_array(array) for key, array in arrays.items())
    return b"\x80\x02}q\x01(" + items + b"u."


def python2_array(array: NDArray[Any]) -> bytes:
    raw = array.tobytes()
    shape = b"(" + b"".join(b"J" + struct.pack("<i", n) for n in array.shape) + b"t"
    order = {"=": "<"}.get(array.dtype.byteorder, array.dtype.byteorder)
    kind = b"cnumpy\ndtype\n" + _short(array.dtype.str[1:]) + b"K\x00K\x01\x87R"
    kind += b"(K\x03" + _short(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    return made + b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"


def _short(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode()


def deap_arrays() -> dict[str, NDArray[Any]]:
    """Sample n of a channel c in trial t is a number that tells c and t, and n's sign by parity."""
    n_trials, n_channels, n_times = SHAPES["data"]
    signs = np.where(np.arange(n_times) % 2, -1, 1).astype(np.int8)
    channels, trials = np.arange(n_channels, dtype=np.int8), np.arange(n_trials, dtype=np.int8)
    data = (trials[:, None, None] + channels[:, None]) * signs
    data[..., :384] = 127  # the baseline
    labels = np.tile([1.0, 5.0, 5.04, 9.0], (n_trials, 1))
    labels[::2, :2] = (9.0, 6.0)
    return {"labels": labels, "data": data}


def write_deap(path: Path, arrays: Mapping[str, NDArray[Any]] | None = None) -> Path:
    arrays = deap_arrays() if arrays is None else arrays
    if path.suffix == ".mat":
        savemat(path, arrays)
    else:
        path.write_bytes(python2_pickle(arrays))
    return path


def dreamer_person(first: float = 0.0) -> dict[str, Any]:
    """Clip n, from 1, has the value ``first`` + n in every channel's samples, plus the channel."""
    cells = {name: np.empty((18, 1), object) for name in ("baseline", "stimuli")}
    for n in range(18):
        signs = np.where(np.arange(200 + n) % 2, -1.0, 1.0)[:, None]
        cells["stimuli"][n, 0] = first + n + 1 + np.arange(14) / 16 + 100 * signs
        cells["baseline"][n, 0] = first - n - 1 + np.arange(14) / 16 + np.zeros((130, 1))
    scores = np.arange(18)[:, None] % 5 + 1.0
    return {
        "Age": "22",
        "EEG": cells,
        "ECG": {name: np.zeros((4, 2)) for name in cells},
        "ScoreValence": scores,
        "ScoreArousal": 6 - scores,
        "ScoreDominance": np.full((18, 1), 3.0),
    }


def write_dreamer(path: Path, people: Sequence[Mapping[str, Any]]) -> Path:
    """``Data`` is a cell array of structs."""
    data = np.empty((1, len(people)), object)
    data[0, :] = list(people)
    savemat(path, {"DREAMER": {"Data": data, "EEG_SamplingRate": 128.0, "noOfSubjects": 23.0}})
    return path


def seed_clips(first: float = 0.0) -> dict[str, NDArray[np.float64]]:
    """Clip n, from 1, has ``first`` + n + channel / 64."""
    channels = np.arange(len(SEED_CHANNELS))[:, None] / 64
    return {f"djc_eeg{n}": first + n + channels + np.zeros(210 + n) for n in range(1, 16)}


def write_seed(folder: Path, sessions: Sequence[str]) -> Path:
    folder.mkdir(exist_ok=True)
    savemat(folder / "label.mat", {"label": np.tile([1.0, 0.0, -1.0], 5)})
    for number, name in enumerate(sessions):
        savemat(folder / f"{name}.mat", seed_clips(100.0 * number))
    return folder


RATE = 256
MUSE = ("TP9", "AF7", "AF8", "TP10")


def write_bids_recording(
    root: Path,
    name: str,
    value: int,
    seconds: int = 4,
    ch_names: Sequence[str] = MUSE,
    events: str | None = None,
    texts: Sequence[bytes] | None = None,
    rate: int = RATE,
) -> Path:
    """Channel c holds ``value`` + c codes of 0.5 µV, the sample's number modulo 100 added."""
    person, _, _ = name.partition("_")
    session = [part for part in name.split("_") if part.startswith("ses-")]
    folder = root.joinpath(person, *session, "eeg")
    folder.mkdir(parents=True, exist_ok=True)
    ramp = np.arange(seconds * rate) % 100
    signals = [Signal(ch, (value + n + ramp).tolist(), rate) for n, ch in enumerate(ch_names)]
    if events is not None:
        (folder / f"{name}_events.tsv").write_text(events)
    return File(signals, texts=texts).write(folder / f"{name}_eeg.edf")
