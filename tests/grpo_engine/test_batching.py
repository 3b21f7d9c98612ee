"""Micro-batches hold every completion once, with masks that come from lengths alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from grpo_engine.batching import TokenBatch, micro_batches
from grpo_engine.logprobs import FusedScorer
from grpo_engine.rollout import Rollouts

PAD = 0
GROUP = 2
ROLLOUTS = Rollouts(
    prompt_ids=[[5, 6, 7], [5, 6, 7], [8]],
    completion_ids=[[10, 1], [11, 12, 13, 0, 14], [10, 1], [1], [0, 0, 1], [15, 15]],
    logprobs=torch.tensor(
        [
            [-0.1, -0.2, 0, 0, 0],
            [-1.1, -1.2, -1.3, -1.4, -1.5],
            [-2.1, -2.2, 0, 0, 0],
            [-3.1, 0, 0, 0, 0],
            [-4.1, -4.2, -4.3, 0, 0],
            [-5.1, -5.2, 0, 0, 0],
        ]
    ),
    finished=torch.tensor([True, False, True, True, True, False]),
)


def sequence_of(row: int) -> list[int]:
    return ROLLOUTS.prompt_ids[row // GROUP] + ROLLOUTS.completion_ids[row]


def parts(batch: TokenBatch) -> list[tuple[int, torch.Tensor]]:
    """Each completion of a batch: its row in the rollouts, and which of the batch's tokens are its own."""
    return [(row, batch.sequence == i) for i, row in enumerate(batch.rows.tolist())]


@pytest.mark.parametrize("size", [1, 2, 4, 6, 100])
def test_every_completion_is_in_one_micro_batch_with_its_own_prompt(size: int) -> None:
    seen = []
    for micro in micro_batches(ROLLOUTS, size, group=GROUP, pad_id=PAD):
        assert len(micro.rows) <= size
        for (row, mine), ids, attention in zip(
            parts(micro), micro.inputs["input_ids"], micro.inputs["attention_mask"], strict=True
        ):
            seen.append(row)
            assert ids[attention == 1].tolist() == sequence_of(row)
            assert micro.targets[mine].tolist() == ROLLOUTS.completion_ids[row]
            assert torch.equal(micro.sampled[mine], ROLLOUTS.logprobs[row, : int(mine.sum())])
    assert sorted(seen) == list(range(6))


@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_a_token_is_predicted_by_the_state_before_it(size: int) -> None:
    for micro in micro_batches(ROLLOUTS, size, group=GROUP, pad_id=PAD):
        width = micro.inputs["input_ids"].shape[1]
        for i, (row, mine) in enumerate(parts(micro)):
            prompt, answer = ROLLOUTS.prompt_ids[row // GROUP], ROLLOUTS.completion_ids[row]
            first = i * width + len(prompt) - 1
            assert micro.states[mine].tolist() == list(range(first, first + len(answer)))


def test_tokens_come_completion_by_completion_and_their_number_is_said() -> None:
    for micro in micro_batches(ROLLOUTS, 4, group=GROUP, pad_id=PAD):
        assert micro.sequence.tolist() == sorted(micro.sequence.tolist())
        assert micro.lengths.tolist() == [len(ROLLOUTS.completion_ids[row]) for row in micro.rows.tolist()]
        assert torch.equal(micro.lengths, micro.sequence.bincount(minlength=len(micro.rows)))


def test_positions_count_from_each_sequences_own_start() -> None:
    for micro in micro_batches(ROLLOUTS, 6, group=GROUP, pad_id=PAD):
        for (row, _), positions in zip(parts(micro), micro.inputs["position_ids"], strict=True):
            length = len(sequence_of(row))
            assert positions[:length].tolist() == list(range(length))


@pytest.mark.parametrize("size", [1, 3, 6])
def test_completions_that_are_not_kept_are_left_out(size: int) -> None:
    kept = [True, False, False, True, False, True]
    rows = [r for m in micro_batches(ROLLOUTS, size, group=GROUP, pad_id=PAD, kept=kept) for r in m.rows.tolist()]
    assert sorted(rows) == [0, 3, 5]
    assert list(micro_batches(ROLLOUTS, size, group=GROUP, pad_id=PAD, kept=[False] * 6)) == []


def test_the_micro_batches_are_as_full_as_they_can_be() -> None:
    sizes = [len(m.rows) for m in micro_batches(ROLLOUTS, 4, group=GROUP, pad_id=PAD)]
    assert sizes == [4, 2]


def test_sequences_of_like_length_share_a_micro_batch_and_none_is_padded_to_the_longest_of_all() -> None:
    widths = [m.inputs["input_ids"].shape[1] for m in micro_batches(ROLLOUTS, 2, group=GROUP, pad_id=PAD)]
    lengths = sorted(len(sequence_of(row)) for row in range(6))
    assert widths == lengths[1::2]


@pytest.mark.parametrize("pad", [PAD, 1])
def test_pad_and_end_tokens_inside_of_a_completion_stay_tokens(pad: int) -> None:
    (micro,) = micro_batches(ROLLOUTS, 6, group=GROUP, pad_id=pad)
    for row, mine in parts(micro):
        assert micro.targets[mine].tolist() == ROLLOUTS.completion_ids[row]
    assert len(micro.targets) == sum(map(len, ROLLOUTS.completion_ids))
    assert int(micro.inputs["attention_mask"].sum()) == sum(len(sequence_of(row)) for row in range(6))


@pytest.mark.parametrize("pad", [PAD, 1, 9])
def test_neither_padding_nor_the_other_sequences_change_a_score(
    new_model: Callable[..., Any], sampling: Any, pad: int
) -> None:
    scorer = FusedScorer(new_model(initializer_range=0.3), sampling)
    (together,) = micro_batches(ROLLOUTS, 6, group=GROUP, pad_id=pad)
    got = scorer.score(together).logprobs
    where = dict(parts(together))
    for alone in micro_batches(ROLLOUTS, 1, group=GROUP, pad_id=PAD):
        expected = scorer.score(alone).logprobs
        torch.testing.assert_close(got[where[int(alone.rows)]], expected, rtol=1e-5, atol=1e-5)


def test_equal_prompts_stay_two_groups() -> None:
    changed = dataclasses.replace(ROLLOUTS, prompt_ids=[[5, 6, 7], [9, 9, 9], [8]])
    (micro,) = micro_batches(changed, 6, group=GROUP, pad_id=PAD)
    firsts = {row: int(ids[0]) for row, ids in zip(micro.rows.tolist(), micro.inputs["input_ids"], strict=True)}
    assert firsts == {0: 5, 1: 5, 2: 9, 3: 9, 4: 8, 5: 8}
