"""Scored log-probabilities are those of the plain formula, and those under which the tokens were drawn."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import Gemma2Config, Gemma2ForCausalLM

from grpo_engine import logprobs as module
from grpo_engine.batching import micro_batches
from grpo_engine.logprobs import Sampling, TokenScorer, sampling_logits, token_logprobs
from grpo_engine.rollout import generate, uniforms

PROMPTS = ([3, 4, 5], [6, 7, 8, 9, 10, 11], [12])
COMPLETIONS = ([13, 14, 15, 1], [2, 1], [9, 8, 7, 6, 5, 4, 3])
TRUNCATIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "top_p": {"top_p": 0.8},
    "top_k": {"top_k": 5},
    "min_p": {"min_p": 0.2},
    "all three": {"top_k": 12, "top_p": 0.9, "min_p": 0.1},
}


def padded(side: str = "right", pad: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids, attention mask and completion mask of the three sequences."""
    width = max(len(p) + len(c) for p, c in zip(PROMPTS, COMPLETIONS, strict=True)) + 1
    ids = torch.full((len(PROMPTS), width), pad)
    attention, completion = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        length = len(prompt) + len(answer)
        start = 0 if side == "right" else width - length
        ids[row, start : start + length] = torch.tensor(prompt + answer)
        attention[row, start : start + length] = 1
        completion[row, start + len(prompt) : start + length] = True
    return ids, attention, completion


def plain(model: Any, temperature: float) -> Tensor:
    """The definition, one sequence at a time, nothing padded: (all completion tokens,)."""
    scored = []
    for prompt, answer in zip(PROMPTS, COMPLETIONS, strict=True):
        logp = (model(torch.tensor([prompt + answer])).logits[0] / temperature).log_softmax(-1)
        scored += [logp[len(prompt) - 1 + t, token] for t, token in enumerate(answer)]
    return torch.stack(scored)


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.3])
def test_a_padded_batch_scores_what_each_sequence_scores_alone(model: Any, sampling: Any, temperature: float) -> None:
    scorer = TokenScorer(model, dataclasses.replace(sampling, temperature=temperature))
    ids, attention, completion = padded()
    got, _ = scorer(ids, attention, completion)
    torch.testing.assert_close(got[completion], plain(model, temperature), rtol=1e-5, atol=1e-5)


def test_nothing_is_scored_outside_of_the_completions(model: Any, sampling: Any) -> None:
    ids, attention, completion = padded()
    for values in TokenScorer(model, sampling)(ids, attention, completion):
        assert values.shape == ids.shape
        assert (values[~completion] == 0).all()
        assert (values[completion] != 0).all()


@pytest.mark.parametrize("policy", ["model", "absolute"])
def test_neither_the_side_of_the_padding_nor_its_value_matters(
    request: pytest.FixtureRequest, sampling: Any, policy: str
) -> None:
    model = request.getfixturevalue(policy)
    scorer = TokenScorer(model, sampling)
    expected = plain(model, 1.0).detach()
    for side, pad in (("right", 0), ("left", 0), ("right", 1), ("left", 17)):
        ids, attention, completion = padded(side, pad)
        got = scorer(ids, attention, completion)[0][completion]
        got = got.detach()
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_the_gradient_is_that_of_the_plain_formula(new_model: Callable[..., Any], sampling: Any) -> None:
    ours, theirs = new_model(), new_model()
    coefficients = torch.linspace(-1, 1, sum(map(len, COMPLETIONS)))
    ids, attention, completion = padded()
    got = TokenScorer(ours, dataclasses.replace(sampling, temperature=0.7))(ids, attention, completion)[0]
    (got[completion] * coefficients).sum().backward()
    (plain(theirs, 0.7) * coefficients).sum().backward()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")


def test_the_size_of_the_chunks_changes_neither_values_nor_gradient(
    new_model: Callable[..., Any], sampling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, attention, completion = padded()
    values, gradients = [], []
    for tokens_per_chunk in (1, 4, 1000):
        monkeypatch.setattr(module, "CHUNK_ELEMENTS", tokens_per_chunk * sampling.vocab_size)
        model = new_model()
        got, entropy = TokenScorer(model, sampling)(ids, attention, completion)
        got.sum().backward()
        values.append(torch.cat([got, entropy]))
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    for value, gradient in zip(values, gradients, strict=True):
        torch.testing.assert_close(value, values[-1], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(gradient, gradients[-1], rtol=1e-4, atol=1e-6)


def test_values_without_gradient_are_those_with_it(model: Any, sampling: Any) -> None:
    with torch.no_grad():
        silent = TokenScorer(model, sampling)(*padded())[0]
    assert not silent.requires_grad
    assert torch.equal(silent, TokenScorer(model, sampling)(*padded())[0].detach())


@pytest.mark.parametrize("truncation", list(TRUNCATIONS))
@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.3])
def test_the_log_probability_of_the_sampler_is_that_of_the_trainer(
    new_model: Callable[..., Any], sampling: Any, temperature: float, truncation: str
) -> None:
    model = new_model(initializer_range=0.3)  # distributions that are far from flat
    sampling = dataclasses.replace(sampling, temperature=temperature, **TRUNCATIONS[truncation])
    rollouts = generate(model, PROMPTS, group=4, sampling=sampling, pad_id=0, chance=uniforms(0, 12, 7))
    for micro in micro_batches(rollouts, 5, group=4, pad_id=0):
        scored, _ = TokenScorer(model, sampling)(micro.input_ids, micro.attention_mask, micro.completion_mask)
        torch.testing.assert_close(scored.detach(), micro.sampled, rtol=0, atol=1e-5)


def allowed(logits: np.ndarray, sampling: Sampling) -> set[int]:
    """Which tokens may be drawn, read off the definitions: top-k, of these top-p, of these min-p."""

    def probabilities(kept: list[int]) -> dict[int, float]:
        total = sum(math.exp(logits[i] / sampling.temperature) for i in kept)
        return {i: math.exp(logits[i] / sampling.temperature) / total for i in kept}

    kept = sorted(range(sampling.vocab_size), key=lambda i: -logits[i])
    kept = kept[: sampling.top_k or None]
    nucleus, mass = [], 0.0
    for token, probability in probabilities(kept).items():
        if mass < sampling.top_p:
            nucleus.append(token)
        mass += probability
    chances = probabilities(nucleus)
    return {i for i, p in chances.items() if p >= (sampling.min_p or 0.0) * max(chances.values())}


@pytest.mark.parametrize("truncation", list(TRUNCATIONS))
def test_truncation_keeps_the_tokens_of_its_definition_and_gives_them_all_the_mass(truncation: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 30, generator=generator, dtype=torch.float64) * 2
    sampling = Sampling(vocab_size=26, eos_ids=(1,), temperature=0.8, **TRUNCATIONS[truncation])
    logp = sampling_logits(logits, sampling).log_softmax(-1)
    for row, raw in zip(logp, logits.numpy(), strict=True):
        assert set(row.isfinite().nonzero()[:, 0].tolist()) == allowed(raw, sampling)
    torch.testing.assert_close(logp.exp().sum(-1), torch.ones(40, dtype=torch.float64))


def test_the_likeliest_token_survives_every_truncation() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0]])
    for strict in ({"top_p": 1e-6}, {"top_k": 1}, {"min_p": 1.0}):
        kept = sampling_logits(logits, Sampling(vocab_size=3, eos_ids=(0,), **strict))
        assert kept.isfinite().tolist() == [[False, True, False]]


def test_a_token_that_was_sampled_can_be_scored_even_if_rounding_moved_it_out_of_the_nucleus() -> None:
    sampling = Sampling(vocab_size=3, eos_ids=(0,), top_k=1)
    logits = torch.tensor([[2.0, 1.0, 0.0]], requires_grad=True)
    logp, _ = token_logprobs(logits, torch.tensor([1]), sampling)
    assert logp.item() == pytest.approx(1 - math.log(math.e**2 + math.e))
    logp.sum().backward()
    assert logits.grad.isfinite().all()


def test_rows_beyond_the_tokenizer_are_neither_scored_nor_trained() -> None:
    sampling = Sampling(vocab_size=3, eos_ids=(0,))
    logits = torch.tensor([[1.0, 2.0, 3.0, 50.0, 60.0]], requires_grad=True)
    logp, entropy = token_logprobs(logits, torch.tensor([2]), sampling)
    inside, expected = token_logprobs(logits[:, :3].detach(), torch.tensor([2]), sampling)
    assert torch.equal(logp, inside)
    torch.testing.assert_close(entropy, expected)
    logp.sum().backward()
    assert logits.grad[0, 3:].tolist() == [0.0, 0.0]


def test_the_entropy_is_that_of_the_distribution_that_is_sampled_from() -> None:
    logits = torch.tensor([[0.0] * 8, [5.0, 1.0, 0.0, -2.0, 0.0, 0.0, 0.0, 0.0]])
    sampling = Sampling(vocab_size=8, eos_ids=(0,), temperature=0.5)
    tokens = torch.tensor([3, 0])
    p = (logits[1] / 0.5).softmax(-1)
    expected = torch.tensor([math.log(8), -(p * p.log()).sum().item()])
    torch.testing.assert_close(token_logprobs(logits, tokens, sampling)[1], expected)
    few = dataclasses.replace(sampling, vocab_size=4)
    assert token_logprobs(logits, tokens, few)[1][0].item() == pytest.approx(math.log(4))
    one = dataclasses.replace(sampling, top_k=1)
    assert token_logprobs(logits[1:], tokens[1:], one)[1].item() == 0.0


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_scored_in_fp32(half: torch.dtype) -> None:
    logits = (torch.randn(6, 26, generator=torch.Generator().manual_seed(0)) * 4).to(half)
    tokens = torch.arange(6)
    sampling = Sampling(vocab_size=26, eos_ids=(1,), temperature=0.9, top_p=0.95)
    got = token_logprobs(logits, tokens, sampling)
    expected = token_logprobs(logits.float(), tokens, sampling)
    assert got[0].dtype == torch.float32
    assert torch.equal(got[0], expected[0])
    assert torch.equal(got[1], expected[1])
    rounded = (logits / 0.9).log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    assert not torch.equal(got[0], rounded.float())  # what it would be without


def test_logits_in_fp64_stay_in_fp64() -> None:
    got = token_logprobs(torch.zeros(1, 4, dtype=torch.float64), torch.tensor([0]), Sampling(4, (1,)))
    assert got[0].dtype == torch.float64


def test_a_model_that_caps_its_logits_is_scored_with_the_cap(sampling: Any) -> None:
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=sampling.vocab_size,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.7,
        final_logit_softcapping=2.0,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    model = Gemma2ForCausalLM(config).eval()
    ids, attention, completion = padded()
    got = TokenScorer(model, sampling)(ids, attention, completion)[0][completion]
    torch.testing.assert_close(got, plain(model, 1.0), rtol=1e-5, atol=1e-5)
