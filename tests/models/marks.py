"""What a test needs of the machine: a CUDA device, or none."""

from __future__ import annotations

import pytest
import torch

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
