"""mamba-ssm's kernels for the selective scan on CUDA devices, if they are installed and work.

The optional extra ``cuda`` installs mamba-ssm. Two of its functions are used:
``selective_state_update`` (Triton) advances a stream by one token, in place, without gradients;
``selective_scan_fn`` runs over whole sequences with gradients, from an empty state. PyTorch does
everything else in ``ssm.py``, including all other devices and types. An install that is missing,
cannot be imported, or computes wrongly when called once is logged in one line, and changes nothing
else.

Letters as in ``ssm.py``.
"""

from __future__ import annotations

import functools
import inspect
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import pad

if TYPE_CHECKING:
    from mimamba.models.network.triton_kernels import TritonKernels

MAX_STATE = 256
"""Largest d_state of the compiled scan."""
FORGET_DELTA = 1e9
"""A delta for which exp(delta A) is 0 with any A that Mamba learns (-1 and less at the start)."""
MIN_GATE_PRODUCT = 1e-12
"""Least product of a sequence's gates for a scan: below it, the inverse would be too large."""
CHECK_TOLERANCE = 1e-4


@dataclass(frozen=True)
class MambaKernels:
    """Functions of mamba-ssm, called as this network needs them.

    Parameters
    ----------
    version
        Version of mamba-ssm.
    selective_scan, selective_state_update
        Functions of mamba-ssm.
    """

    version: str
    selective_scan: Callable[..., Any]
    selective_state_update: Callable[..., Any]

    def step(
        self, delta: Tensor, a: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor, rows: Tensor
    ) -> Tensor:
        """Advance h over the tokens of one hop, in place and without gradients.

        Parameters
        ----------
        delta, a
            (B, C, E).
        A
            (E, n).
        B, C
            (B, C, n).
        h
            (rows, E, n), updated in place.
        rows
            (B,) int64, each stream's row in h; a negative one is padding and updates nothing.

        Returns
        -------
        y (B, C, E), zeros for padding.
        """
        # mamba-ssm 2.2 fails without D and dt_bias, as it unpacks their strides.
        none = A.new_zeros(A.shape[0])
        tokens = zip(delta.unbind(1), a.unbind(1), B.unbind(1), C.unbind(1), strict=True)
        ys = [
            self.selective_state_update(
                h, a_t, delta_t, A, B_t, C_t, D=none, dt_bias=none, state_batch_indices=rows
            )
            for delta_t, a_t, B_t, C_t in tokens
        ]
        return torch.stack(ys, dim=1)

    def can_scan(self, r: Tensor, h: Tensor) -> bool:
        """Return True if ``scan`` can run: see the function ``can_scan``."""
        return can_scan(r, h)

    def scan(
        self, delta: Tensor, a: Tensor, A: Tensor, B: Tensor, C: Tensor, r: Tensor, _h: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run over whole sequences that start with an empty state, in one call.

        mamba-ssm's scan has no gates, so an empty token is inserted before each hop. If r is 0, its
        delta is so large that the state is forgotten; otherwise its delta is 0 and changes nothing.
        Fading is done by scaling: with R the product of the gates so far, zeros left out, the scan
        runs over h / R, with inputs a / R and outputs times R. So a batch may mix single windows,
        whole sequences, restarts and fading, as training does.

        Parameters
        ----------
        delta, a
            (B, S C, E).
        A
            (E, n).
        B, C
            (B, S C, n).
        r
            (B, S), not negative.
        _h
            State before the first token, which is empty or forgotten.

        Returns
        -------
        y (B, S C, E), and h (B, E, n) after the last token. No gradient flows through h: the
        kernel's backward pass omits it.
        """
        n_hops, faded = r.shape[1], multiply_gates(r)
        reach = faded.repeat_interleave(a.shape[1] // n_hops, dim=1)[..., None]  # (B, S C, 1)
        forget = torch.where(r == 0, FORGET_DELTA, 0.0).to(delta)[..., None, None]
        hops = [_by_hop(t, n_hops) for t in (delta, a / reach, B, C)]
        hops = [pad(t, (0, 0, 1, 0)) for t in hops]  # (B, S, C + 1, ...)
        hops[0] = torch.cat([forget.expand_as(hops[0][:, :, :1]), hops[0][:, :, 1:]], dim=2)
        delta, a, B, C = (t.flatten(1, 2).transpose(1, 2) for t in hops)
        y, h = self.selective_scan(a, delta, A, B, C, return_last_state=True)
        y = _by_hop(y.transpose(1, 2), n_hops)[:, :, 1:].flatten(1, 2)
        return y * reach, h.detach() * faded[:, -1, None, None]


def _by_hop(tokens: Tensor, n_hops: int) -> Tensor:
    """Reshape (B, S C, ...) to (B, S, C, ...)."""
    return tokens.reshape(len(tokens), n_hops, -1, tokens.shape[-1])


def multiply_gates(r: Tensor) -> Tensor:
    """Return the product of a sequence's gates up to each hop, zeros left out: (B, S)."""
    return torch.where(r > 0, r, 1.0).cumprod(1)


def can_scan(r: Tensor, h: Tensor) -> bool:
    """Return True if all sequences start empty and none fades away.

    This waits for the device, so only training calls it.
    """
    empty = (h == 0).flatten(1).all(1) | (r[:, 0] == 0)
    return bool((empty & (multiply_gates(r)[:, -1] > MIN_GATE_PRODUCT)).all())


def check_kernels(kernels: MambaKernels | TritonKernels, device: torch.device) -> None:
    """Call a step, a scan and its gradient once; raises RuntimeError if one is wrong.

    Some releases can be imported but not called.
    """
    one = torch.ones(1, 2, 1, device=device, requires_grad=True)
    A, h = -torch.ones(1, 1, device=device), torch.zeros(1, 1, 1, device=device)
    y, _ = kernels.scan(one, one, A, one, one, torch.ones(1, 1, device=device), h)
    torch.autograd.backward(y.sum())
    row = torch.zeros(1, dtype=torch.int64, device=device)
    with torch.no_grad():
        stepped = kernels.step(one, one, A, one, one, h, row)
    expected = [1.0, 1.0 + math.exp(-1)]
    for found in (y, stepped):
        if not torch.allclose(found[0, :, 0], found.new_tensor(expected), atol=CHECK_TOLERANCE):
            raise RuntimeError(f"1 + 1/e came out as {found[0, 1, 0].item():.6g}")
    if one.grad is None or not bool(one.grad.isfinite().all()):
        raise RuntimeError("the gradient is no number")


def find_kernels(h: Tensor) -> MambaKernels | TritonKernels | None:
    """Return mamba-ssm's kernels, else ours, if they can be used for a state like this one."""
    if not h.is_cuda or h.dtype != torch.float32 or h.shape[-1] > MAX_STATE:
        return None
    found = load_kernels()
    return found if isinstance(found, MambaKernels) else load_own_kernels()


def describe_scan(device: torch.device) -> str:
    """Describe in one line what runs the selective scan on a device, and why."""
    if device.type != "cuda":
        return f"selective scan: PyTorch, as mamba-ssm needs CUDA and this is {device.type}"
    found = load_kernels()
    if isinstance(found, MambaKernels):
        return f"selective scan: mamba-ssm {found.version}"
    own = load_own_kernels()
    if own is not None:
        return f"selective scan: Triton {own.version}, as {found}"
    return f"selective scan: PyTorch, as {found}"


@functools.cache
def load_kernels() -> MambaKernels | str:
    """Load mamba-ssm's kernels, or return the reason why there are none, which is logged."""
    found = _import_kernels()
    if isinstance(found, str):
        logging.getLogger(__name__).warning("selective scan: PyTorch, as %s", found)
    return found


@functools.cache
def load_own_kernels() -> TritonKernels | None:
    """Load our kernels and call each once; None where Triton is missing or computes wrongly."""
    if not torch.cuda.is_available():
        return None
    try:
        from mimamba.models.network.triton_kernels import TritonKernels

        kernels = TritonKernels()
        check_kernels(kernels, torch.device("cuda"))
    except Exception as error:  # noqa: BLE001  not swallowed: logged, unless Triton is missing
        if not isinstance(error, ModuleNotFoundError):
            reason = str(error).strip().partition("\n")[0]
            logging.getLogger(__name__).warning("Triton's kernels are not used: %s", reason)
        return None
    return kernels


def _import_kernels() -> MambaKernels | str:
    try:
        import mamba_ssm
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
        from mamba_ssm.ops.triton.selective_state_update import selective_state_update
    except Exception as error:  # noqa: BLE001  not swallowed: returned as the reason
        if isinstance(error, ModuleNotFoundError) and error.name == "mamba_ssm":
            return "mamba-ssm is not installed"
        return f"mamba-ssm can't be imported: {_first_line(error)}"
    version = str(getattr(mamba_ssm, "__version__", "of an unknown version"))
    if "state_batch_indices" not in inspect.signature(selective_state_update).parameters:
        return f"mamba-ssm {version} has no state_batch_indices: it is too old"
    kernels = MambaKernels(version, selective_scan_fn, selective_state_update)
    if torch.cuda.is_available():
        try:
            check_kernels(kernels, torch.device("cuda"))
        except Exception as error:  # noqa: BLE001  not swallowed: returned as the reason
            return f"mamba-ssm {version} fails when called: {_first_line(error)}"
    return kernels


def _first_line(error: Exception) -> str:
    """Return an error's type and the first line of its message."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
