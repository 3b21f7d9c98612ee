"""Does every gold of GSM8K earn its own reward, and no other: all 1,319 test solutions, boxed, through boxed_accuracy.

    python benchmarks/gsm8k_golds.py ../shared/data/gsm8k/test.jsonl

Each worked solution becomes a completion with its final answer in a box, scored against the solution's own
reference (must be 1.0) and against the reference plus one (must be 0.0). Prints the figures and completions per
second (median of --repeat passes; references and answers are read anew in each).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path

from rewardkit import boxed_accuracy
from rewardkit.equivalence import ladder, reader


def forget() -> None:
    """Empty the caches, so that every pass does the whole work."""
    for module in (ladder, reader):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def main() -> int:
    """Score the file and print the figures; returns 1 if one is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="GSM8K test split as JSONL, with question and answer")
    parser.add_argument("--repeat", type=int, default=5, help="timed passes (default: 5)")
    args = parser.parse_args()
    solutions = [json.loads(line)["answer"] for line in args.file.read_text(encoding="utf-8").splitlines()]
    finals = [solution.rsplit("####", 1)[1].strip() for solution in solutions]
    completions = [
        f"{s.rsplit('####', 1)[0]}\nThe answer is \\boxed{{{f}}}." for s, f in zip(solutions, finals, strict=True)
    ]
    shifted = [str(int(final.replace(",", "")) + 1) for final in finals]

    rates = []
    for _ in range(args.repeat):
        forget()
        start = time.perf_counter()
        own = boxed_accuracy(completions, answer=solutions)
        rates.append(len(completions) / (time.perf_counter() - start))
    other = boxed_accuracy(completions, answer=shifted)
    print(f"{len(completions)} completions; Python {platform.python_version()}, {platform.machine()}, one process")
    print(f"own gold      {sum(v == 1.0 for v in own)} of {len(own)} correct")
    print(f"shifted gold  {sum(v == 0.0 for v in other)} of {len(other)} wrong")
    print(f"speed         {statistics.median(rates):,.0f} completions per second (median of {args.repeat} passes)")
    return 0 if all(v == 1.0 for v in own) and all(v == 0.0 for v in other) else 1


if __name__ == "__main__":
    sys.exit(main())
