"""Log-probabilities of sampled tokens, under exactly the distribution they were sampled from.

The sampler and the loss share :func:`sampling_logits`, so temperature, top-k, top-p, min-p and the size of the
tokenizer's vocabulary can not differ between the two. Hidden states go through the head in chunks that are
computed again in the backward pass: (B, T, V) logits are never stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

CHUNK_ELEMENTS = 2**24
"""Logits in flight at once: 64 MiB in fp32, a few copies of it at the peak."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. Neutral values: temperature 1, top_k 0, top_p 1, min_p None.

    Attributes:
        vocab_size: rows of the head that the tokenizer knows; rows beyond are never sampled or scored.
        eos_ids: tokens that end a completion.
    """

    vocab_size: int
    eos_ids: tuple[int, ...]
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float | None = None


def sampling_logits(logits: Tensor, sampling: Sampling, keep: Tensor | None = None) -> Tensor:
    """Logits of the distribution that is sampled from.

    Args:
        logits: (N, V) of the model.
        sampling: temperature and truncation.
        keep: (N,) token ids that stay in, whatever the truncation says: in the loss, the tokens that were
            sampled, so that rounding at the edge of the nucleus can not make one impossible.

    Returns:
        (N, V) fp32 (or wider), -inf where a token can not be drawn.
    """
    logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    if sampling.vocab_size < logits.shape[-1]:
        beyond = torch.arange(logits.shape[-1], device=logits.device) >= sampling.vocab_size
        logits = logits.masked_fill(beyond, -torch.inf)
    logits = logits / sampling.temperature
    if not sampling.top_k and sampling.top_p >= 1 and not sampling.min_p:
        return logits
    out = _truncated(logits.detach(), sampling)
    if keep is not None:
        out.scatter_(1, keep[:, None], False)
    return logits.masked_fill(out, -torch.inf)


def _truncated(logits: Tensor, sampling: Sampling) -> Tensor:
    """(N, V) True where a token falls to top-k, then top-p, then min-p."""
    out = logits == -torch.inf
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


def token_logprobs(logits: Tensor, tokens: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Log-probability of each token and entropy of its distribution.

    Args:
        logits: (N, V) of the model.
        tokens: (N,) ids that were drawn.

    Returns:
        (N,) log-probabilities with gradient, (N,) entropies in nats without.
    """
    logp = sampling_logits(logits, sampling, keep=tokens).log_softmax(-1)
    plain = logp.detach()
    entropy = -(plain.exp() * plain.masked_fill(plain == -torch.inf, 0.0)).sum(-1)
    return logp.gather(1, tokens[:, None])[:, 0], entropy


class TokenScorer(nn.Module):
    """A causal language model that returns log-probabilities instead of logits.

    It is the module that accelerate wraps, so that gradients are reduced by the engine the user chose.
    """

    def __init__(self, model: Any, sampling: Sampling) -> None:
        super().__init__()
        self.model: Any = model
        self.sampling = sampling

    def forward(self, input_ids: Tensor, attention_mask: Tensor, completion_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Score the completion tokens of padded sequences.

        Args:
            input_ids: (B, L) prompt and completion, right-padded.
            attention_mask: (B, L) 1 on real tokens.
            completion_mask: (B, L) True on completion tokens; False at position 0.

        Returns:
            (B, L) log-probabilities and (B, L) entropies, 0 outside of the completion mask.
        """
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        hidden = decoder(self.model)(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False
        ).last_hidden_state
        rows = hidden[:, :-1][completion_mask[:, 1:]]  # the state before a token predicts it
        tokens = input_ids[:, 1:][completion_mask[:, 1:]]
        head = self.model.get_output_embeddings()
        size = max(1, CHUNK_ELEMENTS // head.weight.shape[0])
        chunks = [
            self._chunk(head, h, t) for h, t in zip(torch.split(rows, size), torch.split(tokens, size), strict=True)
        ]
        logprobs, entropies = (torch.cat(values) for values in zip(*chunks, strict=True))
        empty = torch.zeros(input_ids.shape, dtype=logprobs.dtype, device=input_ids.device)
        return empty.masked_scatter(completion_mask, logprobs), empty.masked_scatter(completion_mask, entropies)

    def _chunk(self, head: Any, hidden: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        def run(hidden: Tensor) -> tuple[Tensor, Tensor]:
            return token_logprobs(_soft_capped(head(hidden), self.model), tokens, self.sampling)

        if not torch.is_grad_enabled():
            return run(hidden)
        scored: tuple[Tensor, Tensor] = checkpoint(run, hidden, use_reentrant=False, preserve_rng_state=False)
        return scored


def decoder(model: Any) -> Any:
    """The part of a causal language model below its head."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # a PEFT wrapper
    return base.get_decoder() if hasattr(base, "get_decoder") else base.base_model


def _soft_capped(logits: Tensor, model: Any) -> Tensor:
    """Gemma 2 squeezes its logits after the head; other models leave them."""
    cap = getattr(getattr(model, "config", None), "final_logit_softcapping", None)
    return logits if not cap else torch.tanh(logits / float(cap)) * float(cap)
