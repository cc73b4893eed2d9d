"""Marks of tests that need a CUDA device, or the absence of one."""

from __future__ import annotations

import pytest
import torch

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
