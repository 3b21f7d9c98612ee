"""Tiny policies of the families that the own attention serves, random but peaked, in any precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

VOCAB = 40
EOS = (1, 5, 9, 14, 20)
SHAPE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,  # tokens depend on what was read, and no two are nearly as likely
    "eos_token_id": 1,
    "pad_token_id": 0,
    "bos_token_id": None,
}
FAMILIES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {"tie_word_embeddings": True}),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"head_dim": 16, "tie_word_embeddings": True}),  # not hidden / heads
    "llama": (LlamaConfig, LlamaForCausalLM, {"tie_word_embeddings": False}),
    "mistral": (MistralConfig, MistralForCausalLM, {"tie_word_embeddings": False, "num_key_value_heads": 1}),
}
NORMS = (LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm, Qwen3RMSNorm)


def make(family: str, *, seed: int = 0, dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
    """A policy in evaluation mode; biases, which start at zero, are random too."""
    torch.manual_seed(seed)
    config, model, own = FAMILIES[family]
    made = model(config(**{**SHAPE, **own, **changes})).to(dtype).eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if name.endswith("bias"):
                weight.normal_(std=0.2)
    return made


def exact_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    """The norms compute in the type they are given; transformers' own round to fp32."""

    def forward(self: Any, hidden: Tensor) -> Tensor:
        scale: Tensor = (hidden.square().mean(-1, keepdim=True) + self.variance_epsilon).rsqrt()
        return self.weight * (hidden * scale)

    for norm in NORMS:
        monkeypatch.setattr(norm, "forward", forward)


def alone(model: Any, prompt: Sequence[int], completion: Sequence[int]) -> Tensor:
    """(T,) log-probabilities of a completion by the model's own forward pass: no padding, no packing, no cache."""
    logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(1, torch.tensor([completion]).T)[:, 0]


def gradient(model: Any, loss: Tensor) -> Tensor:
    """The gradient of a loss by all parameters, as one vector."""
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def relative(a: Tensor, b: Tensor) -> float:
    """How far a is from b, by the norms."""
    return float((a - b).norm() / b.norm())
