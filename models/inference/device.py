"""Where models are stepped live, and how precisely: as a person asked, or as the machine can.

PyTorch is imported only by those who ask, so settings may name what stands here.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mimamba.drivers.errors import Mismatch
from mimamba.models.inference.precision import DeviceRequest, Precision

if TYPE_CHECKING:
    from mimamba.models.inference.stepper import Stepper
    from mimamba.models.network.msimamba import MSiMamba


AMPERE = (8, 0)
"""The first compute capability with tf32 and bf16."""


class NoDevice(Mismatch):
    """The device that was asked for is not there, or cannot do what it should."""


@dataclass(frozen=True)
class Device:
    """Where models are stepped.

    Parameters
    ----------
    kind
        ``cpu`` or ``cuda``.
    precision
        Of products and convolutions.
    required
        Whether the processor is no substitute for it.
    """

    kind: Literal["cpu", "cuda"] = "cpu"
    precision: Precision = "fp32"
    required: bool = False

    def __str__(self) -> str:
        """For a person."""
        if self.kind == "cpu":
            return "the processor"
        import torch

        return f"{torch.cuda.get_device_name()} (CUDA), {self.precision}"

    def stepper(self, network: MSiMamba) -> Stepper | None:
        """One for an engine, which has stepped once; None where the engine takes its own.

        Raises
        ------
        NoDevice
            If a required device fails in that step.
        """
        if self.kind == "cpu":
            return None
        try:
            return tried(network, self)
        except Exception as error:  # noqa: BLE001  not swallowed: told as the reason
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        """Tell why; raises NoDevice where there is no substitute."""
        reason = f"that a step on it fails: {_first_line(error)}"
        if self.required:
            remedy = "take --device cpu, or see what mimamba doctor says"
            raise NoDevice("a CUDA device that steps the model", reason, remedy) from error
        log = logging.getLogger(__name__)
        log.warning("models run on the processor, not the CUDA device; found %s", reason)


def tried(network: MSiMamba, device: Device) -> Stepper:
    """A stepper, with the graph for one stream captured."""
    import numpy as np

    from mimamba.models.inference.cuda_graphs import GraphStepper

    stepper = GraphStepper(network, device.kind, device.precision)
    row = stepper.pool.open()
    shape = network.config.n_channels, network.config.n_times
    stepper.step([row], [np.zeros(shape, np.float32)], [0.0])
    stepper.pool.close(row)
    return stepper


def find_device(wanted: DeviceRequest, precision: Precision = "fp32") -> Device:
    """The device asked for; ``auto`` is CUDA where it works, else the processor.

    Raises
    ------
    NoDevice
        If it, or the precision, cannot be had.
    """
    reason = why_no_cuda() if wanted != "cpu" else "that the processor was asked for"
    if reason is None:
        _check_precision(precision)
        return Device("cuda", precision, required=wanted == "cuda")
    if wanted == "cuda":
        raise NoDevice("a CUDA device", reason, "take --device cpu, or auto")
    if precision != "fp32":
        remedy = "leave --precision out: the processor's is fp32"
        raise NoDevice(f"a CUDA device for --precision {precision}", reason, remedy)
    return Device()


def _check_precision(precision: Precision) -> None:
    """Raises NoDevice where the CUDA device does not know it."""
    import torch

    major, minor = torch.cuda.get_device_capability()
    if precision != "fp32" and (major, minor) < AMPERE:
        raise NoDevice(
            f"a card with {precision} (compute capability 8.0)",
            f"{torch.cuda.get_device_name()} ({major}.{minor})",
            "leave --precision out",
        )


@functools.cache
def why_no_cuda() -> str | None:
    """Why no CUDA device can be used; None where one computes."""
    import torch

    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return f"PyTorch {torch.__version__}, which is built without CUDA"
    if not torch.cuda.is_available():
        return f"none that PyTorch {torch.__version__} can use"
    try:
        ones = torch.ones(8, 8, device="cuda")
        ones.mm(ones).sum().item()
    except RuntimeError as error:
        return f"{torch.cuda.get_device_name()}, which fails: {_first_line(error)}"
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
