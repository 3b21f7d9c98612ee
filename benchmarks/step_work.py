"""How much work a step is, how much a device can do, and what was predicted: to put beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "B200": 2_250e12,
    "L40S": 362e12,
}
"""Dense bf16 operations per second by part of the device's name, first match, from NVIDIA's data sheets."""


class Predicted(NamedTuple):
    """Tokens per second in a rollout of 64 x 8 x 512 tokens on an H200, before anything had run on one."""

    floor: int  # no program is faster: weights, keys, values and logits over 4.3 TB/s, operations over 790 TFLOP/s
    target: int
    least: int


ROLLOUT = {
    "0.5b": Predicted(397_000, 130_000, 60_000),
    "1.5b": Predicted(149_000, 75_000, 35_000),
    "7b": Predicted(42_000, 25_000, 15_000),
}
MFU = {"0.5b": 0.35, "1.5b": 0.40}
"""Least share of the peak in training."""
FIXED, GEOMETRIC = (4.0, 3.0), (6.0, 5.0)
"""Least ratio to TRL of rollout and step, with completions of full and of geometric length."""


def peak_flops(device_name: str) -> float | None:
    """Operations per second of a device in bf16; None if it is not in the table."""
    return next((peak for part, peak in PEAKS.items() if part in device_name), None)


def training_flops(config: Any, *, prompt: int, group: int, lengths: Sequence[int]) -> float:
    """Operations of one update, each prompt read once, nothing padded, nothing computed twice.

    Matrices: 6 * numbers * tokens, the head for completion tokens only. Attention: a query that sees k keys costs
    4 * k * heads * head_dim forward and twice that backward; a completion of c tokens after p sees c p + c² / 2.
    So the same for every trainer: what one computes beyond it lowers its utilisation.

    Args:
        config: of a Qwen2.
        prompt: tokens of a prompt.
        group: completions of a prompt.
        lengths: tokens of every completion.
    """
    hidden, heads = config.hidden_size, config.num_attention_heads
    width = heads * (getattr(config, "head_dim", None) or hidden // heads)
    kv_width = width // heads * config.num_key_value_heads
    layer = 2 * hidden * (width + kv_width) + 3 * hidden * config.intermediate_size
    prompts, tokens = len(lengths) / group, sum(lengths)
    matrices = config.num_hidden_layers * layer * (prompts * prompt + tokens) + hidden * config.vocab_size * tokens
    seen = prompts * prompt**2 / 2 + sum(c * prompt + c**2 / 2 for c in lengths)
    return 6 * matrices + 3 * 4 * seen * width * config.num_hidden_layers
