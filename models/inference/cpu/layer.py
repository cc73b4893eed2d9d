"""A TSFB for the CPU: a layer that computes in place, in memory that is allocated once.

Each operation is done by the library in which it costs least: a NumPy call takes a third of the
time of a PyTorch call, but PyTorch has the faster products and transcendental functions. Both see
the same memory. Allocating memory in each operation would cost a quarter of a step, and a view
costs as much as a small sum, so views are made once, too.

Letters as in ``ssm.py``. Tokens lie in the order (C, B), so that the data of all streams at one
token is contiguous; d_inner runs fastest, also in the state.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, silu, softplus

from mimamba.models.inference.cpu.gelu import NUMPY_BELOW, double_gelu
from mimamba.models.network.config import MSiMambaConfig
from mimamba.models.network.evidence_memory import EvidenceMemory
from mimamba.models.network.msimamba import TemporalSpatialFusionBlock
from mimamba.models.network.ssm import SelectiveSSM

TOKENWISE_FROM = 32
"""Batch size from which the recurrence runs token by token.

Measured: a step of 64 streams takes 5 to 8 % less this way, of 32 2 % less, of one 11 % more.
"""
CACHE_LINE = 16
"""Numbers (float32) in a cache line, to which each array is aligned."""


def norm_arguments(module: nn.LayerNorm) -> tuple[tuple[int, ...], Tensor, Tensor, float]:
    """Return the arguments of ``layer_norm`` after the input."""
    return module.normalized_shape, module.weight, module.bias, module.eps


def _transposed(linear: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the transposed weight and the bias of a linear layer."""
    return linear.get_parameter("weight").T.contiguous(), linear.get_parameter("bias")


class CPUFeedForward:
    """The feed-forward network of a TSFB, with its norm.

    It keeps plain weights, as all layers here do: for one stream, calling modules would double the
    time.
    """

    def __init__(self, block: TemporalSpatialFusionBlock) -> None:
        up, _, down = block.ffn
        self._norm = norm_arguments(block.norm2)
        self._up, self._down = _transposed(up), _transposed(down)

    def add(self, space: Workspace) -> None:
        """Add the network's output to ``space.e``."""
        e = space.e
        weight, bias = self._up
        u = torch.addmm(bias, layer_norm(e, *self._norm), weight, out=space.wide)
        weight, bias = self._down
        e.add_(bias)
        if u.numel() < NUMPY_BELOW:
            double_gelu(u, space.spare, space.spare.numpy())
            e.addmm_(space.spare, weight, alpha=0.5)
        else:
            e.addmm_(gelu(u), weight)


class CPURecurrence:
    """The recurrence of a selective SSM, with the step size that it needs."""

    def __init__(self, ssm: SelectiveSSM | EvidenceMemory) -> None:
        self._dt = _transposed(ssm.dt_proj)
        # For powers of two, (n, E): PyTorch's exp2 takes half the time of exp.
        self._decay = (-ssm.A_log.exp().T / math.log(2)).contiguous()

    def run(self, space: Workspace, h: Tensor) -> None:
        """Update h = exp(delta A) h + (delta a) B^T and write h C to ``space.y``."""
        weight, bias = self._dt
        delta = softplus(torch.addmm(bias, space.rank, weight))  # (C B, E)
        delta, entering = delta[:, None], (delta * space.a)[:, None]
        (self._run_tokenwise if space.tokenwise else self._run_together)(delta, entering, space, h)

    def _run_tokenwise(self, delta: Tensor, entering: Tensor, space: Workspace, h: Tensor) -> None:
        """Run token by token, so that the data stay in the CPU's caches."""
        rows = (delta, entering, space.B, space.C.transpose(1, 2), space.y)
        parts = (torch.split(each, len(h)) for each in rows)
        for delta_t, entering_t, B, C, y in zip(*parts, strict=True):
            torch.mul(delta_t, self._decay, out=space.decay)
            torch.exp2(space.decay, out=space.decay)
            h.mul_(space.decay).addcmul_(entering_t, B)
            torch.mul(h, C, out=space.decay)
            torch.sum(space.decay, 1, out=y)

    def _run_together(self, delta: Tensor, entering: Tensor, space: Workspace, h: Tensor) -> None:
        """Run as many operations as possible on all tokens together."""
        torch.mul(delta, self._decay, out=space.decay)
        torch.exp2(space.decay, out=space.decay)
        torch.mul(entering, space.B, out=space.h)
        before = h
        for now, decay in space.pairs:
            before = now.addcmul_(decay, before)
        h.copy_(before)
        torch.bmm(space.C, space.h, out=space.y_rows)


class CPULayer:
    """One TSFB with Mamba's SSM, or without any."""

    def __init__(self, block: TemporalSpatialFusionBlock, ssm: SelectiveSSM) -> None:
        self._mixer, self._norm = block.mixer, norm_arguments(block.norm1)
        self._ffn, self._recurrence = CPUFeedForward(block), CPURecurrence(ssm)
        self._in = [half.T.contiguous() for half in ssm.in_proj.weight.chunk(2)]
        self._x, self._out = (each.weight.T.contiguous() for each in (ssm.x_proj, ssm.out_proj))
        self._taps = list(ssm.conv1d.weight[:, 0].T.contiguous())  # K of (E,), the newest last
        self._bias, self._D = ssm.conv1d.get_parameter("bias"), ssm.D

    def step(self, space: Workspace, h: Tensor, history: Tensor) -> None:
        """Update ``space.e``, h (B, n, E) and history (B, K - 1, E) in place."""
        e = space.e
        if self._mixer != "none":
            y = self._mix(layer_norm(e, *self._norm), space, h, history)
            torch.addmm(e, y, self._out, beta=float(self._mixer != "memory"), out=e)
        self._ffn.add(space)

    def _mix(self, u: Tensor, space: Workspace, h: Tensor, history: Tensor) -> Tensor:
        """Run ``SelectiveSSM.forward`` up to its last product: (C B, d) to (C B, E)."""
        for weight, out in zip(self._in, (space.entering, space.z), strict=True):
            torch.mm(u, weight, out=out)
        self._convolve(space, history)
        silu(space.az, inplace=True)
        torch.mm(space.a, self._x, out=space.low)
        self._recurrence.run(space, h)
        space.y.addcmul_(self._D, space.a).mul_(space.z)
        return space.y

    def _convolve(self, space: Workspace, history: Tensor) -> None:
        """Write the causal depthwise convolution to ``space.a``."""
        past, n = history.numpy().swapaxes(0, 1), history.shape[1]
        space.inputs[:n] = past
        torch.addcmul(self._bias, space.reached[0], self._taps[0], out=space.convolved)
        for reached, tap in zip(space.reached[1:], self._taps[1:], strict=True):
            space.convolved.addcmul_(reached, tap)
        past[:] = space.inputs[len(space.inputs) - n :]


class CPUSteadyRecurrence:
    """The recurrence of a memory of evidence whose step sizes, B and C depend on no token.

    They stay as they began where x_proj is zero, since its stage of training leaves it so. Then the
    decay is the same at each token and computed once, and the step size is part of W_in.
    """

    def __init__(self, ssm: EvidenceMemory) -> None:
        delta = softplus(ssm.dt_proj.get_parameter("bias"))  # (E,)
        self._in = (ssm.in_proj.weight.T * delta).contiguous()
        self._decay = torch.exp(-delta * ssm.A_log.exp().T).contiguous()  # (n, E)
        self._written, self._read = ssm.beta[:, :, None], ssm.gamma[:, :, None]  # (C, n, 1)

    def run(self, u: Tensor, space: Workspace, h: Tensor) -> None:
        """Update h = decay h + (delta W_in u) beta_c^T and write h gamma_c to ``space.y``."""
        entering = torch.mm(u, self._in, out=space.a)[:, None]
        product = space.decay[: len(h)]
        parts = (torch.split(each, len(h)) for each in (entering, space.y))
        rows = zip(*parts, self._written, self._read, strict=True)
        for entering_t, y, beta, gamma in rows:
            h.mul_(self._decay).addcmul_(entering_t, beta)
            torch.mul(h, gamma, out=product)
            torch.sum(product, 1, out=y)


class CPUEvidenceRecurrence:
    """The recurrence of a memory of evidence whose step sizes, B and C depend on the token."""

    def __init__(self, ssm: EvidenceMemory) -> None:
        self._in, self._x = (each.weight.T.contiguous() for each in (ssm.in_proj, ssm.x_proj))
        self._biases = torch.cat([ssm.beta, ssm.gamma], -1)[:, None]  # (C, 1, 2 n)
        self._recurrence = CPURecurrence(ssm)

    def run(self, u: Tensor, space: Workspace, h: Tensor) -> None:
        """Update h with the tokens u and write what is read from it to ``space.y``."""
        torch.mm(u, self._in, out=space.a)
        torch.mm(space.a, self._x, out=space.low)
        space.low_hops.add_(self._biases)
        self._recurrence.run(space, h)


class CPUEvidenceLayer:
    """One TSFB with the mixer ``evidence``."""

    def __init__(self, block: TemporalSpatialFusionBlock, ssm: EvidenceMemory) -> None:
        self._norm, self._out = norm_arguments(block.norm1), ssm.out_proj.weight.T.contiguous()
        self._ffn = CPUFeedForward(block)
        recurrence = CPUEvidenceRecurrence if ssm.x_proj.weight.any() else CPUSteadyRecurrence
        self._recurrence = recurrence(ssm)

    def step(self, space: Workspace, h: Tensor, history: Tensor) -> None:  # noqa: ARG002
        """Update ``space.e`` and h (B, n, E) in place; there is no history."""
        self._ffn.add(space)
        self._recurrence.run(layer_norm(space.e, *self._norm), space, h)
        torch.mm(space.y, self._out, out=space.e)


def make_layer(block: TemporalSpatialFusionBlock) -> CPULayer | CPUEvidenceLayer:
    """Return the form of a TSFB for the CPU."""
    if isinstance(block.ssm, EvidenceMemory):
        return CPUEvidenceLayer(block, block.ssm)
    return CPULayer(block, block.ssm)


class Workspaces:
    """A workspace for each batch size, all in the same memory, sized for the largest batch."""

    def __init__(self, config: MSiMambaConfig, like: Tensor) -> None:
        self._config, self._memory = config, like.new_empty(0)
        self._workspaces: dict[int, Workspace] = {}

    def get(self, batch: int) -> Workspace:
        """Return the workspace of a batch size; using another one overwrites its contents."""
        space = self._workspaces.get(batch)
        if space is None:
            shapes = _shapes(self._config, batch)
            needed = sum(map(_size, shapes.values()))
            if len(self._memory) < needed:
                self._memory = self._memory.new_empty(needed)
                self._workspaces.clear()
            space = self._workspaces[batch] = Workspace(self._config, _parts(self._memory, shapes))
        return space


def _size(shape: tuple[int, ...]) -> int:
    return math.ceil(math.prod(shape) / CACHE_LINE) * CACHE_LINE


def _shapes(config: MSiMambaConfig, batch: int) -> dict[str, tuple[int, ...]]:
    c, n_tokens = config, config.n_channels * batch
    width, low = c.expand * c.d_model, math.ceil(c.d_model / 16) + 2 * c.d_state
    return {
        "e": (n_tokens, c.d_model),
        "inputs": (c.d_conv - 1 + c.n_channels, batch, width),
        "az": (2, n_tokens, width),
        "low": (n_tokens, low),
        "decay": (1 if batch >= TOKENWISE_FROM else c.n_channels, batch, c.d_state, width),
        "h": (0 if batch >= TOKENWISE_FROM else c.n_channels, batch, c.d_state, width),
        "y": (n_tokens, 1, width),
        "wide": (2, n_tokens, c.d_ff),
    }


def _parts(memory: Tensor, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    parts, at = dict[str, Tensor](), 0
    for name, shape in shapes.items():
        parts[name] = memory[at : at + math.prod(shape)].view(shape)
        at += _size(shape)
    return parts


class Workspace:
    """Arrays in which a layer computes for B streams; T = C B tokens.

    Parameters
    ----------
    e
        (T, d), the tokens between the layers; ``hops`` is a view of them as (C, B, d).
    inputs, entering, reached
        Inputs of the depthwise convolution: all (K - 1 + C, B, E), as an array; those of this hop,
        as (T, E); those under each tap, K of (C, B, E), the oldest first.
    az, a, z, convolved
        (2, T, E), its halves, and the first half as (C, B, E).
    low, rank, B, C, low_hops
        Output of x_proj, (T, R + 2 n), and its parts: (T, R), (T, n, 1), (T, 1, n); and a view of
        both B and C, (C, B, 2 n).
    tokenwise
        True if the recurrence runs token by token.
    decay, h, pairs
        Both (T, n, E), and pairs of (h, decay) for each token, (B, n, E). If ``tokenwise``,
        ``decay`` is for one token, and ``h`` and ``pairs`` are empty.
    y, y_rows
        (T, E), and the same as (T, 1, E).
    wide, spare
        (T, d_ff) each.
    """

    def __init__(self, config: MSiMambaConfig, parts: dict[str, Tensor]) -> None:
        n_channels, n_past = config.n_channels, config.d_conv - 1
        self.e, self.az, self.low = parts["e"], parts["az"], parts["low"]
        self.hops = self.e.view(n_channels, -1, config.d_model)
        self.inputs = parts["inputs"].numpy()
        self.entering = parts["inputs"][n_past:].flatten(0, 1)
        self.reached = [parts["inputs"][at : at + n_channels] for at in range(n_past + 1)]
        self.a, self.z = self.az
        self.convolved = self.a.view(self.reached[0].shape)
        n = config.d_state
        self.rank, B, C = torch.split(self.low, [self.low.shape[1] - 2 * n, n, n], dim=-1)
        self.B, self.C = B[..., None], C[:, None]
        self.low_hops = self.low.view(n_channels, -1, self.low.shape[1])[..., -2 * n :]
        self.decay, self.h = (parts[name].flatten(0, 1) for name in ("decay", "h"))
        self.pairs = list(zip(parts["h"], parts["decay"], strict=False))
        self.tokenwise = not self.pairs
        self.y_rows, self.y = parts["y"], parts["y"][:, 0]
        self.wide, self.spare = parts["wide"]
