"""Advantages of completions within their group. Pure tensor functions.

Source: Group Relative Policy Optimization, DeepSeekMath (arXiv 2402.03300), section 4.1; without the division
by the standard deviation, Dr. GRPO (arXiv 2503.20783); by the deviation of the batch, REINFORCE++.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

EPSILON = 1e-4
"""Added to the standard deviation, as in TRL and in DeepSeekMath's successors."""

Scale = Callable[[Tensor], Tensor]


def total_rewards(components: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of the reward functions, leaving out what was not scored.

    Args:
        components: (K, P, G) one value per reward function and completion; NaN means "not scored".
        weights: (K,).

    Returns:
        (P, G); NaN where no function scored the completion.
    """
    weighted = components * weights[:, None, None]
    total = weighted.nansum(dim=0)
    return total.masked_fill(weighted.isnan().all(dim=0), float("nan"))


def group_std(rewards: Tensor) -> Tensor:
    """(P, 1) sample standard deviation of each group over its scored completions; 0 below two of them."""
    count = (~rewards.isnan()).sum(dim=1, keepdim=True)
    squares = (rewards - rewards.nanmean(dim=1, keepdim=True)).square().nansum(dim=1, keepdim=True)
    return (squares / (count - 1).clamp(min=1)).sqrt()


def batch_std(rewards: Tensor) -> Tensor:
    """(1, 1) sample standard deviation over all scored completions; 0 below two of them."""
    return group_std(rewards.reshape(1, -1))


SCALES: dict[str, Scale | None] = {"group": group_std, "batch": batch_std, "none": None}
"""The values of the setting `scale_rewards`; ``None`` leaves centred rewards as they are."""


def advantages(rewards: Tensor, scale: Scale | None = group_std) -> Tensor:
    r"""Group-relative advantages.

    .. math:: A_{pg} = \frac{r_{pg} - \operatorname{mean}_g r_{pg}}{s + 10^{-4}}

    Args:
        rewards: (P, G) one row per prompt; NaN means "not scored".
        scale: gives s, broadcastable to (P, G); ``None`` divides by nothing (Dr. GRPO).

    Returns:
        (P, G), finite. A completion that was not scored and a group without variance get 0.

    Example:
        >>> advantages(torch.tensor([[1.0, 0.0, 0.0, 1.0]]), None)
        tensor([[ 0.5000, -0.5000, -0.5000,  0.5000]])
    """
    centred = rewards - rewards.nanmean(dim=1, keepdim=True)
    scaled = centred if scale is None else centred / (scale(rewards) + EPSILON)
    return scaled.nan_to_num(nan=0.0).masked_fill(no_variance(rewards)[:, None], 0.0)


def no_variance(rewards: Tensor) -> Tensor:
    """(P,) whether a group teaches nothing: its scored rewards are all equal (or there are none)."""
    high = rewards.nan_to_num(nan=-torch.inf).amax(dim=1)
    low = rewards.nan_to_num(nan=torch.inf).amin(dim=1)
    return high <= low
