r"""The graders that benchmarks/equivalence.py compares, and the process that each of them runs in.

A grader is `score(completions, golds)`, one reward per completion: the gold goes into a box where that helps, the
last box is cut out of the completion where bare answers are taken. Graders that are files of a larger project are
imported without running that project's packages, which would load a trainer. Nothing of theirs is kept here.

    python benchmarks/graders.py NAME [--thread]       # the child: JSON requests in, JSON replies out, one a line
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

Score = Callable[[list[str], list[str]], list[Any]]
Loaded = tuple[Score, str]  # the scoring function, and the version it is of

_BRACES = re.compile(r"\\+(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)


def last_box(text: str) -> str | None:
    r"""The content of the last ``\boxed{...}`` that closes, for graders that take bare answers."""
    starts: list[int] = []  # where the content of each open box starts; -1 for a brace that is no box
    found = None
    for token in _BRACES.finditer(text):
        if token.group() == "{":
            starts.append(-1)
        elif token.group() == "}":
            if starts and (start := starts.pop()) >= 0:
                found = text[start : token.start()]
        elif len(token.group()) > 2:
            starts.append(token.end())
    return found


def box(gold: str) -> str:
    return f"\\boxed{{{gold}}}"


def chat(texts: list[str], role: str = "assistant") -> list[list[dict[str, str]]]:
    return [[{"role": role, "content": text}] for text in texts]


def each(judge: Callable[[str, str], Any]) -> Score:
    """A scorer of batches from a judge of one completion and gold."""
    return lambda completions, golds: [judge(c, g) for c, g in zip(completions, golds, strict=True)]


def find(*files: str) -> tuple[Path, str]:
    """The first of these files on the path or one level below: its base folder, put first on the path, and its name."""
    for file in files:
        for base in map(Path, sys.path):
            for found in (base / file, *base.glob(f"*/{file}")):
                if found.is_file():
                    folder = found.parents[file.count("/")]
                    sys.path.insert(0, str(folder))
                    return folder, file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    raise ModuleNotFoundError(f"no {files[0]} on the path")


def load_file(*files: str, bare: str = "") -> ModuleType:
    """Import the first of these files that is found, with the packages named in `bare` registered but not run."""
    base, name = find(*files)
    parts = bare.split(".") if bare else []
    for depth in range(1, len(parts) + 1):
        package = ModuleType(".".join(parts[:depth]))
        package.__path__ = [str(base.joinpath(*parts[:depth]))]
        sys.modules[package.__name__] = package
    return importlib.import_module(name)


class Stub(ModuleType):
    """A module in which every name is a function that returns None."""

    __path__: list[str] = []  # noqa: RUF012 - what makes it a package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


class Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stub in place of each of these modules and of all below them."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        ours = any(name == top or name.startswith(f"{top}.") for top in self.names)
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if ours else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Stub(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


def version_of(distribution: str, module: ModuleType | None = None) -> str:
    """The installed version; for a file the commit of its checkout, or else its digest."""
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    file = Path(str(module and module.__file__))
    command = ["git", "-C", str(file.parent), "rev-parse", "--short=10", "HEAD"]
    with suppress(OSError, subprocess.CalledProcessError):
        return "git " + subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return f"sha256 {hashlib.sha256(file.read_bytes()).hexdigest()[:10]}"


def load_ours() -> Loaded:
    from rewardkit import boxed_accuracy

    def score(completions: list[str], golds: list[str]) -> list[Any]:
        prompts = chat(["Solve the problem."] * len(golds), role="user")
        return list(boxed_accuracy(prompts=prompts, completions=chat(completions), ground_truth=golds))

    return score, version_of("rewardkit")


def load_exact() -> Loaded:
    return each(lambda completion, gold: (last_box(completion) or "").strip() == gold.strip()), "–"


def load_math_verify() -> Loaded:
    from math_verify import parse, verify

    return each(lambda completion, gold: verify(parse(box(gold)), parse(completion))), version_of("math-verify")


def load_trl() -> Loaded:
    from trl.rewards import accuracy_reward

    return lambda completions, golds: accuracy_reward(chat(completions), list(map(box, golds))), version_of("trl")


def load_open_r1() -> Loaded:
    sys.meta_path.insert(0, Stubs("open_r1.utils", "requests"))  # for its rewards that run code; not used here
    rewards = load_file("open_r1/rewards.py", bare="open_r1")
    version = version_of("open-r1", rewards)
    return lambda completions, golds: rewards.accuracy_reward(chat(completions), list(map(box, golds))), version


def load_lm_eval(task: str) -> Loaded:
    utils = load_file(f"lm_eval/tasks/{task}/utils.py", bare="lm_eval.tasks")
    normal: Callable[[str], str] = getattr(utils, "normalize_final_answer", str)

    def judge(completion: str, gold: str) -> bool:
        answer = last_box(completion)
        return answer is not None and bool(utils.is_equiv(normal(answer), normal(gold)))

    return each(judge), version_of("lm_eval", utils)


def load_verl(*files: str) -> Loaded:
    grader = load_file(*(f"verl/utils/reward_score/{file}" for file in files), bare="verl.utils.reward_score")

    def judge(completion: str, gold: str) -> Any:
        result = grader.compute_score(completion, gold)
        return result[0] if isinstance(result, tuple) else result

    return each(judge), version_of("verl", grader)


def load_prm800k() -> Loaded:
    grader = load_file("grading/grader.py")
    return each(lambda completion, gold: grader.grade_answer(last_box(completion), gold)), version_of("prm800k", grader)


def load_qwen() -> Loaded:
    folder = find("evaluation/grader.py")[0] / "evaluation"
    sys.path[:0] = [str(folder), str(folder / "latex2sympy")]
    grader = importlib.import_module("evaluation.grader")
    grader.parse_latex("1")  # raises without its antlr; math_equal would swallow that on every answer
    judge = each(lambda completion, gold: grader.math_equal(last_box(completion), gold, timeout=True))
    return judge, version_of("qwen2.5-math", grader)


@dataclass(frozen=True)
class Grader:
    load: Callable[[], Loaded]
    get: str  # how it is got


_ANTLR = "antlr4-python3-runtime==4.11.1"  # the only one that sympy's parse_latex accepts
_PIP = "pip install --no-deps --target DIR {}; --peer-path {}=DIR"
_GIT = "git clone https://github.com/{} DIR; --peer-path {}=DIR"
_LM_EVAL = _PIP.format(f"lm-eval {_ANTLR}", "lm-eval")
_VERL = _PIP.format(f"verl pylatexenc {_ANTLR}", "verl")
GRADERS = {
    "rewardkit": Grader(load_ours, "pip install -e ."),
    "math-verify": Grader(load_math_verify, "pip install math-verify"),
    "trl": Grader(load_trl, "pip install trl math-verify"),
    "open-r1": Grader(load_open_r1, _GIT.format("huggingface/open-r1", "open-r1")),
    "prm800k": Grader(
        load_prm800k, f"{_GIT.format('openai/prm800k', 'prm800k')}; {_PIP.format('pylatexenc', 'prm800k')}"
    ),
    "qwen2.5-math": Grader(
        load_qwen, f"{_GIT.format('QwenLM/Qwen2.5-Math', 'qwen2.5-math')}; {_PIP.format(_ANTLR, 'qwen2.5-math')}"
    ),
    "verl-prime-math": Grader(partial(load_verl, "prime_math/__init__.py"), _VERL),
    "verl-math": Grader(partial(load_verl, "math_reward.py", "math.py"), _VERL),
    "lm-eval-minerva": Grader(partial(load_lm_eval, "minerva_math"), _LM_EVAL),
    "lm-eval-hendrycks": Grader(partial(load_lm_eval, "hendrycks_math"), _LM_EVAL),
    "exact": Grader(load_exact, ""),
}


def failure(state: str, error: BaseException, seconds: list[float]) -> dict[str, Any]:
    return {"state": state, "error": f"{type(error).__name__}: {error}"[:300], "seconds": seconds}


def answer(score: Score, request: dict[str, Any]) -> dict[str, Any]:
    """Score a request in calls of its size, each timed; an exception is an answer too."""
    completions, golds, size = request["completions"], request["golds"], request["size"]
    verdicts: list[bool | None] = []
    seconds: list[float] = []
    for first in range(0, len(golds), size):
        start = time.perf_counter()
        try:
            rewards = list(score(completions[first : first + size], golds[first : first + size]))
            seconds.append(time.perf_counter() - start)
            verdicts += [None if reward is None else float(reward) > 0.5 for reward in rewards]
        except BaseException as error:  # noqa: BLE001 - whatever it raises, SystemExit too, is a finding
            spent = time.perf_counter() - start
            return failure("exception", error, [*seconds, spent])
    if len(verdicts) != len(golds):
        return failure("exception", ValueError(f"{len(verdicts)} rewards for {len(golds)} completions"), seconds)
    return {"state": "done", "verdicts": verdicts, "seconds": seconds}


def serve(name: str) -> None:
    """Load the grader, say so, and answer requests until stdin ends."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nothing.fileno(), 0)  # a grader must not read requests
    os.dup2(2, 1)  # and what it prints is no reply
    start = time.perf_counter()
    try:
        score, version = GRADERS[name].load()
    except Exception as error:  # noqa: BLE001 - a peer that does not load is left out, with its reason
        print(json.dumps(failure("missing", error, [])), file=replies, flush=True)
        return
    ready = {"state": "ready", "seconds": [time.perf_counter() - start], "version": version}
    print(json.dumps(ready), file=replies, flush=True)
    for line in requests:
        print(json.dumps(answer(score, json.loads(line))), file=replies, flush=True)


def main() -> None:
    """The child: limits first, then the grader, in the main thread or in another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=GRADERS)
    parser.add_argument("--thread", action="store_true", help="call the grader outside the main thread")
    parser.add_argument("--memory-gb", type=float, default=8.0)
    args = parser.parse_args()
    memory = int(args.memory_gb * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if args.thread:
        thread = threading.Thread(target=serve, args=(args.name,))
        thread.start()
        thread.join()
    else:
        serve(args.name)


if __name__ == "__main__":
    main()
