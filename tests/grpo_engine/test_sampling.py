"""A draw is the inverse of the cumulative distribution that `sampling_logits` states, and of nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from grpo_engine.sampling import Sampling, draw, sampling_logits, uniforms

SIZES = (1, 2, 511, 512, 513, 1024, 2000)  # around the blocks of 512 that a draw sums first
LAST = 1 - 2**-20  # the largest chance
TRUNCATIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "cold": {"temperature": 0.6},
    "hot": {"temperature": 1.3},
    "top_k": {"top_k": 7},
    "top_p": {"top_p": 0.8},
    "min_p": {"min_p": 0.05},
    "all": {"temperature": 0.7, "top_k": 50, "top_p": 0.9, "min_p": 0.01},
}


def plain(size: int, **changes: Any) -> Sampling:
    return dataclasses.replace(Sampling(vocab_size=size, eos_ids=(0,)), **changes)


def logits_of(size: int, rows: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(size), dtype=dtype) * 2


def cumulative(logits: Tensor, sampling: Sampling) -> np.ndarray:
    """(N, V) in fp64."""
    scores = sampling_logits(logits.double(), sampling).numpy()
    mass = np.exp(scores - scores.max(-1, keepdims=True))
    return np.cumsum(mass / mass.sum(-1, keepdims=True), -1)


def grid(count: int) -> Tensor:
    """Chances from 0 to the largest."""
    return torch.linspace(0, LAST, count)


@pytest.mark.parametrize("changes", TRUNCATIONS.values(), ids=TRUNCATIONS.keys())
@pytest.mark.parametrize("size", SIZES)
def test_a_draw_inverts_the_cumulative_distribution(size: int, changes: dict[str, Any]) -> None:
    sampling, logits, chance = plain(size, **changes), logits_of(size), grid(997)
    (bounds,) = cumulative(logits, sampling)
    expected = np.searchsorted(bounds, chance.double().numpy() * bounds[-1], side="right")
    tokens, _ = draw(logits.expand(len(chance), -1), chance, sampling)
    assert tokens.tolist() == expected.tolist()


@pytest.mark.parametrize("size", SIZES)
def test_equally_likely_tokens_share_the_chance_equally_and_in_order(size: int) -> None:
    middles = (torch.arange(size) + 0.5) / size
    tokens, _ = draw(torch.zeros(size, size), middles, plain(size))
    assert tokens.tolist() == list(range(size))


@pytest.mark.parametrize("size", [2, 512, 1024])
def test_a_chance_on_a_bound_draws_the_token_above_it(size: int) -> None:
    bounds = torch.arange(size) / size  # exact in binary
    tokens, _ = draw(torch.zeros(size, size), bounds, plain(size))
    assert tokens.tolist() == list(range(size))


@pytest.mark.parametrize("size", SIZES)
def test_single_precision_moves_a_bound_by_rounding_alone(size: int) -> None:
    logits, chance = logits_of(size, dtype=torch.float32), grid(997)
    tokens, _ = draw(logits.expand(len(chance), -1), chance, plain(size))
    (bounds,) = cumulative(logits, plain(size))
    below = np.concatenate([[0.0], bounds])[tokens.numpy()]
    above = bounds[tokens.numpy()]
    rounding = 20 * torch.finfo(torch.float32).eps
    assert (below - rounding <= chance.numpy()).all()
    assert (chance.numpy() <= above + rounding).all()


@pytest.mark.parametrize("size", [512, 513, 2000])
@pytest.mark.parametrize("chance", [0.0, LAST])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_ends_of_the_chance_draw_the_first_and_the_last_possible_token(
    size: int, chance: float, dtype: torch.dtype
) -> None:
    for first, last in ((0, 0), (3, 7), (size - 1, size - 1), (min(size - 1, 511), size - 1), (1, size - 2)):
        logits = torch.full((1, size), -torch.inf, dtype=dtype)
        logits[:, [first, last]] = 0.0
        token, _ = draw(logits, torch.tensor([chance]), plain(size))
        assert token.tolist() == [last if chance else first]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_an_impossible_token_is_never_drawn(dtype: torch.dtype) -> None:
    size = 2000
    possible = torch.zeros(size, dtype=torch.bool)
    possible[600:1400:7] = True  # none in the first block and none in the last
    logits = logits_of(size, dtype=dtype).masked_fill(~possible, -torch.inf)
    tokens, logprobs = draw(logits.expand(4001, -1), grid(4001), plain(size))
    assert possible[tokens].all()
    assert logprobs.isfinite().all()


def test_an_impossible_token_is_not_drawn_either_where_the_sums_of_blocks_and_tokens_round_apart() -> None:
    rows, size = 300, 1024
    logits = logits_of(size, rows, torch.float32)
    logits[:, ::512] = -torch.inf
    bounds = torch.from_numpy(cumulative(logits, plain(size)))[:, 511]  # between the two blocks
    for step in range(-12, 13):
        chance = (bounds * (1 + step * 2**-24)).float()
        tokens, logprobs = draw(logits, chance, plain(size))
        assert logprobs.isfinite().all()
        assert (tokens % 512 != 0).all()


@pytest.mark.parametrize("changes", TRUNCATIONS.values(), ids=TRUNCATIONS.keys())
@pytest.mark.parametrize("size", SIZES)
def test_the_log_probability_of_a_draw_is_that_of_the_stated_distribution(size: int, changes: dict[str, Any]) -> None:
    sampling, logits, chance = plain(size, **changes), logits_of(size, 60), grid(60)
    tokens, logprobs = draw(logits, chance, sampling)
    expected = sampling_logits(logits, sampling).log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    torch.testing.assert_close(logprobs, expected, rtol=1e-12, atol=1e-12)
    assert expected.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_log_probabilities_are_at_least_single_precision(dtype: torch.dtype) -> None:
    logits = logits_of(2000, 60, dtype)
    tokens, logprobs = draw(logits, grid(60), plain(2000))
    expected = logits.double().log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    assert logprobs.dtype == torch.float32
    torch.testing.assert_close(logprobs.double(), expected, rtol=1e-6, atol=2e-6)


def test_huge_logits_neither_overflow_nor_lose_the_difference() -> None:
    logits = torch.tensor([[1e30, 1e30, -1e30], [-1e4, -1e4, -2e4]])
    tokens, logprobs = draw(logits, torch.tensor([0.75, 0.25]), plain(3))
    assert tokens.tolist() == [1, 0]
    torch.testing.assert_close(logprobs, torch.full((2,), 0.5).log())


@pytest.mark.parametrize("size", [40, 600])
def test_a_row_does_not_depend_on_the_rows_beside_it(size: int) -> None:
    logits, chance = logits_of(size, 50, torch.float32), uniforms(0, 1, 50)[0]
    tokens, logprobs = draw(logits, chance, plain(size, top_p=0.9))
    for i in range(50):
        token, logprob = draw(logits[i : i + 1], chance[i : i + 1], plain(size, top_p=0.9))
        assert token[0] == tokens[i]
        torch.testing.assert_close(logprob[0], logprobs[i], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_beyond_the_vocabulary_are_never_drawn(temperature: float) -> None:
    logits = logits_of(600, dtype=torch.float32)
    logits[:, 520:] = 50.0
    sampling = plain(520, temperature=temperature)
    tokens, logprobs = draw(logits.expand(500, -1), grid(500), sampling)
    assert tokens.max() < 520
    again, same = draw(logits[:, :520].expand(500, -1), grid(500), sampling)
    assert torch.equal(tokens, again)
    assert torch.equal(logprobs, same)


def test_temperature_zero_draws_the_likeliest_token_whatever_the_chance_with_certainty() -> None:
    logits = logits_of(2000, 50, torch.float32)
    for chance in (0.0, 0.5, LAST):
        tokens, logprobs = draw(logits, torch.full((50,), chance), plain(2000, temperature=0.0))
        assert torch.equal(tokens, logits.argmax(-1))
        assert (logprobs == 0).all()


def test_a_cold_distribution_comes_to_temperature_zero() -> None:
    logits = logits_of(2000, 50, torch.float32)
    cold, _ = draw(logits, torch.full((50,), 0.5), plain(2000, temperature=1e-3))
    greedy, _ = draw(logits, torch.full((50,), 0.5), plain(2000, temperature=0.0))
    assert torch.equal(cold, greedy)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("size", [40, 513])
def test_logits_that_are_not_finite_give_nan_in_their_row_alone(temperature: float, value: float, size: int) -> None:
    logits = logits_of(size, 3, torch.float32)
    logits[1, 7] = value
    tokens, logprobs = draw(logits, torch.tensor([0.1, 0.5, LAST]), plain(size, temperature=temperature))
    assert logprobs.isnan().tolist() == [False, True, False]
    assert ((tokens >= 0) & (tokens < size)).all()


def test_the_chance_stays_below_one_and_follows_the_seed() -> None:
    chance = uniforms(3, 3000, 1000)
    assert chance.shape == (3000, 1000)
    assert chance.dtype == torch.float32
    assert chance.min() >= 0
    assert chance.max() <= LAST
    assert chance.mean().item() == pytest.approx(0.5, abs=1e-3)  # five deviations are 8e-4
    assert torch.equal(chance, uniforms(3, 3000, 1000))
    assert not torch.equal(chance, uniforms(4, 3000, 1000))


def test_the_chance_neither_uses_nor_changes_the_global_random_state() -> None:
    torch.manual_seed(1)
    before, first = torch.get_rng_state(), uniforms(0, 2, 3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(uniforms(0, 2, 3), first)
