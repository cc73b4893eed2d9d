"""Training steps a second, in PyTorch, with mamba-ssm's kernels and with our own in Triton.

The reference configuration, 16 sequences of 16 hops a step, half of them with carried state, AdamW;
on the CUDA device if there is one. Kernels are left out where they cannot run.
"""

from __future__ import annotations

import sys
import time
from unittest import mock

import torch
from torch.nn.functional import cross_entropy

from mimamba.models.network import ssm
from mimamba.models.network.config import REFERENCE
from mimamba.models.network.mamba_kernels import (
    MambaKernels,
    describe_scan,
    load_kernels,
    load_own_kernels,
)
from mimamba.models.network.msimamba import MSiMamba
from mimamba.service.bench.figures import Figure

SEQUENCES, HOPS = 16, 16


def measure(steps: float) -> list[Figure]:
    """Time this many steps."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, one thread"
    with mock.patch.object(ssm, "find_kernels", return_value=None):
        figures = [Figure(f"PyTorch, {name}", steps_per_second(device, round(steps)), "steps/s")]
    if device.type == "cuda" and isinstance(load_kernels(), MambaKernels):
        rate = steps_per_second(device, round(steps))
        figures.append(Figure(f"mamba-ssm, {name}", rate, "steps/s"))
    own = load_own_kernels()
    if device.type == "cuda" and own is not None:
        with mock.patch.object(ssm, "find_kernels", return_value=own):
            rate = steps_per_second(device, round(steps))
        figures.append(Figure(f"our kernels in Triton, {name}", rate, "steps/s"))
    if len(figures) < 3:
        sys.stderr.write(f"Not all run. {describe_scan(device)}\n")
    return figures


def steps_per_second(device: torch.device, steps: int) -> float:
    """Train on the same random windows; the first step is not counted."""
    torch.manual_seed(0)
    network = MSiMamba(REFERENCE).to(device)
    optimiser = torch.optim.AdamW(network.parameters())
    white = torch.randn(SEQUENCES, HOPS, REFERENCE.n_channels, REFERENCE.n_times)
    x = 2.0 * white.cumsum(-1).to(device)
    r = (torch.arange(SEQUENCES, device=device) % 2).float()[:, None].expand(-1, HOPS)
    labels = torch.randint(REFERENCE.n_outputs, (SEQUENCES * HOPS,), device=device)
    start = 0.0
    for step in range(steps + 1):
        loss = cross_entropy(network.scan(x, r, None)[0].flatten(0, 1), labels)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        loss.item()  # waits for the device
        if step == 0:
            start = time.perf_counter()
    return steps / (time.perf_counter() - start)
