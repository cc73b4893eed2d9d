"""MS-iMamba in the form that a processor runs live: the same function, few operations, in place.

``network.py`` is written to be read and to learn, ``static.py`` for a device that must not wait for
the host. Here the host may look, so each window is convolved only where its maps are
(``maps.py``), and the layers (``layer.py``) compute in memory that is kept (``room.py``).

Letters as in ``network.py`` and ``ssm.py``.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from mimamba.models.inference.cpu.layer import CPULayer, norm
from mimamba.models.inference.cpu.mstb import CPUMultiScaleBlock
from mimamba.models.inference.cpu.periods import zscore
from mimamba.models.inference.cpu.workspace import Workspaces
from mimamba.models.network.embedding import LinearEmbedding
from mimamba.models.network.msimamba import (
    MSiMamba,
    MultiScaleTemporalBlock,
    TemporalSpatialFusionBlock,
)

BLOCK = 64
"""Hops that a processor steps at once; more wait for the next batch, so memory has a bound, and
the first are told without waiting for the last."""


class CPUNetwork:
    """A copy of a network, to step; for one thread at a time. It learns and saves nothing."""

    def __init__(self, network: MSiMamba) -> None:
        network = copy.deepcopy(network).eval().requires_grad_(False)
        self.config, mstb = network.config, network.mstb
        self._maps = CPUMultiScaleBlock(mstb) if isinstance(mstb, MultiScaleTemporalBlock) else None
        self._embedding = Embedding(network)
        blocks = [e for e in network.layers if isinstance(e, TemporalSpatialFusionBlock)]
        self._layers = [CPULayer(each) for each in blocks]
        self._norm, self._head = norm(network.norm), network.head
        self._rooms = Workspaces(self.config, self._head.weight)

    @torch.inference_mode()
    @np.errstate(all="ignore")  # what is no number goes through, as in PyTorch
    def step(self, x: Tensor, h: Tensor, history: Tensor) -> Tensor:
        """One hop of B streams, whose states are written in place.

        Parameters
        ----------
        x
            (B, C, L), µV.
        h, history
            (n_layers, B, n, E) and (n_layers, B, K - 1, E), multiplied by the gates already.

        Returns
        -------
        Logits (B, n_outputs).
        """
        room = self._rooms.of(len(x))
        self._embedding.tokens(self._seen(x), room.hops)
        for layer, own_h, own_history in zip(self._layers, h, history, strict=True):
            layer.step(room, own_h, own_history)
        e = layer_norm(room.hops, *self._norm)
        return linear(e.transpose(0, 1).reshape(len(x), -1), self._head.weight, self._head.bias)

    @torch.inference_mode()
    @np.errstate(all="ignore")
    def embed(self, x: Tensor) -> Tensor:
        """(B, C, L), µV, to tokens (B, C, d)."""
        c = self.config
        tokens = self._head.weight.new_empty(c.n_channels, len(x), c.d_model)
        self._embedding.tokens(self._seen(x), tokens)
        return tokens.transpose(0, 1)

    def _seen(self, x: Tensor) -> Tensor:
        """(B, C, L), µV, to what is embedded, the same shape in the weights' type."""
        values = x.numpy().astype(np.float64)  # for the choice of periods
        if self.config.normalisation == "zscore":
            zscore(values)
        return (
            self._maps.mix(values)
            if self._maps
            else torch.from_numpy(values).to(self._head.weight.dtype)
        )


class Embedding:
    """From windows to tokens; the electrodes' vectors are added with the bias."""

    def __init__(self, network: MSiMamba) -> None:
        self._module, self._added = network.embedding, network.electrode[:, None]
        self._weight = None
        if isinstance(self._module, LinearEmbedding):
            self._weight = self._module.weight.T.contiguous()
            self._added = self._added + self._module.bias

    def tokens(self, x: Tensor, out: Tensor) -> None:
        """(B, C, L) to (C, B, d)."""
        if self._weight is None:
            out.copy_(self._module(x).transpose(0, 1))
        else:
            x = x.transpose(0, 1).reshape(-1, x.shape[-1])
            torch.mm(x, self._weight, out=out.view(len(x), -1))
        out.add_(self._added)
