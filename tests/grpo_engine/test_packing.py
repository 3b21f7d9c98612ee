"""Packs hold every completion once, within the budget, and score and train exactly as each sequence alone does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from grpo_engine.attention import PackedLayout, Segment
from grpo_engine.batching import TokenBatch
from grpo_engine.logprobs import FusedScorer
from grpo_engine.packing import Group, bins, groups_of, pack, pack_prompts
from grpo_engine.sampling import Sampling
from tests.grpo_engine.families import FAMILIES, VOCAB, alone, exact_norms, make

SAMPLING = Sampling(vocab_size=VOCAB, eos_ids=(1,))
PROMPTS = [[3, 4, 5, 6, 7], [8], [3, 4, 5, 6, 7]]
COMPLETIONS = [
    *([10, 11, 1], [12], [13, 14, 15, 16, 17, 18], [2, 1]),
    *([19, 20, 21], [1], [22, 23], [24, 25, 26, 1]),
    *([0, 0, 1], [10, 11, 1], [1], [9] * 7),
]
GROUP = len(COMPLETIONS) // len(PROMPTS)
ALL = [True] * len(COMPLETIONS)
GROUPS = groups_of(PROMPTS, COMPLETIONS, ALL)
LONGEST = max(map(len, COMPLETIONS))
SAMPLED = -torch.arange(len(COMPLETIONS) * LONGEST).view(-1, LONGEST) / 100
WEIGHTS = torch.randn(len(COMPLETIONS), LONGEST, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
BUDGETS = (1, 7, 12, 20, 1000)


def packs(token_budget: int, groups: Sequence[Group] = GROUPS) -> list[TokenBatch]:
    return [pack(content, sampled=SAMPLED) for content in bins(groups, token_budget)]


def parts(batch: TokenBatch) -> list[tuple[int, Tensor]]:
    """Each completion of a pass: its row in the rollouts, and which of the tokens are its own."""
    return [(row, batch.sequence == i) for i, row in enumerate(batch.rows.tolist())]


# Groups


def test_a_group_is_a_prompt_with_its_completions_that_are_kept() -> None:
    kept = [i not in (1, 4, 5, 6, 7) for i in range(len(COMPLETIONS))]
    first, third = groups_of(PROMPTS, COMPLETIONS, kept)  # the second keeps none
    assert first == Group(PROMPTS[0], [0, 2, 3], [COMPLETIONS[i] for i in (0, 2, 3)])
    assert third == Group(PROMPTS[2], [8, 9, 10, 11], COMPLETIONS[8:])
    assert groups_of(PROMPTS, COMPLETIONS, [False] * len(COMPLETIONS)) == []


def test_equal_prompts_stay_two_groups() -> None:
    assert PROMPTS[0] == PROMPTS[2]
    assert [list(g.rows) for g in GROUPS] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_a_group_counts_its_prompt_once_and_no_last_tokens() -> None:
    assert Group([1, 2, 3], [0, 1, 2], [[4, 5], [6], [7, 8, 9]]).tokens == 3 + 1 + 0 + 2
    for group in GROUPS:
        assert pack([group], sampled=SAMPLED).inputs["input_ids"].shape == (1, group.tokens)


# Bins


@pytest.mark.parametrize("token_budget", [*BUDGETS, *range(2, 60, 3)])
def test_every_completion_is_in_one_bin_with_its_prompt_and_bins_keep_the_budget(token_budget: int) -> None:
    found = bins(GROUPS, token_budget)
    seen = []
    for content in found:
        assert sum(g.tokens for g in content) <= token_budget or (len(content) == 1 and len(content[0].rows) == 1)
        for group in content:
            for row, completion in zip(group.rows, group.completions, strict=True):
                seen.append(row)
                assert completion == COMPLETIONS[row]
                assert group.prompt == PROMPTS[row // GROUP]
    assert sorted(seen) == list(range(len(COMPLETIONS)))


@pytest.mark.parametrize("token_budget", range(max(g.tokens for g in GROUPS), 50))
def test_a_group_that_fits_stays_whole(token_budget: int) -> None:
    whole = [g for content in bins(GROUPS, token_budget) for g in content]
    assert sorted(whole, key=lambda g: g.rows[0]) == GROUPS


def test_only_a_group_above_the_budget_is_split() -> None:
    sizes = [g.tokens for g in GROUPS]
    split = [g for content in bins(GROUPS, min(sizes)) for g in content]
    for group in GROUPS:
        pieces = [g for g in split if set(g.rows) <= set(group.rows)]
        assert (len(pieces) == 1) == (group.tokens == min(sizes))


def test_a_completion_above_the_budget_has_a_bin_of_its_own_and_the_others_share() -> None:
    long, short = Group([3], [0], [[5] * 100]), [Group([3], [i], [[5, 6, 7]]) for i in range(1, 5)]
    found = bins([*short, long], 10)
    assert [long] in found
    assert sorted(len(content) for content in found) == [1, 1, 3]  # three of 3 tokens fit into 10


def test_everything_that_fits_together_is_one_pass() -> None:
    total = sum(g.tokens for g in GROUPS)
    assert len(bins(GROUPS, total)) == 1
    assert len(bins(GROUPS, total - 1)) == 2


def test_small_groups_fill_the_bins_of_large_ones_whatever_their_order() -> None:
    sizes = [4, 6, 4, 6]
    groups = [Group([3] * size, [row], [[5]]) for row, size in enumerate(sizes)]
    for order in (groups, groups[::-1], sorted(groups, key=lambda g: g.tokens)):
        assert [sum(g.tokens for g in content) for content in bins(order, 10)] == [10, 10]


def test_no_groups_need_no_pass() -> None:
    assert bins([], 100) == []


@pytest.mark.parametrize("token_budget", [20, 35, 60])
def test_at_most_one_bin_is_no_more_than_half_full(token_budget: int) -> None:
    groups = [Group([3] * (1 + i % 7), [i], [[4] * (1 + i % 13)]) for i in range(60)]
    fills = [sum(g.tokens for g in content) for content in bins(groups, token_budget)]
    assert sum(fill <= token_budget // 2 for fill in fills) <= 1


# A pack by hand


def test_a_pack_is_prompt_and_completions_side_by_side_each_prompt_once() -> None:
    groups = [Group([3, 4, 5], [4, 6], [[10, 11, 12], [13, 14]]), Group([7, 8], [1], [[15, 16]])]
    sampled = torch.arange(70.0).view(7, 10)
    batch = pack(groups, sampled=sampled)
    #                                          prompt   c4      c6  prompt c1
    assert batch.inputs["input_ids"].tolist() == [[3, 4, 5, 10, 11, 13, 7, 8, 15]]
    assert batch.inputs["position_ids"].tolist() == [[0, 1, 2, 3, 4, 3, 0, 1, 2]]
    layout = batch.inputs["layout"]
    assert isinstance(layout, PackedLayout)
    assert layout.keys is not None
    assert layout.keys.tolist() == [*[0, 1, 2], *[0, 1, 2, 3, 4], *[0, 1, 2, 5], *[6, 7], *[6, 7, 8]]
    assert layout.segments == (
        Segment(0, 3, 0, 3),
        Segment(3, 5, 3, 8),
        Segment(5, 6, 8, 12),
        Segment(6, 8, 12, 14),
        Segment(8, 9, 14, 17),
    )
    assert layout.cu_q.tolist() == [0, 3, 5, 6, 8, 9]
    assert layout.cu_k.tolist() == [0, 3, 8, 12, 14, 17]
    assert layout.cu_q.dtype == layout.cu_k.dtype == torch.int32
    assert batch.rows.tolist() == [4, 6, 1]
    assert batch.states.tolist() == [2, 3, 4, 2, 5, 7, 8]  # the prompt's last state predicts each first token
    assert batch.targets.tolist() == [10, 11, 12, 13, 14, 15, 16]
    assert batch.sequence.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert batch.lengths.tolist() == [3, 2, 2]
    assert batch.sampled.tolist() == [40, 41, 42, 60, 61, 10, 11]


def test_a_pack_of_one_token_completions_is_its_prompts() -> None:
    batch = pack([Group([3, 4], [0, 1], [[5], [6]])], sampled=SAMPLED)
    assert batch.inputs["input_ids"].tolist() == [[3, 4]]
    assert batch.inputs["layout"].keys is None
    assert batch.states.tolist() == [1, 1]
    assert batch.targets.tolist() == [5, 6]
    assert batch.sequence.tolist() == [0, 1]


def test_prompts_alone_are_packed_without_a_gap_and_know_their_slots() -> None:
    cache: Any = object()
    inputs, ends = pack_prompts([[3, 4, 5], [6], [7, 8]], [9, 2, 4], cache, torch.device("cpu"))
    layout = inputs["layout"]
    assert isinstance(layout, PackedLayout)
    assert inputs["input_ids"].tolist() == [[3, 4, 5, 6, 7, 8]]  # type: ignore[attr-defined]
    assert inputs["position_ids"].tolist() == [[0, 1, 2, 0, 0, 1]]  # type: ignore[attr-defined]
    assert layout.keys is None
    assert layout.segments == (Segment(0, 3, 0, 3), Segment(3, 4, 3, 4), Segment(4, 6, 4, 6))
    assert layout.store is not None
    assert layout.store[0] is cache
    assert [part.tolist() for part in layout.store[1:]] == [[9, 9, 9, 2, 4, 4], [0, 1, 2, 0, 0, 1]]
    assert ends.tolist() == [2, 3, 5]


@pytest.mark.parametrize("token_budget", BUDGETS)
def test_the_tokens_of_a_pass_are_its_completions_and_their_log_probabilities_as_sampled(token_budget: int) -> None:
    for batch in packs(token_budget):
        ids = batch.inputs["input_ids"].flatten()
        for row, mine in parts(batch):
            answer = COMPLETIONS[row]
            assert batch.targets[mine].tolist() == answer
            assert torch.equal(batch.sampled[mine], SAMPLED[row, : len(answer)])
            assert ids[batch.states[mine]].tolist() == [PROMPTS[row // GROUP][-1], *answer[:-1]]


# Against each sequence alone


def scored(model: Any, batches: Sequence[TokenBatch]) -> dict[int, Tensor]:
    found = {}
    for batch in batches:
        logprobs = FusedScorer(model, SAMPLING).score(batch).logprobs
        found |= {row: logprobs[mine] for row, mine in parts(batch)}
    return found


def gradients(model: Any, batches: Sequence[TokenBatch]) -> dict[str, Tensor]:
    """Of the weighted sum of all log-probabilities, over all passes."""
    model.zero_grad()

    def sums(weight: Tensor) -> Tensor:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        return weight.grad

    for batch in batches:
        mine = torch.cat([WEIGHTS[row, : len(COMPLETIONS[row])] for row in batch.rows.tolist()])

        def loss(logprobs: Tensor, tokens: slice, mine: Tensor = mine) -> Tensor:
            return logprobs * mine[tokens].to(logprobs.dtype)

        FusedScorer(model, SAMPLING).backward(batch, loss, whole=False, sums=sums)
    return grads_of(model)


def grads_of(model: Any) -> dict[str, Tensor]:
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


def plain_gradients(model: Any, rows: Sequence[int]) -> dict[str, Tensor]:
    """The definition: autograd through the model's own forward pass of one sequence after the other."""
    model.zero_grad()
    for row in rows:
        logprobs = alone(model, PROMPTS[row // GROUP], COMPLETIONS[row])
        (logprobs * WEIGHTS[row, : len(logprobs)].to(logprobs.dtype)).sum().backward()
    return grads_of(model)


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], relative: float) -> None:
    for name, wanted in expected.items():
        error = (found[name] - wanted).norm() / wanted.norm()
        # A bias on all keys cancels in the softmax: its gradient is rounding alone.
        assert error <= relative or (name.endswith("k_proj.bias") and wanted.norm() < 1e-10), (name, float(error))


@pytest.mark.parametrize("token_budget", [12, 1000])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_log_probabilities_are_those_of_each_sequence_alone_in_single_precision(
    family: str, token_budget: int
) -> None:
    model = make(family)
    for row, found in scored(model, packs(token_budget)).items():
        with torch.no_grad():
            expected = alone(model, PROMPTS[row // GROUP], COMPLETIONS[row])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("token_budget", BUDGETS)
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_log_probabilities_are_those_of_each_sequence_alone_in_double_precision(
    family: str, token_budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact_norms(monkeypatch)
    model = make(family, dtype=torch.float64)
    found = scored(model, packs(token_budget))
    assert sorted(found) == list(range(len(COMPLETIONS)))
    for row, logprobs in found.items():
        with torch.no_grad():
            expected = alone(model, PROMPTS[row // GROUP], COMPLETIONS[row])
        torch.testing.assert_close(logprobs, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_gradients_are_those_of_each_sequence_alone_whatever_the_budget(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact_norms(monkeypatch)
    model = make(family, dtype=torch.float64)
    expected = plain_gradients(model, range(len(COMPLETIONS)))
    for token_budget in BUDGETS:
        batches = packs(token_budget)
        assert_close(gradients(model, batches), expected, 1e-9)
    assert_close(gradients(model, batches[::-1]), expected, 1e-9)


def test_completions_of_one_group_in_two_packs_have_the_gradient_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    exact_norms(monkeypatch)
    model, group = make("qwen3", dtype=torch.float64), GROUPS[0]
    halves = [
        pack([Group(group.prompt, group.rows[s], group.completions[s])], sampled=SAMPLED)
        for s in (slice(1, 3), slice(3, 4), slice(0, 1))
    ]
    together = [pack([group], sampled=SAMPLED)]
    assert_close(gradients(model, halves), gradients(model, together), 1e-9)
    assert_close(gradients(model, halves), plain_gradients(model, group.rows), 1e-9)


@pytest.mark.parametrize("kept", [{0, 5, 11}, {3}, {1, 5, 10}], ids=str)
def test_completions_that_are_not_kept_add_nothing(kept: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    exact_norms(monkeypatch)
    model = make("llama", dtype=torch.float64)
    groups = groups_of(PROMPTS, COMPLETIONS, [i in kept for i in range(len(COMPLETIONS))])
    assert_close(gradients(model, packs(30, groups)), plain_gradients(model, sorted(kept)), 1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_checkpointing_gives_the_same_gradient(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exact_norms(monkeypatch)
    model = make(family, dtype=torch.float64).train()
    expected = gradients(model, packs(30))
    calls: list[int] = []
    attend = PackedLayout.attend

    def counted(self: PackedLayout, layer: int, *rest: Any) -> Tensor:
        calls.append(layer)
        return attend(self, layer, *rest)

    monkeypatch.setattr(PackedLayout, "attend", counted)
    enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)  # its older name
    enable({"use_reentrant": False})
    assert_close(gradients(model, packs(30)), expected, 1e-12)
    assert calls.count(0) == 2 * len(packs(30))  # on the way forward, and again on the way back


def test_a_pack_leaves_the_attention_of_the_model_as_it_was() -> None:
    model = make("llama")
    own = model.config._attn_implementation
    gradients(model, packs(1000))
    assert model.config._attn_implementation == own
