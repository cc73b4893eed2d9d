"""MS-iMamba for live steps on a CPU: equal to ``MSiMamba`` up to rounding, in place.

``models.network.msimamba`` is written for reading and training, and ``static_shapes`` for a device
that must not wait for the host. On a CPU the data can be looked at, so each window is convolved
only at its own patch sizes (``mstb.py``), and the layers compute in preallocated memory
(``layer.py``).

Letters as in ``msimamba.py`` and ``ssm.py``.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from mimamba.models.inference.cpu.layer import Workspaces, make_layer, norm_arguments
from mimamba.models.inference.cpu.mstb import CPUMultiScaleBlock
from mimamba.models.inference.cpu.short_rows import CPUShortRowBlock, has_short_rows
from mimamba.models.network.embedding import MAX_DEVIATIONS, MIN_POWER, SpectralEmbedding
from mimamba.models.network.msimamba import (
    FLAT_UV,
    SCALE_UV,
    MSiMamba,
    MultiScaleTemporalBlock,
    TemporalSpatialFusionBlock,
)

MAX_BATCH = 64
"""Largest batch of hops. It bounds the memory, and the first results need not wait for the last."""


class CPUNetwork:
    """A copy of a network for inference, used by one thread at a time.

    Parameters
    ----------
    network
        The network to copy.
    """

    def __init__(self, network: MSiMamba) -> None:
        network = copy.deepcopy(network).eval().requires_grad_(False)
        self.config, mstb = network.config, network.mstb
        self._mstb = _make_block(mstb) if isinstance(mstb, MultiScaleTemporalBlock) else None
        self._embedding = CPUEmbedding(network)
        blocks = [e for e in network.layers if isinstance(e, TemporalSpatialFusionBlock)]
        self._layers = [make_layer(each) for each in blocks]
        norm, self._head = network.norm, network.head
        self._norm = norm_arguments(norm) if isinstance(norm, nn.LayerNorm) else None
        self._workspaces = Workspaces(self.config, self._head.weight)

    @torch.inference_mode()
    @np.errstate(all="ignore")  # NaN passes through silently, as in PyTorch
    def step(self, x: Tensor, h: Tensor, history: Tensor) -> Tensor:
        """Step one hop of B streams, whose states are updated in place.

        Parameters
        ----------
        x
            (B, C, L), µV.
        h, history
            (n_layers, B, n, E) and (n_layers, B, K - 1, E), already multiplied by the gates.

        Returns
        -------
        Logits (B, n_outputs).
        """
        workspace = self._workspaces.get(x.shape[0])
        self._embedding.write_tokens(self._preprocess(x), workspace.hops)
        states = zip(self._layers, h.unbind(), history.unbind(), strict=True)
        for layer, own_h, own_history in states:
            layer.step(workspace, own_h, own_history)
        e = layer_norm(workspace.hops, *self._norm) if self._norm else workspace.hops
        return linear(e.transpose(0, 1).reshape(x.shape[0], -1), self._head.weight, self._head.bias)

    @torch.inference_mode()
    @np.errstate(all="ignore")
    def embed(self, x: Tensor) -> Tensor:
        """Embed windows (B, C, L), µV, as tokens (B, C, d)."""
        c = self.config
        tokens = self._head.weight.new_empty(c.n_channels, len(x), c.d_model)
        self._embedding.write_tokens(self._preprocess(x), tokens)
        return tokens.transpose(0, 1)

    def _preprocess(self, x: Tensor) -> Tensor:
        """Normalise windows (B, C, L), µV, and apply the MSTB; the result has the weights' type."""
        how, unit = self.config.normalisation, 1.0
        if how == "zscore":
            values = x.numpy().astype(np.float64)  # as precise as the choice of periods
            zscore(values)
            x = torch.from_numpy(values)
        elif how == "scaled":
            unit = SCALE_UV
        if self._mstb:
            return self._mstb.apply(x, unit)
        return (x / unit if unit != 1 else x).to(self._head.weight.dtype)


class CPUEmbedding:
    """Embeds windows as tokens; the electrodes' vectors are added together with the bias."""

    def __init__(self, network: MSiMamba) -> None:
        embedding = network.embedding
        self._power = SpectralPower(embedding) if isinstance(embedding, SpectralEmbedding) else None
        linear = embedding.linear if isinstance(embedding, SpectralEmbedding) else embedding
        self._weight = linear.get_parameter("weight").T.contiguous().numpy()
        self._added = (network.electrode[:, None] + linear.get_parameter("bias")).numpy()

    def write_tokens(self, x: Tensor, out: Tensor) -> None:
        """Write the tokens (C, B, d) of windows (B, C, L) to ``out``."""
        values = (self._power.features(x) if self._power else x.numpy()).swapaxes(0, 1)
        tokens = out.numpy()
        flat = values.reshape(-1, values.shape[-1])
        np.matmul(flat, self._weight, out=tokens.reshape(len(flat), -1))
        np.add(tokens, self._added, out=tokens)


class SpectralPower:
    """Standardised log power, as in ``SpectralEmbedding``: in a fraction of the time.

    PyTorch's absolute values of complex numbers cost several times as much as squares, and only the
    bins in bands are needed: their squares, times a matrix of zeros and 1 / width, are the means of
    all bands. Memory is allocated once, since the allocator of a service gives large blocks back to
    the system, and a step would fault their pages in again.
    """

    def __init__(self, embedding: SpectralEmbedding) -> None:
        self._window, self._taper = embedding.window, embedding.window.numpy()
        self._parts = slice(2 * embedding.first, 2 * embedding.stop)  # real and imaginary in turn
        n_bands = (embedding.stop - embedding.first) // embedding.width
        own = torch.eye(n_bands, dtype=self._window.dtype) / embedding.width
        self._bands = own.repeat_interleave(2 * embedding.width, 0)
        self._mean, self._scale = embedding.mean.numpy(), 1 / embedding.deviation.numpy()
        self._tapered = self._spectrum = self._power = self._window.new_empty(0)

    def features(self, x: Tensor) -> NDArray[np.floating]:
        """Return the features (B, C, F) of windows (B, C, L)."""
        spectrum = torch.view_as_real(self._transform(x)).flatten(-2).flatten(0, -2)
        power = self._power[: len(spectrum)]
        torch.square(spectrum[:, self._parts], out=power)
        bands = torch.mm(power, self._bands).view(*x.shape[:-1], -1).numpy()
        bands += MIN_POWER
        np.log(bands, out=bands)
        bands -= self._mean
        bands *= self._scale
        np.maximum(bands, -MAX_DEVIATIONS, out=bands)  # with one call, np.clip takes longer
        np.minimum(bands, MAX_DEVIATIONS, out=bands)
        return bands

    def _transform(self, x: Tensor) -> Tensor:
        """Return the spectrum of windows under the Hann window, (B, C, L // 2 + 1)."""
        batch = x.shape[0]
        if self._tapered.shape[0] < batch:
            n_bins = x.shape[-1] // 2 + 1
            self._tapered = torch.empty_like(x, memory_format=torch.contiguous_format)
            self._spectrum = torch.empty(*x.shape[:2], n_bins, dtype=x.dtype.to_complex())
            self._power = x.new_empty(batch * x.shape[1], len(self._bands))
        tapered, spectrum = self._tapered[:batch], self._spectrum[:batch]
        # NumPy takes three quarters of PyTorch's time where channels run faster than samples.
        np.multiply(x.numpy(), self._taper, out=tapered.numpy())
        torch.fft.rfft(tapered, out=spectrum)
        return spectrum


def _make_block(block: MultiScaleTemporalBlock) -> CPUMultiScaleBlock | CPUShortRowBlock:
    return CPUShortRowBlock(block) if has_short_rows(block.config) else CPUMultiScaleBlock(block)


def zscore(x: NDArray[np.float64]) -> None:
    """Standardise windows (B, C, L) in place, like ``msimamba.zscore``."""
    n_times = x.shape[-1]
    x -= np.add.reduce(x, -1, keepdims=True) / n_times
    deviation = np.sqrt(np.vecdot(x, x) / n_times)
    deviation[deviation < FLAT_UV] = np.inf
    x /= deviation[..., None]
