"""One GRPO step of several trainers in turn on the CPU: seconds, tokens per second, peak memory, and the ratios.

    python benchmarks/side_by_side.py --bench PATH/bench.py                       # full-length completions
    python benchmarks/side_by_side.py --bench PATH/bench.py --eos-extra 100       # completions of varied length

`bench.py` holds the model, the data, the rewards and the other trainers; ours comes in by `peer_adapter.py`. Each
trainer runs in a fresh process, --repeats times in turn, and before each run the machine is waited for until it is
idle. Arguments that are not named here go to `bench.py`. The peak is the process's maximum resident size, imports
included, as the kernel counts it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

OURS = "benchmarks.peer_adapter"
SHIM = """
import json, resource, runpy, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parent))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print("PEAK " + json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
"""


def busy(seconds: float = 2.0) -> float:
    """The share of all processors that anyone used over some seconds (Linux)."""

    def read() -> list[int]:
        return [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]

    before = read()
    time.sleep(seconds)
    spent = [b - a for a, b in zip(before, read(), strict=True)]
    return 1 - (spent[3] + spent[4]) / max(1, sum(spent))


def run(bench: Path, trainer: str, arguments: list[str], wait: float) -> dict[str, Any]:
    """One trainer in a fresh process; its result with `peak_mb` and `busy_before`."""
    end = time.monotonic() + wait
    load = busy()
    while load > 0.1 and time.monotonic() < end:
        load = busy(5)
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", SHIM, str(bench), *arguments, "--one", trainer]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("RESULT ", "PEAK ")))
    if set(found) != {"RESULT", "PEAK"}:
        raise SystemExit(f"{trainer} failed:\n{done.stderr[-3_000:]}")
    result: dict[str, Any] = json.loads(found["RESULT"])
    return {**result, "peak_mb": json.loads(found["PEAK"]), "busy_before": round(load, 2)}


def main() -> None:
    """Run the trainers in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True, help="the benchmark that knows the other trainers")
    parser.add_argument("--trainers", default=f"trl,bare,{OURS}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--wait-idle", type=float, default=300, help="seconds to wait for an idle machine, per run")
    parser.add_argument("--json", type=Path, help="write all figures here")
    args, others = parser.parse_known_args()
    names = args.trainers.split(",")
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(args.repeats):
        for name in names:
            runs[name].append(run(args.bench.resolve(), name, others, args.wait_idle))
    report(runs, " ".join(others))
    if args.json:
        machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        args.json.write_text(json.dumps({"arguments": others, "machine": machine, "runs": runs}, indent=1) + "\n")


def report(runs: dict[str, list[dict[str, Any]]], arguments: str) -> None:
    """Medians over the runs of each trainer's median step, and the ratios to the first trainer."""
    import torch

    print(f"arguments: {arguments or 'none'}; {os.cpu_count()} cores, torch {torch.__version__}, {platform.platform()}")
    print(
        f"{'':24} {'step s':>8} {'rollout s':>10} {'peak MB':>8} {'fill':>6} {'faster':>7} {'memory':>7}  busy before"
    )
    first: tuple[float, float] | None = None
    for name, results in runs.items():
        step = statistics.median(r["step_wall_s"]["median"] for r in results)
        rollout = statistics.median(r["median_s"]["generate"] for r in results)
        peak = statistics.median(r["peak_mb"] for r in results)
        fill = statistics.median(r["completion_fill"] for r in results)
        first = first or (step, peak)
        ratios = f"{first[0] / step:7.2f} {peak / first[1]:7.2f}"
        loads = " ".join(str(r["busy_before"]) for r in results)
        print(f"{name:24} {step:8.3f} {rollout:10.3f} {peak:8,.0f} {fill:6.2f} {ratios}  {loads}")


if __name__ == "__main__":
    main()
