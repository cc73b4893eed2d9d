"""Training steps per second, with mamba-ssm's kernels and in PyTorch.

``python -m tests.benchmarks.training_steps [steps]``: the reference configuration, 16 sequences of
16 hops a step, half of them with carried state, AdamW; on the CUDA device if there is one. Where
mamba-ssm cannot run, the table says why.
"""

from __future__ import annotations

import sys
import time
from unittest import mock

import torch
from rich.console import Console
from rich.table import Table
from torch.nn.functional import cross_entropy

from mimamba.models.network import ssm
from mimamba.models.network.config import REFERENCE
from mimamba.models.network.mamba_kernels import MambaKernels, describe_scan, load_kernels
from mimamba.models.network.msimamba import MSiMamba

SEQUENCES, HOPS = 16, 16


def steps_per_second(device: torch.device, steps: int) -> float:
    """Steps on the same made windows; the first is not counted."""
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


def main() -> None:
    """Measure and print the table."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor, one thread"
    table = Table("backend", "device", "steps/s", title="Training")
    with mock.patch.object(ssm, "kernels_for", return_value=None):
        table.add_row("PyTorch", name, f"{steps_per_second(device, steps):.2f}")
    if device.type == "cuda" and isinstance(load_kernels(), MambaKernels):
        table.add_row("mamba-ssm", name, f"{steps_per_second(device, steps):.2f}")
    else:
        table.add_row("mamba-ssm", name, f"not run: {describe_scan(device)}")
    Console().print(table)


if __name__ == "__main__":
    main()
