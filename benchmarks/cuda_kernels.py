"""Checks of the attention kernels alone: against a dense reference in fp32, and against the clock."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from checking import Finding, relative
from profiling import kernels_of
from torch import Tensor

from grpo_engine.attention import PackedLayout, SlotCache
from grpo_engine.packing import Group, pack

HEADS, KV_HEADS = 14, 2  # of Qwen2.5-0.5B
FORWARD, BACKWARD = 1e-2, 2e-2
"""Relative errors that bf16 explains: it rounds by 2^-9 = 0.002, in the backward pass several times."""
BANDWIDTH = 4.3e12
"""Bytes per second of a copy on an H200, as measured with torch."""


def versions(device: str) -> Iterator[Finding]:
    """What there is, and the signatures that the engine calls."""
    import transformers

    libraries = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    yield Finding("torch", None, f"{torch.__version__}, {libraries}")
    yield Finding("transformers", None, transformers.__version__)
    if device != "cpu":
        p = torch.cuda.get_device_properties(0)
        yield Finding("device", None, f"{p.name}, {p.total_memory / 2**30:.0f} GiB, {p.multi_processor_count} SMs")
    from torch.nn.attention.varlen import varlen_attn

    names = [*inspect.signature(varlen_attn).parameters]
    yield Finding("varlen_attn takes", None, ", ".join(names))
    schema = str(torch.ops.aten._flash_attention_forward.default._schema)
    yield Finding("_flash_attention_forward takes seqused_k", "seqused_k" in schema, schema)


def dense(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(L, Hq, D) queries over (K, Hk, D) keys, the last ones causally, in the type given."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = torch.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5
    seen = torch.ones(len(q), len(k), dtype=torch.bool, device=q.device).tril(len(k) - len(q))
    return torch.einsum("hqk,khd->qhd", scores.masked_fill(~seen, -torch.inf).softmax(-1), v)


def slots_cache(device: str, *, slots: int, length: int, head_dim: int) -> SlotCache:
    """One layer of a cache, full of numbers, those that no one may read too."""
    like = torch.empty((), dtype=torch.bfloat16, device=device)
    cache = SlotCache(like, layers=1, kv_heads=KV_HEADS, head_dim=head_dim, slots=slots, length=length)
    cache.keys[0].normal_()
    cache.values[0].normal_(std=3.0)
    return cache


def slot_attention(device: str) -> Iterator[Finding]:
    """Decoding over slots in any order, at ragged positions."""
    torch.manual_seed(0)
    for head_dim in (64, 128):
        cache = slots_cache(device, slots=40, length=640, head_dim=head_dim)
        chosen = random.Random(0).sample(range(40), 17) if cache.flash else [*range(17)]
        slots = torch.tensor(chosen, device=device)
        positions = torch.tensor([0, 1, 639, *random.Random(1).sample(range(640), 14)], device=device)
        q, k, v = (torch.randn(17, h, 1, head_dim, device=device).bfloat16() for h in (HEADS, KV_HEADS, KV_HEADS))
        out = cache.step(slots, positions, 640).attend(0, q, k, v, None)[:, 0]
        rows = []
        for i, (slot, last) in enumerate(zip(slots.tolist(), positions.tolist(), strict=True)):
            keys, values = (
                c[0][slot, : last + 1] if cache.flash else c[0][slot, :, : last + 1].transpose(0, 1)
                for c in (cache.keys, cache.values)
            )
            rows.append(dense(q[i].transpose(0, 1).float(), keys.float(), values.float())[0])
        error = relative(out, torch.stack(rows))
        wrote = relative(keys[-1], k[-1, :, 0]) == 0.0
        kind = "flash, seqused_k" if cache.flash else "dense kernels"
        yield Finding(f"slot attention, {kind}, head {head_dim}, against fp32", error < FORWARD, f"{error:.1e}")
        yield Finding(f"the new key is in its slot, head {head_dim}", wrote, str(wrote))


def packed_layout(device: str) -> tuple[PackedLayout, int]:
    """Two prompts with completions that share them; and their tokens."""
    groups, row = [], 0
    for prompt, lengths in ((37, (2, 65, 130, 9)), (128, (300, 1, 77))):
        rows = range(row, row + len(lengths))
        row += len(lengths)
        groups.append(Group([2] * prompt, rows, [[3] * n for n in lengths]))
    layout = pack(groups, sampled=torch.zeros(row, 300, device=device)).inputs["layout"]
    return layout, sum(g.tokens for g in groups)


def packed_attention(device: str) -> Iterator[Finding]:
    """Packs with a shared prefix, forward and backward."""
    torch.manual_seed(0)
    layout, tokens = packed_layout(device)
    for head_dim in (64, 128):
        given = [
            torch.randn(1, h, tokens, head_dim, device=device).bfloat16().requires_grad_()
            for h in (HEADS, KV_HEADS, KV_HEADS)
        ]
        wide = [t.detach().float().requires_grad_() for t in given]
        out = layout.attend(0, *given, None)[0]
        q, k, v = (t[0].transpose(0, 1) for t in wide)
        if layout.keys is not None:
            k, v = k[layout.keys], v[layout.keys]
        parts = [dense(q[s.q_start : s.q_end], k[s.k_start : s.k_end], v[s.k_start : s.k_end]) for s in layout.segments]
        expected = torch.cat(parts)
        upstream = torch.randn_like(expected)
        gradients = torch.autograd.grad(out, given, upstream.bfloat16())
        references = torch.autograd.grad(expected, wide, upstream.bfloat16().float())
        error = relative(out, expected)
        yield Finding(f"packed attention, head {head_dim}, forward, against fp32", error < FORWARD, f"{error:.1e}")
        errors = [relative(g, r) for g, r in zip(gradients, references, strict=True)]
        figure = ", ".join(f"d{n} {e:.1e}" for n, e in zip("qkv", errors, strict=True))
        yield Finding(f"packed attention, head {head_dim}, backward", max(errors) < BACKWARD, figure)


def kernel_names(device: str) -> Iterator[Finding]:
    """Which kernels torch starts for a decoding step and for a pack."""
    if device == "cpu":
        yield Finding("kernels", None, "none on the CPU")
        return
    cache = slots_cache(device, slots=64, length=640, head_dim=64)
    slots = torch.arange(64, device=device)
    q, k, v = (torch.randn(64, h, 1, 64, device=device).bfloat16() for h in (HEADS, KV_HEADS, KV_HEADS))
    step = cache.step(slots, slots + 100, 640)
    layout, tokens = packed_layout(device)
    given = [
        torch.randn(1, h, tokens, 64, device=device).bfloat16().requires_grad_() for h in (HEADS, KV_HEADS, KV_HEADS)
    ]
    runs: dict[str, Callable[[], Any]] = {
        "slots": lambda: step.attend(0, q, k, v, None),
        "pack": lambda: layout.attend(0, *given, None).sum().backward(),
    }
    for name, call in runs.items():
        call()
        seen = [k.name for k in kernels_of(call, cuda=True)]
        flash = [n[:150] for n in dict.fromkeys(seen) if "flash" in n.lower() or "fmha" in n.lower()]
        yield Finding(f"kernels of {name}", bool(flash), f"{len(seen)} in all; {' | '.join(flash) or seen}")


def decode_speed(device: str) -> Iterator[Finding]:
    """One layer's attention of one decoding step: do the flash kernels serve, or are dense ones faster?"""
    for slots, length in ((512, 640), (64, 640), (8, 2_048)) if device != "cpu" else ((4, 64),):
        layers = min(64, max(2, 2**28 // (slots * length * KV_HEADS * 64 * 4)))  # beyond the L2 cache
        like = torch.empty((), dtype=torch.bfloat16, device=device)
        cache = SlotCache(like, layers=layers, kv_heads=KV_HEADS, head_dim=64, slots=slots, length=length)
        for one in (*cache.keys, *cache.values):
            one.normal_()
        rows = torch.arange(slots, device=device)
        positions = torch.full_like(rows, length - 1)
        q, k, v = (torch.randn(slots, h, 1, 64, device=device).bfloat16() for h in (HEADS, KV_HEADS, KV_HEADS))
        step = cache.step(rows, positions, length)
        mask = torch.ones(slots, 1, 1, length, dtype=torch.bool, device=device)
        kinds: dict[str, Callable[[int], Any]] = {
            "ours (write and attend)": lambda i, step=step, q=q, k=k, v=v: step.attend(i, q, k, v, None),
            "dense SDPA with a mask": lambda i, cache=cache, q=q, mask=mask: F.scaled_dot_product_attention(
                q,
                *(_heads_first(c[i], cache.flash) for c in (cache.keys, cache.values)),
                attn_mask=mask,
                enable_gqa=True,
            ),
        }
        moved = slots * length * KV_HEADS * 64 * 2 * 2
        for name, call in kinds.items():
            try:
                seconds = per_call(call, layers, device)
            except (RuntimeError, TypeError) as error:  # one kind may be missing; the other's time is still wanted
                yield Finding(f"decoding, {slots} slots x {length}, {name}", None, f"{type(error).__name__}: {error}")
                continue
            floor = f"floor {1e6 * moved / BANDWIDTH:.0f} us"
            figure = f"{1e6 * seconds:.0f} us, {moved / seconds / 1e12:.2f} of {BANDWIDTH / 1e12} TB/s ({floor})"
            yield Finding(f"decoding, {slots} slots x {length}, {name}", None, figure)


def _heads_first(cache: Tensor, flash: bool) -> Tensor:
    return cache.transpose(1, 2) if flash else cache


def per_call(call: Callable[[int], Any], layers: int, device: str, repeats: int = 10) -> float:
    """Seconds of a call, from replays of a graph over all layers: no time of the host in it."""
    if device == "cpu":
        import time

        begin = time.perf_counter()
        for i in range(layers):
            call(i)
        return (time.perf_counter() - begin) / layers
    for i in range(min(layers, 3)):
        call(i)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(layers):
            call(i)
    graph.replay()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        graph.replay()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / 1e3 / repeats / layers


KERNELS = [versions, slot_attention, packed_attention, decode_speed]
