"""`python -m rewardkit score` on a large file: rows and megabytes per second, peak memory, by number of workers.

    python benchmarks/score_file.py                                  # 50 MB, about a minute
    python benchmarks/score_file.py --megabytes 1000 --workers 1 2   # the figures of the README
    python benchmarks/score_file.py --stack presets.open_r1 --breakdown --json figures.json

The file is made here, from a seed: word problems in the manner of grade-school mathematics with reasoning of about 300
words, groups of eight completions per prompt, three in five right, one in a hundred without an answer. Each run is a
process of its own; memory is the sum over it and everything it starts (resident pages, so that what they share counts
several times), looked at every 20 ms. The growth is the mean over the last tenth of the file less that over the first.
With several numbers of workers the outputs must be the same bytes.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
NAMES = "Ada Boris Chen Dalia Emeka Farid Greta Hana Ivo Jun Keiko Lena Milo Nadia Omar Petra".split()
THINGS = "apples books candles tickets marbles tiles stamps ribbons bricks lemons pencils shells".split()
STEPS = (
    "First we look at what is given: there are {a} {thing} to begin with, and {b} more are added to them later on.",
    "So the number of {thing} after this step is {a} + {b} = {c}, which we keep in mind for the next part.",
    "Then each of the {k} friends receives the same share, and therefore the total has to be multiplied by {k}.",
    "Let me check this once more: {c} times {k} is {d}, because {k} times {c} is the same product in another order.",
    "However, the question asks for the whole amount and not for what is left over, so nothing is taken away here.",
    "{name} would need {d} {thing} in all, and that agrees with what the problem says about the size of the boxes.",
    "We could also count in tens: {d} is close to {r}, so the result is of the right size and has the right sign.",
)


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        source = Path(folder) / "rollouts.jsonl"
        rows = make(source, args.megabytes * 10**6, args.seed)
        size = source.stat().st_size
        print(f"{rows:,} rows, {size / 1e6:,.0f} MB; {platform.machine()}, Python {platform.python_version()}")
        runs = [measure(source, rows, workers, args) for workers in args.workers]
    print_table(runs)
    assert len({run.digest for run in runs}) == 1, "the output depends on the number of workers"
    if args.json is not None:
        figures = {"rows": rows, "bytes": size, "stack": args.stack, "runs": [asdict(run) for run in runs]}
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--stack", default="presets.gsm8k_r1")
    parser.add_argument("--breakdown", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", help="where the files go (default: the system's temporary folder)")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def make(path: Path, size: int, seed: int) -> int:
    """Write rows until the file has `size` bytes; how many there are."""
    draw, rows, written = random.Random(seed), 0, 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            a, b, k = draw.randint(2, 99), draw.randint(2, 99), draw.randint(2, 12)
            thing, name = draw.choice(THINGS), draw.choice(NAMES)
            prompt = f"{name} has {a} {thing} and gets {b} more. How many do {k} friends need to have the same each?"
            for _ in range(8):
                row = {
                    "prompt": prompt,
                    "completion": completion(draw, a, b, k, thing, name),
                    "answer": str((a + b) * k),
                }
                written += file.write(json.dumps(row) + "\n")
                rows += 1
    return rows


def completion(draw: random.Random, a: int, b: int, k: int, thing: str, name: str) -> str:
    """About 300 words of reasoning, and an answer."""
    facts = {
        "a": a,
        "b": b,
        "k": k,
        "c": a + b,
        "d": (a + b) * k,
        "r": round((a + b) * k, -1),
        "thing": thing,
        "name": name,
    }
    text = "\n".join(draw.choice(STEPS).format(**facts) for _ in range(draw.randint(10, 18)))
    luck = draw.random()
    answer = (a + b) * k if luck < 0.6 else (a + b) * k + draw.randint(1, 9)
    if luck > 0.99:
        return f"<think>\n{text}\n</think>\n"
    return f"<think>\n{text}\n</think>\n<answer>\n\\boxed{{{answer}}}\n</answer>"


@dataclass(frozen=True)
class Run:
    """One run: seconds from start to end, megabytes of memory at their peak, and how they grew."""

    workers: int
    seconds: float
    rows_per_second: float
    megabytes_per_second: float
    peak_megabytes: float
    growth_megabytes: float
    digest: str


def measure(source: Path, rows: int, workers: int, args: argparse.Namespace) -> Run:
    output = source.with_name(f"{workers}.jsonl")
    command = [sys.executable, "-m", "rewardkit", "score", str(source), "--stack", args.stack, "-o", str(output)]
    command += ["--workers", str(workers), *(["--breakdown"] if args.breakdown else [])]
    started, seen = time.perf_counter(), []
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    while process.poll() is None:
        seen.append((done(output), resident(process.pid)))
        time.sleep(0.02)
    seconds = time.perf_counter() - started
    _, told = process.communicate()
    if process.returncode != 0:
        sys.exit(told.decode())
    early = [memory for row, memory in seen if 0 < row < 0.1 * rows]
    late = [memory for row, memory in seen if 0.9 * rows <= row < rows]
    digest = sha256(output.read_bytes()).hexdigest()
    output.unlink()
    return Run(
        workers=workers,
        seconds=seconds,
        rows_per_second=rows / seconds,
        megabytes_per_second=source.stat().st_size / 1e6 / seconds,
        peak_megabytes=max(memory for _, memory in seen) / 1e6,
        growth_megabytes=(statistics.fmean(late) - statistics.fmean(early)) / 1e6 if early and late else float("nan"),
        digest=digest,
    )


def done(output: Path) -> int:
    """Rows that have been written."""
    state = output.with_name(output.name + ".state.json")
    return int(json.loads(state.read_text())["position"]["row"]) if state.exists() else 0


def resident(pid: int) -> int:
    """Bytes in use by a process and all it has started."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    return total


def print_table(runs: list[Run]) -> None:
    print(f"{'workers':>7} {'seconds':>8} {'rows/s':>9} {'MB/s':>7} {'peak MB':>8} {'growth MB':>10}")
    for run in runs:
        print(
            f"{run.workers:>7} {run.seconds:>8.1f} {run.rows_per_second:>9,.0f} {run.megabytes_per_second:>7.1f} "
            f"{run.peak_megabytes:>8.0f} {run.growth_megabytes:>10.1f}"
        )


if __name__ == "__main__":
    main()
