"""A policy of a few thousand parameters over an alphabet of characters, and a task that it can learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from grpo_engine import GRPOConfig, GRPOTrainer
from grpo_engine.logprobs import Sampling

torch.set_num_threads(1)  # the models are too small to share

ALPHABET = "abcdefghij0123456789 +=?"
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}={% endif %}"


def make_tokenizer() -> Any:
    vocab = {"<pad>": 0, "<eos>": 1, **{c: i + 2 for i, c in enumerate(ALPHABET)}}
    raw = Tokenizer(models.WordLevel(vocab, unk_token="?"))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    raw.decoder = decoders.Fuse()  # characters without spaces between them
    made = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>")
    made.chat_template = TEMPLATE
    return made


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer()


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


def absolute_config(tokenizer: Any, **changes: Any) -> GPT2Config:
    """A policy that knows absolute positions: with rotary ones alone, shifting all of them changes nothing."""
    shape = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "initializer_range": 0.3}
    special = {"eos_token_id": 1, "bos_token_id": None, "pad_token_id": 0}
    return GPT2Config(vocab_size=len(tokenizer), **{**shape, **special, **changes})


@pytest.fixture
def absolute(tokenizer: Any) -> Any:
    """See :func:`absolute_config`."""
    torch.manual_seed(0)
    config = absolute_config(tokenizer)
    return GPT2LMHeadModel(config).eval()


@pytest.fixture
def model(tokenizer: Any) -> Any:
    return make_model(tokenizer)


@pytest.fixture
def rows() -> list[dict[str, str]]:
    return [{"prompt": f"{a}+{b}=", "letter": "abcdefghij"[a]} for a in range(4) for b in range(4)]


@pytest.fixture(scope="session")
def new_model(tokenizer: Any) -> Callable[..., Any]:
    """Makes a fresh policy; the same seed gives the same weights."""
    return lambda seed=0, **changes: make_model(tokenizer, seed, **changes)


@pytest.fixture(scope="session")
def sampling(tokenizer: Any) -> Sampling:
    return Sampling(vocab_size=len(tokenizer), eos_ids=(tokenizer.eos_token_id,))


def letter_share(prompts: Any, completions: list[str], letter: list[str], **columns: Any) -> list[float]:
    """The share of the completion that is the row's letter."""
    return [c.count(wanted) / max(len(c), 1) for c, wanted in zip(completions, letter, strict=True)]


@pytest.fixture
def trainer(tmp_path: Path, tokenizer: Any, rows: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., GRPOTrainer]:
    """Makes a trainer of 4 prompts with 4 completions of at most 6 tokens; keywords change its settings."""
    monkeypatch.setattr("grpo_engine.trainer.write_report", lambda folder: None)  # test_report reads it

    def make(
        model: Any = None, rewards: Any = letter_share, data: Any = None, eval_data: Any = None, **settings: Any
    ) -> GRPOTrainer:
        config = GRPOConfig(
            **{
                "output_dir": str(tmp_path / "run"),
                "per_device_train_batch_size": 16,
                "num_generations": 4,
                "max_completion_length": 6,
                "learning_rate": 1e-2,
                "max_steps": 3,
                "logging_steps": 1,
                "save_strategy": "no",
                "use_cpu": True,
                "disable_tqdm": True,
                **settings,
            }
        )
        policy = make_model(tokenizer) if model is None else model
        return GRPOTrainer(policy, rewards, config, data or rows, eval_data, processing_class=tokenizer)

    return make


def flat(model: torch.nn.Module) -> torch.Tensor:
    """All weights as one vector."""
    return torch.cat([p.detach().float().flatten() for p in model.parameters()])


@pytest.fixture(scope="session")
def weights() -> Callable[[torch.nn.Module], torch.Tensor]:
    return flat
