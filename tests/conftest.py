"""Tiny models, tokenizers and data that need no network."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads slow a busy machine tenfold

import rewardkit

for _name in rewardkit.__all__:  # what is loaded when first used: tests read the names of the package as they are
    getattr(rewardkit, _name)
