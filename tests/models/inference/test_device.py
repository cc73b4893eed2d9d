"""Which device is found for what is asked, and what is said where it cannot be had."""

from __future__ import annotations

import pytest
import torch

from mimamba.models.inference import device
from mimamba.models.inference.cuda_graphs import GraphStepper
from mimamba.models.inference.device import Device, NoDevice, find_device, tried
from mimamba.models.inference.state_pool import EMPTY
from tests.models.marks import on_cuda, without_cuda
from tests.models.network.test_msimamba import SMALL, make


@without_cuda
def test_without_cuda_auto_is_the_processor() -> None:
    assert find_device("auto") == find_device("cpu") == Device("cpu", "fp32")
    assert Device().stepper(make(SMALL, torch.float32)) is None


@without_cuda
def test_without_cuda_what_needs_it_is_refused() -> None:
    with pytest.raises(
        NoDevice, match=r"Expected a CUDA device, but found .*PyTorch.*. Take --device"
    ):
        find_device("cuda")
    with pytest.raises(
        NoDevice, match=r"device for --precision tf32, but found .*. Leave --precision"
    ):
        find_device("auto", "tf32")


def test_the_processor_knows_one_precision() -> None:
    with pytest.raises(
        NoDevice, match="--precision bf16, but found that the processor was asked for"
    ):
        find_device("cpu", "bf16")


def test_where_cuda_works_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "why_no_cuda", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    assert find_device("auto", "tf32") == Device("cuda", "tf32", required=False)
    assert find_device("cuda") == Device("cuda", "fp32", required=True)


def test_an_old_card_knows_no_other_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "why_no_cuda", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Old")
    assert find_device("auto").kind == "cuda"
    with pytest.raises(NoDevice, match=r"found Old \(7\.5\)"):
        find_device("auto", "bf16")


@without_cuda
def test_a_device_that_fails_gives_way_unless_it_is_required(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = make(SMALL, torch.float32)
    assert Device("cuda").stepper(network) is None
    assert "models run on the processor, not the CUDA device, but found" in caplog.text
    with pytest.raises(
        NoDevice, match="Expected a CUDA device that steps the model, but found that"
    ):
        Device("cuda", required=True).stepper(network)


def test_a_stepper_has_stepped_and_left_nothing_behind() -> None:
    stepper = tried(make(SMALL, torch.float32), Device("cpu"))
    row = stepper.pool.open()
    assert row == EMPTY + 1
    assert not stepper.pool.row(row).h.any()


@on_cuda
def test_auto_steps_on_cuda() -> None:
    stepper = find_device("auto").stepper(make(SMALL, torch.float32))
    assert isinstance(stepper, GraphStepper)
    assert stepper.pool.h.is_cuda
