"""The loss per token and its weights: three numbers by hand, gradients by numpy, the whole by TRL's own code."""

from __future__ import annotations

import math
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from grpo_engine.objective import (
    TOKEN_WEIGHTS,
    clipped_objective,
    clipped_tokens,
    kl_k3,
    masked_mean,
)

LENGTHS = (5, 1, 3, 2, 5, 4)
MAX_LENGTH = 8
LOW, HIGH, BETA = 0.2, 0.28, 0.04


class Batch:
    """Six completions in fp64 whose ratios lie on both sides of both bounds."""

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        shape = (len(LENGTHS), max(LENGTHS))

        def draw(scale: float) -> torch.Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64) * scale

        self.old = draw(1.0) - 2
        self.logprobs = (self.old + draw(0.4)).requires_grad_()
        self.reference = self.old + draw(0.4)
        self.advantage = torch.tensor([1.0, -1.0, 0.5, 0.0, -2.0, 1.5], dtype=torch.float64)[:, None]
        self.mask = (torch.arange(shape[1]) < torch.tensor(LENGTHS)[:, None]).double()


def loss_of(batch: Batch, kind: str, rows: slice = slice(None)) -> torch.Tensor:
    """The share that `rows` have in the loss of the whole batch."""
    logprobs = batch.logprobs[rows]
    per_token = clipped_objective((logprobs - batch.old[rows]).exp(), batch.advantage[rows], LOW, HIGH)
    per_token = per_token + BETA * kl_k3(logprobs, batch.reference[rows])
    weights = TOKEN_WEIGHTS[kind](
        batch.mask[rows], completions=len(LENGTHS), tokens=sum(LENGTHS), max_length=MAX_LENGTH
    )
    return (per_token * weights).sum()


def oracle(batch: Batch, kind: str) -> tuple[float, np.ndarray]:
    """Loss and gradient, token by token, as the papers write them."""
    gradient = np.zeros(batch.old.shape)
    total = 0.0
    for i, length in enumerate(LENGTHS):
        weight = {
            "grpo": 1 / len(LENGTHS) / length,
            "dapo": 1 / sum(LENGTHS),
            "bnpo": 1 / sum(LENGTHS),
            "dr_grpo": 1 / len(LENGTHS) / MAX_LENGTH,
        }[kind]
        for t in range(length):
            logp, old, ref = (x[i, t].item() for x in (batch.logprobs, batch.old, batch.reference))
            advantage, ratio = float(batch.advantage[i]), math.exp(logp - old)
            clipped = min(max(ratio, 1 - LOW), 1 + HIGH)
            surrogate = min(ratio * advantage, clipped * advantage)
            kl = math.exp(ref - logp) - (ref - logp) - 1
            total += weight * (BETA * kl - surrogate)
            moves = ratio * advantage <= clipped * advantage  # the unclipped branch, whose gradient is not 0
            gradient[i, t] = weight * (BETA * (1 - math.exp(ref - logp)) - moves * ratio * advantage)
    return total, gradient


def test_the_worked_example_of_a_probability_that_rose_from_one_half() -> None:
    ratio = torch.tensor([[0.7 / 0.5]])
    assert ratio.item() == pytest.approx(1.4)
    assert clipped_objective(ratio, torch.tensor([[1.0]]), 0.2, 0.2).item() == pytest.approx(-1.2)
    assert clipped_objective(ratio, torch.tensor([[-1.0]]), 0.2, 0.2).item() == pytest.approx(1.4)


def test_the_worked_example_of_a_kl_of_three_tokens() -> None:
    policy, reference = (0.5, 0.25, 0.8), (0.25, 0.5, 0.8)
    by_hand = [q / p - math.log(q / p) - 1 for p, q in zip(policy, reference, strict=True)]
    assert by_hand == pytest.approx([0.5 + math.log(2) - 1, 2 - math.log(2) - 1, 0.0])
    got = kl_k3(torch.tensor([policy]).log(), torch.tensor([reference]).log())
    torch.testing.assert_close(got, torch.tensor([by_hand]))
    assert 0.04 * got.mean().item() == pytest.approx(0.04 * (0.193147 + 0.306853 + 0) / 3, abs=1e-6)


@pytest.mark.parametrize("kind", list(TOKEN_WEIGHTS))
def test_the_loss_and_its_gradient_are_those_of_the_definition(kind: str) -> None:
    batch = Batch()
    loss = loss_of(batch, kind)
    loss.backward()
    expected, gradient = oracle(batch, kind)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(batch.logprobs.grad.numpy(), gradient, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("kind", list(TOKEN_WEIGHTS))
def test_a_batch_split_into_micro_batches_gives_the_loss_and_gradient_of_the_whole(kind: str) -> None:
    whole, split = Batch(), Batch()
    expected = loss_of(whole, kind)
    expected.backward()
    parts = [loss_of(split, kind, rows) for rows in (slice(0, 1), slice(1, 3), slice(3, 6))]
    for part in parts:
        part.backward()
    assert sum(p.item() for p in parts) == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(split.logprobs.grad, whole.logprobs.grad, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", list(TOKEN_WEIGHTS))
def test_what_lies_outside_of_the_mask_has_no_influence(kind: str) -> None:
    clean, dirty = Batch(), Batch()
    with torch.no_grad():
        for values in (dirty.logprobs, dirty.old, dirty.reference):
            values[dirty.mask == 0] = -1.0
    assert loss_of(dirty, kind).item() == pytest.approx(loss_of(clean, kind).item(), rel=1e-14)
    loss_of(dirty, kind).backward()
    assert (dirty.logprobs.grad[dirty.mask == 0] == 0).all()


def test_a_completion_without_trained_tokens_weighs_nothing_but_counts_as_a_completion() -> None:
    mask = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    for kind, each in {"grpo": 1 / (2 * 2), "dapo": 1 / 2, "bnpo": 1 / 2, "dr_grpo": 1 / (2 * 4)}.items():
        weights = TOKEN_WEIGHTS[kind](mask, completions=2, tokens=2, max_length=4)
        assert weights.tolist() == [[each, each], [0.0, 0.0]]


def test_a_batch_without_trained_tokens_has_weights_of_zero() -> None:
    for weigh in TOKEN_WEIGHTS.values():
        assert weigh(torch.zeros(2, 3), completions=2, tokens=0, max_length=4).tolist() == [[0.0] * 3] * 2


def test_in_grpo_a_short_completion_counts_like_a_long_one_and_in_dapo_a_token_like_a_token() -> None:
    batch = Batch()
    sizes = {"completions": len(LENGTHS), "tokens": sum(LENGTHS), "max_length": MAX_LENGTH}
    grpo = TOKEN_WEIGHTS["grpo"](batch.mask, **sizes).sum(1)
    torch.testing.assert_close(grpo, torch.full_like(grpo, 1 / len(LENGTHS)))
    dapo = TOKEN_WEIGHTS["dapo"](batch.mask, **sizes)
    assert dapo[batch.mask == 1].unique().tolist() == [1 / sum(LENGTHS)]
    assert dapo.sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("ratio", "advantage", "slope"),
    [
        (1.1, 1.0, 1.0),
        (1.5, 1.0, 0.0),
        (1.5, -1.0, -1.0),
        (0.9, -1.0, -1.0),
        (0.5, -1.0, 0.0),
        (0.5, 1.0, 1.0),
        (1.0, 1.0, 1.0),
        (1.25, 1.0, 1.0),
        (0.78, -1.0, 0.0),
    ],
)
def test_the_clip_takes_the_gradient_exactly_where_the_step_would_go_too_far(
    ratio: float, advantage: float, slope: float
) -> None:
    r = torch.tensor([[ratio]], requires_grad=True)
    a = torch.tensor([[advantage]])
    clipped_objective(r, a, LOW, HIGH).sum().backward()
    assert r.grad.item() == -slope
    low, high = clipped_tokens(r, a, LOW, HIGH)
    assert bool(low | high) == (slope == 0)


def test_low_and_high_clips_are_told_apart() -> None:
    ratio = torch.tensor([[0.5, 1.5, 0.5, 1.5]])
    advantage = torch.tensor([[-1.0, 1.0, 1.0, -1.0]])
    low, high = clipped_tokens(ratio, advantage, LOW, HIGH)
    assert low.tolist() == [[True, False, False, False]]
    assert high.tolist() == [[False, True, False, False]]


def test_the_first_update_is_the_plain_policy_gradient() -> None:
    logprobs = torch.tensor([[-0.3, -1.2]], dtype=torch.float64, requires_grad=True)
    clipped_objective((logprobs - logprobs.detach()).exp(), torch.tensor([[1.75]]), 0.2, 0.2).sum().backward()
    assert logprobs.grad.tolist() == [[-1.75, -1.75]]


def test_the_kl_is_never_negative_and_zero_only_where_both_agree() -> None:
    d = torch.linspace(-8, 8, 1001, dtype=torch.float64)
    kl = kl_k3(torch.zeros_like(d), d)
    assert (kl >= 0).all()
    assert (kl[d.abs() > 1e-9] > 0).all()
    assert kl_k3(torch.zeros(1), torch.zeros(1)).item() == 0.0


def test_the_kl_of_nearly_equal_policies_keeps_its_digits_in_fp32() -> None:
    d = 1e-3
    assert kl_k3(torch.zeros(1), torch.tensor([d])).item() == pytest.approx(d**2 / 2 + d**3 / 6, rel=1e-3)


def test_a_policy_above_the_reference_is_lowered_by_the_kl_and_one_below_is_raised() -> None:
    logprobs = torch.tensor([-1.0, -3.0], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([-2.0, -2.0], dtype=torch.float64)
    kl_k3(logprobs, reference).sum().backward()
    torch.testing.assert_close(logprobs.grad, 1 - (reference - logprobs.detach()).exp())
    assert logprobs.grad[0] > 0  # descent subtracts it
    assert logprobs.grad[1] < 0


def test_the_expected_kl_over_the_policys_own_tokens_is_the_exact_one() -> None:
    policy = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    reference = torch.tensor([0.25, 0.25, 0.25, 0.25], dtype=torch.float64)
    exact = (policy * (policy / reference).log()).sum().item()
    assert (policy * kl_k3(policy.log(), reference.log())).sum().item() == pytest.approx(exact)


def test_a_masked_mean_counts_only_the_mask_and_is_zero_without_one() -> None:
    values = torch.tensor([[1.0, 2.0, 100.0]])
    assert masked_mean(values, torch.tensor([[1.0, 1.0, 0.0]])).item() == 1.5
    assert masked_mean(values, torch.zeros(1, 3)).item() == 0.0


def trl_loss(module: Any, batch: Batch, kind: str) -> torch.Tensor:
    """TRL's own `_compute_loss` on our numbers, the model replaced by the log-probabilities."""
    ids = torch.zeros(batch.old.shape, dtype=torch.long)
    accelerator = SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x)
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *a, **k: (batch.logprobs, torch.zeros_like(batch.old), None),
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="token",
        beta=BETA,
        epsilon_low=LOW,
        epsilon_high=HIGH,
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
        loss_type=kind,
        use_vllm=False,
        model=SimpleNamespace(training=True),
        current_gradient_accumulation_steps=1,
        max_completion_length=MAX_LENGTH,
        accelerator=accelerator,
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )
    inputs = {
        "prompt_ids": ids[:, :1],
        "prompt_mask": torch.ones_like(ids[:, :1]),
        "completion_ids": ids,
        "completion_mask": batch.mask,
        "advantages": batch.advantage[:, 0],
        "old_per_token_logps": batch.old,
        "ref_per_token_logps": batch.reference,
        "num_items_in_batch": batch.mask.sum(),
    }
    loss: torch.Tensor = module.GRPOTrainer._compute_loss(trainer, None, inputs)
    return loss


@pytest.mark.parametrize("kind", list(TOKEN_WEIGHTS))
def test_the_loss_and_its_gradient_are_those_of_trl(kind: str) -> None:
    module = pytest.importorskip("trl.trainer.grpo_trainer")
    ours, theirs = Batch(), Batch()
    loss, expected = loss_of(ours, kind), trl_loss(module, theirs, kind)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(ours.logprobs.grad, theirs.logprobs.grad, rtol=1e-6, atol=1e-12)
