"""The table of the step benchmark, with what was predicted beside what was measured."""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from step_work import FIXED, GEOMETRIC, MFU, ROLLOUT, peak_flops

Runs = dict[str, list[dict[str, Any]]]


def timed(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps after the first of each process; the first where there is no other."""
    return [step for one in results for step in (one["steps"][1:] or one["steps"])]


def figures(results: list[dict[str, Any]], peak: float | None) -> dict[str, float]:
    """Medians over all timed steps of a trainer; empty if it has none."""
    steps = timed(results)
    if not steps:
        return {}

    def median(values: list[float]) -> float:
        return statistics.median(values)

    found = {
        "steps": float(len(steps)),
        "step": median([s["step"] for s in steps]),
        "rollout": median([s["rollout"] for s in steps]),
        "rollout rate": median([s["tokens"] / s["rollout"] for s in steps]),
        "peak": max(s["peak_mb"] for s in steps),
        "tokens": median([s["tokens"] for s in steps]),
    }
    if "train" in steps[0]:
        found["train"] = median([s["train"] for s in steps])
        found["train rate"] = median([s["tokens"] / s["train"] for s in steps])
        if peak:
            found["mfu"] = median([s["flops"] / s["train"] for s in steps]) / peak
    if "difference" in steps[0]:
        found["difference"] = max(s["difference"] for s in steps)
    return found


def report(args: argparse.Namespace, runs: Runs, known: dict[str, Any]) -> None:
    """Print the table, the predictions and the ratios."""
    print(f"{args.size}, {args.prompts} prompts x {args.group}, prompt {args.prompt}, completion <= {args.completion}")
    names = [name for name in ("python", "torch", "transformers", "trl") if name in known]
    versions = ", ".join(f"{name} {known[name]}" for name in names)
    print(f"{known['device']}, {known['cores']} cores, {versions}")
    peak = peak_flops(known.get("name", ""))
    found = {name: figures(results, peak) for name, results in runs.items()}
    columns = ("steps", "step", "rollout", "train", "rollout rate", "train rate", "mfu", "peak", "difference")
    heads = ("steps", "step s", "rollout s", "train s", "rollout tok/s", "train tok/s", "MFU", "peak MB", "|d logp|")
    forms = ("5.0f", "8.3f", "9.3f", "8.3f", "13,.0f", "11,.0f", "6.1%", "8,.0f", "8.5f")
    print(f"{'':12}" + " ".join(f"{head:>{_width(form)}}" for head, form in zip(heads, forms, strict=True)))
    for name, one in found.items():
        cells = [
            f"{one[c]:{form}}" if c in one else f"{'-':>{_width(form)}}" for c, form in zip(columns, forms, strict=True)
        ]
        print(f"{name:12}" + " ".join(cells))
    for name in ("ours", "rollouts"):
        for one in runs.get(name, ())[-1:]:
            details(args, one, found[name])
    ratios(args, found)


def _width(form: str) -> int:
    return int("".join(c for c in form.split(".")[0] if c.isdigit()))


def details(args: argparse.Namespace, one: dict[str, Any], median: dict[str, float]) -> None:
    """What only ours has: the plan, idle time, waste, graphs; predictions for a rollout of 64 x 8 x 512."""
    for step in one["steps"][-1:]:
        print(f"slots {step['slots']}, wasted {step['wasted']:.1%} of the sequence steps")
    if "capture" in one:
        print(f"graphs: {one['capture']['graphs']} captured in {one['capture']['seconds']:.2f} s")
    for name, part in (("decoding", one.get("idle", {})), ("update", one.get("update", {}))):
        shares = [f"{k} {v:.1%}" for k, v in part.items() if k.startswith("idle")]
        other = [f"{k} {v:.2f}" for k, v in part.items() if isinstance(v, float) and not k.startswith("idle")]
        if part:
            print(f"{name}: {', '.join([*shares, *other])} {part.get('error', '')}")
        for kernel in part.get("heaviest", ()) if args.device != "cpu" else ():
            print(f"    {kernel['share']:6.1%} {kernel['ms']:10.2f} ms {kernel['calls']:7,} x {kernel['name']}")
    if "plan" in one and median:
        plan = one["plan"]
        planned = max(v for k, v in plan["peak"].items() if k != "host") / 2**20
        print(f"plan: {plan['line']}")
        if args.device != "cpu":  # on the CPU the peak is that of the whole process
            error = f"{planned / median['peak'] - 1:+.0%} (wanted: within 25%)"
            print(f"plan's peak {planned:,.0f} MB, measured {median['peak']:,.0f} MB: {error}")
        for part, name in (("decoding", "rollout"), ("training pass", "train")):
            if part in plan["seconds"]:
                print(f"plan's {name} {plan['seconds'][part]:.2f} s, measured {median[name]:.2f} s")
    if args.size in ROLLOUT and median:
        p = ROLLOUT[args.size]
        print(
            f"rollout {median['rollout rate']:,.0f} tok/s; predicted floor {p.floor:,}, target {p.target:,}, "
            f"least {p.least:,}: {'reached' if median['rollout rate'] >= p.least else 'MISSED'}"
        )
    if args.size in MFU and "mfu" in median:
        least = MFU[args.size]
        print(f"MFU {median['mfu']:.1%}, least {least:.0%}: {'reached' if median['mfu'] >= least else 'MISSED'}")


def ratios(args: argparse.Namespace, found: dict[str, dict[str, float]]) -> None:
    """Ours against each of TRL's. Rates are compared, not seconds: the lengths differ by chance."""
    ours = found.get("ours")
    rollout, step = GEOMETRIC if args.eos_share else FIXED
    for name, one in found.items():
        if ours and one and name.startswith("trl"):
            rate = ours["rollout rate"] / one["rollout rate"]
            whole = (ours["tokens"] / ours["step"]) / (one["tokens"] / one["step"])
            print(
                f"ours / {name}: rollout {rate:.2f} x (least on a GPU {rollout:.0f}), step {whole:.2f} x (least "
                f"{step:.0f}), peak memory {ours['peak'] / one['peak']:.2f} (at most 1)"
            )
