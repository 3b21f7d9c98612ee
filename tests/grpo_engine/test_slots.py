"""Rollouts over slots are those of `generate`, however few the slots, and read and decode no token twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from grpo_engine.attention import SlotCache
from grpo_engine.rollout import GenerateSampler, Rollouts, SlotSampler
from grpo_engine.rollout import slots as module
from grpo_engine.rollout.graphs import StepGraphs, buckets
from grpo_engine.sampling import Sampling, uniforms
from tests.grpo_engine.families import EOS, FAMILIES, VOCAB, make

PROMPTS = [[3, 4, 5], [6, 7, 8, 9, 10, 11], [12], [3, 4, 5], [21, 22]]
GROUP, LENGTH = 4, 9
ROWS = len(PROMPTS) * GROUP
SAMPLING = Sampling(vocab_size=VOCAB, eos_ids=EOS)

pytestmark = pytest.mark.timeout(20)  # a loop that waits for a slot for ever


@pytest.fixture(scope="module")
def policy() -> Any:
    return make("qwen2")


@pytest.fixture(scope="module")
def expected(policy: Any) -> Rollouts:
    return GenerateSampler(policy, SAMPLING, pad_id=0)(PROMPTS, group=GROUP, chance=chance_of())


def chance_of(rows: int = ROWS, length: int = LENGTH, seed: int = 0) -> Tensor:
    return uniforms(seed, rows, length)


def assert_same(found: Rollouts, expected: Rollouts) -> None:
    assert found.prompt_ids == expected.prompt_ids
    assert found.completion_ids == expected.completion_ids
    assert found.finished.tolist() == expected.finished.tolist()
    torch.testing.assert_close(found.logprobs, expected.logprobs, rtol=1e-5, atol=1e-5)


def plain_greedy(model: Any, prompt: list[int], eos_ids: tuple[int, ...]) -> list[int]:
    """transformers' own loop and its own choice of the token."""
    out = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        max_new_tokens=LENGTH,
        eos_token_id=list(eos_ids),
        pad_token_id=0,
    )
    tokens: list[int] = out[0, len(prompt) :].tolist()
    return tokens


@contextmanager
def memory_for(monkeypatch: pytest.MonkeyPatch, slots: int) -> Iterator[list[int]]:
    """A device whose memory holds so many slots; yields the numbers that were tried."""
    tried: list[int] = []
    real = module.cache_for

    def cache_for(model: Any, *, slots: int, length: int) -> Any:
        tried.append(slots)
        if slots > most:
            raise torch.OutOfMemoryError("no memory")
        return real(model, slots=slots, length=length)

    most = slots
    with monkeypatch.context() as patch:
        patch.setattr(module, "cache_for", cache_for)
        yield tried


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(B, L) of every forward pass of the rollouts; prefill is (1, tokens), decoding (sequences, 1)."""
    shapes: list[tuple[int, int]] = []
    real = module.hidden_states

    def hidden_states(model: Any, **inputs: Any) -> Tensor:
        shapes.append(tuple(inputs["input_ids"].shape))
        return real(model, **inputs)

    monkeypatch.setattr(module, "hidden_states", hidden_states)
    return shapes


# Equal to transformers


@pytest.mark.parametrize("eos_ids", [(1,), EOS], ids=["one end token", "several"])
@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_decoding_is_token_equal_to_transformers_own(family: str, eos_ids: tuple[int, ...]) -> None:
    model = make(family)
    greedy = Sampling(vocab_size=VOCAB, eos_ids=eos_ids, temperature=0.0)
    wanted = [plain_greedy(model, prompt, eos_ids) for prompt in PROMPTS]
    assert len({len(tokens) for tokens in wanted}) > 1 or len(eos_ids) == 1  # some end early
    for sampler in (SlotSampler(model, greedy), SlotSampler(model, greedy, slots=2), GenerateSampler(model, greedy, 0)):
        found = sampler(PROMPTS, group=1, chance=chance_of(len(PROMPTS)))
        assert found.completion_ids == wanted
        assert found.finished.tolist() == [tokens[-1] in eos_ids for tokens in wanted]
        assert (found.logprobs == 0).all()


@pytest.mark.parametrize("steps", [None, 3, 8, 100])
@pytest.mark.parametrize("slots", [1, 3, 6, ROWS - 1, None])
def test_the_number_of_slots_and_of_steps_between_two_looks_changes_nothing(
    policy: Any, expected: Rollouts, slots: int | None, steps: int | None
) -> None:
    sampler = SlotSampler(policy, SAMPLING, slots=slots, steps=steps)
    assert_same(sampler(PROMPTS, group=GROUP, chance=chance_of()), expected)
    assert sampler.slots_in_use == (slots or ROWS)


def test_the_completions_compared_end_early_late_and_never(expected: Rollouts) -> None:
    lengths = {len(ids) for ids in expected.completion_ids}
    assert {1, LENGTH} < lengths
    assert set(expected.finished.tolist()) == {True, False}
    assert len({ids[-1] for ids in expected.completion_ids} & set(EOS)) > 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "changes",
    [{"temperature": 0.6}, {"temperature": 1.3, "top_p": 0.8}, {"top_k": 5}, {"min_p": 0.1}],
    ids=["cold", "hot top_p", "top_k", "min_p"],
)
def test_every_family_and_distribution_gives_what_generate_gives(family: str, changes: dict[str, Any]) -> None:
    model, sampling = make(family, seed=1), dataclasses.replace(SAMPLING, **changes)
    wanted = GenerateSampler(model, sampling, pad_id=0)(PROMPTS, group=GROUP, chance=chance_of())
    assert_same(SlotSampler(model, sampling, slots=7, steps=2)(PROMPTS, group=GROUP, chance=chance_of()), wanted)


def test_a_policy_of_absolute_positions_with_dropout_gives_what_generate_gives(absolute: Any) -> None:
    sampling = Sampling(vocab_size=absolute.config.vocab_size, eos_ids=(1, 5, 9))
    wanted = GenerateSampler(absolute.eval(), sampling, pad_id=0)(PROMPTS, group=GROUP, chance=chance_of())
    found = SlotSampler(absolute.train(), sampling, slots=6)(PROMPTS, group=GROUP, chance=chance_of())
    assert_same(found, wanted)
    assert absolute.training


def test_a_pad_token_that_is_an_end_token_changes_nothing(policy: Any, expected: Rollouts) -> None:
    for pad in EOS:
        assert_same(GenerateSampler(policy, SAMPLING, pad)(PROMPTS, group=GROUP, chance=chance_of()), expected)


@pytest.mark.parametrize("slots", [1, 3, None])
def test_completions_of_one_token_need_no_decoding(policy: Any, slots: int | None, passes: list[Any]) -> None:
    chance = chance_of(length=1)
    found = SlotSampler(policy, SAMPLING, slots=slots)(PROMPTS, group=GROUP, chance=chance)
    assert_same(found, GenerateSampler(policy, SAMPLING, 0)(PROMPTS, group=GROUP, chance=chance))
    assert {rows for rows, _ in passes} == {1}
    assert {len(ids) for ids in found.completion_ids} == {1}


def test_one_prompt_of_one_token_with_one_completion_is_a_rollout(policy: Any) -> None:
    chance = chance_of(1)
    wanted = GenerateSampler(policy, SAMPLING, 0)([[12]], group=1, chance=chance)
    assert_same(SlotSampler(policy, SAMPLING)([[12]], group=1, chance=chance), wanted)


def test_every_sequence_that_ends_at_once_leaves_its_slot_to_the_next(policy: Any, passes: list[Any]) -> None:
    everything_ends = dataclasses.replace(SAMPLING, eos_ids=tuple(range(VOCAB)))
    found = SlotSampler(policy, everything_ends, slots=2)(PROMPTS, group=GROUP, chance=chance_of())
    assert {len(ids) for ids in found.completion_ids} == {1}
    assert found.finished.all()
    assert {rows for rows, _ in passes} == {1}


# What a completion depends on


@pytest.mark.parametrize("slots", [3, None])
def test_a_completion_does_not_depend_on_the_other_prompts(policy: Any, expected: Rollouts, slots: int | None) -> None:
    for i in range(len(PROMPTS)):
        mine = slice(i * GROUP, (i + 1) * GROUP)
        found = SlotSampler(policy, SAMPLING, slots=slots)([PROMPTS[i]], group=GROUP, chance=chance_of()[mine])
        assert found.completion_ids == expected.completion_ids[mine]


def test_the_order_of_the_prompts_changes_nothing(policy: Any, expected: Rollouts) -> None:
    order = [3, 0, 4, 2, 1]
    rows = [i * GROUP + g for i in order for g in range(GROUP)]
    found = SlotSampler(policy, SAMPLING, slots=6)([PROMPTS[i] for i in order], group=GROUP, chance=chance_of()[rows])
    assert found.completion_ids == [expected.completion_ids[row] for row in rows]


def test_equal_prompts_stay_two_groups_with_completions_of_their_own(policy: Any, expected: Rollouts) -> None:
    found = SlotSampler(policy, SAMPLING)(PROMPTS, group=GROUP, chance=chance_of())
    assert PROMPTS[0] == PROMPTS[3]
    assert found.completion_ids[:GROUP] != found.completion_ids[3 * GROUP : 4 * GROUP]
    same = chance_of()
    same[3 * GROUP : 4 * GROUP] = same[:GROUP]
    again = SlotSampler(policy, SAMPLING)(PROMPTS, group=GROUP, chance=same)
    assert again.completion_ids[:GROUP] == again.completion_ids[3 * GROUP : 4 * GROUP]


def test_the_same_seed_gives_the_same_completions_and_another_seed_others(policy: Any) -> None:
    sampler = SlotSampler(policy, SAMPLING, slots=6)
    torch.manual_seed(1)
    first = sampler(PROMPTS, group=GROUP, chance=chance_of(seed=3))
    other = sampler(PROMPTS, group=GROUP, chance=chance_of(seed=4))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = sampler(PROMPTS, group=GROUP, chance=chance_of(seed=3))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.completion_ids == again.completion_ids
    assert torch.equal(first.logprobs, again.logprobs)
    assert first.completion_ids != other.completion_ids


def test_weights_updated_in_place_between_two_rollouts_are_used(expected: Rollouts) -> None:
    model = make("qwen2")
    sampler = SlotSampler(model, SAMPLING)
    assert_same(sampler(PROMPTS, group=GROUP, chance=chance_of()), expected)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(0.8)
    found = sampler(PROMPTS, group=GROUP, chance=chance_of())
    assert_same(found, GenerateSampler(model, SAMPLING, 0)(PROMPTS, group=GROUP, chance=chance_of()))
    assert found.completion_ids != expected.completion_ids


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_beyond_the_tokenizer_are_never_sampled(temperature: float) -> None:
    model = make("qwen2", vocab_size=VOCAB + 6)
    with torch.no_grad():
        model.get_output_embeddings().weight[VOCAB:] *= 1000  # the likeliest by far, half of the time
    sampling = dataclasses.replace(SAMPLING, temperature=temperature)
    found = SlotSampler(model, sampling)(PROMPTS, group=GROUP, chance=chance_of())
    assert max(max(ids) for ids in found.completion_ids) < VOCAB
    assert_same(found, GenerateSampler(model, sampling, 0)(PROMPTS, group=GROUP, chance=chance_of()))


# Buffers


@pytest.mark.parametrize(
    ("prompts", "group", "length"),
    [
        ([[3], [4, 5]], GROUP, LENGTH),
        ([[7] * 20, [8]], GROUP, LENGTH),
        (PROMPTS, GROUP, LENGTH - 5),
        (PROMPTS, GROUP, 2 * LENGTH),
        (PROMPTS, GROUP, 1),
        ([[7] * 12, *PROMPTS], GROUP, LENGTH - 6),
        (PROMPTS, 1, LENGTH),
        (PROMPTS, 2 * GROUP, LENGTH),
    ],
    ids=[
        "shorter prompts",
        "longer prompts",
        "shorter completions",
        "longer completions",
        "completions of one token",
        "longer prompts with shorter completions",
        "fewer sequences",
        "more sequences",
    ],
)
@pytest.mark.parametrize("slots", [5, None])
def test_a_second_rollout_of_another_size_is_what_it_would_be_alone(
    policy: Any, slots: int | None, prompts: list[list[int]], group: int, length: int
) -> None:
    sampler = SlotSampler(policy, SAMPLING, slots=slots)
    sampler(PROMPTS, group=GROUP, chance=chance_of())
    chance = chance_of(len(prompts) * group, length, seed=5)
    wanted = GenerateSampler(policy, SAMPLING, 0)(prompts, group=group, chance=chance)
    assert_same(sampler(prompts, group=group, chance=chance), wanted)
    assert_same(sampler(prompts, group=group, chance=chance), wanted)


def test_buffers_that_are_large_enough_are_kept_and_released_when_asked(
    policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = SlotSampler(policy, SAMPLING)
    with memory_for(monkeypatch, ROWS) as made:
        for _ in range(3):
            sampler(PROMPTS, group=GROUP, chance=chance_of())
        assert made == [ROWS]
        sampler.release()
        sampler(PROMPTS, group=GROUP, chance=chance_of())
        assert made == [ROWS, ROWS]


@pytest.mark.parametrize("most", [1, 3, 7])
def test_too_little_memory_gives_fewer_slots_and_says_so(
    policy: Any, expected: Rollouts, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    said: list[str] = []
    sampler = SlotSampler(policy, SAMPLING, message=said.append)
    with memory_for(monkeypatch, most):
        assert_same(sampler(PROMPTS, group=GROUP, chance=chance_of()), expected)
    assert 1 <= sampler.slots_in_use <= most
    assert said == [f"memory holds {sampler.slots_in_use} of {ROWS} sequences at once; the others wait for a slot"]


@pytest.mark.parametrize("slots", [1, 3, ROWS, None])
@pytest.mark.parametrize("before", [2, None])
def test_the_number_of_slots_may_change_between_two_rollouts(
    policy: Any, expected: Rollouts, passes: list[tuple[int, int]], before: int | None, slots: int | None
) -> None:
    sampler = SlotSampler(policy, SAMPLING, slots=before)
    sampler(PROMPTS, group=GROUP, chance=chance_of())
    passes.clear()
    sampler.slots = slots
    assert_same(sampler(PROMPTS, group=GROUP, chance=chance_of()), expected)
    assert sampler.slots_in_use == (slots or ROWS)
    assert max(rows for rows, _ in passes) <= sampler.slots_in_use


def test_enough_memory_is_not_worth_a_message(policy: Any) -> None:
    said: list[str] = []
    SlotSampler(policy, SAMPLING, slots=3, message=said.append)(PROMPTS, group=GROUP, chance=chance_of())
    assert said == []


def test_a_lowered_number_of_slots_is_kept_for_the_next_rollout(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    sampler = SlotSampler(policy, SAMPLING, message=said.append)
    with memory_for(monkeypatch, 3) as tried:
        for _ in range(3):
            sampler(PROMPTS, group=GROUP, chance=chance_of())
    assert len(said) == 1
    assert tried[-1] == sampler.slots_in_use
    assert len(tried) == len(set(tried))  # the buffers of the first rollout serve the others


def test_memory_for_not_even_one_slot_is_an_error(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = policy.config._attn_implementation
    with memory_for(monkeypatch, 0), pytest.raises(torch.OutOfMemoryError):
        SlotSampler(policy, SAMPLING)(PROMPTS, group=GROUP, chance=chance_of())
    assert policy.config._attn_implementation == own


# Work


def test_a_prompt_is_read_once_for_its_group_and_a_finished_sequence_takes_no_more_steps(
    policy: Any, expected: Rollouts, passes: list[tuple[int, int]]
) -> None:
    sampler = SlotSampler(policy, SAMPLING, steps=1)
    sampler(PROMPTS, group=GROUP, chance=chance_of())
    (prefill, *steps) = passes
    assert prefill == (1, sum(map(len, PROMPTS)))
    assert {width for _, width in steps} == {1}
    assert sum(rows for rows, _ in steps) == sum(len(ids) - 1 for ids in expected.completion_ids)
    assert sampler.wasted == 0


def test_a_step_reads_no_further_than_the_longest_sequence(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, int]] = []
    real = SlotCache.step

    def step(self: SlotCache, slots: Tensor, positions: Tensor, limit: int) -> Any:
        read.append((limit, int(positions.max()) + 1))
        return real(self, slots, positions, limit)

    monkeypatch.setattr(SlotCache, "step", step)
    SlotSampler(policy, SAMPLING, slots=6, steps=1)(PROMPTS, group=GROUP, chance=chance_of())
    assert read
    assert all(limit == used for limit, used in read)


@pytest.mark.parametrize("steps", [2, 3, 8])
def test_wasted_is_the_share_of_steps_that_finished_sequences_took(
    policy: Any, expected: Rollouts, passes: list[tuple[int, int]], steps: int
) -> None:
    sampler = SlotSampler(policy, SAMPLING, steps=steps)
    sampler(PROMPTS, group=GROUP, chance=chance_of())
    useful = [len(ids) - 1 for ids in expected.completion_ids]  # the first token comes from the prompt
    taken = [min(-(-n // steps) * steps, LENGTH - 1) for n in useful]  # up to the next look, or the longest completion
    assert sum(rows for rows, _ in passes[1:]) == sum(taken)
    assert sampler.wasted == pytest.approx(1 - sum(useful) / sum(taken))
    assert sampler.wasted > 0


@pytest.mark.parametrize("slots", [3, 5, None])
def test_a_prefill_holds_no_more_prompt_tokens_than_allowed(
    policy: Any, expected: Rollouts, monkeypatch: pytest.MonkeyPatch, passes: list[tuple[int, int]], slots: int | None
) -> None:
    monkeypatch.setattr(module, "PREFILL_TOKENS", 4)
    reads: list[list[int]] = []
    real = module.pack_prompts

    def pack_prompts(prompts: Any, *rest: Any) -> Any:
        reads.append([len(prompt) for prompt in prompts])
        return real(prompts, *rest)

    monkeypatch.setattr(module, "pack_prompts", pack_prompts)
    assert_same(SlotSampler(policy, SAMPLING, slots=slots)(PROMPTS, group=GROUP, chance=chance_of()), expected)
    assert all(sum(lengths) <= 4 or len(lengths) == 1 for lengths in reads)
    assert [6] in reads  # a prompt above the limit is read alone
    assert any(len(lengths) > 1 for lengths in reads) or slots == 3


def test_a_sequence_at_the_end_of_its_slot_waits_there_for_younger_ones(policy: Any) -> None:
    prompts, none_at_first = [[7] * 12, [3], [4]], Sampling(vocab_size=VOCAB, eos_ids=(VOCAB + 1,))
    chance = chance_of(3, seed=3)
    free = GenerateSampler(policy, none_at_first, 0)(prompts, group=1, chance=chance).completion_ids
    (early,) = {free[1][1]} - {*free[0], *free[2], free[1][0]}  # ends the second alone, so the third starts late
    sampling = dataclasses.replace(none_at_first, eos_ids=(early,))
    found = SlotSampler(policy, sampling, slots=2, steps=5)(prompts, group=1, chance=chance)
    assert found.completion_ids == [free[0], free[1][:2], free[2]]


@pytest.mark.parametrize("slots", [3, 6])
def test_never_more_sequences_than_slots_run(policy: Any, passes: list[tuple[int, int]], slots: int) -> None:
    SlotSampler(policy, SAMPLING, slots=slots)(PROMPTS, group=GROUP, chance=chance_of())
    assert max(rows for rows, _ in passes) == slots


# What a rollout leaves behind


def test_the_mode_and_the_attention_of_the_model_come_back(policy: Any) -> None:
    own = policy.config._attn_implementation
    for training in (True, False):
        policy.train(training)
        SlotSampler(policy, SAMPLING)(PROMPTS, group=GROUP, chance=chance_of())
        assert policy.training is training
        assert policy.config._attn_implementation == own
        assert all(weight.grad is None for weight in policy.parameters())


@pytest.mark.parametrize("call", [0, 3], ids=["prefill", "decoding"])
def test_a_crash_in_the_model_gives_back_its_mode_and_its_attention_and_spoils_nothing(
    policy: Any, expected: Rollouts, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    own, calls, real = policy.config._attn_implementation, iter(range(100)), module.hidden_states

    def crash(model: Any, **inputs: Any) -> Tensor:
        if next(calls) == call:
            raise KeyboardInterrupt
        return real(model, **inputs)

    with monkeypatch.context() as patch:
        patch.setattr(module, "hidden_states", crash)
        sampler = SlotSampler(policy.train(), SAMPLING, slots=6)
        with pytest.raises(KeyboardInterrupt):
            sampler(PROMPTS, group=GROUP, chance=chance_of())
    assert policy.training
    assert policy.config._attn_implementation == own
    assert_same(sampler(PROMPTS, group=GROUP, chance=chance_of()), expected)
    policy.eval()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_policy_is_refused_and_its_restored_weights_sample_as_before(
    value: float, temperature: float
) -> None:
    model, sampling = make("qwen2"), dataclasses.replace(SAMPLING, temperature=temperature)
    own, sampler = model.config._attn_implementation, SlotSampler(model.train(), sampling, steps=2)
    first = sampler(PROMPTS, group=GROUP, chance=chance_of())
    norm = model.model.layers[0].input_layernorm.weight
    healthy = norm.detach().clone()
    with torch.no_grad():
        norm.fill_(value)
    with pytest.raises(FloatingPointError, match=r"not finite.*lower learning_rate"):
        sampler(PROMPTS, group=GROUP, chance=chance_of())
    assert model.training
    assert model.config._attn_implementation == own
    with torch.no_grad():
        norm.copy_(healthy)
    assert_same(sampler(PROMPTS, group=GROUP, chance=chance_of()), first)


# Sizes of graphs


@pytest.mark.parametrize("slots", [*range(1, 40), 63, 64, 65, 100, 512, 1000])
def test_a_batch_of_any_size_finds_a_graph_that_is_at_most_half_larger(slots: int) -> None:
    sizes = buckets(slots)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == slots
    for size in range(1, slots + 1):
        fitting = next(bucket for bucket in sizes if bucket >= size)
        assert fitting <= max(1.5 * size, 1)
    assert len(sizes) <= 2 * (slots.bit_length() + 1)


def test_on_the_cpu_a_step_runs_as_it_is_on_the_slots_that_run() -> None:
    seen: list[tuple[list[int], int]] = []
    step = StepGraphs(lambda slots, limit: seen.append((slots.tolist(), limit)))
    step.aim([0, 1, 2], [3, 4], 50, torch.device("cpu"))
    step(7)
    step(8)
    step.aim([4], [0, 1, 2, 3], 50, torch.device("cpu"))
    step(9)
    assert seen == [([0, 1, 2], 7), ([0, 1, 2], 8), ([4], 9)]
