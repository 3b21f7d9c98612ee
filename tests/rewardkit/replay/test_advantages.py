"""Specification of the advantages: equal to grpo_engine's and to TRL's, on the same rewards."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_engine import advantages as engine
from rewardkit.replay import advantages

VALUES = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0, -1.0]), st.floats(-100, 100))


@st.composite
def batches(draw: st.DrawFn) -> list[list[float | None]]:
    """P groups of G rewards."""
    size = draw(st.integers(1, 6))
    return draw(st.lists(st.lists(VALUES, min_size=size, max_size=size), min_size=1, max_size=5))


def flat(batch: list[list[float | None]]) -> tuple[list[float | None], list[list[int]]]:
    size = len(batch[0])
    groups = [list(range(start, start + size)) for start in range(0, size * len(batch), size)]
    return [reward for group in batch for reward in group], groups


def as_tensor(batch: list[list[float | None]]) -> torch.Tensor:
    values = [[math.nan if reward is None else reward for reward in group] for group in batch]
    return torch.tensor(values, dtype=torch.float64)


def trl_advantages(rewards: torch.Tensor, scale: str) -> torch.Tensor:
    """TRL 1.16's steps from weighted sums to advantages, with its own nanstd."""
    utils = pytest.importorskip("trl.trainer.utils", reason="needs TRL (the extra `trl`)")
    size = rewards.shape[1]
    flat_rewards = rewards.reshape(-1)
    mean = torch.nanmean(rewards, dim=1).repeat_interleave(size)
    if scale == "batch":
        std = utils.nanstd(flat_rewards) if flat_rewards.numel() > 1 else torch.zeros(1)
    else:
        std = utils.nanstd(rewards, dim=1).repeat_interleave(size) if size > 1 else torch.zeros_like(flat_rewards)
    centred = flat_rewards - mean
    return torch.nan_to_num(centred if scale == "none" else centred / (std + 1e-4), nan=0.0)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@given(batch=batches())
@settings(max_examples=100, deadline=None)
def test_equal_grpo_engines(scale: str, batch: list[list[float | None]]) -> None:
    rewards, groups = flat(batch)
    theirs = engine.advantages(as_tensor(batch), engine.SCALES[scale]).reshape(-1).tolist()
    assert advantages(rewards, groups, scale_rewards=scale) == pytest.approx(theirs, abs=1e-6, rel=1e-9)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@given(batch=batches())
@settings(max_examples=100, deadline=None)
def test_equal_trls(scale: str, batch: list[list[float | None]]) -> None:
    rewards, groups = flat(batch)
    theirs = trl_advantages(as_tensor(batch), scale).tolist()
    assert advantages(rewards, groups, scale_rewards=scale) == pytest.approx(theirs, abs=1e-6, rel=1e-9)


def test_the_formula_by_hand() -> None:
    std = math.sqrt((0.75**2 + 3 * 0.25**2) / 3)
    assert advantages([1.0, 0.0, 0.0, 0.0], [[0, 1, 2, 3]]) == pytest.approx(
        [0.75 / (std + 1e-4), *[-0.25 / (std + 1e-4)] * 3], rel=1e-12
    )


def test_what_was_not_scored_is_neither_in_the_mean_nor_in_the_deviation() -> None:
    std = math.sqrt(2 * 0.5**2)
    assert advantages([1.0, None, 0.0], [[0, 1, 2]]) == pytest.approx([0.5 / (std + 1e-4), 0.0, -0.5 / (std + 1e-4)])


@pytest.mark.parametrize("rewards", [[0.1, 0.1, 0.1], [None, None, None], [0.3, None, None], [0.0, -0.0, 0.0]])
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_a_group_without_differences_gets_exactly_0(rewards: list[float | None], scale: str) -> None:
    assert advantages([*rewards, 5.0, 6.0], [[0, 1, 2], [3, 4]], scale_rewards=scale)[:3] == [0.0] * 3


def test_each_batch_has_a_deviation_of_its_own() -> None:
    rewards, groups = [0.0, 1.0, 0.0, 10.0], [[0, 1], [2, 3]]
    together = advantages(rewards, groups, scale_rewards="batch")
    apart = advantages(rewards, groups, groups, scale_rewards="batch")
    assert apart == advantages(rewards, groups)
    assert abs(together[0]) < abs(apart[0])


def test_groups_may_differ_in_size_and_lie_anywhere() -> None:
    first, second = [1.0, 0.0, 2.0], [5.0, 7.0]
    mixed = advantages([first[0], second[0], first[1], second[1], first[2]], [[0, 2, 4], [1, 3]])
    assert [mixed[row] for row in (0, 2, 4)] == advantages(first, [[0, 1, 2]])
    assert [mixed[row] for row in (1, 3)] == advantages(second, [[0, 1]])


def test_epsilon_may_be_another() -> None:
    assert advantages([1.0, 0.0], [[0, 1]], epsilon=0.0) == pytest.approx([math.sqrt(0.5), -math.sqrt(0.5)])


def test_advantages_of_a_group_add_up_to_0() -> None:
    random.seed(0)
    rewards: list[float | None] = [random.gauss(0, 1) for _ in range(64)]
    groups = [list(range(start, start + 8)) for start in range(0, 64, 8)]
    found = advantages(rewards, groups)
    assert [math.fsum(found[row] for row in group) for group in groups] == pytest.approx([0.0] * 8, abs=1e-12)


def test_another_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale_rewards must be one of 'group', 'batch', 'none', got 'std'"):
        advantages([1.0], [[0]], scale_rewards="std")
