"""The device found for a request, and the error if it is not available."""

from __future__ import annotations

import pytest
import torch

from mimamba.models.inference import device
from mimamba.models.inference.cuda_graphs import CUDAGraphStepper
from mimamba.models.inference.device import Device, DeviceError, find_device, try_cuda_stepper
from mimamba.models.inference.state_pool import EMPTY_ROW
from mimamba.models.inference.stepper import CPUStepper
from tests.models.marks import on_cuda, without_cuda
from tests.models.network.test_msimamba import SMALL, make


@without_cuda
def test_without_cuda_auto_is_the_cpu() -> None:
    assert find_device("auto") == find_device("cpu") == Device("cpu", "fp32")
    assert isinstance(Device().make_stepper(make(SMALL, torch.float32)), CPUStepper)


@without_cuda
def test_without_cuda_requests_for_it_are_refused() -> None:
    with pytest.raises(
        DeviceError, match=r"Expected a CUDA device, but found .*PyTorch.*\. Use --device cpu"
    ):
        find_device("cuda")
    with pytest.raises(
        DeviceError, match=r"device for --precision tf32, but found .*\. Leave --precision"
    ):
        find_device("auto", "tf32")


def test_the_cpu_has_one_precision() -> None:
    with pytest.raises(
        DeviceError, match="--precision bf16, but found the CPU, which computes in fp32"
    ):
        find_device("cpu", "bf16")


def test_cuda_is_used_if_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_cuda_problem", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    assert find_device("auto", "tf32") == Device("cuda", "tf32", required=False)
    assert find_device("cuda") == Device("cuda", "fp32", required=True)


def test_an_old_card_has_fp32_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_cuda_problem", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Old")
    assert find_device("auto").kind == "cuda"
    with pytest.raises(DeviceError, match=r"found Old \(7\.5\)"):
        find_device("auto", "bf16")


@without_cuda
def test_the_cpu_replaces_a_failing_device_unless_it_is_required(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = make(SMALL, torch.float32)
    assert isinstance(Device("cuda").make_stepper(network), CPUStepper)
    assert "The CUDA device is not used, as a step fails on it" in caplog.text
    with pytest.raises(
        DeviceError, match="Expected a CUDA device that steps the model, but found one"
    ):
        Device("cuda", required=True).make_stepper(network)


def test_the_first_step_leaves_no_state() -> None:
    stepper = try_cuda_stepper(make(SMALL, torch.float32), Device("cpu"))
    row = stepper.pool.open()
    assert row == EMPTY_ROW + 1
    assert not stepper.pool.read(row).h.any()


@on_cuda
def test_auto_steps_on_cuda() -> None:
    stepper = find_device("auto").make_stepper(make(SMALL, torch.float32))
    assert isinstance(stepper, CUDAGraphStepper)
    assert stepper.pool.h.is_cuda
