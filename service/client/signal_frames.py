"""Signal of a session as NumPy arrays; NumPy is loaded with the first of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mimamba.drivers.driver import StreamInfo
from mimamba.drivers.errors import LibraryMissing
from mimamba.service.protocol.messages import SignalMessage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SignalFrame:
    """Contiguous samples of a session.

    Parameters
    ----------
    session
        Id of the session.
    first
        Index of the first sample; a source's samples are counted from 0, lost ones included.
    lost
        Samples that are missing just before ``first``; 0 in the first frame.
    timestamps
        (n_times,), float64, s on the LSL clock.
    data
        (n_times, n_channels), float32, µV.
    info
        The source: ``info.ch_names``, ``info.sfreq``.
    """

    session: str
    first: int
    lost: int
    timestamps: NDArray[np.float64]
    data: NDArray[np.float32]
    info: StreamInfo


def frame_maker(info: StreamInfo) -> Callable[[SignalMessage], SignalFrame]:
    """Return a function that makes frames of an epoch's messages, which it is to get in order.

    Raises
    ------
    LibraryMissing
        If NumPy is not installed.
    """
    try:
        import numpy as np
    except ImportError as error:
        raise LibraryMissing("NumPy", str(error), "install it: pip install numpy") from error

    following: int | None = None

    def make(message: SignalMessage) -> SignalFrame:
        nonlocal following
        data = np.frombuffer(message.data, "<f4").astype(np.float32).reshape(-1, info.n_channels)
        timestamps = np.frombuffer(message.timestamps, "<f8").astype(np.float64)
        lost = 0 if following is None else message.first - following
        following = message.first + len(data)
        return SignalFrame(message.session, message.first, lost, timestamps, data, info)

    return make
