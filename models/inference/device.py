"""The device that steps models, its precision, and the choice of the stepper for it.

PyTorch is imported at the first use only, so that settings can name a device at no cost.
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
"""First compute capability with tf32 and bf16."""


class DeviceError(Mismatch):
    """Raised if the requested device is missing or cannot do what it should."""


@dataclass(frozen=True)
class Device:
    """Device that steps models.

    Parameters
    ----------
    kind
        ``cpu`` or ``cuda``.
    precision
        Precision of matrix products and convolutions.
    required
        True if the CPU must not replace a CUDA device that fails.
    """

    kind: Literal["cpu", "cuda"] = "cpu"
    precision: Precision = "fp32"
    required: bool = False

    def __str__(self) -> str:
        """Name for people."""
        if self.kind == "cpu":
            return "the CPU"
        import torch

        return f"{torch.cuda.get_device_name()} (CUDA), {self.precision}"

    def make_stepper(self, network: MSiMamba) -> Stepper:
        """Make the stepper of this device for a network; on CUDA it has stepped once.

        If that step fails on a CUDA device that is not required, the CPU replaces it.

        Raises
        ------
        DeviceError
            If the step fails on a required device.
        """
        if self.kind == "cuda":
            try:
                return try_cuda_stepper(network, self)
            except Exception as error:  # noqa: BLE001  not swallowed: logged or raised with its text
                self._give_up(error)
        from mimamba.models.inference.stepper import CPUStepper

        return CPUStepper(network)

    def _give_up(self, error: Exception) -> None:
        """Log the reason; raise DeviceError if the device is required."""
        reason = f"one on which a step fails: {_first_line(error)}"
        if self.required:
            remedy = "use --device cpu, or run mimamba doctor"
            raise DeviceError("a CUDA device that steps the model", reason, remedy) from error
        log = logging.getLogger(__name__)
        log.warning("The CUDA device is not used, as a step fails on it: %s", _first_line(error))


def try_cuda_stepper(network: MSiMamba, device: Device) -> Stepper:
    """Make a stepper and capture the graph for one stream by a first step."""
    import numpy as np

    from mimamba.models.inference.cuda_graphs import CUDAGraphStepper

    stepper = CUDAGraphStepper(network, device.kind, device.precision)
    row = stepper.pool.open()
    shape = network.config.n_channels, network.config.n_times
    stepper.step([row], [np.zeros(shape, np.float32)], [0.0])
    stepper.pool.close(row)
    return stepper


def find_device(requested: DeviceRequest, precision: Precision = "fp32") -> Device:
    """Find the requested device; ``auto`` is CUDA if it works, else the CPU.

    Raises
    ------
    DeviceError
        If the device or its precision is not available.
    """
    problem = "the CPU, which computes in fp32" if requested == "cpu" else find_cuda_problem()
    if problem is None:
        _check_precision(precision)
        return Device("cuda", precision, required=requested == "cuda")
    if requested == "cuda":
        raise DeviceError("a CUDA device", problem, "use --device cpu or --device auto")
    if precision != "fp32":
        expected = f"a CUDA device for --precision {precision}"
        raise DeviceError(expected, problem, "leave --precision out")
    return Device()


def _check_precision(precision: Precision) -> None:
    """Raise DeviceError if the CUDA device lacks the precision."""
    import torch

    major, minor = torch.cuda.get_device_capability()
    if precision != "fp32" and (major, minor) < AMPERE:
        raise DeviceError(
            f"a CUDA device with {precision} (compute capability 8.0 or higher)",
            f"{torch.cuda.get_device_name()} ({major}.{minor})",
            "leave --precision out",
        )


@functools.cache
def find_cuda_problem() -> str | None:
    """Return the reason why CUDA cannot be used, as a noun phrase; None if it can."""
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
