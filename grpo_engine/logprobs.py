r"""Log-probabilities of completion tokens, and the gradient of a loss on them, without ever storing all logits.

Hidden states go through the head in chunks. For a chunk, with logits :math:`z = hW^\top / T`, softmax :math:`p` and
drawn tokens :math:`y`, the loss says :math:`g = \partial L / \partial \log p_y`, and then

.. math:: \partial L/\partial z = g\,(e_y - p), \quad
          \partial L/\partial h = \tfrac{1}{T}\,(\partial L/\partial z)\,W, \quad
          \partial L/\partial W = \tfrac{1}{T}\,(\partial L/\partial z)^\top h

are computed at once, in fp32, and the weight's gradient is summed in fp32. A loss that
couples the tokens of a completion (GSPO) needs all log-probabilities before its gradient, so the head runs twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from grpo_engine.attention import own_attention
from grpo_engine.batching import TokenBatch
from grpo_engine.sampling import Sampling, sampling_logits
from grpo_engine.trunk import AfterHead, after_head, head_weight, hidden_states, matmul_fp32, plain_head

CHUNK, CHUNK_ON_CUDA = 2**22, 2**27
"""Logits in flight at once: 16 MiB in fp32, and 512 MiB; three copies of it at the peak. Each chunk reads and writes
the sum of the weight's gradient once, so on CUDA a chunk needs about a thousand rows to be worth that."""

TokenLoss = Callable[[Tensor, slice], Tensor]
"""(m,) log-probabilities of some tokens and which tokens of the pass they are, to their (m,) weighted losses."""
GradientSums = Callable[[Any], Tensor]
"""A weight to the fp32 (or wider) sum of its gradient, to be added to in place."""


@dataclass(frozen=True)
class Scored:
    """What a pass says of its n tokens, in fp32 (or wider), without gradient.

    Attributes:
        logprobs: (n,) of the tokens, under the distribution that is sampled from.
        entropies: (n,) of the distributions they were drawn from, in nats.
    """

    logprobs: Tensor
    entropies: Tensor


class Scorer(Protocol):
    """Scores the completion tokens of a pass, with or without the gradient of a loss on them.

    Attributes:
        model: the causal language model that scores.
    """

    @property
    def model(self) -> Any:
        """See above."""
        ...

    def score(self, batch: TokenBatch) -> Scored:
        """Without gradient."""
        ...

    def backward(self, batch: TokenBatch, loss: TokenLoss, *, whole: bool, sums: GradientSums) -> tuple[Scored, Tensor]:
        """Score, and add the gradient of the loss to the model's.

        Args:
            batch: the pass.
            loss: see :data:`TokenLoss`.
            whole: call the loss once for all tokens of the pass, because it couples them.
            sums: where the gradient of a weight that autograd does not reach is summed.

        Returns:
            The scores, and () the sum of the weighted losses.
        """
        ...


@dataclass(frozen=True)
class FusedScorer:
    """A scorer for models whose head is a plain matrix, see :func:`grpo_engine.trunk.plain_head`."""

    model: Any
    sampling: Sampling

    @torch.no_grad()
    def score(self, batch: TokenBatch) -> Scored:
        """See :class:`Scorer`."""
        with _attention_of(self.model, batch):
            hidden = _states(self.model, batch)
        weight = head_weight(self.model, self.sampling.vocab_size)
        parts = [_chunk(hidden[c], weight, batch.targets[c], self.sampling) for c in chunks(hidden, weight)]
        return Scored(torch.cat([p.logprobs for p in parts]), torch.cat([p.entropies for p in parts]))

    def backward(self, batch: TokenBatch, loss: TokenLoss, *, whole: bool, sums: GradientSums) -> tuple[Scored, Tensor]:
        """See :class:`Scorer`."""
        with _attention_of(self.model, batch):  # a backward pass that recomputes belongs in it too
            return self._backward(batch, loss, whole=whole, sums=sums)

    def _backward(
        self, batch: TokenBatch, loss: TokenLoss, *, whole: bool, sums: GradientSums
    ) -> tuple[Scored, Tensor]:
        states = _states(self.model, batch)
        hidden, full_weight = states.detach(), self.model.get_output_embeddings().weight
        weight = full_weight.detach()[: self.sampling.vocab_size]
        weight_sum = sums(full_weight)[: len(weight)] if full_weight.requires_grad else None
        grad_hidden = torch.empty_like(hidden)
        known = _whole_gradient(hidden, weight, batch, self.sampling, loss) if whole else None
        parts: list[Scored] = []
        losses: list[Tensor] = []
        for c in chunks(hidden, weight):
            with torch.no_grad():
                part = _chunk(hidden[c], weight, batch.targets[c], self.sampling)
            if known is None:
                coefficient, value = _gradient(loss, part.logprobs, c)
                losses.append(value)
            else:
                coefficient = known[0][c]
            grad_logits = part.gradient(coefficient, batch.targets[c], self.sampling.temperature).to(weight.dtype)
            grad_hidden[c] = grad_logits @ weight
            if weight_sum is not None:
                weight_sum += matmul_fp32(grad_logits.T, hidden[c])
            parts.append(Scored(part.logprobs, part.entropies))
            del part, grad_logits  # else they live while the next chunk's are made
        if states.requires_grad:
            torch.autograd.backward(states, grad_hidden)
        total = known[1] if known else torch.stack(losses).sum()
        return Scored(torch.cat([p.logprobs for p in parts]), torch.cat([p.entropies for p in parts])), total


@dataclass(frozen=True)
class PlainScorer:
    """A scorer for every causal language model: its own head, chunks computed again in autograd's backward pass.

    Attributes:
        after: what the model does to its logits after the head.
    """

    model: Any
    sampling: Sampling
    after: AfterHead = AfterHead()

    @torch.no_grad()
    def score(self, batch: TokenBatch) -> Scored:
        """See :class:`Scorer`."""
        return self._scored(batch)

    def backward(self, batch: TokenBatch, loss: TokenLoss, *, whole: bool, sums: GradientSums) -> tuple[Scored, Tensor]:
        """See :class:`Scorer`; all chunks at once, whether the loss couples tokens or not."""
        scored = self._scored(batch)
        total = loss(scored.logprobs, slice(0, len(batch.targets))).sum()
        torch.autograd.backward(total)
        return Scored(scored.logprobs.detach(), scored.entropies), total.detach()

    def _scored(self, batch: TokenBatch) -> Scored:
        hidden = _states(self.model, batch)
        head = self.model.get_output_embeddings()
        parts = [
            checkpoint(self._chunk, head, hidden[c], batch.targets[c], use_reentrant=False, preserve_rng_state=False)
            for c in chunks(hidden, head.weight)
        ]
        logprobs, entropies = zip(*parts, strict=True)
        return Scored(torch.cat(logprobs), torch.cat(entropies).detach())

    def _chunk(self, head: Any, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.after(head(hidden))
        logp = sampling_logits(logits, self.sampling, keep=targets).log_softmax(-1)
        plain = logp.detach()
        entropy = -(plain.exp() * plain.masked_fill(plain == -torch.inf, 0.0)).sum(-1)
        return logp.gather(1, targets[:, None])[:, 0], entropy


def scorer_of(model: Any, sampling: Sampling) -> Scorer:
    """The fused scorer where the model's head allows it, the plain one elsewhere."""
    after = after_head(model)
    return FusedScorer(model, sampling) if plain_head(model, after) else PlainScorer(model, sampling, after)


def chunks(hidden: Tensor, weight: Tensor) -> Iterator[slice]:
    """Slices of (n, H) states whose logits under (V, H) weights are in flight together."""
    size = max(1, (CHUNK_ON_CUDA if hidden.is_cuda else CHUNK) // len(weight))
    return (slice(start, min(start + size, len(hidden))) for start in range(0, len(hidden), size))


def _attention_of(model: Any, batch: TokenBatch) -> AbstractContextManager[None]:
    """Packs go through our attention, padded batches through the model's."""
    return own_attention(model) if "layout" in batch.inputs else nullcontext()


def _states(model: Any, batch: TokenBatch) -> Tensor:
    """(n, H) the hidden states that predict the completion tokens."""
    return hidden_states(model, **batch.inputs).flatten(0, 1).index_select(0, batch.states)


@dataclass(frozen=True)
class _Chunk:
    """A chunk of m tokens after the head.

    Attributes:
        logprobs, entropies: (m,).
        probs: (m, V) the distributions, in fp32.
    """

    logprobs: Tensor
    entropies: Tensor
    probs: Tensor

    def gradient(self, coefficient: Tensor, targets: Tensor, temperature: float) -> Tensor:
        """(m, V) d loss / d logits, written over the distributions."""
        coefficient = coefficient / temperature
        grad = self.probs.mul_(-coefficient[:, None])
        grad.scatter_add_(1, targets[:, None], coefficient[:, None])
        return grad


def _chunk(hidden: Tensor, weight: Tensor, targets: Tensor, sampling: Sampling) -> _Chunk:
    logits = sampling_logits(matmul_fp32(hidden, weight.T), sampling, keep=targets)
    top = logits.amax(-1, keepdim=True)
    probs = (logits - top).exp_()
    total = probs.sum(-1, keepdim=True)
    normaliser = (top + total.log())[:, 0]
    logprobs = logits.gather(1, targets[:, None])[:, 0] - normaliser
    probs.div_(total)
    known = logits.masked_fill(logits == -torch.inf, 0.0) if sampling.truncates else logits
    return _Chunk(logprobs, normaliser - torch.einsum("nv,nv->n", probs, known), probs)


def _gradient(loss: TokenLoss, logprobs: Tensor, tokens: slice) -> tuple[Tensor, Tensor]:
    """(m,) d loss / d logprobs, and () the loss."""
    with torch.enable_grad():
        leaf = logprobs.detach().requires_grad_()
        total = loss(leaf, tokens).sum()
        (gradient,) = torch.autograd.grad(total, leaf)
    return gradient, total.detach()


def _whole_gradient(
    hidden: Tensor, weight: Tensor, batch: TokenBatch, sampling: Sampling, loss: TokenLoss
) -> tuple[Tensor, Tensor]:
    """(n,) d loss / d logprobs and () the loss, from a first pass over all chunks."""
    with torch.no_grad():
        found = [_chunk(hidden[c], weight, batch.targets[c], sampling).logprobs for c in chunks(hidden, weight)]
    return _gradient(loss, torch.cat(found), slice(0, len(hidden)))
