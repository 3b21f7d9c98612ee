"""What a sampler gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rollouts:
    """P prompts with G completions each; completion i belongs to prompt i // G.

    Attributes:
        prompt_ids: P lists of token ids.
        completion_ids: P*G lists of token ids, the end token included.
        logprobs: (P*G, T) log-probabilities as sampled, 0 beyond a completion's end.
        finished: (P*G,) False where the length limit cut the completion.
    """

    prompt_ids: list[list[int]]
    completion_ids: list[list[int]]
    logprobs: Tensor
    finished: Tensor


class Sampler(Protocol):
    """Samples completions: ours over slots, transformers' `generate`, or a server."""

    def __call__(self, prompt_ids: Sequence[list[int]], *, group: int, chance: Tensor) -> Rollouts:
        """Sample `group` completions for each of P prompts, with dropout off.

        Args:
            prompt_ids: P prompts.
            group: G, completions per prompt.
            chance: (P*G, C) from :func:`grpo_engine.sampling.uniforms`; C is the longest completion.
        """
        ...


def rollouts_of(
    prompt_ids: Sequence[list[int]], tokens: Tensor, logprobs: Tensor, lengths: Tensor, finished: Tensor
) -> Rollouts:
    """Rollouts from rectangles.

    Args:
        prompt_ids: P prompts.
        tokens: (B, C) drawn tokens, anything beyond a completion's length.
        logprobs: (B, C) on the device where the loss wants them.
        lengths: (B,) tokens of each completion.
        finished: (B,) whether an end token was drawn.

    Raises:
        FloatingPointError: a log-probability is not finite: the model's logits were not.
    """
    lengths, tokens = lengths.cpu(), tokens.cpu()
    longest = int(lengths.max())
    inside = (torch.arange(longest) < lengths[:, None]).to(logprobs.device)
    logprobs = logprobs[:, :longest].masked_fill(~inside, 0.0)
    if not torch.isfinite(logprobs).all():
        raise FloatingPointError(
            "the policy's logits are not finite: the weights have diverged; lower learning_rate or max_grad_norm, "
            "and resume from a checkpoint before this step"
        )
    completion_ids = [row[:n].tolist() for row, n in zip(tokens, lengths.tolist(), strict=True)]
    return Rollouts(list(prompt_ids), completion_ids, logprobs, finished.cpu())
