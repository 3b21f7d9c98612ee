r"""A coverage-guided fuzzer for the answer check: extraction, reading, comparison.

    python benchmarks/fuzz_equivalence.py --seconds 300 --seed 1 --save crashers/        # own mutator, any Python
    python benchmarks/fuzz_equivalence.py --seconds 300 --engine atheris --corpus seeds/  # pip install atheris

An input is an answer and a reference. It is kept, and mutated further by splices of LaTeX tokens, where it reaches a
line of rewardkit.equivalence or a kind of verdict that none before it reached. Six things must hold for each:
nothing raises; no check takes a second of processor time or a GiB; an answer equals itself; both directions agree
where both decide; `.why` is text; two rungs that decide about two expressions (normal forms, values) agree.

Files in --corpus hold an answer, a NUL and a reference; without a NUL the text is both. --save gets one such file
for each distinct finding, made as short as deleting tokens can make it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_SOURCE = str(Path(__file__).resolve().parents[1] / "rewardkit" / "equivalence")
SLOW_SECONDS = 1.0
MEMORY_BYTES = 2**30
_TRACED = 10
"""How many times slower a traced check may be; one beyond that is timed again without the trace."""
MAX_CHARS = 2_000
"""Longer inputs are cut: mutations by repetition would otherwise fill the corpus with size instead of structure."""

SEEDS = (
    *r"""
42|-7|0.125|\frac{3}{8}|-\frac12|2\frac{1}{3}|1 1/2|7/9|1{,}250|12,345,678|6.02\times 10^{23}|1.5e-3|35\%|12.5 percent
\$4.50|75\text{ cents}|9\text{ m/s}^2|3\text{ km}|30^\circ|\sin 75^\circ|0.1\overline{6}|2^{100}|20!|\binom{9}{4}
\sqrt{18}|\sqrt[3]{54}|\frac{1}{\sqrt5-2}|5\pi|\frac{\pi}{7}|e^{2\ln 3}|\log_2 40|\arctan\frac{1}{3}|x^2-5x+6
(x-2)(x-3)|\frac{x+1}{x^2-1}|a^2b-ab^2|\sqrt{x^2}|e^{-kt/m}|\sin^2\theta|\lfloor x\rfloor|\sum_{k=1}^{12} k^2
\prod_{k=1}^{4} k|\int_0^1 x\,dx|\lim_{x\to 0}\frac{\sin x}{x}|3-4i|e^{i\pi/3}|2\pm\sqrt7|x=\pm 3|(3,-1)|(x,y)=(2,5)
[0,4)|(-\infty,2]\cup(5,\infty)|\{1,4,9\}|2, 3, 5|x=1\text{ or }x=6|\begin{pmatrix}1&0\\2&3\end{pmatrix}|y=3x-2
x^2+y^2=25|-1\le x<4|x\neq 2|\{x\mid x>3\}|\mathbb{R}\setminus\{0\}|3:4:5|12:30|1101_2|\text{(B)}|C. x=7
\text{no solution}|Tuesday|f(x)=2x+1|\$x\$|Thus \boxed{\frac{1}{2}}.|\boxed{3} or \\boxed{\\frac{3}{4}}
<think>\boxed{1}</think> \fbox{2}|½|2√3|x²≥4|50°|−3×10⁵
""".strip()
    .replace("\n", "|")
    .split("|"),
    "3 + 3 = 6\n#### 6",
)
TOKENS = (
    r"\frac \dfrac \sqrt \sqrt[3] \left( \right) \left[ \right] \{ \} { } ( ) [ ] | ^ _ + - * / = < > ! % , ; "
    r": . ' $ & \\ \cdot \times \div \pm \mp \le \ge \ne \in \cup \cap \setminus \infty \pi \theta e i x y n 0 "
    r"1 2 10 0.5 1e9 \sin \cos \tan \ln \log \arcsin \exp \max \min \gcd \binom \sum_{k=1}^{ \prod \int_0^1 dx "
    r"\lim_{x\to0} \lfloor \rfloor \lceil \rceil \overline \vec \mathrm{ \text{ \mathbf{ \begin{pmatrix} "
    r"\end{pmatrix} \begin{array}{c} \end{array} \text{and} \text{or} and or \text{cm} \text{percent} miles "
    r"^\circ \circ \% \$ € ° π √ ² ½ ≤ ∞ ∪ − × … \boxed{ \fbox{ \\boxed{ </think> #### \, \! \; \quad ~ "
    r"\mathbb{R} \emptyset \choose \over _2 _{16} f( g( ^{-1} \Gamma \zeta \erf \arg \sgn \Re abs( sqrt( "
    r"99999999999 a_n |x| \ldots \prime \hbox \operatorname{ \displaystyle"
).split()
_PIECE = re.compile(r"\\[a-zA-Z]+|\\.|\d+|[a-zA-Z]+|.", re.DOTALL)


class Case(NamedTuple):
    """One input."""

    answer: str
    truth: str


class Finding(NamedTuple):
    """What went wrong with an input; findings with the same key are the same finding."""

    key: str
    report: str
    case: Case


class _TooSlow(BaseException):
    """No exception that a handler of the code under test could swallow."""


@dataclass
class Result:
    """What a run did."""

    executions: int = 0
    seconds: float = 0.0
    lines: int = 0
    kept: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)


# --- what must hold -------------------------------------------------------------------------------------------------


def broken(case: Case) -> tuple[tuple[Any, ...], str | None]:
    """The kind of verdict that an input leads to, and what it breaks; raises what the code under test raises."""
    from rewardkit.equivalence import extract
    from rewardkit.equivalence.check import check
    from rewardkit.equivalence.describe import described
    from rewardkit.equivalence.reader import read

    answer, truth = case
    for text in case:
        found = extract.boxes(text)
        if (found[-1] if found else None) != extract.last_boxed(text):
            return (), "last_boxed is not the last of boxes"
        extract.reference_answer(text)
    for on_conflict in ("last", "reject"):
        extract.extract_answer(f"{answer} \\boxed{{{truth}}}", on_conflict=on_conflict)
    verdict = check(answer, truth)
    if not isinstance(described(answer, truth, verdict).why, str):
        return (), ".why is no text"
    one, two = read(answer), read(truth)
    kind = (verdict.rung, verdict.equal, type(one.value), type(two.value))
    back = check(truth, answer)
    if None not in (verdict.equal, back.equal) and verdict.equal != back.equal:
        return kind, f"asymmetric: {verdict.equal} by {verdict.rung}, {back.equal} by {back.rung}"
    for text, reading in ((answer, one), (truth, two)):
        if reading.form and not check(text, text).equal:
            return kind, f"{text!r} does not equal itself"
    return kind, _rungs_disagree(one.value, two.value)


def _rungs_disagree(a: Any, b: Any) -> str | None:
    """A proof by normal forms that the values contradict."""
    from rewardkit.equivalence.algebra import same_form
    from rewardkit.equivalence.numeric import Opaque, same_value
    from rewardkit.equivalence.polynomials import TooLarge, Undefined
    from rewardkit.equivalence.tree import EXPRESSIONS

    if not (isinstance(a, EXPRESSIONS) and isinstance(b, EXPRESSIONS)):
        return None
    try:
        by_form, by_value = same_form(a, b), same_value(a, b)
    except (TooLarge, Undefined, Opaque, RecursionError):
        return None
    if None in (by_form, by_value) or by_form == by_value:
        return None
    return f"rungs disagree: {by_form} by normal form, {by_value} by values"


def examine(case: Case, limit: float = SLOW_SECONDS) -> tuple[tuple[Any, ...], Finding | None]:
    """The kind of verdict, and the finding where something is broken."""
    try:
        with _limited(limit):
            kind, problem = broken(case)
    except _TooSlow:
        return (), Finding("slow", f"more than {limit:.0f} s of processor time", case)
    except Exception as error:  # noqa: BLE001 - any exception is the finding
        where = next(
            (f for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename.startswith(_SOURCE)), None
        )
        place = f"{Path(where.filename).name}:{where.name}" if where else "?"
        return (), Finding(f"{type(error).__name__} in {place}", f"{type(error).__name__}: {error}"[:500], case)
    if problem is None:
        return kind, None
    return kind, Finding(f"{problem.partition(':')[0][:40]} {kind[:1]}", problem, case)


def limit_memory(allowance: int) -> None:
    """From here on an allocation beyond what is in use and `allowance` raises MemoryError, which is a finding."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + allowance, resource.RLIM_INFINITY))


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Processor time, not wall time: a busy machine is no finding. (pytest-timeout has the timer of wall time.)"""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def forget() -> None:
    """Empty what the package remembers, so that a time is that of a first check."""
    for name, module in list(sys.modules.items()):
        if name.startswith("rewardkit.equivalence"):
            for value in list(vars(module).values()):
                clear = getattr(value, "cache_clear", None)
                if clear is not None:
                    clear()


# --- coverage -------------------------------------------------------------------------------------------------------


class Lines:
    """The lines of rewardkit.equivalence that have run; a function whose lines all have is traced no more."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()
        self._left: dict[CodeType, set[int]] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def _called(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        if not code.co_filename.startswith(_SOURCE):
            return None
        left = self._left.get(code)
        if left is None:
            left = self._left[code] = {line for _, _, line in code.co_lines() if line} - {code.co_firstlineno}
        return self._line if left else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        if event == "line":
            left = self._left[frame.f_code]
            if frame.f_lineno in left:
                left.discard(frame.f_lineno)
                self.seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


# --- mutation -------------------------------------------------------------------------------------------------------


def mutated(case: Case, corpus: Sequence[Case], rng: random.Random) -> Case:
    """Another input: one side or both spliced, or the reference made from the answer."""
    answer, truth = case
    turn = rng.random()
    if turn < 0.35:
        answer = _spliced(answer, corpus, rng)
    elif turn < 0.5:
        truth = _spliced(truth, corpus, rng)
    elif turn < 0.75:  # near the answer, so that the comparison goes deep
        answer = _spliced(answer, corpus, rng)
        truth = _spliced(answer, corpus, rng)
    elif turn < 0.85:
        answer, truth = truth, answer
    else:
        truth = rng.choice(rng.choice(corpus))
    return Case(answer[:MAX_CHARS], truth[:MAX_CHARS])


def _spliced(text: str, corpus: Sequence[Case], rng: random.Random) -> str:
    pieces = _PIECE.findall(text)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        start = rng.randint(0, len(pieces))
        end = min(len(pieces), start + rng.choice((0, 1, 1, 2, 5)))
        match rng.randrange(8):
            case 0:
                new: list[str] = []
            case 1:
                new = [rng.choice(TOKENS)]
            case 2:
                new = [rng.choice(TOKENS), *pieces[start:end], rng.choice(TOKENS)]
            case 3:
                new = pieces[start:end] * rng.choice((2, 2, 3, 40))
            case 4:
                new = pieces[start:end][::-1]
            case 5:
                new = [
                    rng.choice(("(", "{", r"\left(", "|", r"\sqrt{", r"\frac{")),
                    *pieces[start:end],
                    rng.choice("(){}|"),
                ]
            case 6:
                new = [str(rng.choice((0, 1, 2, 3, 7, 10, 12, 100, 999, 10**6, 10**12, -1)))]
            case _:
                other = _PIECE.findall(rng.choice(rng.choice(corpus)))
                at = rng.randint(0, len(other))
                new = other[at : at + rng.randint(1, 8)]
        pieces[start:end] = new
    return "".join(pieces)


def shortened(finding: Finding, seconds: float = 5.0) -> Finding:
    """The same finding with as many tokens deleted as can be within the time."""
    until = time.monotonic() + seconds
    for side in (0, 1):
        size = max(1, len(_PIECE.findall(finding.case[side])) // 2)
        while size:
            at = 0
            while at < len(pieces := _PIECE.findall(finding.case[side])):
                if time.monotonic() > until:
                    return finding
                text = "".join(pieces[:at] + pieces[at + size :])
                case = Case(text, finding.case.truth) if side == 0 else Case(finding.case.answer, text)
                forget()
                _, again = examine(case)
                if again is not None and again.key == finding.key:
                    finding = again
                else:
                    at += size
            size //= 2
    return finding


# --- runs -----------------------------------------------------------------------------------------------------------


def fuzz(
    seconds: float,
    seed: int = 0,
    seeds: Sequence[Case] = (),
    *,
    executions: int | None = None,
    on_step: Callable[[Result], None] = lambda result: None,
) -> Result:
    """Fuzz in this process until the time, or the number of executions, is up."""
    rng = random.Random(seed)
    lines, kinds, result = Lines(), set[tuple[Any, ...]](), Result()
    waiting = [
        *(Case(text, text) for text in SEEDS),
        *(Case(rng.choice(SEEDS), rng.choice(SEEDS)) for _ in SEEDS),
        *seeds,
    ]
    corpus = list(waiting)
    started = time.monotonic()
    while (result.seconds < seconds and result.executions != executions) or not result.executions:
        case = waiting.pop() if waiting else mutated(rng.choice(corpus), corpus, rng)
        before = len(lines.seen)
        with lines.watched():
            kind, finding = examine(case, SLOW_SECONDS * _TRACED)
        if finding is not None and finding.key == "slow":
            forget()
            kind, finding = examine(case)
        if finding is not None and finding.key not in result.findings:
            result.findings[finding.key] = finding
        if len(lines.seen) > before or kind not in kinds:
            kinds.add(kind)
            corpus.append(case)
            result.kept += 1
        result.executions += 1
        result.lines, result.seconds = len(lines.seen), time.monotonic() - started
        on_step(result)
    return result


def fuzz_with_atheris(seconds: float, seed: int, seeds: Sequence[Case], report: Callable[[Result], None]) -> None:
    """The same checks under libFuzzer's mutator and its coverage of branches; does not return."""
    try:
        import atheris  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise SystemExit("atheris is not installed here: pip install atheris, or leave out --engine atheris") from None
    with atheris.instrument_imports(include=["rewardkit.equivalence"]):
        import rewardkit.equivalence.check
        import rewardkit.equivalence.describe
        import rewardkit.equivalence.extract  # noqa: F401
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"fuzz_equivalence_{os.getpid()}"
    folder.mkdir()
    for index, case in enumerate([*(Case(text, text) for text in SEEDS), *seeds]):
        (folder / f"{index}").write_bytes("\0".join(case).encode("utf-8", "surrogatepass"))
    result, started = Result(), time.monotonic()

    def one(data: bytes) -> None:
        _, finding = examine(as_case(data.decode("utf-8", "replace")))
        if finding is not None:
            result.findings.setdefault(finding.key, finding)
        result.executions += 1
        result.seconds = time.monotonic() - started
        if result.seconds > seconds:
            report(result)
            os._exit(bool(result.findings))  # libFuzzer never returns

    atheris.Setup([sys.argv[0], f"-seed={seed or 1}", f"-max_len={MAX_CHARS}", "-timeout=60", str(folder)], one)
    atheris.Fuzz()


def as_case(text: str) -> Case:
    """A corpus file as an input."""
    answer, nul, truth = text.partition("\0")
    return Case(answer, truth if nul else answer)


def save(findings: Sequence[Finding], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for finding in findings:
        name = hashlib.sha256(finding.key.encode()).hexdigest()[:12]
        (folder / name).write_bytes("\0".join(finding.case).encode("utf-8", "surrogatepass"))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to fuzz")
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutations")
    parser.add_argument("--corpus", type=Path, help="a folder of further seeds")
    parser.add_argument("--save", type=Path, help="a folder for the inputs that broke something")
    parser.add_argument("--engine", choices=("own", "atheris"), default="own")
    options = parser.parse_args(argv)
    console = Console()
    files = sorted(f for f in options.corpus.iterdir() if f.is_file()) if options.corpus else []
    seeds = [as_case(f.read_text(encoding="utf-8", errors="replace")) for f in files]

    def report(result: Result) -> None:
        findings = [shortened(f) for f in result.findings.values()]
        for f in findings:
            console.print(f"{f.key}\n  {f.report}\n  answer {f.case.answer!r}\n  truth  {f.case.truth!r}", markup=False)
        if options.save:
            save(findings, options.save)
        rate = result.executions / max(result.seconds, 1e-9)
        lines = f"{result.lines} lines covered, {result.kept} inputs kept, " if result.lines else ""
        console.print(f"{result.executions} executions, {rate:.0f}/s, {lines}{len(findings)} crashers", markup=False)

    if sys.platform == "linux":
        limit_memory(MEMORY_BYTES)
    if options.engine == "atheris":
        fuzz_with_atheris(options.seconds, options.seed, seeds, report)
    columns = (BarColumn(), TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=options.seconds)

        def step(r: Result) -> None:
            if r.executions % 50 == 0:
                text = f"{r.executions} executions, {r.lines} lines, {r.kept} kept, {len(r.findings)} crashers"
                progress.update(task, completed=r.seconds, description=text)

        result = fuzz(options.seconds, options.seed, seeds, on_step=step)
    report(result)
    return bool(result.findings)


if __name__ == "__main__":
    sys.exit(main())
