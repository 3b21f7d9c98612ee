"""One GRPO step, ours and TRL's in turn: seconds, tokens per second, utilisation and peak memory on the same model.

    python benchmarks/step.py                                       # CPU, a model of two million parameters
    python benchmarks/step.py --size 0.5b --device cuda --prompts 64 --completion 512 --prompt 128   # a GPU
    python benchmarks/step.py --eos-share 256                       # completions of geometric length, mean 256
    python benchmarks/step.py --size 7b --device cuda --rollout-only

The model has random weights in a Qwen2.5 shape, the tokenizer is made here, the reward counts digits. Completions
are of full length, or, with --eos-share N, every N-th id of the vocabulary ends one. TRL runs as it comes
(trl-default) and at its best without vLLM (trl-best; `step_trainers.py` says what that is).

Every trainer has a process of its own, in turn, --repeat times: what one leaves in the allocator, the compiler's
caches or the tokenizer's threads can then neither slow the next nor count towards its peak. The ratios come from
one call of this script all the same. The first step of a process is warm-up; --steps more are timed, fewer (but
one) when --budget seconds are used up, and a process is stopped after --limit seconds with what it has.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # all trainers alike: spinning threads drown the figures

TRAINERS = ("trl-default", "trl-best", "ours")
SHORTEST = 10.0
"""Seconds in which no process gets to its first step."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("tiny", "0.5b", "1.5b", "7b"), default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=64, help="tokens of a prompt")
    parser.add_argument("--completion", type=int, default=128, help="tokens of the longest completion")
    parser.add_argument("--micro", type=int, default=32, help="completions of a pass of trl-best; trl-default has 8")
    parser.add_argument("--token-budget", type=int, help="tokens of a pass of ours; planned from memory unless given")
    parser.add_argument("--slots", type=int, help="sequences at once with --rollout-only")
    parser.add_argument("--eos-share", type=int, default=0)
    parser.add_argument("--steps", type=int, default=5, help="timed steps, after one of warm-up")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves torch's choice")
    parser.add_argument("--trainers", default="trl-best,ours", help=f"in this order, from {', '.join(TRAINERS)}")
    parser.add_argument("--rollout-only", action="store_true", help="our rollouts alone, without a trainer")
    parser.add_argument("--budget", type=float, default=1e9, help="seconds of steps of a trainer")
    parser.add_argument("--limit", type=float, default=1e9, help="seconds of a trainer's process")
    parser.add_argument("--total", type=float, default=1e9, help="seconds of all processes together")
    parser.add_argument("--json", type=Path, help="write all figures here, as they come")
    parser.add_argument("--beside", type=Path, help="figures of an earlier call, to be compared with in the table")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def collect(name: str, args: argparse.Namespace, limit: float) -> dict[str, Any]:
    """Run one trainer in a process of at most `limit` seconds and gather what it wrote, also if it was stopped."""
    if limit < SHORTEST:
        print(f"{name}: left out, the {args.total:.0f} s of this call are used up", flush=True)
        return {"steps": [], "error": "no time left"}
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / "record.jsonl", Path(folder) / "log"
        command = [sys.executable, __file__, *sys.argv[1:], "--one", name, "--record", str(path)]
        error = ""
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                error = f"stopped after {limit:.0f} s"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        tail = log.read_text(encoding="utf-8", errors="replace")[-3_000:]
    gathered: dict[str, Any] = {"steps": []}
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):  # the last line of a process that was killed
            row = json.loads(line)
            kind = row.pop("kind")
            gathered["steps"].append(row) if kind == "step" else gathered.update({kind: row})
    if process.returncode and not error:
        error = gathered.get("error", {}).get("error") or f"the process ended with {process.returncode}"
    if error:
        gathered["error"] = error
        print(f"{name}: {error}; the end of its output:\n{tail}", flush=True)
    return gathered


def surroundings(args: argparse.Namespace) -> dict[str, Any]:
    """Hardware and versions."""
    import torch

    from grpo_engine.loading import environment

    cuda = args.device != "cpu"
    found = environment(torch.device(args.device), 1)
    found |= {"command": sys.argv, "cores": os.cpu_count(), "machine": platform.node()}
    for name in ("trl", "accelerate", "triton"):
        with contextlib.suppress(ImportError):
            from importlib.metadata import version

            found[name] = version(name)
    if cuda:
        found |= {"name": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
        found["memory_mb"] = torch.cuda.get_device_properties(0).total_memory / 2**20
    return found


def main() -> int:
    args = arguments()
    if args.one:
        from step_trainers import run

        return run(args.one, args)
    from step_report import report

    names = ["rollouts"] if args.rollout_only else args.trainers.split(",")
    unknown = set(names) - {*TRAINERS, "rollouts"}
    if unknown:
        print(f"--trainers: no trainer {sorted(unknown)[0]!r}; there are {', '.join(TRAINERS)}", file=sys.stderr)
        return 2
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    known, begin = surroundings(args), time.monotonic()
    for _ in range(args.repeat):
        for name in names:
            runs[name].append(collect(name, args, min(args.limit, args.total - (time.monotonic() - begin))))
            if args.json:
                text = json.dumps({"environment": known, "arguments": vars(args), "runs": runs}, indent=1, default=str)
                args.json.write_text(text + "\n", encoding="utf-8")
    earlier = json.loads(args.beside.read_text(encoding="utf-8"))["runs"] if args.beside else {}
    report(args, earlier | runs, known)
    return 1 if any(one.get("error") for results in runs.values() for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
