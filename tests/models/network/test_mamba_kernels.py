"""mamba-ssm: chosen where it works, and equal to PyTorch.

What needs a CUDA device runs there only. Elsewhere the kernels' stand-ins, written down from their
documentation, show that they are called rightly.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mimamba.models.network import ssm
from mimamba.models.network.config import REFERENCE
from mimamba.models.network.mamba_kernels import (
    MambaKernels,
    can_scan,
    check_kernels,
    describe_scan,
    find_kernels,
    load_kernels,
)
from mimamba.models.network.msimamba import MSiMamba
from mimamba.models.network.ssm import States
from mimamba.models.network.static_shapes import step_rows, to_static
from tests.models.marks import on_cuda
from tests.models.network.test_msimamba import SMALL, close, eeg, make
from tests.service.forked import LoadedProgram


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, return_last_state: bool
) -> tuple[Tensor, Tensor]:
    """As mamba-ssm's ``selective_scan_fn``: (B, E, T) and (B, n, T) in; it starts from zeros."""
    assert return_last_state
    assert u.shape == delta.shape == (len(B), len(A), B.shape[2])
    assert B.shape == C.shape == (len(u), A.shape[1], u.shape[2])
    h, ys = u.new_zeros(len(u), *A.shape), []
    for t in range(u.shape[2]):
        h = (delta[..., t, None] * A).exp() * h + (delta * u)[..., t, None] * B[:, None, :, t]
        ys.append((h * C[:, None, :, t]).sum(-1))
    return torch.stack(ys, dim=-1), h


def selective_state_update(
    state: Tensor,
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    *,
    D: Tensor,
    dt_bias: Tensor,
    state_batch_indices: Tensor,
) -> Tensor:
    """As mamba-ssm's: one token, rows of `state` written in place, a negative index skipped."""
    assert x.shape == dt.shape == (len(B), state.shape[1])
    assert A.shape == state.shape[1:]
    assert D.shape == dt_bias.shape == A.shape[:1]
    out = torch.zeros_like(x)
    for i, row in enumerate(state_batch_indices.tolist()):
        if row >= 0:
            delta = (dt[i] + dt_bias)[:, None]
            state[row] = (delta * A).exp() * state[row] + delta * x[i][:, None] * B[i]
            out[i] = state[row] @ C[i] + D * x[i]
    return out


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Kernels on any device; the names of those that were called."""
    called: list[str] = []

    def scan(*args: Tensor, return_last_state: bool) -> tuple[Tensor, Tensor]:
        called.append("scan")
        return selective_scan(*args, return_last_state=return_last_state)

    def update(*args: Tensor, **options: Tensor) -> Tensor:
        padded = bool((options["state_batch_indices"] < 0).any())
        called.append("padded update" if padded else "update")
        return selective_state_update(*args, **options)

    kernels = MambaKernels("of these tests", scan, update)
    with monkeypatch.context() as patch:
        patch.setattr(ssm, "find_kernels", lambda _: kernels)
        yield called


def plain(network: MSiMamba, x: Tensor, r: Tensor, states: States | None) -> tuple[Tensor, States]:
    """The network's scan in PyTorch, whatever stands in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssm, "find_kernels", lambda _: None)
        return network.scan(x, r, states)


def test_streams_are_stepped_with_the_update(stand_ins: list[str]) -> None:
    network, x = make(), eeg(3, 5, 4, 64)
    r = torch.rand(3, 5, dtype=torch.float64)
    r[1, 2] = 0.0
    states = plain(network, x.flip(0), r, None)[1]
    expected, end = plain(network, x, r, states)
    before = [t.clone() for t in states]
    logits, after = network.scan(x, r, states)
    assert stand_ins == ["update"] * (5 * 4 * 2)  # hops, channels, layers
    close(logits, expected)
    close(after.h, end.h)
    assert all(t.equal(old) for t, old in zip(states, before, strict=True))


def test_padding_is_skipped(stand_ins: list[str]) -> None:
    network, x = make(), eeg(3, 4, 64)
    pool = plain(network, eeg(4, 1, 4, 64, seed=8), torch.ones(4, 1), None)[1]
    before = States(*(t.clone() for t in pool))
    x[1] = torch.nan
    r = torch.tensor([0.5, 1.0, 1.0], dtype=torch.float64)
    logits = step_rows(to_static(network), x, r, pool, torch.tensor([2, -1, 0]))
    assert stand_ins == ["padded update"] * (4 * 2)  # channels, layers
    chosen = States(*(t[:, [2, 0]] for t in before))
    expected, after = plain(network, x[[0, 2], None], r[[0, 2], None], chosen)
    close(logits[[0, 2]], expected[:, 0])
    close(pool.h[:, [2, 0]], after.h)
    assert pool.h[:, [1, 3]].equal(before.h[:, [1, 3]])


def test_a_number_that_is_none_is_forgotten_by_the_update_too(stand_ins: list[str]) -> None:
    network, x = make(), eeg(2, 4, 4, 64)
    x[0, 1, 0, 5] = torch.nan
    r = torch.ones(2, 4, dtype=torch.float64)
    r[0, 2] = 0.0
    logits, after = network.scan(x, r, None)
    assert stand_ins
    close(logits[0, 2:], plain(network, x[:1, 2:], r[:1, 2:], None)[0][0])
    assert after.h.isfinite().all()


def gates() -> Tensor:
    """Windows alone, a whole sequence, restarts within, fading, and padding past an end."""
    r = torch.ones(5, 6, dtype=torch.float64)
    r[0] = 0.0
    r[2, [0, 3, 4]] = 0.0
    r[3] = torch.tensor([0.0, 0.92, 0.92, 0.0, 0.3, 0.92])
    r[4, 4:] = 0.0
    return r


def test_training_scans_mixed_gates_in_one_call_per_layer(stand_ins: list[str]) -> None:
    network = make(replace(SMALL, dropout=0.0)).requires_grad_(True)
    x, r = eeg(5, 6, 4, 64), gates()
    labels = torch.arange(30) % 5
    results = []
    for scan in (network.scan, lambda x, r, s: plain(network, x, r, s)):
        network.zero_grad()
        logits, after = scan(x, r, None)
        torch.autograd.backward(cross_entropy(logits.flatten(0, 1), labels))
        gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        results.append([logits.detach(), after.h.detach(), *gradients])
    assert stand_ins == ["scan"] * 2
    assert len(results[0]) == 2 + len(list(network.parameters()))
    for found, expected in zip(*results, strict=True):
        close(found, expected)


def test_what_the_scan_cannot_do_is_left_to_pytorch(stand_ins: list[str]) -> None:
    network = make().requires_grad_(True)
    x, r = eeg(2, 3, 4, 64), torch.ones(2, 3, dtype=torch.float64)
    states = States(*(t.detach() for t in plain(network, x, r, None)[1]))
    close(network.scan(x, r, states)[0], plain(network, x, r, states)[0])
    assert stand_ins == []


def test_sequences_that_start_empty_and_last_can_be_scanned() -> None:
    r, empty = torch.full((2, 3), 0.9), torch.zeros(2, 3, 4)
    full = empty + torch.tensor([0.0, 1.0])[:, None, None]
    assert can_scan(r, empty)
    assert not can_scan(r, full)
    assert not can_scan(r, full * torch.nan)
    r[1, 0] = 0.0
    assert can_scan(r, full)
    assert not can_scan(torch.full((2, 3), 1e-5), empty)


def test_kernels_are_called_once_before_they_are_believed() -> None:
    """A release may be imported but not called, or compute wrongly."""
    cpu = torch.device("cpu")
    sound = MambaKernels("", selective_scan, selective_state_update)
    check_kernels(sound, cpu)

    def fails(*_args: Tensor, **_options: object) -> Tensor:
        raise TypeError("no such argument")

    def wrong(*args: Tensor, **options: Tensor) -> Tensor:
        return 2 * selective_state_update(*args, **options)

    def without_gradient(*args: Tensor, return_last_state: bool) -> tuple[Tensor, Tensor]:
        y, h = selective_scan(*args, return_last_state=return_last_state)
        return y + (args[0] * torch.inf).nan_to_num(0, 0, 0), h

    with pytest.raises(TypeError, match="no such argument"):
        check_kernels(replace(sound, selective_scan=fails), cpu)
    with pytest.raises(TypeError, match="no such argument"):
        check_kernels(replace(sound, selective_state_update=fails), cpu)
    with pytest.raises(RuntimeError, match=r"1 \+ 1/e came out as 2\.73576"):
        check_kernels(replace(sound, selective_state_update=wrong), cpu)
    with pytest.raises(RuntimeError, match="the gradient is no number"):
        check_kernels(replace(sound, selective_scan=without_gradient), cpu)


def test_a_cpu_never_loads_kernels() -> None:
    loaded = load_kernels.cache_info().misses
    assert find_kernels(torch.zeros(1, 2, 3)) is None
    assert describe_scan(torch.device("cpu")).endswith("mamba-ssm needs CUDA and this is cpu")
    assert load_kernels.cache_info().misses == loaded


@dataclass(frozen=True)
class Install:
    """A package ``mamba_ssm`` on the path, if any, and what is told of it."""

    told: str
    package: str | None = "__version__ = '2.2.4'"
    update: str = "def selective_state_update(state, x, state_batch_indices=None): pass"

    def write(self, folder: Path) -> None:
        if self.package is None:
            return
        ops = folder / "mamba_ssm" / "ops"
        (ops / "triton").mkdir(parents=True)
        (ops.parent / "__init__.py").write_text(self.package)
        (ops / "selective_scan_interface.py").write_text("def selective_scan_fn(u): pass")
        (ops / "triton" / "selective_state_update.py").write_text(self.update)


INSTALLS = (
    Install("PyTorch, as mamba-ssm is not installed", package=None),
    Install(
        "PyTorch, as mamba-ssm can't be imported: ImportError: libcudart.so.12: cannot open",
        package="raise ImportError('libcudart.so.12: cannot open\\nmore')",
    ),
    Install(
        "PyTorch, as mamba-ssm can't be imported: "
        "ModuleNotFoundError: No module named 'selective_scan_cuda'",
        package="raise ModuleNotFoundError(\"No module named 'selective_scan_cuda'\")",
    ),
    Install(
        "PyTorch, as mamba-ssm can't be imported: KeyError: 'driver'",
        package="raise KeyError('driver')",
    ),
    Install(
        "PyTorch, as mamba-ssm 2.2.1 has no state_batch_indices: it is too old",
        package="__version__ = '2.2.1'",
        update="def selective_state_update(state, x): pass",
    ),
    Install("mamba-ssm 2.2.4"),
)

TELL = """
import sys, torch
from mimamba.models.network.mamba_kernels import describe_scan, load_kernels
for folder in sys.argv[1:]:
    load_kernels.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "mamba_ssm"]:
        del sys.modules[name]
    if folder == "none":
        sys.modules["mamba_ssm"] = None  # whatever is installed here
    sys.path.insert(0, folder)
    print(describe_scan(torch.device("cuda")))
    print(describe_scan(torch.device("cuda")))
"""


def test_an_install_is_described_in_one_line(tmp_path: Path, loaded: LoadedProgram) -> None:
    """Missing, broken, too old and sound ones, in a process of their own."""
    folders = []
    for i, install in enumerate(INSTALLS):
        install.write(tmp_path / str(i))
        folders.append(str(tmp_path / str(i)) if install.package is not None else "none")
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # these installs hold nothing to call
    with loaded.start(*folders, code=TELL, environment=hidden) as program:
        said, logged = program.communicate(timeout=200)
    assert program.returncode == 0, logged
    lines = [f"selective scan: {install.told}" for install in INSTALLS]
    assert said.splitlines() == [line for line in lines for _ in range(2)]
    assert logged.splitlines() == lines[:-1]  # the log: each failure once


@pytest.fixture
def exact() -> Iterator[None]:
    """Without TF32, whose products have 10 bits."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def with_kernels() -> None:
    if find_kernels(torch.zeros(1, 1, 1, device="cuda")) is None:
        pytest.skip("neither mamba-ssm nor Triton is installed")


def near(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-4)


@on_cuda
@pytest.mark.usefixtures("exact")
def test_a_stream_on_cuda_equals_one_on_the_cpu() -> None:
    """With mamba-ssm where it is installed, else in PyTorch."""
    network = make(REFERENCE, torch.float32)
    x, r = eeg(6, 8, 4, 128, dtype=torch.float32), torch.rand(6, 8)
    r[2, 3] = 0.0
    expected, end = network.scan(x, r, None)
    device = torch.device("cuda")
    for form in (network.to(device), to_static(network).to(device)):
        logits, after = form.scan(x.to(device), r.to(device), None)
        near(logits, expected)
        near(after.h, end.h)
        near(after.conv, end.conv)


@on_cuda
@pytest.mark.usefixtures("exact")
def test_training_on_cuda_equals_the_cpu() -> None:
    with_kernels()
    network = make(replace(REFERENCE, dropout=0.0), torch.float32).requires_grad_(True)
    x, r = eeg(5, 6, 4, 128, dtype=torch.float32), gates().float()
    results = []
    for device in ("cpu", "cuda"):
        network.to(device).zero_grad()
        logits, after = network.scan(x.to(device), r.to(device), None)
        torch.autograd.backward(logits.square().mean())
        gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        results.append([logits.detach(), after.h.detach(), *gradients])
    for expected, found in zip(*results, strict=True):
        near(found, expected)


@on_cuda
@pytest.mark.usefixtures("exact")
@torch.no_grad()
def test_a_graph_equals_eager() -> None:
    """Slots, gates and windows change between replays; a row of them is padding."""
    form = to_static(make(REFERENCE, torch.float32)).cuda()
    pool = form.initial_states(8)
    x, r = torch.zeros(4, 4, 128, device="cuda"), torch.zeros(4, device="cuda")
    slots = torch.full((4,), -1, device="cuda")
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(side):
        for _ in range(3):
            step_rows(form, x, r, pool, slots)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = step_rows(form, x, r, pool, slots)
    eager = form.initial_states(8)
    for hop, places in enumerate(([5, 1, -1, 0], [1, 5, 7, -1], [0, -1, -1, 5])):
        x.copy_(eeg(4, 4, 128, dtype=torch.float32, seed=hop))
        r.copy_(torch.tensor([0.0, 0.9, 1.0, 0.5]))
        slots.copy_(torch.tensor(places))
        graph.replay()
        expected = step_rows(form, x, r, eager, slots)
        live = slots >= 0
        near(logits[live], expected[live].cpu())
        near(pool.h, eager.h.cpu())
        near(pool.conv, eager.conv.cpu())
