"""Advantages by hand, by a few lines of numpy, and by TRL's own code."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from grpo_engine.advantages import (
    EPSILON,
    SCALES,
    advantages,
    batch_std,
    group_std,
    no_variance,
    total_rewards,
)

NAN = math.nan


def oracle(rewards: np.ndarray, kind: str) -> np.ndarray:
    """The definition: centre each row on its scored values, divide, give 0 to everything that cannot be compared."""
    result = np.zeros_like(rewards)
    for p, row in enumerate(rewards):
        scored = ~np.isnan(row)
        if len(set(row[scored])) < 2:
            continue
        spread = {"group": row[scored], "batch": rewards[~np.isnan(rewards)]}.get(kind)
        divisor = 1.0 if spread is None else spread.std(ddof=1) + EPSILON
        result[p, scored] = (row[scored] - row[scored].mean()) / divisor
    return result


def random_rewards(seed: int) -> torch.Tensor:
    """Binary and real rewards, some not scored, one group without variance, one with a single scored value."""
    generator = torch.Generator().manual_seed(seed)
    rewards = torch.rand(9, 6, generator=generator, dtype=torch.float64)
    rewards[::2] = rewards[::2].round()
    rewards[torch.rand(9, 6, generator=generator) < 0.2] = NAN
    rewards[3] = 1.0
    rewards[4, 1:] = NAN
    rewards[5] = NAN
    return rewards


def test_the_worked_example_of_four_right_and_four_wrong_completions() -> None:
    rewards = torch.tensor([[1.0, 0, 0, 1, 1, 0, 1, 0]], dtype=torch.float64)
    std = math.sqrt(8 * 0.5**2 / 7)
    assert rewards.mean() == 0.5
    assert std == pytest.approx(0.5345, abs=5e-5)
    assert group_std(rewards).item() == pytest.approx(std)
    value = 0.5 / (std + 1e-4)
    assert value == pytest.approx(0.935, abs=5e-4)
    signs = torch.tensor([[1.0, -1, -1, 1, 1, -1, 1, -1]], dtype=torch.float64)
    torch.testing.assert_close(advantages(rewards), signs * value)


@pytest.mark.parametrize("kind", ["group", "batch", "none"])
@pytest.mark.parametrize("seed", range(3))
def test_every_scale_equals_the_definition_in_numpy(kind: str, seed: int) -> None:
    rewards = random_rewards(seed)
    got = advantages(rewards, SCALES[kind])
    np.testing.assert_allclose(got.numpy(), oracle(rewards.numpy(), kind), rtol=1e-12, atol=1e-15)


def test_the_advantages_of_a_group_add_up_to_zero() -> None:
    for scale in SCALES.values():
        torch.testing.assert_close(
            advantages(random_rewards(1), scale).sum(1), torch.zeros(9, dtype=torch.float64), atol=1e-12, rtol=0
        )


def test_a_group_depends_on_no_other_group_unless_the_scale_is_the_batch() -> None:
    one, two = torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([[7.0, 100.0, -4.0]])
    both = torch.cat([one, two])
    assert torch.equal(advantages(both)[:1], advantages(one))
    assert not torch.equal(advantages(both, batch_std)[:1], advantages(one, batch_std))


def test_a_completion_that_was_not_scored_gets_zero_and_does_not_move_the_mean() -> None:
    with_gap = advantages(torch.tensor([[1.0, NAN, 0.0, 1.0]]))
    without = advantages(torch.tensor([[1.0, 0.0, 1.0]]))
    assert with_gap[0, 1] == 0
    torch.testing.assert_close(with_gap[0, [0, 2, 3]], without[0])


@pytest.mark.parametrize(
    "row",
    [
        [NAN, NAN, NAN, NAN],
        [NAN, 5.0, NAN, NAN],
        [0.0, 0.0, 0.0, 0.0],
        [0.9, NAN, 0.9, 0.9],  # whose mean is not 0.9 in fp32
        [1e6, 1e6, NAN, 1e6],
    ],
    ids=["nothing scored", "one scored", "all wrong", "all alike", "all huge"],
)
@pytest.mark.parametrize("kind", ["group", "batch", "none"])
def test_a_group_that_cannot_be_compared_gets_exactly_zero(row: list[float], kind: str) -> None:
    rewards = torch.tensor([row, [0.0, 1.0, 0.0, 1.0]])
    got = advantages(rewards, SCALES[kind])
    assert got[0].tolist() == [0.0] * 4
    assert (got[1] != 0).all()
    assert no_variance(rewards).tolist() == [True, False]


def test_the_standard_deviation_of_fewer_than_two_scored_values_is_zero() -> None:
    assert group_std(torch.tensor([[NAN, 3.0, NAN], [NAN, NAN, NAN]])).tolist() == [[0.0], [0.0]]


def test_the_total_is_the_weighted_sum_of_what_was_scored() -> None:
    components = torch.tensor([[[1.0, NAN, NAN]], [[10.0, 20.0, NAN]], [[100.0, 200.0, NAN]]])
    total = total_rewards(components, torch.tensor([1.0, 0.5, -2.0]))
    assert total[0, :2].tolist() == [1 * 1 + 10 * 0.5 - 100 * 2, 20 * 0.5 - 200 * 2]
    assert total[0, 2].isnan()


def test_a_weight_of_zero_leaves_a_scored_completion_scored() -> None:
    total = total_rewards(torch.tensor([[[4.0, 7.0]], [[NAN, 1.0]]]), torch.tensor([0.0, 1.0]))
    assert total.tolist() == [[0.0, 1.0]]


def test_the_advantages_are_those_of_trl() -> None:
    trl = pytest.importorskip("trl.trainer.utils")
    rewards = random_rewards(2)
    for kind, std in (("group", trl.nanstd(rewards, dim=1, keepdim=True)), ("batch", trl.nanstd(rewards))):
        theirs = ((rewards - rewards.nanmean(1, keepdim=True)) / (std + 1e-4)).nan_to_num(nan=0.0)
        torch.testing.assert_close(advantages(rewards, SCALES[kind]), theirs)
