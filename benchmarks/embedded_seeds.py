"""The embedded default for several seeds: held-out accuracy and strict format before and after, and wall time.

    python benchmarks/embedded_seeds.py [--seeds 0 1 2] [flags of the recipe ...]

Each seed is a process of its own, one after the other, timed as a whole (imports, evaluations, page and picture
included). Exits with 1 unless every seed starts at 0.40 or below and ends at 0.90 (accuracy) and 0.95 (format) or
above, within 180 seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ACCURACY, FORMAT = "eval_rewards/boxed_accuracy/mean", "eval_rewards/strict_format/mean"


def main() -> int:
    """Run the seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args, flags = parser.parse_known_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print("| seed | accuracy before | after | strict format before | after | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    reached = True
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "recipes.gsm8k_r1", "--embedded", f"--seed={seed}"]
            start = time.perf_counter()
            subprocess.run([*command, f"--output-dir={folder}", *flags], cwd=ROOT, check=True, capture_output=True)
            seconds = time.perf_counter() - start
            lines = (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        evaluations = [row for row in map(json.loads, lines) if ACCURACY in row]
        first, last = evaluations[0], evaluations[-1]
        figures = [first[ACCURACY], last[ACCURACY], first[FORMAT], last[FORMAT]]
        print(f"| {seed} | {' | '.join(f'{f:.3f}' for f in figures)} | {seconds:.0f} |", flush=True)
        reached &= figures[0] <= 0.40 and figures[1] >= 0.90 and figures[3] >= 0.95 and seconds <= 180
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
