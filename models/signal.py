"""From a source's samples to the model's: resample, then band-pass, hop by hop.

One hop of the model is ``SignalConfig.hop`` samples at the model's rate. The path runs once per
hop, on exactly the source samples that this hop added, so the way in which samples were chunked
cannot enter the result. Everything is float64, time-major.
"""

from __future__ import annotations

from dataclasses import dataclass


class SignalError(ValueError):
    """A signal setting is impossible, or a source cannot serve the model's; one clear line."""

    def __init__(self, wanted: str, found: str, remedy: str) -> None:
        super().__init__(f"wanted {wanted}; found {found}; {remedy}")


@dataclass(frozen=True)
class SignalConfig:
    """What the model's signal is; stored in its checkpoint.

    Parameters
    ----------
    sfreq
        The model's sampling frequency, Hz.
    band
        Pass band of the Butterworth filter, Hz.
    order
        Order of that filter, as `scipy.signal.butter` counts it.
    window
        Samples at ``sfreq`` that the model sees at once.
    hop
        Samples at ``sfreq`` between two windows.
    settle
        Samples at ``sfreq`` after a restart that no window may hold: the filters' transient.
    fir_half
        Half the length of the resampling filter, in periods of the slower of both rates.
    fir_beta
        Shape of its Kaiser window.

    Raises
    ------
    SignalError
        If a value is out of range.
    """

    sfreq: float = 128.0
    band: tuple[float, float] = (1.0, 40.0)
    order: int = 4
    window: int = 128
    hop: int = 32
    settle: int = 128
    fir_half: int = 6
    fir_beta: float = 5.0

    def __post_init__(self) -> None:
        low, high = self.band
        if not 0 < low < high < self.sfreq / 2:
            raise SignalError(
                f"0 < low < high < {self.sfreq / 2:g} Hz (half of sfreq) as the band",
                f"{low:g} to {high:g} Hz",
                "correct band or sfreq",
            )
        for name, least in (
            ("order", 1),
            ("window", 2),
            ("hop", 1),
            ("settle", 0),
            ("fir_half", 1),
        ):
            value = getattr(self, name)
            if value != int(value) or value < least:
                raise SignalError(
                    f"a whole number from {least} as {name}", f"{value}", "correct it"
                )
        if not 0 <= self.fir_beta <= 20:
            raise SignalError("0 to 20 as fir_beta", f"{self.fir_beta:g}", "correct it")
