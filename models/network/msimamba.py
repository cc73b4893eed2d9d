"""MS-iMamba: a multi-scale inverted Mamba for EEG windows, and its stateful streaming form.

After Zhou, Huang, Peng and Yin, "miMamba: EEG-based Emotion Recognition with Multi-scale Inverted
Mamba Models" (arXiv 2409.07589). No code was published, so the paper is read together with the
models that it builds on (TimesNet, iTransformer, S-Mamba, Mamba). Our choices are marked "(ours)".

Letters: B batch, S hops, C channels, L samples in a window, k scales, f frequency in cycles per
window, p patch size, d d_model.

Streaming **(ours)**: the paper's recurrence runs over the electrodes of one window. Here the
channel tokens of successive hops are one endless sequence through the same weights, with a gate r
at each hop's start. With r = 0 it is the paper's network, window by window; with r = 1 the state is
carried on; between these it fades.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, pad

from mimamba.models.network.config import MSiMambaConfig, Ranking
from mimamba.models.network.embedding import LinearEmbedding, SpectralEmbedding
from mimamba.models.network.evidence_memory import EvidenceMemory
from mimamba.models.network.ssm import SelectiveSSM, States

FLAT_UV = 1e-3
"""Standard deviation, µV, below which a channel is flat: its z-score is 0 (ours).

Headsets resolve 0.002 µV (Ganglion) to 0.5 µV (Muse); below this there are only rounding errors."""
SCALE_UV = 10.0
"""Unit of windows with the normalisation ``scaled``, µV."""


def zscore(x: Tensor) -> Tensor:
    """Standardise each channel of each window, (..., L); flat channels become zeros."""
    centred = x - x.mean(-1, keepdim=True)
    deviation = centred.square().mean(-1, keepdim=True).sqrt()
    return torch.where(deviation < FLAT_UV, 0.0, centred / deviation)


def dominant_periods(
    x: Tensor, f: Tensor, n_scales: int, ranking: Ranking
) -> tuple[Tensor, Tensor]:
    """Find the patch sizes of the k strongest frequencies of each window, and their weights.

    TimesNet takes the mean over the batch; here each window counts alone, so that a result never
    depends on the rest of the batch (ours). Scores are compared in steps of 1e-9 of the largest,
    and a tie goes to the lower frequency, so that rounding decides nothing (ours).

    Parameters
    ----------
    x
        (B, C, L) float64.
    f
        (F,) int64, the frequencies that can be picked, rising.

    Returns
    -------
    periods (B, k) int64, p = ceil(L / f), and weights (B, k), the softmax of the plain amplitudes.
    """
    n_times = x.shape[-1]
    amplitude = torch.fft.rfft(x).abs().mean(1).index_select(-1, f)  # (B, F)
    score = amplitude * f if ranking == "whitened" else amplitude
    largest = score.amax(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    order = (score / largest * 1e9).round().sort(dim=-1, descending=True, stable=True).indices
    picks = order[:, :n_scales]
    periods = (n_times + f - 1).div(f, rounding_mode="floor")[picks]
    return periods, amplitude.gather(-1, picks).softmax(-1)


def fold(x: Tensor, period: int) -> Tensor:
    """Fold windows (B, C, L) to maps (B, C, patches, period), zero-padded at the end."""
    x = pad(x, (0, -x.shape[-1] % period))
    return x.reshape(*x.shape[:2], -1, period)


class InceptionConv2d(nn.Module):
    """Mean of parallel square 'same' convolutions, computed as one equal convolution (ours)."""

    def __init__(self, n_in: int, n_out: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(n_in, n_out, size, padding=size // 2) for size in kernels
        )

    def merged(self) -> tuple[Tensor, Tensor]:
        """Return the kernel and bias of the equal convolution: zero-padded kernels, averaged."""
        branches = [b for b in self.branches if isinstance(b, nn.Conv2d)]
        largest = max(b.kernel_size[0] for b in branches)
        pads = [(largest - b.kernel_size[0]) // 2 for b in branches]
        kernels = [pad(b.weight, (p, p, p, p)) for b, p in zip(branches, pads, strict=True)]
        biases = [b.bias for b in branches if b.bias is not None]
        return torch.stack(kernels).mean(0), torch.stack(biases).mean(0)


class MultiScaleTemporalBlock(nn.Module):
    """MSTB: X' = X + sum_i w_i X_i, with each X_i convolved in a 2-D map of one patch size."""

    f: Tensor

    def __init__(self, config: MSiMambaConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("f", torch.tensor(config.candidates), persistent=False)
        self.widen = InceptionConv2d(config.n_channels, config.hidden, config.kernels)
        self.narrow = InceptionConv2d(config.hidden, config.n_channels, config.kernels)
        if config.mstb_identity:
            for parameter in self.narrow.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to windows (B, C, L) of any float type; output in the weights' type."""
        c = self.config
        periods, weights = dominant_periods(x.double(), self.f, c.n_scales, c.ranking)
        (wide, wide_bias), (narrow, narrow_bias) = self.widen.merged(), self.narrow.merged()
        x, weights = x.to(wide.dtype), weights.to(wide.dtype)
        out = x.clone()
        for period in sorted(
            set(periods.flatten().tolist())
        ):  # samples that share a patch size run together
            chosen = periods == period  # (B, k); two frequencies may share it too
            rows = chosen.any(-1).nonzero()[:, 0]
            y = conv2d(fold(x[rows], period), wide, wide_bias, padding="same")
            y = conv2d(gelu(y), narrow, narrow_bias, padding="same")
            y = y.flatten(-2)[..., : x.shape[-1]]  # unfolded, cut to L
            share = torch.where(chosen, weights, 0.0).sum(-1)[rows, None, None]
            out.index_add_(0, rows, share * y)
        return out


class TemporalSpatialFusionBlock(nn.Module):
    """TSFB: a selective SSM over the channel tokens, then a feed-forward network per token.

    Pre-norm and residuals around both (ours). With the mixer ``evidence`` the order is reversed:
    the network makes evidence of each token, and the SSM, without a residual, averages it (ours).

    ``bypassed`` is True while the tokens skip the SSM ``evidence``, in training.
    """

    def __init__(self, config: MSiMambaConfig) -> None:
        super().__init__()
        d = config.d_model
        self.mixer = config.mixer
        self.bypassed = False
        self.norm1 = nn.LayerNorm(d)
        self.ssm = (
            EvidenceMemory(config)
            if config.mixer == "evidence"
            else SelectiveSSM(
                d,
                config.d_state,
                config.d_conv,
                config.expand,
                config.dt,
                direct=config.mixer != "memory",
            )
        )
        self.norm2 = nn.LayerNorm(d)
        self.ffn = nn.Sequential(nn.Linear(d, config.d_ff), nn.GELU(), nn.Linear(config.d_ff, d))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, e: Tensor, r: Tensor, h: Tensor, history: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Apply the layer to e (B, S C, d) with r (B, S), like ``SelectiveSSM.forward``."""
        if self.mixer == "evidence":
            e = self.norm1(e + self.dropout(self.ffn(self.norm2(e))))
            return (e, h, history) if self.bypassed else self.ssm(e, r, h, history)
        if self.mixer != "none":
            y, h, history = self.ssm(self.norm1(e), r, h, history)
            y = self.dropout(y)
            e = y if self.mixer == "memory" else e + y
        return e + self.dropout(self.ffn(self.norm2(e))), h, history


class MSiMamba(nn.Module):
    """The whole network. Windows are (batch, n_channels, n_times), µV.

    ``forward`` is the paper's network on independent windows. ``scan`` runs over whole streams, for
    training and scoring. ``step`` runs one hop of many streams. All three are the same computation.

    Parameters
    ----------
    config
        Architecture of the network.
    """

    def __init__(self, config: MSiMambaConfig) -> None:
        super().__init__()
        self.config = config
        self._mstb_skipped = False
        self.mstb: nn.Module = MultiScaleTemporalBlock(config) if config.mstb else nn.Identity()
        spectral = config.embedding == "spectral"
        self.embedding = SpectralEmbedding(config) if spectral else LinearEmbedding(config)
        # Small at first, compared with the embedding of a z-scored window, whose deviation is 1.
        self.electrode = nn.Parameter(0.1 * torch.randn(config.n_channels, config.d_model))
        self.layers = nn.ModuleList(
            TemporalSpatialFusionBlock(config) for _ in range(config.n_layers)
        )
        # Pre-norm layers need a last one (ours); means of evidence are no longer to be rescaled.
        self.norm = nn.Identity() if config.mixer == "evidence" else nn.LayerNorm(config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.n_channels * config.d_model, config.n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, n_outputs) of independent windows (B, C, L)."""
        return self.step(x, x.new_zeros(x.shape[0]), None)[0]

    def step(self, x: Tensor, r: Tensor, states: States | None) -> tuple[Tensor, States]:
        """Step one hop: x (B, C, L), r (B,) to logits (B, n_outputs) and the states after it."""
        logits, states = self.scan(x[:, None], r[:, None], states)
        return logits[:, 0], states

    def scan(self, x: Tensor, r: Tensor, states: States | None) -> tuple[Tensor, States]:
        """Run over successive hops of B streams.

        Parameters
        ----------
        x
            (B, S, C, L), µV.
        r
            (B, S), gate at each hop's start, 0 to 1.
        states
            States before the first hop; None for zeros.

        Returns
        -------
        logits (B, S, n_outputs), heads concatenated, and the states after the last hop.
        """
        tokens = self.embed(x.flatten(0, 1))  # (B S, C, d)
        return self.scan_tokens(tokens.reshape(*x.shape[:2], *tokens.shape[1:]), r, states)

    def scan_tokens(
        self, tokens: Tensor, r: Tensor, states: States | None
    ) -> tuple[Tensor, States]:
        """Run ``scan`` on windows that are embedded already, as tokens (B, S, C, d)."""
        batch, n_hops, n_channels, _ = tokens.shape
        e = tokens.reshape(batch, n_hops * n_channels, -1)
        r = r.to(e.dtype)
        h, conv = states if states is not None else self.initial_states(batch)
        after = []
        for i, layer in enumerate(self.layers):
            e, *state = layer(e, r, h[i], conv[i])
            after.append(state)
        e = self.norm(e).reshape(batch, n_hops, -1)  # (B, S, C d)
        hs, convs = zip(*after, strict=True)
        return self.head(self.dropout(e)), States(torch.stack(hs), torch.stack(convs))

    def embed(self, x: Tensor) -> Tensor:
        """Embed windows (B, C, L) as tokens (B, C, d), one for each channel.

        A learnt vector per electrode is added (ours). In one window the position of a token
        identifies its electrode; in an endless sequence nothing would.
        """
        return self.embed_features(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Return all that comes before the embedding's weights, for windows (B, C, L), µV."""
        return self.embedding.features(self._preprocess(x))

    def embed_features(self, features: Tensor) -> Tensor:
        """Embed features (B, C, F) as tokens (B, C, d)."""
        embedded: Tensor = self.embedding.tokens(features) + self.electrode
        return embedded

    def skip(self, mstb: bool, memory: bool) -> None:
        """Set what is skipped from now on: the MSTB, and memories of evidence."""
        self._mstb_skipped = mstb
        for layer in self.layers:
            if isinstance(layer, TemporalSpatialFusionBlock):
                layer.bypassed = memory

    @torch.no_grad()
    def standardise(self, x: Tensor) -> None:
        """Set the scale of the embedding from training windows (B, C, L), µV."""
        if isinstance(self.embedding, SpectralEmbedding):
            self.embedding.standardise(self._preprocess(x))

    def _preprocess(self, x: Tensor) -> Tensor:
        """Normalise windows (B, C, L), µV, and apply the MSTB; the result has the weights' type."""
        mixed = self.config.mstb and not self._mstb_skipped
        precise = mixed or self.config.normalisation == "zscore"  # as is the choice of periods
        x = x.double() if precise else x.to(self.head.weight.dtype)
        if self.config.normalisation == "zscore":
            x = zscore(x)
        elif self.config.normalisation == "scaled":
            x = x / SCALE_UV
        out: Tensor = self.mstb(x) if mixed else x
        return out.to(self.head.weight.dtype)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.head.weight.device

    def initial_states(self, batch: int) -> States:
        """Return the initial states, zeros, of ``batch`` streams."""
        c, weight = self.config, self.head.weight
        d_inner = c.expand * c.d_model
        return States(
            weight.new_zeros(c.n_layers, batch, d_inner, c.d_state),
            weight.new_zeros(c.n_layers, batch, d_inner, c.d_conv - 1),
        )
