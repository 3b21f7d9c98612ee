"""The two halves of a causal language model: the trunk gives hidden states, the head turns them into logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


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


def matmul_fp32(left: Tensor, right: Tensor) -> Tensor:
    """The product of two matrices, not rounded to half precision where the device can leave it in fp32."""
    half = left.dtype in (torch.bfloat16, torch.float16)
    if half and left.is_cuda:
        return torch.mm(left, right, out_dtype=torch.float32)
    product = left @ right
    return product.float() if half else product


def plain_head(model: Any) -> bool:
    """Whether the logits are hidden states times one matrix: no bias, no soft-capping, no adapter."""
    head = model.get_output_embeddings()
    config = trunk(model).config
    capped = getattr(config, "final_logit_softcapping", None)
    scales = (getattr(config, name, None) for name in ("logit_scale", "logits_scaling", "lm_head_multiplier"))
    if capped or any(scale not in (None, 1) for scale in scales) or type(head) is not nn.Linear:
        return False
    return head.bias is None
