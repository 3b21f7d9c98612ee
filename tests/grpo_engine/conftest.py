"""A policy of a few thousand parameters over an alphabet of characters, and a task that it can learn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

ALPHABET = "abcdefghij0123456789 +=?"
TEMPLATE = (
    "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}={% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    vocab = {"<pad>": 0, "<eos>": 1, **{c: i + 2 for i, c in enumerate(ALPHABET)}}
    raw = Tokenizer(models.WordLevel(vocab, unk_token="?"))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>")
    made.chat_template = TEMPLATE
    return made


def make_model(tokenizer: Any, seed: int = 0, **changes: Any) -> Any:
    torch.manual_seed(seed)
    config = Qwen2Config(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 128,
            "tie_word_embeddings": True,
            "eos_token_id": 1,
            "pad_token_id": 0,
            "bos_token_id": None,
            **changes,
        }
    )
    return Qwen2ForCausalLM(config)


@pytest.fixture
def model(tokenizer: Any) -> Any:
    return make_model(tokenizer)


@pytest.fixture
def rows() -> list[dict[str, str]]:
    return [{"prompt": f"{a}+{b}=", "letter": "abcdefghij"[a]} for a in range(4) for b in range(4)]
