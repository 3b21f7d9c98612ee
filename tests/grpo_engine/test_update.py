"""One update is the gradient of the whole batch, however it is split; the old policy stays still."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from grpo_engine.batching import micro_batches
from grpo_engine.logprobs import TokenScorer
from grpo_engine.objective import TOKEN_WEIGHTS
from grpo_engine.optim import MasterAdamW
from grpo_engine.rollout import Rollouts, generate, uniforms
from grpo_engine.update import Objective, Totals, Update

PROMPTS = ([3, 4, 5], [6, 7, 8, 9, 10, 11], [12])
GROUP, LENGTH = 4, 6
COUNT = len(PROMPTS) * GROUP
ADVANTAGES = torch.linspace(-1.5, 1.3, COUNT)


class Spy(MasterAdamW):
    """Remembers the gradient that it is about to apply."""

    def clip(self, max_norm: float) -> Tensor:
        self.gradient = torch.cat([m.grad.flatten().clone() for m in self._masters])
        return super().clip(max_norm)


class Case:
    """A policy with its rollouts, ready to update."""

    def __init__(self, model: Any, sampling: Any, *, reference: Any = None, lr: float = 1e-3) -> None:
        self.sampling = dataclasses.replace(sampling, eos_ids=(1, 5, 9))
        self.model, self.rollouts = model, self.sample(model)
        self.scorer = TokenScorer(model, self.sampling)
        self.reference = None if reference is None else TokenScorer(reference.requires_grad_(False), self.sampling)
        self.optimizer = Spy(model.parameters(), lr=lr)
        self.accelerator = Accelerator(cpu=True)

    def sample(self, model: Any) -> Rollouts:
        chance = uniforms(0, COUNT, LENGTH)
        return generate(model, PROMPTS, group=GROUP, sampling=self.sampling, pad_id=0, chance=chance)

    def update(self, *, size: int = COUNT, trained: Tensor | None = None) -> Update:
        trained = torch.ones(COUNT, dtype=torch.bool) if trained is None else trained
        lengths = torch.tensor([len(c) for c in self.rollouts.completion_ids])
        return Update(
            self.scorer,
            self.reference,
            micros=list(micro_batches(self.rollouts, size, group=GROUP, pad_id=0)),
            advantages=ADVANTAGES,
            trained=trained,
            totals=Totals(completions=COUNT, tokens=int((lengths * trained).sum())),
        )

    def epoch(self, update: Update, *, loss: str = "dapo", beta: float = 0.0) -> dict[str, float]:
        objective = Objective(0.2, 0.2, beta, TOKEN_WEIGHTS[loss], LENGTH)
        return update.epoch(objective, self.optimizer, self.accelerator, max_grad_norm=1.0)


@pytest.fixture
def case(new_model: Callable[..., Any], sampling: Any) -> Iterator[Callable[..., Case]]:
    return lambda **changes: Case(new_model(initializer_range=0.1), sampling, **changes)


def completion_logprobs(model: Any, rollouts: Rollouts) -> list[Tensor]:
    """The log-probabilities of each completion's tokens, one sequence at a time."""
    scored = []
    for i, answer in enumerate(rollouts.completion_ids):
        prompt = rollouts.prompt_ids[i // GROUP]
        logp = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        scored.append(logp[range(len(prompt) - 1, len(prompt) + len(answer) - 1), answer])
    return scored


def gradient(model: Any, loss: Tensor) -> Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("size", [COUNT, 5, 1])
def test_the_gradient_of_the_first_update_is_the_plain_policy_gradient(
    case: Callable[..., Case], new_model: Callable[..., Any], size: int
) -> None:
    ours, twin = case(), new_model(initializer_range=0.1)
    metrics = ours.epoch(ours.update(size=size))
    scored = completion_logprobs(twin, ours.rollouts)
    tokens = sum(map(len, scored))
    expected = gradient(twin, -sum(a * s.sum() for a, s in zip(ADVANTAGES, scored, strict=True)) / tokens)
    assert relative(ours.optimizer.gradient, expected) < 1e-5
    assert metrics["grad_norm"] == pytest.approx(float(expected.norm()), rel=1e-5)


@pytest.mark.parametrize("loss", list(TOKEN_WEIGHTS))
def test_the_split_into_micro_batches_changes_neither_gradient_nor_logged_numbers(
    case: Callable[..., Case], new_model: Callable[..., Any], loss: str
) -> None:
    runs = []
    for size in (COUNT, 5, 1):
        run = case(reference=new_model(1, initializer_range=0.1))
        runs.append((run.epoch(run.update(size=size), loss=loss, beta=0.3), run.optimizer.gradient))
    for metrics, got in runs[1:]:
        assert relative(got, runs[0][1]) < 2e-6  # fp32 sums in another order
        for name, value in runs[0][0].items():
            assert metrics[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize("loss", list(TOKEN_WEIGHTS))
def test_the_first_loss_is_minus_the_weighted_mean_advantage(case: Callable[..., Case], loss: str) -> None:
    run = case()
    lengths = torch.tensor([len(c) for c in run.rollouts.completion_ids])
    assert len(lengths.unique()) > 2
    each = {
        "grpo": torch.full((COUNT,), 1 / COUNT),
        "dapo": lengths / lengths.sum(),
        "bnpo": lengths / lengths.sum(),
        "dr_grpo": lengths / (COUNT * LENGTH),
    }[loss]
    got = run.epoch(run.update(size=5), loss=loss)["loss"]
    assert got == pytest.approx(-float((each * ADVANTAGES).sum()), abs=1e-6)


def test_before_the_first_step_no_ratio_is_clipped_and_the_sampler_agrees(case: Callable[..., Case]) -> None:
    run = case()
    metrics = run.epoch(run.update(size=5))
    assert metrics["clip_ratio"] == 0.0
    assert metrics["sampling/sampling_logp_difference/max"] < 1e-5
    assert metrics["sampling/sampling_logp_difference/mean"] <= metrics["sampling/sampling_logp_difference/max"]


def test_a_sampler_with_stale_weights_shows_in_the_difference(
    case: Callable[..., Case], new_model: Callable[..., Any]
) -> None:
    run = case()
    stale = new_model(1, initializer_range=0.1)
    run.rollouts = run.sample(stale)
    with torch.no_grad():
        now, then = (torch.cat(completion_logprobs(m, run.rollouts)) for m in (run.model, stale))
    metrics = run.epoch(run.update(size=5))
    assert metrics["clip_ratio"] == 0.0  # the old policy is the trainer's own
    difference = (now - then).abs()
    assert metrics["sampling/sampling_logp_difference/mean"] == pytest.approx(difference.mean().item(), rel=1e-4)
    assert metrics["sampling/sampling_logp_difference/max"] == pytest.approx(difference.max().item(), rel=1e-4)


def test_the_second_epoch_compares_with_the_policy_that_sampled(case: Callable[..., Case]) -> None:
    run = case(lr=3e-2)
    update = run.update(size=5)
    with torch.no_grad():
        old = completion_logprobs(run.model, run.rollouts)
    for epoch in range(3):
        with torch.no_grad():
            ratios = [(new - o).exp() for new, o in zip(completion_logprobs(run.model, run.rollouts), old, strict=True)]
        clipped = sum(int(((r > 1.2) if a > 0 else (r < 0.8)).sum()) for r, a in zip(ratios, ADVANTAGES, strict=True))
        surrogate = sum(
            torch.minimum(r * a, r.clamp(0.8, 1.2) * a).sum() for r, a in zip(ratios, ADVANTAGES, strict=True)
        )
        tokens = sum(map(len, ratios))
        metrics = run.epoch(update)
        assert metrics["clip_ratio"] == pytest.approx(clipped / tokens)
        assert metrics["clip_ratio"] == metrics["clip_ratio/low_mean"] + metrics["clip_ratio/high_mean"]
        assert metrics["loss"] == pytest.approx(-float(surrogate) / tokens, rel=1e-4, abs=1e-6)
        assert (metrics["clip_ratio"] > 0) == (epoch > 0)
        assert ("sampling/sampling_logp_difference/mean" in metrics) == (epoch == 0)


def test_the_kl_is_that_to_the_reference_and_its_gradient_pulls_towards_it(
    case: Callable[..., Case], new_model: Callable[..., Any]
) -> None:
    beta = 0.5
    run, plain = case(reference=new_model(1, initializer_range=0.1)), case()
    twin, reference = new_model(initializer_range=0.1), new_model(1, initializer_range=0.1)
    metrics = run.epoch(run.update(size=5), beta=beta)
    plain_loss = plain.epoch(plain.update(size=5))["loss"]
    logp = torch.cat(completion_logprobs(twin, run.rollouts))
    with torch.no_grad():
        d = torch.cat(completion_logprobs(reference, run.rollouts)) - logp
    d = d + logp.detach() - logp  # the gradient goes through the policy alone
    kl = (d.exp() - d - 1).mean()
    assert metrics["kl"] == pytest.approx(kl.item(), rel=1e-4)
    assert metrics["loss"] == pytest.approx(plain_loss + beta * kl.item(), rel=1e-4)
    pull = run.optimizer.gradient - plain.optimizer.gradient
    assert relative(pull, gradient(twin, beta * kl)) < 1e-3


def test_without_a_reference_no_kl_is_reported(case: Callable[..., Case]) -> None:
    run = case()
    assert "kl" not in run.epoch(run.update())


def test_a_completion_that_is_left_out_gives_no_gradient_and_is_in_no_mean(case: Callable[..., Case]) -> None:
    run = case()
    trained = run.rollouts.finished
    assert 0 < int(trained.sum()) < COUNT
    metrics = run.epoch(run.update(size=5, trained=trained))
    twin = case()
    kept = [
        a * s.sum()
        for a, s, t in zip(ADVANTAGES, completion_logprobs(twin.model, twin.rollouts), trained.tolist(), strict=True)
        if t
    ]
    tokens = sum(len(c) for c, t in zip(run.rollouts.completion_ids, trained.tolist(), strict=True) if t)
    assert relative(run.optimizer.gradient, gradient(twin.model, -sum(kept) / tokens)) < 1e-5
    assert 0 < metrics["entropy"] <= torch.tensor(float(run.sampling.vocab_size)).log().item()


def test_a_batch_in_which_everything_is_left_out_changes_no_weight(
    case: Callable[..., Case], weights: Callable[..., Tensor]
) -> None:
    run = case()
    before = weights(run.model).clone()
    metrics = run.epoch(run.update(trained=torch.zeros(COUNT, dtype=torch.bool)))
    assert torch.equal(weights(run.model), before)
    assert metrics["loss"] == 0.0
    assert metrics["grad_norm"] == 0.0


def test_the_entropy_is_the_mean_over_the_completion_tokens(case: Callable[..., Case]) -> None:
    run = case()
    entropies = []
    with torch.no_grad():
        for i, answer in enumerate(run.rollouts.completion_ids):
            prompt = run.rollouts.prompt_ids[i // GROUP]
            p = run.model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].softmax(-1)
            entropies.append(-(p * p.log()).sum(-1))
    expected = torch.cat(entropies).mean().item()
    assert run.epoch(run.update(size=5))["entropy"] == pytest.approx(expected, rel=1e-5)
