"""One thread for torch: the tests' networks are too small to be worth sharing out."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
