"""The same batch gives identical floats through every adapter, called as its package documents the call.

The tests beside this one make the same comparison through the packages' own code, where they are installed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rewardkit import Reward
from rewardkit.adapters import (
    ScoreBatches,
    score_map,
    to_openrlhf,
    to_swift,
    to_trl,
    to_verifiers,
    to_verifiers_task,
    to_verl,
)
from rewardkit.adapters.verifiers import FAILED

from . import golden

Values = list[float | None]


def weighted_sum(columns: list[Values], weights: list[float]) -> Values:
    """What a trainer makes of several functions: the weighted sum of what is there."""
    rows = zip(*columns, strict=True)
    given = [[w * v for w, v in zip(weights, row, strict=True) if v is not None] for row in rows]
    return [sum(terms) if terms else None for terms in given]


def none_for_not_scored(values: list[float]) -> Values:
    return [None if value == golden.NOT_SCORED else value for value in values]


def trl(stack: Reward, prompts: list[Any], completions: list[Any]) -> Values:
    functions, weights = to_trl(stack)
    call = {"prompts": prompts, "completions": completions, "completion_ids": [[1]] * len(prompts)}
    columns = {"answer": golden.answers(), "trainer_state": SimpleNamespace(global_step=3)}
    return weighted_sum([f(**call, **columns) for f in functions], weights)


def datasets(stack: Reward, prompts: list[Any], completions: list[Any]) -> Values:
    batch = {"prompt": prompts, "completion": completions, "answer": golden.answers()}
    return score_map(stack)(batch)["reward"]


def ray_in_numpy(stack: Reward, prompts: list[Any], completions: list[Any]) -> Values:
    batch = {"prompt": prompts, "completion": completions, "answer": golden.answers()}
    arrays = {name: objects(values) for name, values in batch.items()}
    return none_for_nan(ScoreBatches(stack)(arrays)["reward"].tolist())


def ray_in_pandas(stack: Reward, prompts: list[Any], completions: list[Any]) -> Values:
    frame = pd.DataFrame({"prompt": prompts, "completion": completions, "answer": golden.answers()})
    return none_for_nan(ScoreBatches(stack)(frame)["reward"].tolist())


def ray_in_arrow(stack: Reward, prompts: list[Any], completions: list[Any]) -> Values:
    answers = [answer if isinstance(answer, list) or answer is None else [answer] for answer in golden.answers()]
    table = pa.table({"prompt": prompts, "completion": completions, "answer": answers})
    return ScoreBatches(stack)(table).column("reward").to_pylist()  # type: ignore[no-any-return]


def rubric(stack: Reward, prompts: list[Any], completions: list[Any]) -> Values:
    functions, weights = to_verifiers(stack, not_scored=golden.NOT_SCORED)
    totals = []
    for prompt, completion, answer in zip(prompts, completions, golden.answers(), strict=True):
        state: dict[str, Any] = {}
        known = {"prompt": prompt, "completion": completion, "answer": answer, "state": state, "info": {}}
        values = [asyncio.run(functions[0](**known, task=None, parser=object()))]
        values += [function(state=state) for function in functions[1:]]
        assert functions[-1].__name__ == FAILED
        assert values[-1] == 0.0
        totals.append(sum(w * v for w, v in zip(weights, values, strict=True)))
    return none_for_not_scored(totals)


CONVERSATIONAL: dict[str, Callable[..., Values]] = {
    "TRL": trl,
    "datasets": datasets,
    "Ray Data (numpy)": ray_in_numpy,
    "Ray Data (pandas)": ray_in_pandas,
    "Ray Data (Arrow)": ray_in_arrow,
    "verifiers (rubric)": rubric,
}


def verl(stack: Reward) -> Values:
    compute_score = to_verl(stack, not_scored=golden.NOT_SCORED)
    rows = [
        compute_score(data_source="golden", solution_str=text, ground_truth=gold, extra_info={"index": i})
        for i, (text, gold) in enumerate(zip(golden.texts(), golden.answers(), strict=True))
    ]
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    return none_for_not_scored([row["score"] for row in rows])


def verl_in_batches(stack: Reward) -> Values:
    rows = to_verl(stack, not_scored=golden.NOT_SCORED).batch(
        data_sources=objects(["golden"] * len(golden.ROWS)),
        solution_strs=golden.texts(),
        ground_truths=[np.array(gold) if isinstance(gold, list) else gold for gold in golden.answers()],
        extra_infos=objects([{"index": i} for i in range(len(golden.ROWS))]),
    )
    return none_for_not_scored([row["score"] for row in rows])


def verl_as_a_coroutine(stack: Reward) -> Values:
    score = to_verl(stack, not_scored=golden.NOT_SCORED)

    async def all_rows() -> list[Any]:
        rows = zip(golden.texts(), golden.answers(), strict=True)
        return await asyncio.gather(*(score.aio("golden", text, gold, {}) for text, gold in rows))

    return none_for_not_scored([row["score"] for row in asyncio.run(all_rows())])


def openrlhf(stack: Reward) -> Values:
    reward_func = to_openrlhf(stack, not_scored=golden.NOT_SCORED)
    rows = zip(golden.prompts(), golden.texts(), golden.answers(), strict=True)
    results = [reward_func([prompt + text + "<|im_end|>"], [prompt], [gold]) for prompt, text, gold in rows]
    assert {tuple(result["extra_logs"]) for result in results} == {tuple(results[0]["extra_logs"])}
    return none_for_not_scored([result["rewards"] for result in results])


def swift(stack: Reward) -> Values:
    classes, weights = to_swift(stack)
    columns = {
        "messages": [
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]
            for prompt, text in zip(golden.prompts(), golden.texts(), strict=True)
        ],
        "solution": golden.answers(),
        "trainer_state": None,
        "response_token_ids": [[[1, 2]]] * len(golden.ROWS),
    }
    return weighted_sum([made(args=None)(golden.texts(), **columns) for made in classes.values()], weights)


def task_of_verifiers(stack: Reward) -> Values:
    reward = to_verifiers_task(stack, not_scored=golden.NOT_SCORED)
    rows = zip(golden.prompts(), golden.texts(), golden.answers(), strict=True)
    return none_for_not_scored([sum(asyncio.run(reward(*task_and_trace(*row))).values()) for row in rows])


TEXT: dict[str, Callable[[Reward], Values]] = {
    "verl": verl,
    "verl (batch)": verl_in_batches,
    "verl (coroutine)": verl_as_a_coroutine,
    "OpenRLHF": openrlhf,
    "ms-swift": swift,
    "verifiers (task)": task_of_verifiers,
}


def task_and_trace(prompt: str, completion: str, answer: Any) -> tuple[Any, Any]:
    data = {"idx": 0, "prompt": prompt, "answer": answer}
    message = SimpleNamespace(model_dump=lambda: {"role": "assistant", "content": completion})
    return SimpleNamespace(idx=0, model_dump=lambda: data), SimpleNamespace(assistant_messages=[message])


def objects(values: list[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def none_for_nan(values: list[float]) -> Values:
    return [None if value != value else value for value in values]


@pytest.mark.parametrize("name", golden.STACKS)
@pytest.mark.parametrize("adapter", CONVERSATIONAL)
@pytest.mark.parametrize("form", ["standard", "conversational"])
def test_completions_as_text_or_messages_earn_the_same(adapter: str, name: str, form: str) -> None:
    stack = golden.STACKS[name]
    rows = (golden.prompts(), golden.texts()) if form == "standard" else golden.conversations()
    assert CONVERSATIONAL[adapter](stack, *rows) == golden.expected(stack)


@pytest.mark.parametrize("name", golden.STACKS)
@pytest.mark.parametrize("adapter", TEXT)
def test_a_trainer_that_hands_over_text_gives_the_same(adapter: str, name: str) -> None:
    stack = golden.STACKS[name]
    assert TEXT[adapter](stack) == golden.expected(stack)


def test_the_golden_batch_has_what_it_promises() -> None:
    totals = [golden.expected(stack) for stack in golden.STACKS.values()]
    assert len(golden.ROWS) == 12
    assert any(isinstance(answer, list) for answer in golden.answers())
    assert None in golden.answers()
    assert any(None in values for values in totals)
    assert all(len(set(values)) > 1 for values in totals)
    known = [value for values in totals for value in values if value is not None]
    assert all(float(np.float32(value)) == value != golden.NOT_SCORED for value in known)
