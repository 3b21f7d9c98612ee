"""Rollouts depend on the seed and on their own prompt alone, and follow exactly the stated distribution."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from grpo_engine.rollout import GenerateSampler, Rollouts
from grpo_engine.sampling import Sampling, sampling_logits, uniforms

PROMPTS = [[3, 4, 5], [6, 7, 8, 9, 10, 11], [12], [3, 4, 5]]
GROUP, LENGTH = 3, 8


@pytest.fixture
def peaked(new_model: Callable[..., Any]) -> Any:
    """A policy whose tokens depend on what it has read."""
    return new_model(initializer_range=0.3)


def roll(model: Any, sampling: Sampling, *, seed: int = 0, rows: slice = slice(None), pad: int = 0) -> Rollouts:
    """Rollouts of some of the prompts, with the chance that they have in the whole batch."""
    first, last, _ = rows.indices(len(PROMPTS))
    chance = uniforms(seed, len(PROMPTS) * GROUP, LENGTH)[first * GROUP : last * GROUP]
    return GenerateSampler(model, sampling, pad)(PROMPTS[rows], group=GROUP, chance=chance)


def by_hand(model: Any, sampling: Sampling, prompt: list[int], chance: torch.Tensor) -> list[int]:
    """The definition: the whole sequence again for each token, no cache, no padding."""
    tokens: list[int] = []
    for u in chance:
        with torch.no_grad():
            logits = model.eval()(torch.tensor([prompt + tokens])).logits[:, -1]
        cumulative = sampling_logits(logits, sampling).softmax(-1)[0].cumsum(-1)
        tokens.append(int((cumulative <= u * cumulative[-1]).sum()))
        if tokens[-1] in sampling.eos_ids:
            break
    return tokens


@pytest.mark.parametrize("policy", ["peaked", "absolute"])
def test_the_completions_are_those_of_the_definition(
    request: pytest.FixtureRequest, sampling: Sampling, policy: str
) -> None:
    model = request.getfixturevalue(policy)
    sampling = dataclasses.replace(sampling, temperature=0.8, top_p=0.95)
    chance = uniforms(0, len(PROMPTS) * GROUP, LENGTH)
    expected = [by_hand(model, sampling, PROMPTS[i // GROUP], chance[i]) for i in range(len(chance))]
    assert roll(model, sampling).completion_ids == expected


def test_the_same_seed_gives_the_same_completions_and_another_seed_others(peaked: Any, sampling: Sampling) -> None:
    first, again, other = (roll(peaked, sampling, seed=seed) for seed in (0, 0, 1))
    assert first.completion_ids == again.completion_ids
    assert torch.equal(first.logprobs, again.logprobs)
    assert first.completion_ids != other.completion_ids


def test_the_completions_of_a_group_and_of_equal_prompts_differ(peaked: Any, sampling: Sampling) -> None:
    rollouts = roll(peaked, sampling)
    assert len({tuple(c) for c in rollouts.completion_ids}) == len(PROMPTS) * GROUP


def test_the_global_random_state_is_neither_used_nor_changed(peaked: Any, sampling: Sampling) -> None:
    torch.manual_seed(1)
    first = roll(peaked, sampling)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = roll(peaked, sampling)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.completion_ids == second.completion_ids


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 2), slice(2, 4)])
@pytest.mark.parametrize("policy", ["peaked", "absolute"])
def test_a_completion_does_not_depend_on_the_batch_it_shares(
    request: pytest.FixtureRequest, sampling: Sampling, policy: str, rows: slice
) -> None:
    model = request.getfixturevalue(policy)
    whole, part = roll(model, sampling), roll(model, sampling, rows=rows)
    within = slice(rows.start * GROUP, rows.stop * GROUP)
    assert part.completion_ids == whole.completion_ids[within]
    assert part.finished.tolist() == whole.finished[within].tolist()
    width = part.logprobs.shape[1]
    torch.testing.assert_close(part.logprobs, whole.logprobs[within, :width], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "changes", [{}, {"temperature": 0.6}, {"temperature": 1.3, "top_p": 0.8}, {"top_k": 5}, {"min_p": 0.2}], ids=str
)
def test_first_tokens_are_drawn_with_the_probabilities_of_the_softmax(
    peaked: Any, sampling: Sampling, changes: dict[str, Any]
) -> None:
    sampling, draws = dataclasses.replace(sampling, **changes), 4000
    rollouts = GenerateSampler(peaked, sampling, 0)([PROMPTS[0]], group=draws, chance=uniforms(7, draws, 1))
    counts = torch.bincount(torch.tensor(rollouts.completion_ids)[:, 0], minlength=sampling.vocab_size).double()
    with torch.no_grad():
        logits = peaked(torch.tensor([PROMPTS[0]])).logits[:, -1].double()
    expected = sampling_logits(logits, sampling).softmax(-1)[0] * draws
    assert (counts[expected == 0] == 0).all()
    often = expected >= 5
    chi_square = ((counts - expected)[often].square() / expected[often]).sum().item()
    freedom = int(often.sum()) - 1
    assert freedom > 2
    assert chi_square < freedom + 5 * (2 * freedom) ** 0.5  # mean and five deviations of the chi-square
    assert (counts - expected).abs()[~often].sum() < 30


def test_a_pad_token_that_is_the_end_token_changes_nothing(peaked: Any, sampling: Sampling) -> None:
    usual, same = roll(peaked, sampling), roll(peaked, sampling, pad=sampling.eos_ids[0])
    assert usual.completion_ids == same.completion_ids
    torch.testing.assert_close(usual.logprobs, same.logprobs, rtol=1e-5, atol=1e-5)


def test_a_completion_keeps_its_end_token_and_nothing_after_it(peaked: Any, sampling: Sampling) -> None:
    sampling = dataclasses.replace(sampling, eos_ids=(1, 5, 9, 14, 20))
    rollouts = roll(peaked, sampling)
    assert rollouts.finished.any()
    for ids, finished, logprobs in zip(
        rollouts.completion_ids, rollouts.finished.tolist(), rollouts.logprobs, strict=True
    ):
        assert not set(ids[:-1]) & set(sampling.eos_ids)
        assert (ids[-1] in sampling.eos_ids) == finished
        assert finished or len(ids) == LENGTH
        assert (logprobs[: len(ids)] < 0).all()
        assert (logprobs[len(ids) :] == 0).all()


def test_any_of_several_end_tokens_ends_a_completion(peaked: Any, sampling: Sampling) -> None:
    ends = (1, 5, 9, 14, 20)
    last = {ids[-1] for ids in roll(peaked, dataclasses.replace(sampling, eos_ids=ends)).completion_ids}
    assert len(last & set(ends)) > 1
    first_only = roll(peaked, dataclasses.replace(sampling, eos_ids=(1,)))
    assert any(set(ids[:-1]) & set(ends) for ids in first_only.completion_ids)


def test_a_completion_that_ends_on_the_last_allowed_token_is_finished(peaked: Any, sampling: Sampling) -> None:
    everything_ends = dataclasses.replace(sampling, eos_ids=tuple(range(sampling.vocab_size)))
    chance = uniforms(0, 4, 1)
    done = GenerateSampler(peaked, everything_ends, 0)(PROMPTS[:2], group=2, chance=chance)
    assert done.finished.tolist() == [True] * 4
    nothing_ends = dataclasses.replace(sampling, eos_ids=(99,))
    cut = GenerateSampler(peaked, nothing_ends, 0)(PROMPTS[:2], group=2, chance=chance)
    assert cut.finished.tolist() == [False] * 4


def test_the_models_own_generation_defaults_are_not_applied_and_stay_as_they_are(
    peaked: Any, sampling: Sampling
) -> None:
    expected = roll(peaked, sampling)
    own = peaked.generation_config
    own.update(
        repetition_penalty=5.0, top_k=1, no_repeat_ngram_size=1, min_new_tokens=LENGTH, bad_words_ids=[[3]], num_beams=2
    )
    got = roll(peaked, sampling)
    assert got.completion_ids == expected.completion_ids
    assert torch.equal(got.logprobs, expected.logprobs)
    assert peaked.generation_config is own
    assert own.repetition_penalty == 5.0


def test_dropout_is_off_in_rollouts_of_a_model_in_training_mode(
    new_model: Callable[..., Any], sampling: Sampling
) -> None:
    model = new_model(attention_dropout=0.9, initializer_range=0.3)
    expected = roll(model.eval(), sampling)
    got = roll(model.train(), sampling)
    assert got.completion_ids == expected.completion_ids
    assert torch.equal(got.logprobs, expected.logprobs)
    assert model.training


def test_rows_beyond_the_tokenizer_are_never_sampled(new_model: Callable[..., Any], sampling: Sampling) -> None:
    model = new_model(vocab_size=sampling.vocab_size + 6)
    with torch.no_grad():
        model.get_input_embeddings().weight[sampling.vocab_size :] *= 1000  # the likeliest by far
    rollouts = roll(model, sampling)
    assert max(max(ids) for ids in rollouts.completion_ids) < sampling.vocab_size
    assert rollouts.logprobs.isfinite().all()


@pytest.mark.parametrize("extreme", [0.0, 1 - 2**-20])
def test_the_ends_of_the_chance_draw_a_possible_token(peaked: Any, sampling: Sampling, extreme: float) -> None:
    only_one = dataclasses.replace(sampling, top_k=1)
    with torch.no_grad():
        best = int(peaked(torch.tensor([PROMPTS[0]])).logits[0, -1].argmax())
    got = GenerateSampler(peaked, only_one, 0)([PROMPTS[0]], group=1, chance=torch.full((1, 1), extreme))
    assert got.completion_ids == [[best]]
    assert got.logprobs.tolist() == [[0.0]]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_diverged_policy_is_refused_and_left_as_it_was(
    peaked: Any, sampling: Sampling, temperature: float, value: float
) -> None:
    own, sampling = peaked.generation_config, dataclasses.replace(sampling, temperature=temperature)
    with torch.no_grad():
        peaked.model.norm.weight.fill_(value)
    with pytest.raises(FloatingPointError, match=r"not finite.*lower learning_rate"):
        roll(peaked.train(), sampling)
    assert peaked.generation_config is own
    assert peaked.training


def test_log_probabilities_are_those_under_which_the_tokens_were_drawn(peaked: Any, sampling: Sampling) -> None:
    sampling = dataclasses.replace(sampling, temperature=0.7, top_k=6)
    rollouts = roll(peaked, sampling)
    for i, ids in enumerate(rollouts.completion_ids):
        prompt = PROMPTS[i // GROUP]
        with torch.no_grad():
            logits = peaked.eval()(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        expected = sampling_logits(logits, sampling).log_softmax(-1).gather(1, torch.tensor([ids]).T)[:, 0]
        torch.testing.assert_close(rollouts.logprobs[i, : len(ids)], expected, rtol=1e-5, atol=1e-5)


def test_a_crash_in_the_model_gives_back_its_mode_and_its_defaults(
    peaked: Any, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = peaked.generation_config
    monkeypatch.setattr(peaked.model, "forward", None)
    with pytest.raises(TypeError):
        roll(peaked.train(), sampling)
    assert peaked.generation_config is own
    assert peaked.training
