"""Micro-batches hold every completion once, with masks that come from lengths alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from grpo_engine.batching import micro_batches
from grpo_engine.logprobs import TokenScorer
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


@pytest.mark.parametrize("size", [1, 2, 4, 6, 100])
def test_every_completion_is_in_one_micro_batch_with_its_own_prompt(size: int) -> None:
    seen = []
    for micro in micro_batches(ROLLOUTS, size, group=GROUP, pad_id=PAD):
        assert len(micro.rows) <= size
        for row, ids, attention, completion, sampled in zip(
            micro.rows.tolist(),
            micro.input_ids,
            micro.attention_mask,
            micro.completion_mask,
            micro.sampled,
            strict=True,
        ):
            seen.append(row)
            answer = ROLLOUTS.completion_ids[row]
            assert ids[attention == 1].tolist() == ROLLOUTS.prompt_ids[row // GROUP] + answer
            assert ids[completion].tolist() == answer
            assert torch.equal(sampled[completion], ROLLOUTS.logprobs[row, : len(answer)])
            assert (sampled[~completion] == 0).all()
    assert sorted(seen) == list(range(6))


def test_the_micro_batches_are_as_full_as_they_can_be() -> None:
    sizes = [len(m.rows) for m in micro_batches(ROLLOUTS, 4, group=GROUP, pad_id=PAD)]
    assert sizes == [4, 2]


def test_sequences_of_like_length_share_a_micro_batch_and_none_is_padded_to_the_longest_of_all() -> None:
    widths = [m.input_ids.shape[1] for m in micro_batches(ROLLOUTS, 2, group=GROUP, pad_id=PAD)]
    lengths = sorted(len(ROLLOUTS.prompt_ids[i // GROUP]) + len(c) for i, c in enumerate(ROLLOUTS.completion_ids))
    assert widths == lengths[1::2]


def test_a_pad_token_inside_of_a_completion_stays_a_token() -> None:
    (micro,) = micro_batches(ROLLOUTS, 6, group=GROUP, pad_id=PAD)
    assert int(micro.completion_mask.sum()) == sum(map(len, ROLLOUTS.completion_ids))


def test_the_end_token_is_trained_even_if_it_is_the_pad_token() -> None:
    for pad in (PAD, 1):
        for micro in micro_batches(ROLLOUTS, 3, group=GROUP, pad_id=pad):
            for row, ids, mask in zip(micro.rows.tolist(), micro.input_ids, micro.completion_mask, strict=True):
                assert ids[mask].tolist()[-1] == ROLLOUTS.completion_ids[row][-1]


def test_prompts_of_different_lengths_in_one_micro_batch_do_not_shift_positions(
    new_model: Callable[..., Any], sampling: Any
) -> None:
    scorer = TokenScorer(new_model(initializer_range=0.3), sampling)
    (together,) = micro_batches(ROLLOUTS, 6, group=GROUP, pad_id=PAD)
    got, _ = scorer(together.input_ids, together.attention_mask, together.completion_mask)
    where = {row: i for i, row in enumerate(together.rows.tolist())}
    for alone in micro_batches(ROLLOUTS, 1, group=GROUP, pad_id=PAD):
        expected, _ = scorer(alone.input_ids, alone.attention_mask, alone.completion_mask)
        i = where[int(alone.rows)]
        torch.testing.assert_close(
            got[i][together.completion_mask[i]], expected[alone.completion_mask], rtol=1e-5, atol=1e-5
        )


def test_equal_prompts_stay_two_groups() -> None:
    changed = dataclasses.replace(ROLLOUTS, prompt_ids=[[5, 6, 7], [9, 9, 9], [8]])
    (micro,) = micro_batches(changed, 6, group=GROUP, pad_id=PAD)
    firsts = {row: int(ids[0]) for row, ids in zip(micro.rows.tolist(), micro.input_ids, strict=True)}
    assert firsts == {0: 5, 1: 5, 2: 9, 3: 9, 4: 8, 5: 8}
