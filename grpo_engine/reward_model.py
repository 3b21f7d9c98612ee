"""A reward model (sequence classifier) as a reward function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


class RewardModel:
    """Scores a completion by the single logit of a sequence classifier that reads prompt and completion.

    Args:
        model: a name or path for `AutoModelForSequenceClassification` (loaded with one label), or the model.
        tokenizer: the classifier's own; loaded from the model's name unless given.
        batch_size: completions per forward pass.

    Raises:
        ValueError: the classifier has more than one label.
    """

    def __init__(self, model: Any, tokenizer: Any = None, *, device: Any = "cpu", batch_size: int = 16) -> None:
        if isinstance(model, str):
            model = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1)
        if model.config.num_labels != 1:
            raise ValueError(
                f"a reward model needs one label, {model.config.name_or_path!r} has {model.config.num_labels}"
            )
        self.model = model.eval().requires_grad_(False).to(device)
        self.tokenizer = tokenizer or AutoTokenizer.from_pretrained(model.config.name_or_path)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model.config.pad_token_id = self.tokenizer.pad_token_id
        self.batch_size = batch_size
        self.__name__ = str(model.config.name_or_path).rstrip("/").split("/")[-1] or type(model).__name__

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float]:
        """One logit per completion."""
        texts = [self._text(p, c) for p, c in zip(prompts, completions, strict=True)]
        values: list[float] = []
        for start in range(0, len(texts), self.batch_size):
            values += self._score(texts[start : start + self.batch_size])
        return values

    def _text(self, prompt: Any, completion: Any) -> str:
        if isinstance(prompt, str):
            return f"{prompt}{completion}"
        messages: list[Mapping[str, Any]] = [*prompt, *completion]
        text: str = self.tokenizer.apply_chat_template(messages, tokenize=False)
        return text

    @torch.inference_mode()
    def _score(self, texts: list[str]) -> list[float]:
        batch = self.tokenizer(
            texts, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False
        ).to(self.model.device)
        scores: list[float] = self.model(**batch).logits[:, 0].float().tolist()
        return scores


def with_reward_models(functions: Any, tokenizers: Any, device: Any) -> list[Any]:
    """The reward functions as a list, with every name, path and classifier among them as a :class:`RewardModel`.

    Args:
        functions: one or a list.
        tokenizers: of the reward models: one, or a list with one per function (None elsewhere).
        device: where reward models run.

    Raises:
        ValueError: the lists differ in length.
    """
    functions = list(functions) if isinstance(functions, (list, tuple)) else [functions]
    tokenizers = list(tokenizers) if isinstance(tokenizers, (list, tuple)) else [tokenizers] * len(functions)
    if len(tokenizers) != len(functions):
        raise ValueError(f"{len(tokenizers)} reward_processing_classes for {len(functions)} reward functions")
    return [
        RewardModel(f, t, device=device) if isinstance(f, (str, torch.nn.Module)) else f
        for f, t in zip(functions, tokenizers, strict=True)
    ]
