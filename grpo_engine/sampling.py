"""The distribution that tokens are drawn from, shared by every sampler and by the loss.

Temperature, top-k, top-p, min-p and the size of the tokenizer's vocabulary are applied in one function, so they
can not differ between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from grpo_engine.trunk import is_half

_BELOW_ONE = 1 - 2**-20  # a product with a total that was rounded must stay below the total
_BLOCK = 512  # of the vocabulary; about the square root of the largest ones


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Neutral values: temperature 1, top_k 0, top_p 1, min_p None.

    Attributes:
        vocab_size: rows of the head that the tokenizer knows; rows beyond are never sampled or scored.
        eos_ids: tokens that end a completion.
        temperature: 0 takes the likeliest token (for evaluation; the loss has no such distribution).
    """

    vocab_size: int
    eos_ids: tuple[int, ...]
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float | None = None

    @property
    def truncates(self) -> bool:
        """Whether some tokens are ruled out by top-k, top-p or min-p."""
        return bool(self.top_k) or self.top_p < 1 or bool(self.min_p)


def uniforms(seed: int, completions: int, length: int) -> Tensor:
    """(completions, length) numbers in [0, 1): all the chance that a rollout needs."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(completions, length, generator=generator).clamp(max=_BELOW_ONE)


def sampling_logits(logits: Tensor, sampling: Sampling, keep: Tensor | None = None) -> Tensor:
    """Logits of the distribution that is sampled from.

    Args:
        logits: (N, V) of the model.
        sampling: temperature and truncation.
        keep: (N,) token ids that stay in, whatever the truncation says: in the loss, the tokens that were
            sampled, so that rounding at the edge of the nucleus can not make one impossible.

    Returns:
        (N, vocab_size) fp32 (or wider), -inf where a token can not be drawn.
    """
    logits = logits[:, : sampling.vocab_size]
    logits = logits.float() if is_half(logits) else logits
    if sampling.temperature != 1:
        logits = logits / sampling.temperature
    if not sampling.truncates:
        return logits
    out = _truncated(logits.detach(), sampling)
    if keep is not None:
        out.scatter_(1, keep[:, None], False)
    return logits.masked_fill(out, -torch.inf)


def _truncated(logits: Tensor, sampling: Sampling) -> Tensor:
    """(N, V) True where a token falls to top-k, then top-p, then min-p."""
    out = torch.zeros_like(logits, dtype=torch.bool)
    if sampling.top_k:
        smallest = logits.topk(min(sampling.top_k, logits.shape[-1])).values[:, -1:]
        out = out | (logits < smallest)
    if sampling.top_p < 1:
        ranked, order = logits.masked_fill(out, -torch.inf).sort(descending=True)
        probs = ranked.softmax(-1)
        before = probs.cumsum(-1) - probs  # mass of the likelier tokens
        out = out | torch.zeros_like(out).scatter_(1, order, before >= sampling.top_p)
    if sampling.min_p:
        probs = logits.masked_fill(out, -torch.inf).softmax(-1)
        out = out | (probs < sampling.min_p * probs.amax(-1, keepdim=True))
    return out


def draw(logits: Tensor, chance: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Draw one token per row by inverse transform sampling.

    A token depends on its own logits and its own number alone, not on the rows beside it. The distribution is
    summed in blocks first, so only one block per row needs a running sum.

    Args:
        logits: (N, V) of the model.
        chance: (N,) numbers in [0, 1), from :func:`uniforms`.
        sampling: the distribution.

    Returns:
        (N,) token ids and (N,) log-probabilities under the distribution; NaN where the logits are not finite.
    """
    if sampling.temperature == 0:
        top, token = logits[:, : sampling.vocab_size].max(-1)
        return token, (top - top).to(chance.dtype)  # 0, or NaN where the logits are not finite
    scores = sampling_logits(logits, sampling)
    top = scores.amax(-1, keepdim=True)
    mass = (scores - top).exp_()
    totals = _block_sums(mass).cumsum(-1)
    point = chance[:, None] * totals[:, -1:]
    block = torch.searchsorted(totals, point, right=True).clamp_(max=totals.shape[1] - 1)
    before = totals.gather(1, (block - 1).clamp(min=0)).masked_fill(block == 0, 0.0)
    inside = block * _BLOCK + torch.arange(_BLOCK, device=mass.device)
    beyond = inside >= mass.shape[1]
    part = mass.gather(1, inside.clamp_(max=mass.shape[1] - 1)).masked_fill(beyond, 0.0)
    place = torch.searchsorted(part.cumsum(-1) + before, point, right=True)
    # Rounding can put the point past the block's own sum; then its likeliest token, never an impossible one.
    place = torch.where(place < _BLOCK, place, part.argmax(-1, keepdim=True))
    token = (block * _BLOCK + place).clamp_(max=mass.shape[1] - 1)  # beyond only where the logits are NaN
    logprobs = scores.gather(1, token) - top - totals[:, -1:].log()
    return token[:, 0], logprobs[:, 0]


def _block_sums(mass: Tensor) -> Tensor:
    """(N, ceil(V / block)) sums of neighbouring tokens."""
    whole = mass.shape[1] // _BLOCK * _BLOCK
    sums = mass[:, :whole].reshape(len(mass), -1, _BLOCK).sum(-1)
    return sums if whole == mass.shape[1] else torch.cat([sums, mass[:, whole:].sum(-1, keepdim=True)], dim=1)
