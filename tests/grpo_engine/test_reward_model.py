"""A sequence classifier is a reward like any other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForSequenceClassification

from grpo_engine.reward_model import RewardModel

PROMPTS = ["1+2=", "1+2=", "3+10="]
COMPLETIONS = ["a", "bcde", ""]


def classifier(tokenizer: Any, labels: int = 1) -> Any:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        num_labels=labels,
        initializer_range=0.5,
        attention_dropout=0.5,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    return Qwen2ForSequenceClassification(config).train()


def logit(model: Any, tokenizer: Any, text: str) -> float:
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.no_grad():
        return float(model.eval()(ids).logits[0, 0])


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_a_completion_is_worth_the_logit_of_prompt_and_completion(tokenizer: Any, batch_size: int) -> None:
    model = classifier(tokenizer)
    got = RewardModel(model, tokenizer, batch_size=batch_size)(prompts=PROMPTS, completions=COMPLETIONS, letter=["a"])
    expected = [logit(model, tokenizer, p + c) for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    assert got == pytest.approx(expected, abs=1e-5)
    assert len(set(expected)) == 3


def test_messages_are_read_through_the_classifiers_own_template(tokenizer: Any) -> None:
    model = classifier(tokenizer)
    prompt = [{"role": "user", "content": "1+2"}]
    got = RewardModel(model, tokenizer)([prompt], [[{"role": "assistant", "content": "abc"}]])
    assert got == pytest.approx([logit(model, tokenizer, "1+2abc")], abs=1e-5)


def test_the_classifier_is_never_trained(tokenizer: Any) -> None:
    reward = RewardModel(classifier(tokenizer), tokenizer)
    assert not reward.model.training
    assert not any(p.requires_grad for p in reward.model.parameters())


def test_a_classifier_saved_in_a_folder_is_loaded_and_named_by_the_folder(tokenizer: Any, tmp_path: Any) -> None:
    folder = tmp_path / "judge"
    model = classifier(tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    reward = RewardModel(str(folder))
    assert reward.__name__ == "judge"
    assert reward(PROMPTS, COMPLETIONS) == pytest.approx(RewardModel(model, tokenizer)(PROMPTS, COMPLETIONS), abs=1e-5)


def test_a_classifier_without_a_path_is_named_by_its_class(tokenizer: Any) -> None:
    assert RewardModel(classifier(tokenizer), tokenizer).__name__ == "Qwen2ForSequenceClassification"


def test_a_classifier_of_several_labels_is_refused(tokenizer: Any) -> None:
    with pytest.raises(ValueError, match=r"a reward model needs one label, .* has 3"):
        RewardModel(classifier(tokenizer, labels=3), tokenizer)
