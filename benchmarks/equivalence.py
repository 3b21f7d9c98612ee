r"""Our answer check and every other one at hand, in turn: how many labelled cases each gets right, and how fast.

    python benchmarks/equivalence.py BATTERY.jsonl --gsm8k GSM8K.jsonl                  # everything: some hours
    python benchmarks/equivalence.py BATTERY.jsonl --limit 60 --repeat 1 --pass-seconds 20 --peers math-verify,trl
    python benchmarks/equivalence.py BATTERY.jsonl --peer-path lm-eval=DIR --peer-path verl=DIR --peer-path verl=DIR2

A case is a line with id, tag, completion, gold and expected. Graders (benchmarks/graders.py) are called in batches of
64, as TRL calls rewards, each in a process of its own (benchmarks/grader_bench.py) that is killed after --timeout
seconds; a batch that fails is repeated case by case. Every timed pass is a new process, so caches are cold; a case
of no battery goes first, so that lazy imports do not count. Every pass draws the cases in an order of its own, the
same for all graders, so that one cut short by --pass-seconds is a fair sample. Timed passes leave out the hostile
family, and what made any grader hang, crash or raise.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from grader_bench import STARTUP_SECONDS, Bench, Case, MissingGrader, Verdict
from graders import GRADERS
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

OURS = "rewardkit"
KINDS = ("right", "false positive", "false negative", "None", "exception", "hang", "crash")
PLANS = {"once": "each once", "group": "each in a group", "real": "real outputs", "gsm8k": "GSM8K"}
"""The timed plans by the key of their rates."""


def kind(case: Case, verdict: Verdict) -> str:
    if not isinstance(verdict, bool):
        return verdict or "None"
    return "right" if verdict == case.expected else "false positive" if verdict else "false negative"


def read_battery(file: Path, limit: int | None) -> list[Case]:
    """The cases, or about `limit` of them, evenly spread."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    fields = ("id", "tag", "completion", "gold", "expected")
    cases = [Case(*(row[name] for name in fields)) for row in rows]
    return cases[:: max(1, len(cases) // limit)] if limit else cases


def read_gsm8k(file: Path | None, limit: int | None) -> list[Case]:
    """Every worked solution with its final answer in a box, against that answer and against the next integer."""
    lines = file.read_text(encoding="utf-8").splitlines()[:limit] if file else []
    cases = []
    for row, line in enumerate(lines):
        work, _, final = json.loads(line)["answer"].rpartition("####")
        completion = f"{work}\nThe answer is \\boxed{{{final.strip()}}}."
        number = int(final.replace(",", ""))
        cases += [Case(f"gsm8k-{row}-{n}", "gsm8k", completion, str(number + n), n == 0) for n in (0, 1)]
    return cases


def present(bench: Bench, wanted: list[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The graders that load here, with their versions; of the others, why not and how to get them."""
    results: dict[str, dict[str, Any]] = {}
    missing: list[str] = []
    for name in wanted:
        try:
            child = bench.start(name)
        except MissingGrader as error:
            missing.append(f"{name}: left out, it does not load here ({error}). To have it: {GRADERS[name].get}")
            bench.progress.console.print(missing[-1], markup=False, highlight=False, soft_wrap=True)
            continue
        results[name] = {"version": child.version, "load_seconds": child.load_seconds}
        bench.close(name, child)
    return results, missing


def fidelity(bench: Bench, results: dict[str, dict[str, Any]], cases: list[Case], gsm8k: list[Case]) -> set[str]:
    """Parts 1, 4 and 5: what each grader says of every case; returns the cases that made one of them fail."""
    plain, hostile = [c for c in cases if not c.hostile], [c for c in cases if c.hostile]
    failed: set[str] = set()
    for name, result in results.items():
        verdicts, _ = bench.judge(name, plain, "fidelity")
        unable = {key for key, verdict in verdicts.items() if isinstance(verdict, str)}
        failed |= unable if 2 * len(unable) < len(plain) else set()  # one that does not work at all decides nothing
        in_main, wall = bench.judge(name, hostile, "hostile")
        in_thread, thread_wall = bench.judge(name, hostile, "hostile, in a thread", thread=True)
        verdicts |= in_main
        kinds = {case.id: kind(case, verdicts[case.id]) for case in cases}
        counts = Counter(kinds.values())
        result["fidelity"] = {each: counts[each] for each in KINDS}
        result["not_right"] = {each: [key for key, k in kinds.items() if k == each] for each in KINDS[1:]}
        result["hostile"] = {
            "wall": wall,
            "right": sum(kinds[c.id] == "right" for c in hostile),
            "thread_wall": thread_wall,
            "thread_differs": sum(in_main[c.id] != in_thread[c.id] for c in hostile),
            "thread_failed": sum(isinstance(verdict, str) for verdict in in_thread.values()),
        }
        verdicts, _ = bench.judge(name, gsm8k, "GSM8K")
        result["gsm8k_right"] = sum(verdicts[c.id] == c.expected for c in gsm8k)
    return failed


def speed(bench: Bench, results: dict[str, dict[str, Any]], cases: list[Case], gsm8k: list[Case]) -> None:
    """Parts 2, 3, 4 and 6: cases per second in passes taken in turn."""
    real = [c for c in cases if c.tag.startswith("real-output")]
    symbolic = [c for c in cases if c.symbolic]
    group = bench.args.group
    plans = {"once": (cases, 1), "group": (cases, group), "real": (real, 1), "gsm8k": (gsm8k, 1), "one": (symbolic, 1)}
    for result in results.values():
        result["rates"] = {plan: [] for plan in (*plans, "two")}
    for seed in range(bench.args.repeat):
        for name, result in results.items():
            for plan, (chosen, times) in plans.items():
                done, seconds = bench.rate(name, chosen, f"pass {seed + 1}, {plan}", seed=seed, group=times)
                result["rates"][plan] += [done / seconds] if done else []
            if len(symbolic) > 1:
                result["rates"]["two"] += at_once(bench, name, symbolic, seed)
    for name, result in results.items():
        result["latency_us"] = bench.latency(name, real) if real else {}
        result["medians"] = {
            plan: statistics.median(rates) if rates else None for plan, rates in result["rates"].items()
        }


def at_once(bench: Bench, name: str, cases: list[Case], seed: int) -> list[float]:
    """Cases per second of two processes that start together, each with half of them."""
    gate = threading.Barrier(2, timeout=STARTUP_SECONDS)
    with ThreadPoolExecutor(2) as pool:
        rate = partial(bench.rate, name, label="two at once", seed=seed, gate=gate)
        halves = [half.result() for half in [pool.submit(rate, cases=cases[i::2]) for i in (0, 1)]]
    done, longest = sum(done for done, _ in halves), max(seconds for _, seconds in halves)
    return [done / longest] if done else []


def import_seconds(times: int = 7) -> list[float]:
    """Part 7: `import rewardkit` in new processes."""
    code = "import time; t = time.perf_counter(); import rewardkit; print(time.perf_counter() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True) for _ in range(times)]
    return [float(run.stdout) for run in runs]


def figure(value: float | None, digits: int = 3) -> str:
    """A number to so many digits, whole from 100 on; a dash for what was not measured."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.{digits}g}"


def ratio(a: float | None, b: float | None) -> str:
    return figure(a / b if a and b else None)


def table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    print(f"\n**{title}**\n")
    for row in (columns, ["---"] * len(columns), *rows):
        print(f"| {' | '.join(str(cell) for cell in row)} |")


def report(results: dict[str, dict[str, Any]], sizes: dict[str, int], *, group: int, repeat: int) -> None:
    """Print the tables of these results, as equivalence.py writes them."""
    ours = next(iter(results.values()))["medians"]
    rows = []
    for name, result in results.items():
        counts, left = result["fidelity"], ", ".join(result["files_left"]) or "none"
        share = f"{100 * counts['right'] / sizes['cases']:.2f}"
        rows.append([name, result["version"], counts["right"], share, *(counts[kind] for kind in KINDS[1:]), left])
    title = f"Fidelity: {sizes['cases']} cases, {sizes['hostile']} of them hostile"
    table(title, ["grader", "version", "right", "%", *KINDS[1:], "files left by answers"], rows)

    rows = []
    for name, result in results.items():
        rates = result["medians"]
        cells = [cell for plan in PLANS for cell in (figure(rates[plan]), ratio(ours[plan], rates[plan]))]
        rows.append([name, *cells, result["gsm8k_right"]])
    title = (
        f"Cases per second, and how many times as fast ours is: {sizes['timed']} cases, once and {group} times each; "
        f"{sizes['real']} real outputs; {sizes['gsm8k']} of GSM8K; median of {repeat} passes in turn"
    )
    table(title, ["grader", *(cell for plan in PLANS.values() for cell in (plan, "ours ×")), "GSM8K right"], rows)

    rows = []
    for name, result in results.items():
        latency, rates = result["latency_us"], result["medians"]
        scaling = [figure(rates["one"]), figure(rates["two"]), ratio(rates["two"], rates["one"])]
        rows.append([name, figure(latency.get("median")), figure(latency.get("p99")), *scaling])
    title = (
        "Microseconds of one real output at a time, golds distinct, caches cold; "
        f"{sizes['symbolic']} symbolic cases per second in one process and in two at once"
    )
    table(title, ["grader", "median µs", "p99 µs", "one", "two", "two / one"], rows)

    rows = []
    for name, result in results.items():
        hostile = result["hostile"]
        rows.append([name, hostile["right"], figure(hostile["wall"]), figure(hostile["thread_wall"])])
        rows[-1] += [hostile["thread_differs"], hostile["thread_failed"]]
    title = f"The hostile family, {sizes['hostile']} cases: seconds, and what changes outside the main thread"
    table(title, ["grader", "right", "wall s", "in a thread s", "verdicts that differ", "failed in a thread"], rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("battery", type=Path, help="labelled cases as JSONL")
    parser.add_argument("--gsm8k", type=Path, help="GSM8K split as JSONL, with answers that end in #### n")
    parser.add_argument("--peers", help="comma-separated names, or how they begin (default: all)")
    parser.add_argument(
        "--peer-path", action="append", default=[], metavar="NAME=DIR", help="where a peer is; repeatable"
    )
    parser.add_argument("--repeat", type=int, default=3, help="timed passes")
    parser.add_argument("--group", type=int, default=8, help="completions for one gold")
    parser.add_argument("--limit", type=int, help="about this many cases, evenly spread")
    parser.add_argument("--pass-seconds", type=float, default=math.inf, help="end a timed pass after so long")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for a batch")
    parser.add_argument("--case-timeout", type=float, default=20.0, help="seconds for a case that is repeated alone")
    parser.add_argument("--memory-gb", type=float, default=8.0, help="address space of a grader")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/equivalence.json"))
    args = parser.parse_args()
    pairs = [text.partition("=") for text in args.peer_path]
    for name, _, folder in pairs:
        if not Path(folder).is_dir() or not any(grader.startswith(name) for grader in GRADERS):
            parser.error(f"--peer-path {name}={folder}: NAME=DIR, of {', '.join(GRADERS)} and a folder that exists")
    args.peer_path = [(name, str(Path(folder).resolve())) for name, _, folder in pairs]
    asked = args.peers.split(",") if args.peers else [""]
    for text in asked:
        if not any(name.startswith(text) for name in GRADERS):
            parser.error(f"--peers {text}: no such grader; there are {', '.join(GRADERS)}")
    args.graders = [name for name in GRADERS if name == OURS or any(name.startswith(text) for text in asked)]
    return args


def save(file: Path, **facts: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> int:
    """Measure, print, write."""
    args = parse()
    cases, gsm8k = read_battery(args.battery, args.limit), read_gsm8k(args.gsm8k, args.limit)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bench = Bench(args, progress)
        results, missing = present(bench, args.graders)
        if OURS not in results:
            raise SystemExit("\n".join(missing))
        failed = fidelity(bench, results, cases, gsm8k)
        timed = [c for c in cases if not c.hostile and c.id not in failed]
        save(args.output, graders=results, missing=missing)  # hours of work, should the rest be interrupted
        speed(bench, results, timed, gsm8k)
        imports = import_seconds()
    for name, result in results.items():
        result["files_left"] = sorted(bench.left.get(name, ()))
    sizes = {
        "cases": len(cases),
        "hostile": sum(c.hostile for c in cases),
        "timed": len(timed),
        "real": sum(c.tag.startswith("real-output") for c in timed),
        "symbolic": sum(c.symbolic for c in timed),
        "gsm8k": len(gsm8k),
    }
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}; left out of timed passes: {len(failed)} cases that made a grader hang, crash or raise")
    print("\n".join(missing))
    report(results, sizes, group=args.group, repeat=args.repeat)
    print(f"\n`import rewardkit`: {1000 * statistics.median(imports):.0f} ms (median of {len(imports)})")
    facts = {"command": sys.argv, "machine": machine, "sizes": sizes, "left_out": sorted(failed), "missing": missing}
    save(args.output, **facts, import_seconds=imports, graders=results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
