r"""The GRPO objective, per token and over a batch. Pure tensor functions.

Everything is padded: (B, T) per completion and token, with a mask that is 1.0 on completion tokens (the end
token included). Sources: PPO (arXiv 1707.06347), DeepSeekMath (arXiv 2402.03300), Schulman's notes on
approximating KL (2020), Dr. GRPO (arXiv 2503.20783), DAPO (arXiv 2503.14476).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

TokenWeights = Callable[..., Tensor]


def clipped_objective(ratio: Tensor, advantage: Tensor, epsilon_low: float, epsilon_high: float) -> Tensor:
    r"""The clipped surrogate, to be minimised.

    .. math:: -\min\bigl(r A,\ \operatorname{clip}(r, 1-\varepsilon_l, 1+\varepsilon_h) A\bigr)

    Args:
        ratio: (B, T) probability under the policy over probability under the old policy.
        advantage: (B, 1) or (B, T).
        epsilon_low: how far the ratio may fall below 1, in [0, 1].
        epsilon_high: how far it may rise above 1, >= 0.

    Returns:
        (B, T) loss per token.

    Example:
        >>> clipped_objective(torch.tensor([[0.7 / 0.5]]), torch.tensor([[1.0]]), 0.2, 0.2)
        tensor([[-1.2000]])
    """
    clipped = ratio.clamp(1 - epsilon_low, 1 + epsilon_high)
    return -torch.minimum(ratio * advantage, clipped * advantage)


def clipped_tokens(ratio: Tensor, advantage: Tensor, epsilon_low: float, epsilon_high: float) -> tuple[Tensor, Tensor]:
    """(B, T) and (B, T): where the clip took the gradient away, below (A < 0) and above (A > 0)."""
    return (ratio < 1 - epsilon_low) & (advantage < 0), (ratio > 1 + epsilon_high) & (advantage > 0)


def kl_k3(logprobs: Tensor, reference: Tensor) -> Tensor:
    r"""Schulman's k3 estimate of KL(policy || reference) at sampled tokens: non-negative, low variance.

    .. math:: e^{d} - d - 1, \quad d = \log\pi_{ref} - \log\pi

    Args:
        logprobs: (B, T) of the policy.
        reference: (B, T) of the reference policy, without gradient.
    """
    d = reference - logprobs
    return torch.expm1(d) - d


def weights_grpo(mask: Tensor, *, completions: int, tokens: int, max_length: int) -> Tensor:
    r"""Each completion counts alike: :math:`1 / (N\,T_i)` per token (DeepSeekMath).

    Args:
        mask: (B, T) 1.0 on completion tokens.
        completions: N, completions of the whole batch over all processes.
        tokens: completion tokens of the whole batch over all processes.
        max_length: the setting `max_completion_length`.

    Returns:
        (B, T) the weight of each token's loss; 0 outside of the mask.
    """
    return mask / (mask.sum(dim=1, keepdim=True).clamp(min=1) * completions)


def weights_dapo(mask: Tensor, *, completions: int, tokens: int, max_length: int) -> Tensor:
    """Each token counts alike: 1 / (tokens of the whole batch) (DAPO). Args as in :func:`weights_grpo`."""
    return mask / max(tokens, 1)


def weights_dr_grpo(mask: Tensor, *, completions: int, tokens: int, max_length: int) -> Tensor:
    """A constant: 1 / (N max_length), so that length earns nothing (Dr. GRPO). Args as in :func:`weights_grpo`."""
    return mask / (completions * max_length)


TOKEN_WEIGHTS: dict[str, TokenWeights] = {
    "grpo": weights_grpo,
    "bnpo": weights_dapo,  # BNPO divides by the tokens of its batch; with the whole batch as denominator it is DAPO
    "dr_grpo": weights_dr_grpo,
    "dapo": weights_dapo,
}
"""The values of the setting `loss_type`: how the per-token losses of a batch are weighted."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over the masked positions; 0 where there are none."""
    return (values * mask).sum() / mask.sum().clamp(min=1)
