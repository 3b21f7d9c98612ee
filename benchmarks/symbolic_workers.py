r"""How the symbolic rung scales: integrals decided by one worker process and by two, in turn in one call.

    python benchmarks/symbolic_workers.py

Every pair needs sympy (definite integrals, half of them right). Workers are started and warm before the clock
starts; the figure is pairs per second, the median of --repeat passes, and the ratio.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time

from rewardkit.equivalence.budget import Budget, Pool, Request
from rewardkit.equivalence.check import check


def requests(count: int) -> list[Request]:
    """∫₀¹ f = ∫₀ᵏ f − ∫₁ᵏ f for f = xⁿ eˣ; every second pair has another upper end and differs."""
    found = []
    for index in range(count):
        n, k = 1 + index % 9, 2 + index
        body = rf"x^{{{n}}} e^x \, dx"
        split = rf"\int_0^{{{k}}} {body} - \int_1^{{{k + index % 2}}} {body}"
        found.append(Request(rf"\int_0^1 {body}", split))
    return found


def seconds(pool: Pool, pairs: list[Request]) -> float:
    """The wall time of all pairs on a pool whose workers are warm."""
    pool.compare_all(pairs[: pool.size], Budget(seconds=30.0))
    start = time.perf_counter()
    replies = pool.compare_all(pairs, Budget(seconds=30.0))
    elapsed = time.perf_counter() - start
    undecided = sum(reply.equal is None for reply in replies)
    if undecided:
        raise SystemExit(f"{undecided} of {len(pairs)} pairs were not decided")
    return elapsed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    pairs = requests(args.pairs)
    verdict = check(pairs[0].answer, pairs[0].truth)
    assert verdict.rung == "symbolic", verdict
    pools = {size: Pool(size) for size in (1, 2)}
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(args.repeat):
        for size, pool in pools.items():
            pool.close()  # new workers: sympy remembers results
            times[size].append(seconds(pool, pairs))
    rates = {size: len(pairs) / statistics.median(values) for size, values in times.items()}
    print(f"{len(pairs)} integrals; Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    print(f"one worker   {rates[1]:.1f} pairs per second")
    print(f"two workers  {rates[2]:.1f} pairs per second, {rates[2] / rates[1]:.2f} times as many")
    for pool in pools.values():
        pool.close()


if __name__ == "__main__":
    main()
