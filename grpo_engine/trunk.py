"""The two halves of a causal language model: the trunk gives hidden states, the head turns them into logits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_ROUNDING = 0.02
"""Relative: logits in bf16 are rounded at 0.004."""


def trunk(model: Any) -> Any:
    """The part of a causal language model below its head."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # a PEFT wrapper
    return base.get_decoder() if hasattr(base, "get_decoder") else base.base_model


def hidden_states(model: Any, **inputs: Any) -> Tensor:
    """(B, L, H) the trunk's last hidden states; the keywords are the trunk's own."""
    states: Tensor = trunk(model)(use_cache=False, **inputs).last_hidden_state
    return states


def head_weight(model: Any, vocab_size: int) -> Tensor:
    """(vocab_size, H) the head's rows for the tokens that the tokenizer knows; a view, with gradient."""
    weight: Tensor = model.get_output_embeddings().weight
    return weight[:vocab_size]


def is_half(tensor: Tensor) -> bool:
    """Whether a tensor is in half precision."""
    return tensor.dtype in (torch.bfloat16, torch.float16)


def matmul_fp32(left: Tensor, right: Tensor) -> Tensor:
    """The product of two matrices, not rounded to half precision where the device can leave it in fp32."""
    half = is_half(left)
    if half and left.is_cuda:
        return torch.mm(left, right, out_dtype=torch.float32)
    product = left @ right
    return product.float() if half else product


@contextmanager
def dropout_off(model: Any) -> Iterator[None]:
    """The model is in evaluation mode inside of the block."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@dataclass(frozen=True)
class AfterHead:
    """What a model does to its logits after the head: most nothing, some a scale (Granite, Cohere), Gemma 2 a cap.

    Attributes:
        scale: the logits are multiplied by it.
        cap: they are squeezed into (-cap, cap) by a tangent.
    """

    scale: float = 1.0
    cap: float | None = None

    def __call__(self, logits: Tensor) -> Tensor:
        """(..., V) the model's logits from the head's."""
        logits = logits if self.scale == 1 else logits * self.scale
        return logits if not self.cap else torch.tanh(logits / self.cap) * self.cap


@torch.no_grad()
def after_head(model: Any) -> AfterHead:
    """Find out what a model does to its logits after the head, from one forward pass of a few tokens.

    The names that configurations have for it say too little: `logits_scaling` divides in one and multiplies in
    another.

    Raises:
        ValueError: neither a scale nor the configuration's cap explains the logits.
    """
    head = model.get_output_embeddings()
    device = head.weight.device
    ids = torch.arange(1, 5, device=device)[None] % head.weight.shape[0]
    with dropout_off(model):
        mask = torch.ones_like(ids)
        raw = head(hidden_states(model, input_ids=ids, attention_mask=mask)).double()
        own = model(input_ids=ids, attention_mask=mask, use_cache=False).logits.double()
    cap = getattr(trunk(model).config, "final_logit_softcapping", None)
    scale = float((own * raw).sum() / raw.square().sum().clamp(min=1e-30))
    candidates = [AfterHead(scale=1.0 if abs(scale - 1) < _ROUNDING else scale)]
    candidates += [AfterHead(cap=float(cap))] if cap else []
    errors = [float((found(raw) - own).norm() / own.norm().clamp(min=1e-30)) for found in candidates]
    best = min(range(len(errors)), key=errors.__getitem__)
    if errors[best] > _ROUNDING:
        raise ValueError(
            f"{type(model).__name__} does something to its logits after the head that is neither a scale nor "
            f"final_logit_softcapping (they differ by {errors[best]:.1e}); it can not be scored"
        )
    return candidates[best]


def plain_head(model: Any, after: AfterHead) -> bool:
    """Whether the logits are hidden states times one matrix: no bias, no capping, no scale, no adapter.

    Args:
        after: from :func:`after_head`.
    """
    head = model.get_output_embeddings()
    return type(head) is nn.Linear and getattr(head, "bias", None) is None and after == AfterHead()
