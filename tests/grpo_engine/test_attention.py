"""Attention over packs and slots is the textbook's, with the keys that the layout says and no others."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from grpo_engine import attention as module
from grpo_engine.attention import PackedLayout, Segment, SlotCache, attend, cache_for, flash_serves, own_attention
from tests.grpo_engine.families import FAMILIES, make

DIM = 8
HEADS = [(4, 4), (4, 2), (4, 1)]  # queries and keys: plain, grouped, one head of keys for all


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def textbook(q: Tensor, k: Tensor, v: Tensor, seen: Tensor, scale: float) -> Tensor:
    """softmax(q k^T scale) v over the keys that are seen: (Hq, L, D), twice (Hk, K, D), (L, K) give (L, Hq, D)."""
    share = len(q) // len(k)
    outs = []
    for head in range(len(q)):
        scores = (q[head] @ k[head // share].T) * scale
        weights = scores.exp() * seen
        outs.append(weights / weights.sum(-1, keepdim=True) @ v[head // share])
    return torch.stack(outs, dim=1)


def layout_of(segments: list[Segment], keys: list[int] | None, **more: Any) -> PackedLayout:
    return PackedLayout(
        segments,
        cu_q=torch.tensor([0, *(s.q_end for s in segments)], dtype=torch.int32),
        cu_k=torch.tensor([0, *(s.k_end for s in segments)], dtype=torch.int32),
        keys=None if keys is None else torch.tensor(keys),
        **more,
    )


# Two prompts of 3 and 2 tokens (0-2, 8-9); the first has completions of 2 and 3 tokens (3-4, 5-7), the second one of 1.
TOKENS = 11
SHARED = layout_of(
    [Segment(0, 3, 0, 3), Segment(3, 5, 3, 8), Segment(5, 8, 8, 14), Segment(8, 10, 14, 16), Segment(10, 11, 16, 19)],
    [0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2, 5, 6, 7, 8, 9, 8, 9, 10],
)
SEEN = [
    [0],
    [0, 1],
    [0, 1, 2],
    [0, 1, 2, 3],
    [0, 1, 2, 3, 4],
    [0, 1, 2, 5],
    [0, 1, 2, 5, 6],
    [0, 1, 2, 5, 6, 7],
    [8],
    [8, 9],
    [8, 9, 10],
]


def mask_of(seen: list[list[int]], keys: int) -> Tensor:
    mask = torch.zeros(len(seen), keys, dtype=torch.float64)
    for query, places in enumerate(seen):
        mask[query, places] = 1
    return mask


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("heads", HEADS)
def test_a_completion_sees_its_prompt_and_its_own_past_alone(heads: tuple[int, int], scale: float | None) -> None:
    q, k, v = (
        rand(1, heads[0], TOKENS, DIM),
        rand(1, heads[1], TOKENS, DIM, seed=1),
        rand(1, heads[1], TOKENS, DIM, seed=2),
    )
    expected = textbook(q[0], k[0], v[0], mask_of(SEEN, TOKENS), scale or 1 / math.sqrt(DIM))
    found = SHARED.attend(0, q, k, v, scale)
    torch.testing.assert_close(found, expected[None], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("heads", HEADS)
def test_separate_sequences_of_one_row_do_not_see_each_other(heads: tuple[int, int]) -> None:
    q, k, v = (rand(1, count, 6, DIM, seed=i) for i, count in enumerate((heads[0], heads[1], heads[1])))
    found = layout_of([Segment(0, 1, 0, 1), Segment(1, 4, 1, 4), Segment(4, 6, 4, 6)], None).attend(0, q, k, v, None)
    seen = mask_of([[0], [1], [1, 2], [1, 2, 3], [4], [4, 5]], 6)
    expected = textbook(q[0], k[0], v[0], seen, 1 / math.sqrt(DIM))
    torch.testing.assert_close(found, expected[None], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("heads", HEADS)
def test_the_gradient_of_a_shared_prompt_is_the_sum_over_its_completions(heads: tuple[int, int]) -> None:
    shapes = [(1, heads[0], TOKENS, DIM), (1, heads[1], TOKENS, DIM), (1, heads[1], TOKENS, DIM)]
    q, k, v = (rand(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes))
    direction = rand(1, TOKENS, heads[0], DIM, seed=7)
    found = torch.autograd.grad((SHARED.attend(0, q, k, v, None) * direction).sum(), (q, k, v))
    plain = textbook(q[0], k[0], v[0], mask_of(SEEN, TOKENS), 1 / math.sqrt(DIM))
    expected = torch.autograd.grad((plain * direction[0]).sum(), (q, k, v))
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-11)


# Slots

SLOTS, LENGTH = 4, 7


def cache_of(kv_heads: int, fill: float = 0.0) -> SlotCache:
    cache = SlotCache(
        torch.empty((), dtype=torch.float64), layers=2, kv_heads=kv_heads, head_dim=DIM, slots=SLOTS, length=LENGTH
    )
    for part in (*cache.keys, *cache.values):
        part.fill_(fill)
    return cache


@pytest.mark.parametrize("limit", [5, LENGTH])
@pytest.mark.parametrize("stale", [0.0, 1e4])
@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("heads", HEADS)
def test_a_step_sees_the_past_of_its_own_slot_and_nothing_that_was_there_before(
    heads: tuple[int, int], scale: float | None, stale: float, limit: int
) -> None:
    hq, hk = heads
    cache, batch, positions = cache_of(hk, stale), 3, torch.tensor([4, 0, 2])
    past_k, past_v = rand(batch, hk, LENGTH, DIM, seed=1), rand(batch, hk, LENGTH, DIM, seed=2)
    for slot, length in enumerate(positions.tolist()):
        where = torch.full((length,), slot), torch.arange(length)
        cache.write(1, *where, past_k[slot, :, :length].transpose(0, 1), past_v[slot, :, :length].transpose(0, 1))
    q, k, v = rand(batch, hq, 1, DIM, seed=3), rand(batch, hk, 1, DIM, seed=4), rand(batch, hk, 1, DIM, seed=5)
    found = cache.step(torch.arange(batch), positions, limit).attend(1, q, k, v, scale)
    for slot, length in enumerate(positions.tolist()):
        keys = torch.cat([past_k[slot, :, :length], k[slot]], dim=1)
        values = torch.cat([past_v[slot, :, :length], v[slot]], dim=1)
        expected = textbook(q[slot], keys, values, torch.ones(1, length + 1), scale or 1 / math.sqrt(DIM))
        torch.testing.assert_close(found[slot], expected, rtol=1e-12, atol=1e-12)


def test_a_step_keeps_its_keys_and_values_and_touches_no_other_slot_position_or_layer() -> None:
    cache, positions = cache_of(2), torch.tensor([3, 1])
    k, v = rand(2, 2, 1, DIM, seed=1), rand(2, 2, 1, DIM, seed=2)
    cache.step(torch.arange(2), positions, 4).attend(1, rand(2, 4, 1, DIM), k, v, None)
    for layers, new in ((cache.keys, k), (cache.values, v)):
        wanted = torch.zeros(SLOTS, 2, LENGTH, DIM, dtype=torch.float64)
        wanted[0, :, 3], wanted[1, :, 1] = new[0, :, 0], new[1, :, 0]
        assert torch.equal(layers[1], wanted)
        assert torch.equal(layers[0], torch.zeros_like(wanted))


def test_a_prefill_keeps_the_keys_and_values_of_each_prompt_in_its_slot() -> None:
    cache = cache_of(2)
    slots, positions = torch.tensor([2, 2, 2, 0, 0]), torch.tensor([0, 1, 2, 0, 1])
    layout = layout_of([Segment(0, 3, 0, 3), Segment(3, 5, 3, 5)], None, store=(cache, slots, positions))
    k, v = rand(1, 2, 5, DIM, seed=1), rand(1, 2, 5, DIM, seed=2)
    layout.attend(0, rand(1, 4, 5, DIM), k, v, None)
    for layers, new in ((cache.keys, k), (cache.values, v)):
        wanted = torch.zeros(SLOTS, 2, LENGTH, DIM, dtype=torch.float64)
        wanted[2, :, :3], wanted[0, :, :2] = new[0, :, :3], new[0, :, 3:]
        assert torch.equal(layers[0], wanted)
        assert torch.equal(layers[1], torch.zeros_like(wanted))


def test_a_copy_takes_the_first_positions_of_every_layer_to_the_other_slots() -> None:
    cache = cache_of(2)
    for i, part in enumerate((*cache.keys, *cache.values)):
        part.copy_(rand(*part.shape, seed=i))
    before = [part.clone() for part in (*cache.keys, *cache.values)]
    cache.copy(torch.tensor([1, 1]), torch.tensor([3, 0]), 4)
    for part, old in zip((*cache.keys, *cache.values), before, strict=True):
        for target in (3, 0):
            assert torch.equal(part[target, :, :4], old[1, :, :4])
            assert torch.equal(part[target, :, 4:], old[target, :, 4:])
        assert torch.equal(part[1:3], old[1:3])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cache_has_the_models_shape_and_type(family: str) -> None:
    model = make(family, dtype=torch.bfloat16)
    config, layer = model.config, model.model.layers[0].self_attn
    cache = cache_for(model, slots=3, length=11)
    kv_heads = config.num_key_value_heads
    assert len(cache.keys) == len(cache.values) == config.num_hidden_layers
    for part in (*cache.keys, *cache.values):
        assert part.shape == (3, kv_heads, 11, layer.k_proj.out_features // kv_heads)
        assert part.dtype == torch.bfloat16
    assert (cache.slots, cache.length) == (3, 11)


def test_a_cache_of_a_model_without_grouped_heads_has_all_of_them(absolute: Any) -> None:
    cache = cache_for(absolute, slots=1, length=2)
    assert cache.keys[0].shape == (1, absolute.config.n_head, 2, absolute.config.n_embd // absolute.config.n_head)


# The model's own attention


def test_the_models_own_attention_comes_back_also_after_an_error() -> None:
    model = make("llama")
    own = model.config._attn_implementation
    with own_attention(model):
        assert model.model.layers[0].self_attn.config._attn_implementation == module.NAME
    assert model.config._attn_implementation == own
    with pytest.raises(KeyError), own_attention(model):
        raise KeyError
    assert model.config._attn_implementation == own


def test_a_forward_pass_without_a_layout_is_an_error_and_no_wrong_result() -> None:
    model = make("llama")
    with own_attention(model), pytest.raises(RuntimeError, match="'layout'"):
        model(torch.tensor([[1, 2]]))


def test_the_function_hands_the_layer_and_its_scale_to_the_layout() -> None:
    class Layout:
        def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
            return torch.tensor([layer, scale])

    layer = make("qwen3").model.layers[1].self_attn
    nothing = torch.empty(1, 1, 1, 1)
    out, weights = attend(layer, nothing, nothing, nothing, None, scaling=layer.scaling, dropout=0.0, layout=Layout())
    assert out.tolist() == [1.0, layer.scaling]
    assert weights is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_flash_kernels_are_not_asked_for_on_the_cpu(dtype: torch.dtype) -> None:
    assert not flash_serves(torch.empty(2, 64, dtype=dtype))
