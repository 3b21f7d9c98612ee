"""The policy, tokenizer, prompts and reward that the step benchmark gives to every trainer alike."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

SIZES = {  # hidden, intermediate, layers, heads, key-value heads, vocabulary
    "tiny": (128, 512, 4, 4, 2, 2_000),
    "0.5b": (896, 4_864, 24, 14, 2, 151_936),
    "1.5b": (1_536, 8_960, 28, 12, 2, 151_936),
    "7b": (3_584, 18_944, 28, 28, 4, 152_064),
}
PROMPTS = 256


def config_of(size: str) -> Qwen2Config:
    """The shape of a Qwen2.5 of that size; "tiny" is ours."""
    hidden, intermediate, layers, heads, kv_heads, vocab = SIZES[size]
    return Qwen2Config(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=4_096,
        tie_word_embeddings=size != "7b",
        eos_token_id=1,
        pad_token_id=0,
        bos_token_id=None,
    )


def build(
    size: str, *, device: str, prompt: int, eos_share: int = 0, half: bool = False
) -> tuple[Any, Any, list[dict[str, str]]]:
    """The model (random weights), a tokenizer of numbered words, and the prompts.

    Args:
        size: a key of :data:`SIZES`.
        device: where the weights are made and stay.
        prompt: tokens of each prompt.
        eos_share: every so-manieth id of the vocabulary ends a completion; 0 leaves one end token.
        half: round the weights to bf16 (buffers, such as the rotary frequencies, stay in fp32).
    """
    config = config_of(size)
    vocab = config.vocab_size
    words = {"<pad>": 0, "<eos>": 1, **{f"w{i}": i for i in range(2, vocab)}}
    raw = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", padding_side="left")
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2ForCausalLM(config)
    for parameter in model.parameters() if half else ():
        parameter.data = parameter.data.to(torch.bfloat16)
    ends = list(range(2, vocab, eos_share)) if eos_share else []
    model.generation_config.eos_token_id = [1, *ends]
    model.generation_config.pad_token_id = 0
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(2, vocab, (PROMPTS, prompt), generator=generator).tolist()
    return model, tokenizer, [{"prompt": " ".join(f"w{i}" for i in row)} for row in ids]


class Digits:
    """A cheap reward that differs between completions: the share of even digits. It notes the lengths it saw.

    Attributes:
        lengths: tokens of the completions of the last batch.
    """

    __name__ = "digits"

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def __call__(self, completions: list[str], completion_ids: list[Any], **_: Any) -> list[float]:
        self.lengths = [len(ids) for ids in completion_ids]
        return [sum(map(text.count, "02468")) / max(1, len(text)) for text in completions]
