r"""The GRPO objective over the completion tokens of one pass. Pure tensor functions.

Everything is flat: (n,), one entry per completion token, without prompts or padding; `sequence` gives the completion
0..b-1 of each token, `lengths` the tokens of each completion. The loss of a pass is

.. math:: L = \sum_t w_t \bigl( c_t\, m_t\, \ell(r_t, A_t) + \beta\, k_t \bigr)

with a term l of the ratio r and the advantage A, the rollout correction c, the top-entropy mask m, the KL estimate k.
The denominators in the weights w are those of the whole batch of all processes: the losses of its passes add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

Estimator = Callable[[Tensor, Tensor], Tensor]
"""(logprobs, reference) to the estimate of KL(policy || reference), all (n,)."""
Term = Callable[[Tensor, Tensor, Tensor, "Objective"], Tensor]
"""(ratio, advantage, logprobs, objective) to the loss of the policy, all (n,)."""
Clips = Callable[[Tensor, Tensor, "Objective"], tuple[Tensor, Tensor]]
"""(ratio, advantage, objective) to two (n,) masks: what the term clips from below and from above."""
Weights = Callable[..., Tensor]
"""(sequence, lengths, *, completions, tokens, max_length) to the (n,) weights of the tokens of a pass."""


def k1(logprobs: Tensor, reference: Tensor) -> Tensor:
    r"""The plain estimate :math:`\log\pi - \log\pi_{ref}`: unbiased, of either sign.

    Its gradient is 0 in expectation, since the reference drops out: as a loss it needs `use_bias_correction_kl`.
    """
    return logprobs - reference


def k2(logprobs: Tensor, reference: Tensor) -> Tensor:
    r"""The squared estimate :math:`\tfrac12 (\log\pi - \log\pi_{ref})^2`: biased, non-negative.

    Its gradient :math:`(\log\pi - \log\pi_{ref}) \nabla\log\pi` is that of KL(policy || reference) in expectation;
    with `use_bias_correction_kl` it no longer is.
    """
    return (logprobs - reference).square() / 2


def k3(logprobs: Tensor, reference: Tensor) -> Tensor:
    r"""The low-variance estimate :math:`e^d - d - 1,\ d = \log\pi_{ref} - \log\pi`: unbiased, non-negative.

    Its gradient is :math:`(1 - e^d) \nabla\log\pi`, in expectation that of the other direction,
    KL(reference || policy). With `use_bias_correction_kl` it is :math:`-r d \nabla\log\pi`, that of
    KL(policy || reference).
    """
    d = reference - logprobs
    return torch.expm1(d) - d  # keeps its digits where both policies nearly agree


KL_ESTIMATORS: dict[str, Estimator] = {"k1": k1, "k2": k2, "k3": k3}
"""Estimates from the policy's own tokens (Schulman, Approximating KL divergence, 2020). TRL has k3."""


@dataclass(frozen=True)
class Loss:
    """A value of the setting `loss_type`.

    Attributes:
        term: the policy's loss per token.
        clips: which tokens the term clips, for the log.
        weights: how the tokens of a batch are weighted.
        sequence_level: the ratio is the completion's, whatever `importance_sampling_level` says.
        absolute_cap: `epsilon_high` is the largest ratio, not its distance from 1: no default can be right.
    """

    term: Term
    clips: Clips
    weights: Weights
    sequence_level: bool = False
    absolute_cap: bool = False


@dataclass(frozen=True)
class Objective:
    """The loss of a run and its numbers. Names are TRL's where it has them.

    Attributes:
        loss: from :data:`LOSSES`.
        max_length: the setting `max_completion_length`, in tokens.
        epsilon_low: how far the ratio may fall below 1, in [0, 1].
        epsilon_high: how far it may rise above 1, >= 0; in :func:`cispo` the largest ratio, > 0.
        delta: largest ratio of the unclipped branch of :func:`clipped`; worth setting above 1 + epsilon_high; None:
            no limit.
        beta: weight of the KL estimate, >= 0.
        kl: from :data:`KL_ESTIMATORS`.
        use_bias_correction_kl: multiply the estimate by the ratio (DeepSeek-V3.2, arXiv 2512.02556).
        sapo_temperature_pos: of :func:`sapo`, where the advantage is above 0; > 0.
        sapo_temperature_neg: the same, elsewhere.
        importance_sampling_level: "token" or "sequence"; see :func:`importance_ratio`.
        rollout_is_cap: largest ratio of a token to the sampler, >= 1; None: no limit. See :func:`importance_ratio`
            and :func:`rollout_correction`.
    """

    loss: Loss
    max_length: int
    epsilon_low: float = 0.2
    epsilon_high: float = 0.2
    delta: float | None = None
    beta: float = 0.0
    kl: Estimator = k3
    use_bias_correction_kl: bool = True
    sapo_temperature_pos: float = 1.0
    sapo_temperature_neg: float = 1.05
    importance_sampling_level: str = "token"
    rollout_is_cap: float | None = None

    @property
    def couples_tokens(self) -> bool:
        """Whether tokens of a completion share a ratio, so that a pass must see whole completions."""
        return self.loss.sequence_level or self.importance_sampling_level == "sequence"

    @classmethod
    def of(cls, settings: Any) -> Objective:
        """From settings that have :class:`grpo_engine.GRPOConfig`'s names."""
        own = {field.name for field in fields(cls)} - {"loss", "max_length", "epsilon_low", "epsilon_high", "kl"}
        return cls(
            loss=LOSSES[settings.loss_type],
            max_length=settings.max_completion_length,
            epsilon_low=settings.epsilon,
            epsilon_high=settings.epsilon if settings.epsilon_high is None else settings.epsilon_high,
            kl=KL_ESTIMATORS[settings.kl_estimator],
            **{name: getattr(settings, name) for name in own},
        )


def clipped(ratio: Tensor, advantage: Tensor, logprobs: Tensor, objective: Objective) -> Tensor:
    r"""The clipped surrogate (PPO, arXiv 1707.06347), with its two-sided form (INTELLECT-2, arXiv 2505.07291).

    .. math:: -\min\bigl(\min(r, \delta) A,\ \operatorname{clip}(r, 1-\varepsilon_l, 1+\varepsilon_h) A\bigr)

    Two epsilons are from DAPO (arXiv 2503.14476).

    Example:
        >>> objective = Objective(LOSSES["grpo"], max_length=8, epsilon_low=0.2, epsilon_high=0.2)
        >>> clipped(torch.tensor([0.7 / 0.5]), torch.tensor([1.0]), torch.tensor([0.7]).log(), objective)
        tensor([-1.2000])
    """
    inside = ratio.clamp(1 - objective.epsilon_low, 1 + objective.epsilon_high)
    return -torch.minimum(ratio.clamp(max=_limit(objective.delta)) * advantage, inside * advantage)


def clipped_where(ratio: Tensor, advantage: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """Where the clip of :func:`clipped` takes the gradient: low with A < 0, high with A > 0.

    As in TRL, the ratio is compared after `delta`, and what `delta` itself holds back (A < 0) is not counted.
    """
    ratio = ratio.clamp(max=_limit(objective.delta))
    low = (ratio < 1 - objective.epsilon_low) & (advantage < 0)
    return low, (ratio > 1 + objective.epsilon_high) & (advantage > 0)


def cispo(ratio: Tensor, advantage: Tensor, logprobs: Tensor, objective: Objective) -> Tensor:
    r"""A capped weight on the policy gradient: every token keeps a gradient (MiniMax-M1, arXiv 2506.13585).

    .. math:: -\operatorname{stopgrad}\bigl(\min(r, \varepsilon_h)\bigr)\, A \log\pi

    The cap is absolute, as in TRL; ScaleRL (arXiv 2510.13786) takes 5.
    """
    return -ratio.detach().clamp(max=objective.epsilon_high) * advantage * logprobs


def cispo_where(ratio: Tensor, advantage: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """Where :func:`cispo` caps a ratio; as in TRL, only A > 0 counts."""
    high = (ratio > objective.epsilon_high) & (advantage > 0)
    return torch.zeros_like(high), high


def sapo(ratio: Tensor, advantage: Tensor, logprobs: Tensor, objective: Objective) -> Tensor:
    r"""A smooth gate instead of a clip, of slope 1 at r = 1 (SAPO, arXiv 2511.20347).

    .. math:: -\frac{4}{\tau}\, \sigma\bigl(\tau (r - 1)\bigr) A
    """
    tau = torch.full_like(ratio, objective.sapo_temperature_neg)
    tau = tau.masked_fill(advantage > 0, objective.sapo_temperature_pos)
    return -4 / tau * torch.sigmoid(tau * (ratio - 1)) * advantage


def nowhere(ratio: Tensor, advantage: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """No token: the term clips nothing."""
    none = torch.zeros_like(ratio, dtype=torch.bool)
    return none, none


def per_completion(sequence: Tensor, lengths: Tensor, *, completions: int, tokens: int, max_length: int) -> Tensor:
    r"""Each completion counts alike: :math:`1 / (N\,T_i)` (DeepSeekMath, arXiv 2402.03300).

    Args:
        sequence: (n,) long, the completion 0..b-1 of each token.
        lengths: (b,) trained tokens of each whole completion, T_i; weights have its type, float32 for integers.
        completions: N, completions of the whole batch of all processes, those without trained tokens included.
        tokens: trained tokens of the whole batch of all processes.
        max_length: the setting `max_completion_length`.

    Returns:
        (n,) weights; the loss of a pass is the sum of its losses times them.

    Example:
        >>> per_completion(torch.tensor([0, 1, 1]), torch.tensor([1, 2]), completions=2, tokens=3, max_length=8)
        tensor([0.5000, 0.2500, 0.2500])
    """
    return (1 / (lengths * completions))[sequence]


def per_token(sequence: Tensor, lengths: Tensor, *, completions: int, tokens: int, max_length: int) -> Tensor:
    """Each token counts alike: 1 / tokens (DAPO, arXiv 2503.14476). Args as in :func:`per_completion`."""
    return (torch.ones_like(lengths) / max(tokens, 1))[sequence]


def constant(sequence: Tensor, lengths: Tensor, *, completions: int, tokens: int, max_length: int) -> Tensor:
    """1 / (N max_length): length earns nothing (Dr. GRPO, arXiv 2503.20783). Args as in :func:`per_completion`."""
    return (torch.ones_like(lengths) / (completions * max_length))[sequence]


LOSSES: dict[str, Loss] = {
    "grpo": Loss(clipped, clipped_where, per_completion),
    "bnpo": Loss(clipped, clipped_where, per_token),  # the tokens of its batch: the whole batch's here, as in DAPO
    "dr_grpo": Loss(clipped, clipped_where, constant),
    "dapo": Loss(clipped, clipped_where, per_token),
    "cispo": Loss(cispo, cispo_where, per_token, absolute_cap=True),
    "gspo": Loss(clipped, clipped_where, per_completion, sequence_level=True),  # arXiv 2507.18071
    "sapo": Loss(sapo, nowhere, per_completion),
}
"""The values of the setting `loss_type`."""


def importance_ratio(
    objective: Objective,
    logprobs: Tensor,
    *,
    old: Tensor,
    sequence: Tensor,
    lengths: Tensor,
    correction: Tensor | None = None,
) -> Tensor:
    r"""The ratio of the policy to the old policy, with gradient.

    .. math:: r_t = \frac{\pi(t)}{\pi_{old}(t)} \quad\text{or, at the level of sequences (GSPO, arXiv 2507.18071),}
        \quad r_t = \exp\Bigl(\frac{1}{T_i} \sum_{u \in i} \log\frac{\pi(u)}{\pi_{old}(u)}\Bigr)

    Without a correction the sampler is the old policy, and `rollout_is_cap` truncates the ratio, a weight against the
    sampler like :func:`rollout_correction`: above the cap it is the cap, times the gradient of the log-probability.
    Args as in :func:`token_losses`.
    """
    log_ratio = logprobs - old
    if objective.couples_tokens:
        sums = log_ratio.new_zeros(lengths.shape).index_add(0, sequence, log_ratio)
        log_ratio = (sums / lengths.clamp(min=1))[sequence]
    cap = objective.rollout_is_cap
    if cap is not None and objective.loss.absolute_cap:
        cap = max(cap, objective.epsilon_high)  # the term has a cap of its own
    if cap is not None and correction is None:
        now = log_ratio.detach()  # only the value is truncated; before exp, which may be infinite
        log_ratio = now.clamp(max=math.log(cap)) + (log_ratio - now)
    return log_ratio.exp()


def token_kl(objective: Objective, logprobs: Tensor, reference: Tensor, ratio: Tensor) -> Tensor:
    """(n,) the KL estimate as it enters the loss, before beta.

    With `use_bias_correction_kl` it is multiplied by `ratio`, from :func:`importance_ratio`: at the level of the loss
    and with its gradient, as in TRL.
    """
    estimate = objective.kl(logprobs, reference)
    return estimate * ratio if objective.use_bias_correction_kl else estimate


def token_losses(
    objective: Objective,
    logprobs: Tensor,
    *,
    old: Tensor,
    advantage: Tensor,
    sequence: Tensor,
    lengths: Tensor,
    reference: Tensor | None = None,
    entropy_mask: Tensor | None = None,
    correction: Tensor | None = None,
) -> Tensor:
    """The loss of each token, before weights.

    Without `couples_tokens` it may be called with any slice of the tokens; `sequence` and `lengths` are not read then.

    Args:
        objective: the loss and its numbers.
        logprobs: (n,) of the policy, with gradient.
        old: (n,) of the old policy, or of the sampler where that serves as the old policy.
        advantage: (n,) of each token's completion.
        sequence: (n,) long, the completion 0..b-1 of each token.
        lengths: (b,) tokens of each completion.
        reference: (n,) of the reference policy; needed where beta is not 0.
        entropy_mask: (n,) bool, tokens whose policy term counts, by :func:`top_entropy_threshold`; the KL always does.
        correction: (n,) from :func:`rollout_correction`, on the policy term and not on the KL.

    Returns:
        (n,) losses, to be minimised.

    Raises:
        ValueError: beta is not 0 and there is no reference.
    """
    ratio = importance_ratio(objective, logprobs, old=old, sequence=sequence, lengths=lengths, correction=correction)
    losses = objective.loss.term(ratio, advantage, logprobs, objective)
    if entropy_mask is not None:
        losses = losses.masked_fill(~entropy_mask, 0.0)
    if correction is not None:
        losses = losses * correction
    if not objective.beta:
        return losses
    if reference is None:
        raise ValueError(f"beta is {objective.beta}: the loss needs the reference's log-probabilities; got None")
    return losses + objective.beta * token_kl(objective, logprobs, reference, ratio)


def rollout_correction(old: Tensor, sampled: Tensor, cap: float | None) -> Tensor:
    r"""The truncated importance weight of the trainer's policy against the sampler's: a constant.

    .. math:: c_t = \min\bigl(e^{\log\pi_{old} - \log\pi_{sampler}},\ C\bigr)

    Source: TIS, Yao et al. 2025, Your efficient RL framework secretly brings you off-policy RL training.

    Args:
        old: (n,) log-probabilities of the old policy, by the trainer.
        sampled: (n,) the same tokens' as sampled.
        cap: C, the setting `rollout_is_cap`; None: no limit.

    Returns:
        (n,) weights in (0, C], without gradient.

    Example:
        >>> rollout_correction(torch.tensor([0.5, 0.8]).log(), torch.tensor([0.4, 0.2]).log(), 2.0)
        tensor([1.2500, 2.0000])
    """
    return (old - sampled).detach().exp().clamp(max=_limit(cap))


def top_entropy_threshold(entropies: Tensor, quantile: float) -> Tensor:
    """The entropy that the tokens whose policy term counts must reach (Wang et al. 2025, arXiv 2506.01939).

    The (1 - quantile) quantile with linear interpolation, as in TRL: at least one token reaches it, and so do all
    that tie with the last to do so.

    Args:
        entropies: (n,) of the whole batch of all processes, in nats.
        quantile: share of tokens to keep, in [0, 1].

    Returns:
        () the threshold; infinite where there are no tokens.

    Example:
        >>> entropies = torch.tensor([0.1, 2.0, 0.3, 1.5, 0.2])
        >>> entropies >= top_entropy_threshold(entropies, 0.4)
        tensor([False,  True, False,  True, False])
    """
    if not len(entropies):
        return entropies.new_tensor(math.inf)
    ordered = entropies.sort().values  # torch.quantile takes no more than 2**24 values
    position = (1 - quantile) * (len(ordered) - 1)
    below, above = ordered[math.floor(position)], ordered[math.ceil(position)]
    return torch.lerp(below, above, position - math.floor(position))


def _limit(value: float | None) -> float:
    return math.inf if value is None else value
