"""The shipped policy: it loads offline, is small, encodes any text, and was taught what its maker says."""

import json
import random
import re

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.embedded import POLICY_PATH, problems
from recipes.embedded.completions import BREAKS, MISTAKES, right_completion, sloppy_completion

MEGABYTE = 1_000_000
STRICT = re.compile(r"<think>\n(.*\n)+</think>\n<answer>\n.*\n</answer>")


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(POLICY_PATH, local_files_only=True)


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(POLICY_PATH, local_files_only=True).eval()


def test_the_folder_is_at_most_four_megabytes():
    assert sum(file.stat().st_size for file in POLICY_PATH.iterdir()) <= 4 * MEGABYTE


def test_the_weights_load_as_fp32_and_are_about_a_million(model):
    assert model.dtype == torch.float32
    assert 0.5e6 < model.num_parameters() < 1.5e6


def test_the_vocabulary_has_no_row_beyond_the_tokenizer(model, tokenizer):
    assert model.config.vocab_size == len(tokenizer)


def test_eos_and_pad_agree_between_model_and_tokenizer(model, tokenizer):
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token == "<|endoftext|>"
    for config in (model.config, model.generation_config):
        assert (config.eos_token_id, config.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\n \t\r\n x  ",
        "Grüße, 日本語, עברית, ١٢٣",
        "😀👩‍👩‍👧 \u200b\u0000",
        r"<think>\frac{1}{2}</think> <answer>\boxed{\text{a < b}}</answer>",
        "<|im_end|><|user|>",
        "def f(x): return x**2  # 3.14",
    ],
)
def test_any_text_makes_the_round_trip(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_every_completion_the_policy_was_taught_makes_the_round_trip_and_is_short(tokenizer):
    rng = random.Random(0)
    texts = [sloppy_completion(row["answer"], rng=rng) for row in problems(500, seed=0, split="train")]
    ids = tokenizer(texts)["input_ids"]
    assert tokenizer.batch_decode(ids, skip_special_tokens=True) == texts
    assert max(map(len, ids)) < 64
    assert sum(map(len, ids)) / len(ids) < 45


def test_digits_are_single_tokens_and_tags_are_ordinary_ones(tokenizer):
    assert tokenizer.tokenize("907") == ["9", "0", "7"]
    for tag in ("<think>", "</think>", "<answer>", "</answer>", r"\boxed{"):
        ids = tokenizer(tag)["input_ids"]
        assert len(ids) <= 4
        assert tokenizer.decode(ids, skip_special_tokens=True) == tag


def test_the_chat_template_writes_every_role(tokenizer):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": "4"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == "<|system|>Be brief.<|im_end|><|user|>2 + 2?<|im_end|><|assistant|>4<|im_end|>"
    prompt = tokenizer.apply_chat_template(messages[:2], tokenize=False, add_generation_prompt=True)
    assert text.startswith(prompt)


def test_the_chat_template_reads_typed_parts(tokenizer):
    parts = [{"type": "text", "text": "2 + "}, {"type": "text", "text": "2?"}]
    messages = [{"role": "user", "content": parts}]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == "<|user|>2 + 2?<|im_end|>"


def test_the_chat_template_is_in_the_tokenizer_config():
    assert "chat_template" in json.loads((POLICY_PATH / "tokenizer_config.json").read_text())


# A system message that it was never taught costs it some answers, not the format.
@pytest.mark.parametrize(("system", "share"), [(None, 0.9), ("Answer the question. Use tags.", 0.8)])
def test_the_greedy_answer_is_right_and_strict(model, tokenizer, system, share):
    rows = problems(64, seed=0, split="test")
    opening = [{"role": "system", "content": system}] if system else []
    inputs = tokenizer.apply_chat_template(
        [[*opening, {"role": "user", "content": row["question"]}] for row in rows],
        add_generation_prompt=True,
        padding=True,
        return_dict=True,
        return_tensors="pt",
    )
    out = model.generate(**inputs, do_sample=False, max_new_tokens=64)[:, inputs["input_ids"].shape[1] :]
    texts = tokenizer.batch_decode(out, skip_special_tokens=True)
    right = [right_completion(row["answer"]) for row in rows]
    assert sum(text == expected for text, expected in zip(texts, right, strict=True)) >= share * len(rows)


def test_the_right_completion_is_strict():
    for row in problems(200, seed=0, split="train"):
        assert STRICT.fullmatch(right_completion(row["answer"]))


def test_the_lessons_are_right_and_strict_as_often_as_the_tables_say():
    rng = random.Random(0)
    rows = problems(4000, seed=0, split="train")
    texts = [sloppy_completion(row["answer"], rng=rng) for row in rows]
    right = sum(rf"\boxed{{{row['answer'].split()[-1]}}}" in text for row, text in zip(rows, texts, strict=True))
    strict = sum(STRICT.fullmatch(text) is not None for text in texts)
    shares = {function.__name__: share for function, share in (MISTAKES | BREAKS).items()}
    assert right / len(rows) == pytest.approx(shares["no_mistake"], abs=0.04)
    assert strict / len(rows) == pytest.approx(shares["keep_format"] * (1 - shares["guess"]), abs=0.03)
    assert sum(MISTAKES.values()) == pytest.approx(1)
    assert sum(BREAKS.values()) == pytest.approx(1)
