"""The selective scan on CUDA devices: mamba-ssm's kernels, where they are installed and work.

The optional extra ``cuda`` brings mamba-ssm 2.2. Two of its functions serve here:
``selective_state_update`` (Triton) takes a stream one token on, in place, without gradients;
``selective_scan_fn`` runs over whole sequences with gradients, from an empty state. What they can't
do, and every other device and type, PyTorch does in ``ssm.py``. A missing or broken install is told
in one line, once, and changes nothing else.

Letters as in ``ssm.py``.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

MAX_STATE = 256
"""The largest d_state that the compiled scan takes."""
FORGET = 1e9
"""A delta at which exp(delta A) is 0 for any A that Mamba learns (1 and more at the start)."""
FADED = 1e-12
"""A sequence whose gates multiply to less is not scanned: its inverse would be too large."""


@dataclass(frozen=True)
class MambaKernels:
    """mamba-ssm's functions, called as this network needs them.

    Parameters
    ----------
    version
        Of mamba-ssm.
    selective_scan, selective_state_update
        Its functions.
    """

    version: str
    selective_scan: Callable[..., Any]
    selective_state_update: Callable[..., Any]

    def step(
        self, delta: Tensor, a: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor, rows: Tensor
    ) -> Tensor:
        """Take h over the tokens of one hop, in place; nothing is learnt through it.

        Parameters
        ----------
        delta, a
            (B, C, E).
        A
            (E, n).
        B, C
            (B, C, n).
        h
            (rows, E, n), which is written.
        rows
            (B,) int64, where in h each stream's state is; negative for padding, which touches none.

        Returns
        -------
        y (B, C, E), zeros where padded.
        """
        # In 2.2 a call without D and dt_bias fails in unpacking their strides.
        none = A.new_zeros(A.shape[0])
        tokens = zip(delta.unbind(1), a.unbind(1), B.unbind(1), C.unbind(1), strict=True)
        ys = [
            self.selective_state_update(
                h, a_t, delta_t, A, B_t, C_t, D=none, dt_bias=none, state_batch_indices=rows
            )
            for delta_t, a_t, B_t, C_t in tokens
        ]
        return torch.stack(ys, dim=1)

    def scan(
        self, delta: Tensor, a: Tensor, A: Tensor, B: Tensor, C: Tensor, r: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run over whole sequences that start empty, all of them in one call.

        The scan knows no gates. A token of no content before each hop stands for them: where r is
        0, its delta forgets everything, else it is 0 and changes nothing. What fades is not h but
        the measure that it is taken in: with R the product of the gates so far, zeros left out, the
        scan runs over h / R, into which a / R goes and which R times its y comes out of. So windows
        alone, whole sequences, restarts and fading may be mixed in a batch, as training does.

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

        Returns
        -------
        y (B, S C, E), and h (B, E, n) after the last token. No gradient flows through h: the
        kernel's backward pass leaves it out.
        """
        n_hops, faded = r.shape[1], fading(r)
        reach = faded.repeat_interleave(a.shape[1] // n_hops, dim=1)[..., None]  # (B, S C, 1)
        forget = torch.where(r == 0, FORGET, 0.0).to(delta)[..., None, None]
        hops = [_by_hop(t, n_hops) for t in (delta, a / reach, B, C)]
        hops = [pad(t, (0, 0, 1, 0)) for t in hops]  # (B, S, C + 1, ...)
        hops[0] = torch.cat([forget.expand_as(hops[0][:, :, :1]), hops[0][:, :, 1:]], dim=2)
        delta, a, B, C = (t.flatten(1, 2).transpose(1, 2) for t in hops)
        y, h = self.selective_scan(a, delta, A, B, C, return_last_state=True)
        y = _by_hop(y.transpose(1, 2), n_hops)[:, :, 1:].flatten(1, 2)
        return y * reach, h.detach() * faded[:, -1, None, None]


def _by_hop(tokens: Tensor, n_hops: int) -> Tensor:
    """(B, S C, ...) to (B, S, C, ...)."""
    return tokens.reshape(len(tokens), n_hops, -1, tokens.shape[-1])


def fading(r: Tensor) -> Tensor:
    """(B, S), the product of a sequence's gates up to each hop, zeros left out."""
    return torch.where(r > 0, r, 1.0).cumprod(1)


def scannable(r: Tensor, h: Tensor) -> bool:
    """Whether these sequences can be scanned: all start empty, none fades away.

    It waits for the device, so that only training may ask.
    """
    empty = (h == 0).flatten(1).all(1) | (r[:, 0] == 0)
    return bool((empty & (fading(r)[:, -1] > FADED)).all())


def kernels_for(h: Tensor) -> MambaKernels | None:
    """The kernels, if they are there and take a state like this one."""
    if not h.is_cuda or h.dtype != torch.float32 or h.shape[-1] > MAX_STATE:
        return None
    found = load_kernels()
    return found if isinstance(found, MambaKernels) else None


def describe(device: torch.device) -> str:
    """What runs the selective scan on this device and why, in one line."""
    if device.type != "cuda":
        return f"selective scan: PyTorch, as mamba-ssm is for CUDA and this is {device.type}"
    found = load_kernels()
    if isinstance(found, MambaKernels):
        return f"selective scan: mamba-ssm {found.version}"
    return f"selective scan: PyTorch, as {found}"


@functools.cache
def load_kernels() -> MambaKernels | str:
    """mamba-ssm's kernels, or the reason why there are none, which is logged."""
    found = _import_kernels()
    if isinstance(found, str):
        logging.getLogger(__name__).warning("selective scan: PyTorch, as %s", found)
    return found


def _import_kernels() -> MambaKernels | str:
    try:
        import mamba_ssm
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
        from mamba_ssm.ops.triton.selective_state_update import selective_state_update
    except Exception as error:  # noqa: BLE001  not swallowed: told as the reason
        if isinstance(error, ModuleNotFoundError) and error.name == "mamba_ssm":
            return "mamba-ssm is not installed"
        reason = str(error).strip().partition("\n")[0]
        return f"mamba-ssm can't be imported: {type(error).__name__}: {reason}"
    version = str(getattr(mamba_ssm, "__version__", "of an unknown version"))
    if "state_batch_indices" not in inspect.signature(selective_state_update).parameters:
        return f"mamba-ssm {version} has no state_batch_indices: it is too old"
    return MambaKernels(version, selective_scan_fn, selective_state_update)
