"""A stack of eight rewards over completions of 300 words: ours, and the same stack as plain functions on TRL's pieces.

    python benchmarks/stack.py                       # 100,000 completions for ours, 1,000 for TRL's pieces
    python benchmarks/stack.py --completions 10000 --peer-completions 300 --repeat 3

Both run in this process, in turn, on the same completions; the peer on a part of them, as its answer check takes
milliseconds. Reported are completions per second (medians over the repeats), ours in two processes, and what the
breakdown costs: `stack.explain` with every contribution worked out, against the plain call.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import random
import statistics
import sys
from multiprocessing import get_context
from time import perf_counter, process_time
from typing import Any

from rewardkit import (
    CosineLength,
    Keywords,
    LengthBand,
    SoftOverlong,
    boxed_accuracy,
    combine,
    repetition_penalty,
    tag_count,
    think_format,
)

WORDS = (
    "so the number of apples in each basket is found by adding what was there to what came later and then "
    "dividing by how many people share them because first we count next we check and finally we write down"
).split()
KEYWORDS = ("first", "next", "because", "check", "finally")
STEPS = {0: 0.0, 50: 0.25, 100: 0.5, 200: 0.75}
WEIGHTS = (2.0, 0.5, 0.5, 1.0, 1.0, 0.25, 0.1, 0.25)

STACK = combine(
    boxed_accuracy,
    think_format,
    CosineLength(max_length=1000),
    repetition_penalty,
    SoftOverlong(max_length=512, cache=64),
    tag_count,
    Keywords(words=KEYWORDS),
    LengthBand(steps=STEPS),
    weights=WEIGHTS,
    clip=(-2.0, 5.0),
)


def rows(count: int, seed: int = 0) -> tuple[list[Any], dict[str, list[Any]]]:
    """Completions of 300 words as message lists; `solution` and `completion_ids` beside them."""
    chance = random.Random(seed)
    completions, solutions, ids = [], [], []
    for _ in range(count):
        reasoning = " ".join(chance.choices(WORDS, k=290))
        top, bottom = chance.randint(1, 999), chance.choice([1, 1, 1, 2, 3, 7])
        gold = str(top) if bottom == 1 else rf"\frac{{{top}}}{{{bottom}}}"
        answer = gold if chance.random() < 0.5 else str(top + 1)
        completions.append(
            [
                {
                    "role": "assistant",
                    "content": f"<think>\n{reasoning}\n</think>\n<answer>\nIt is \\boxed{{{answer}}}\n</answer>",
                }
            ]
        )
        solutions.append(f"${gold}$")
        ids.append([chance.randrange(50_000) for _ in range(400)])
    return completions, {"solution": solutions, "completion_ids": ids}


def tag_reward(completions: Any, **kwargs: Any) -> list[float]:
    pieces = ("<think>\n", "\n</think>\n", "\n<answer>\n", "\n</answer>")
    return [sum(c[0]["content"].count(piece) == 1 for piece in pieces) / len(pieces) for c in completions]


def keyword_reward(completions: Any, **kwargs: Any) -> list[float]:
    texts = [c[0]["content"].lower() for c in completions]
    return [min(0.5, 0.1 * sum(word in text for word in KEYWORDS)) for text in texts]


def length_reward(completions: Any, **kwargs: Any) -> list[float]:
    counts = [len(c[0]["content"].split()) for c in completions]
    return [max(value for threshold, value in STEPS.items() if threshold <= count) for count in counts]


def set_aside() -> None:
    """Keep the garbage collector from visiting the rows: a trainer has some hundred of them, not 100,000."""
    gc.collect()
    gc.freeze()


def peer_functions() -> list[Any]:
    from trl import rewards

    return [
        rewards.accuracy_reward,
        rewards.think_format_reward,
        rewards.get_cosine_scaled_reward(max_len=1000),
        rewards.get_repetition_penalty_reward(ngram_size=3, max_penalty=-1.0),
        rewards.get_soft_overlong_punishment(max_completion_len=512, soft_punish_cache=64),
        tag_reward,
        keyword_reward,
        length_reward,
    ]


def peer(functions: list[Any], completions: list[Any], columns: dict[str, list[Any]]) -> list[float]:
    """As a trainer adds them up."""
    values = [function(completions=completions, prompts=None, **columns) for function in functions]
    weighted = [[0.0 if v is None else w * v for v in column] for w, column in zip(WEIGHTS, values, strict=True)]
    return [min(max(sum(row), -2.0), 5.0) for row in zip(*weighted, strict=True)]


def seconds(call: Any, repeat: int) -> float:
    took = []
    for _ in range(repeat):
        started = perf_counter()
        call()
        took.append(perf_counter() - started)
    return statistics.median(took)


def in_chunks(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def _half(count: int, batch: int, seed: int, ready: Any, took: Any) -> None:
    """One of two processes: it makes its rows, waits for the other, and scores them."""
    completions, columns = rows(count, seed)
    batches = [(completions[s], {k: v[s] for k, v in columns.items()}) for s in in_chunks(count, batch)]
    STACK(batches[0][0][:64], **{k: v[:64] for k, v in batches[0][1].items()})
    set_aside()
    ready.wait()
    started = perf_counter()
    for texts, others in batches:
        STACK(texts, **others)
    took.put(perf_counter() - started)


def two_processes(count: int, batch: int) -> float:
    """Seconds until both halves are scored."""
    context = get_context("spawn")
    ready, took = context.Barrier(2), context.Queue()
    halves = [context.Process(target=_half, args=(count // 2, batch, seed, ready, took)) for seed in (1, 2)]
    for half in halves:
        half.start()
    slowest = max(took.get() for _ in halves)
    for half in halves:
        half.join()
    return float(slowest)


def breakdown_ratio(count: int, batch: int, seed: int) -> float:
    """Processor time with the breakdown over time without, per completion, on rows that nothing has seen before.

    Every other batch is scored plainly, the others are explained and every contribution is worked out; the next
    seed swaps the two.
    """
    completions, columns = rows(count, 1000 + seed)
    batches = [(completions[s], {k: v[s] for k, v in columns.items()}) for s in in_chunks(count - count % batch, batch)]
    set_aside()
    took = [0.0, 0.0]
    for i, (texts, others) in enumerate(batches[: len(batches) // 2 * 2]):
        on = (i + seed) % 2
        started = process_time()
        if on:
            assert all(row.components for row in STACK.explain(texts, **others))
        else:
            STACK(texts, **others)
        took[on] += process_time() - started
    gc.unfreeze()
    return took[1] / took[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--completions", type=int, default=100_000)
    parser.add_argument("--peer-completions", type=int, default=1_000)
    parser.add_argument("--batch", type=int, default=1_024, help="completions per call")
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    completions, columns = rows(args.completions)
    batches = [(completions[s], {k: v[s] for k, v in columns.items()}) for s in in_chunks(args.completions, args.batch)]

    STACK(batches[0][0][:64], **{k: v[:64] for k, v in batches[0][1].items()})  # imports
    set_aside()
    ours = seconds(lambda: [STACK(texts, **others) for texts, others in batches], args.repeat)
    ratios = [breakdown_ratio(min(args.completions, 20_000), args.batch, seed) for seed in range(2 * args.repeat)]
    both = statistics.median(two_processes(args.completions, args.batch) for _ in range(args.repeat))
    some, beside = completions[: args.peer_completions], {k: v[: args.peer_completions] for k, v in columns.items()}
    functions = peer_functions()
    peer(functions, some[:32], {k: v[:32] for k, v in beside.items()})
    theirs = seconds(lambda: peer(functions, some, beside), args.repeat)
    ours_there = seconds(lambda: STACK(some, **beside), args.repeat)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"ours, one process      {args.completions / ours:>10,.0f} completions/s")
    print(f"ours, two processes    {args.completions / both:>10,.0f} completions/s")
    print(f"TRL's pieces           {args.peer_completions / theirs:>10,.0f} completions/s")
    print(f"ratio, same {args.peer_completions:,} rows {theirs / ours_there:>10,.1f} x")
    print(f"breakdown on / off     {statistics.median(ratios):>10.3f}   of {[round(r, 3) for r in sorted(ratios)]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
