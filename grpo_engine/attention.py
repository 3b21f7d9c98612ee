"""Attention over packed sequences and over slots: one function, registered with transformers.

An unmodified transformers model becomes a packed trainer, a prefill that reads each prompt once, and a decoder
over slots, by the keyword argument `layout` alone: it travels through the model to this function, and says which
keys each query sees. On CUDA in half precision the kernels are torch's own flash attention; everywhere else they
are dense ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from inspect import signature
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface

from grpo_engine.trunk import is_half, trunk

NAME = "grpo_engine"


class Layout(Protocol):
    """Which keys the queries of one forward pass see."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
        """Attention of one layer: (B, Hq, L, D) and twice (B, Hk, L, D) give (B, L, Hq, D)."""
        ...


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    layout: Layout | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """The function that transformers calls in every attention layer."""
    if layout is None:
        raise RuntimeError("a forward pass inside of own_attention() needs the keyword argument 'layout'")
    return layout.attend(module.layer_idx, query, key, value, scaling), None


AttentionInterface.register(NAME, attend)


@contextmanager
def own_attention(model: Any) -> Iterator[None]:
    """The model's layers call :func:`attend` inside of the block; a backward pass that recomputes belongs in it."""
    config = trunk(model).config
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


@cache
def _asks_for_groups(kernel: Any) -> bool:
    """torch 2.11 has no such setting: its kernels share keys among query heads unasked."""
    return "enable_gqa" in signature(kernel).parameters


def flash_serves(tensor: Tensor) -> bool:
    """Whether torch's flash kernels take this tensor (last dimension: the head's)."""
    return tensor.is_cuda and is_half(tensor) and tensor.shape[-1] <= 256 and tensor.shape[-1] % 8 == 0


@dataclass(frozen=True)
class Segment:
    """Queries [q_start, q_end) of a pack see keys [k_start, k_end) of its key list, the last ones causally."""

    q_start: int
    q_end: int
    k_start: int
    k_end: int


@dataclass(frozen=True)
class PackedLayout:
    """Segments of one flat row of T tokens; the queries of a segment are the last tokens of its keys.

    Attributes:
        segments: in order, their queries side by side without gaps.
        cu_q, cu_k: (S+1,) int32 bounds of the segments' queries and keys, as the flash kernels want them.
        keys: (Tk,) which tokens are the keys, where a token serves several segments (a shared prompt); None if
            each segment sees its own tokens only.
        store: where prefill keeps keys and values: the cache, and (T,) slot and (T,) position of each token.
    """

    segments: Sequence[Segment]
    cu_q: Tensor
    cu_k: Tensor
    keys: Tensor | None = None
    store: tuple[SlotCache, Tensor, Tensor] | None = None

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
        """See :class:`Layout`; B is 1 and L is T."""
        q, k, v = (t[0].transpose(0, 1) for t in (query, key, value))  # (T, heads, D)
        if self.store is not None:
            cache, slots, positions = self.store
            cache.write(layer, slots, positions, k, v)
        if self.keys is not None:
            k, v = k.index_select(0, self.keys), v.index_select(0, self.keys)  # its gradient needs no sorting
        if flash_serves(q):
            return self._flash(q, k, v, scale)[None]
        return self._dense(q, k, v, scale)[None]

    @cached_property
    def _longest(self) -> tuple[int, int]:
        """Tokens of the longest queries and the longest keys of a segment."""
        return max(s.q_end - s.q_start for s in self.segments), max(s.k_end - s.k_start for s in self.segments)

    def _flash(self, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> Tensor:
        from torch.nn.attention.varlen import varlen_attn  # needs a CUDA build

        grouped: dict[str, Any] = {"enable_gqa": q.shape[1] != k.shape[1]} if _asks_for_groups(varlen_attn) else {}
        out = varlen_attn(
            q,
            k,
            v,
            self.cu_q,
            self.cu_k,
            *self._longest,
            scale=scale,
            window_size=(-1, 0),  # causal, aligned at the end: the first query of a suffix sees the whole prompt
            **grouped,
        )
        assert isinstance(out, Tensor)  # no auxiliary outputs were asked for
        return out

    def _dense(self, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> Tensor:
        q_sizes, k_sizes = [s.q_end - s.q_start for s in self.segments], [s.k_end - s.k_start for s in self.segments]
        outs = []
        # One split, not a slice per segment: the gradient of each slice would be as large as the pack.
        for own_q, own_k, own_v in zip(*map(torch.split, (q, k, v), (q_sizes, k_sizes, k_sizes)), strict=True):
            mask = None
            if len(own_q) != len(own_k):  # SDPA aligns its causal mask at the start
                mask = torch.ones(len(own_q), len(own_k), dtype=torch.bool, device=q.device)
                mask = mask.tril(len(own_k) - len(own_q))
            part = F.scaled_dot_product_attention(
                own_q.transpose(0, 1)[None],
                own_k.transpose(0, 1)[None],
                own_v.transpose(0, 1)[None],
                attn_mask=mask,
                is_causal=mask is None,
                scale=scale,
                enable_gqa=q.shape[1] != k.shape[1],
            )
            outs.append(part[0].transpose(0, 1))
        return torch.cat(outs)


class SlotCache:
    """Keys and values of S sequences of up to T tokens, in every layer.

    Args:
        like: () an empty tensor of the model's type on its device.
        layers, kv_heads, head_dim: of the model.
        slots: S.
        length: T.

    Attributes:
        flash: whether the flash kernels read it. They read any slot in place; the dense kernels need the
            sequences in use side by side, from slot 0 on.
        counting: (S+1,) 0, 1, 2, ...
    """

    def __init__(self, like: Tensor, *, layers: int, kv_heads: int, head_dim: int, slots: int, length: int) -> None:
        self.slots, self.length = slots, length
        self.flash = flash_serves(like.new_empty(0, head_dim))
        shape = (slots, length, kv_heads, head_dim) if self.flash else (slots, kv_heads, length, head_dim)
        self.keys = [like.new_zeros(shape) for _ in range(layers)]
        self.values = [like.new_zeros(shape) for _ in range(layers)]
        self.counting = torch.arange(slots + 1, dtype=torch.int32, device=like.device)

    def write(self, layer: int, slots: Tensor, positions: Tensor, key: Tensor, value: Tensor) -> None:
        """Keep (n, heads, D) keys and values at (n,) slots and (n,) positions."""
        if self.flash:
            self.keys[layer][slots, positions] = key
            self.values[layer][slots, positions] = value
        else:
            self.keys[layer][slots, :, positions] = key
            self.values[layer][slots, :, positions] = value

    def copy(self, sources: Tensor, targets: Tensor, length: int) -> None:
        """Copy the first `length` positions of (n,) slots into (n,) others."""
        for kept in (*self.keys, *self.values):
            part = kept[:, :length] if self.flash else kept[:, :, :length]
            part[targets] = part[sources]

    def step(self, slots: Tensor, positions: Tensor, limit: int) -> SlotLayout:
        """The layout of a pass in which each of (B,) slots adds the token at its (B,) position.

        Args:
            limit: no position reaches it; the dense kernels read so many.
        """
        if self.flash:
            starts = F.pad(slots * self.length, (0, 1)).int()
            return SlotLayout(self, slots, positions, used=(positions + 1).int(), starts=starts)
        hidden = torch.arange(limit, device=positions.device) > positions[:, None]
        bias = torch.zeros(hidden.shape, dtype=self.keys[0].dtype, device=hidden.device)
        bias = bias.masked_fill(hidden, -torch.inf)
        return SlotLayout(self, slots, positions, bias=bias.repeat_interleave(self.keys[0].shape[1], 0)[:, None])


def cache_for(model: Any, *, slots: int, length: int) -> SlotCache:
    """A cache of the model's shape and type, on its device."""
    config = trunk(model).config
    heads = config.num_attention_heads
    return SlotCache(
        model.get_output_embeddings().weight.new_empty(()),
        layers=config.num_hidden_layers,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
        slots=slots,
        length=length,
    )


@dataclass(frozen=True)
class SlotLayout:
    """One token for each of B slots.

    Attributes:
        used, starts: (B,) and (B+1,) int32 keys in use and first row of each slot, for the flash kernels.
        bias: (B * Hk, 1, limit) 0 on keys in use, -inf elsewhere, for the dense ones; the slots are 0 to B-1.
    """

    cache: SlotCache
    slots: Tensor
    positions: Tensor
    used: Tensor | None = None
    starts: Tensor | None = None
    bias: Tensor | None = None

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
        """See :class:`Layout`; L is 1."""
        self.cache.write(layer, self.slots, self.positions, key[:, :, 0], value[:, :, 0])
        keys, values = self.cache.keys[layer], self.cache.values[layer]
        if self.bias is not None:
            return self._dense(query, keys, values, scale)
        rows = keys.shape[0] * keys.shape[1]
        out: Tensor = torch.ops.aten._flash_attention_forward(
            query[:, :, 0],
            keys.view(rows, *keys.shape[2:]),
            values.view(rows, *values.shape[2:]),
            self.cache.counting[: len(self.slots) + 1],  # one query each
            self.starts,  # with seqused_k only the starts are read, so the slots may come in any order
            1,
            self.cache.length,
            0.0,
            False,
            False,
            scale=scale,
            seqused_k=self.used,
        )[0]
        return out[:, None]

    def _dense(self, query: Tensor, keys: Tensor, values: Tensor, scale: float | None) -> Tensor:
        assert self.bias is not None
        batch, heads, _, dim = query.shape
        kv_heads, limit = keys.shape[1], self.bias.shape[-1]
        grouped = query.reshape(batch * kv_heads, heads // kv_heads, dim)
        k, v = (c.view(-1, c.shape[2], dim)[: batch * kv_heads, :limit] for c in (keys, values))
        scores = torch.baddbmm(self.bias, grouped, k.transpose(1, 2), alpha=dim**-0.5 if scale is None else scale)
        wide = torch.float32 if is_half(scores) else scores.dtype
        return torch.bmm(scores.softmax(-1, dtype=wide).to(v.dtype), v).view(batch, 1, heads, dim)
