r"""Specification of what untrusted text can do to rewardkit.equivalence: get a verdict, soon, and nothing else.

The test of flat memory reads 3,000 hostile texts; ``REWARDKIT_HOSTILE=100000`` in the environment makes it a
run of some minutes by hand.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rewardkit.equivalence import compare
from rewardkit.equivalence.check import Verdict, check
from rewardkit.equivalence.describe import described
from rewardkit.equivalence.lexer import MAX_CHARS, MAX_TOKENS
from rewardkit.equivalence.numerals import MAX_DIGITS
from rewardkit.equivalence.parser import MAX_DEPTH

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted((ROOT / "rewardkit").rglob("*.py"))
HOSTILE_TEXTS = os.environ.get("REWARDKIT_HOSTILE", "3000")


def printed(script: str, data: object, cwd: Path, *, seconds: float = 120) -> str:
    """What a script prints that reads JSON; it must end well."""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(data),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


# --- what the source may not say --------------------------------------------------------------------------------

EVALUATE = {"eval", "exec", "execfile", "compile", "__import__", "breakpoint", "globals", "setattr", "delattr"}
PARSE = {"sympify", "S", "parse_expr", "parse_latex", "lambdify", "literal_eval", "import_module", "run_module"}
RUN = {
    "os.system", "os.popen", "os.fork", "pickle.loads", "pickle.load", "marshal.loads", "marshal.load", "yaml.load",
    "subprocess.getoutput", "subprocess.getstatusoutput", "sympy.S", "types.FunctionType",
}  # fmt: skip


def findings(source: str) -> Iterator[str]:
    """What evaluates, parses with sympy, unpickles, runs a shell or formats with a computed template."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in EVALUATE | PARSE:
            yield node.id
        elif isinstance(node, ast.alias) and node.name.rpartition(".")[2] in EVALUATE | PARSE | {"pickle", "marshal"}:
            yield node.name
        elif isinstance(node, ast.Attribute):
            dotted = ast.unparse(node)
            if dotted in RUN or (node.attr in EVALUATE | PARSE and dotted not in ("re.compile", "regex.compile")):
                yield dotted
        elif isinstance(node, ast.Call):
            if any(k.arg == "shell" and ast.unparse(k.value) != "False" for k in node.keywords):
                yield "shell="
            function = node.func
            if isinstance(function, ast.Attribute) and function.attr in ("format", "format_map"):
                literal = isinstance(function.value, ast.Constant) and isinstance(function.value.value, str)
                if not literal:
                    yield ast.unparse(node)


ALLOWED = {  # none of it is given text of a model; each with what it is for
    "rewardkit/__init__.py": {"importlib.import_module", "globals"},  # own modules, loaded when first used
    "rewardkit/contract.py": {"globals"},  # `Reward.aio`, a copy of a function of that file
    "rewardkit/functions.py": {"importlib.import_module"},  # a decorated function is unpickled by its name
    "rewardkit/spec.py": {"importlib.import_module"},  # tomllib
    "rewardkit/spec_reader.py": {"importlib.import_module"},  # what the caller of from_spec lists
    "rewardkit/cli/stacks.py": {"importlib.import_module"},  # module:name as the user typed it
    "rewardkit/cli/jsonl.py": {"_TOO_LONG.format(length, LINE_BYTES)"},  # a constant
    "rewardkit/cli/lanes.py": {"pickle"},  # the stack on its way to a worker process
    "rewardkit/cli/worker.py": {"pickle", "pickle.loads"},  # and where it arrives
    "rewardkit/testing/checks.py": {"pickle", "pickle.loads"},  # whether the user's reward pickles
    # In the sandbox's own process, where the program of a completion runs by design:
    "rewardkit/sandbox/inside/confine.py": {"os.fork"},
    "rewardkit/sandbox/inside/link.py": {"setattr"},
    "rewardkit/sandbox/inside/server.py": {"os.fork", "importlib.import_module"},
    "rewardkit/sandbox/inside/values.py": {"importlib.import_module"},
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_evaluates_text(path: Path) -> None:
    found = set(findings(path.read_text(encoding="utf-8")))
    assert found - ALLOWED.get(path.relative_to(ROOT).as_posix(), set()) == set()


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_is_used(name: str) -> None:
    assert ALLOWED[name] <= set(findings((ROOT / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')", "exec(x)", "f = eval", "map(eval, texts)", "builtins.eval(x)", "compile(x, '', 'eval')",
        "__import__(x)", "sympify(x)", "sympy.sympify(x)", "from sympy import sympify", "sympy.S(x)", "S(x)",
        "from sympy.parsing.latex import parse_latex", "parse_expr(x)", "pickle.loads(x)", "import pickle",
        "os.system(x)", "subprocess.run(x, shell=True)", "template.format(x)", "(a + b).format(x)", "lambdify(x, y)",
    ],
)  # fmt: skip
def test_the_search_finds(source: str) -> None:
    assert list(findings(source))


@pytest.mark.parametrize("source", ["re.compile('a')", "'{}'.format(x)", "run(x, shell=False)", "expr.eval_at"])
def test_the_search_lets_pass(source: str) -> None:
    assert list(findings(source)) == []


SYMPY_FUNCTIONS = set(
    "sin cos tan cot sec csc sinh cosh tanh coth asin acos atan acot asec acsc asinh acosh atanh log Abs sign re im "
    "arg floor ceiling factorial factorial2 gamma zeta erf binomial gcd lcm Max Min".split()
)
SYMPY_NAMES = set(
    "pi E I oo Symbol Dummy Rational Integer Add Mul Pow real_root Sum Product Integral Limit Function log "
    "simplify".split()
)


def test_names_are_taken_from_sympy_by_a_list() -> None:
    from rewardkit.equivalence import symbolic

    assert {symbolic._NAMES.get(name, name) for name in symbolic._KNOWN} <= SYMPY_FUNCTIONS


def test_nothing_else_is_taken_from_sympy() -> None:
    tree = ast.parse((ROOT / "rewardkit/equivalence/symbolic.py").read_text(encoding="utf-8"))
    written, computed, guarded = set(), 0, 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "sympy":
            written.add(node.attr)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            computed += 1
        elif isinstance(node, ast.IfExp) and ast.unparse(node.test) == "node.name in _KNOWN":
            guarded += ast.unparse(node.body).startswith("getattr(sympy, ")
    assert written <= SYMPY_NAMES
    assert computed == guarded


# --- what runs when text is compared ----------------------------------------------------------------------------

MARKER = "qzxvw"
COMPARED = r"""
\int_0^1 Q t^2 dt ~ \frac{Q}{3}
\int_0^1 \frac{Q}{1+t^2} dt ~ \frac{\pi}{4}Q
\int_0^1 \ln t dt + Q ~ Q-1
\int_0^{\infty} \frac{\sin t}{t} dt + Q ~ \frac{\pi}{2} + Q
\int_0^{Q} \cos t dt ~ \sin Q
\int_0^{Q} 2t dt ~ Q^2
\int_{-Q}^{Q} t dt ~ 0
\int_1^e \frac{Q}{t} dt ~ Q
\int_0^1 |t-1/2| dt ~ \frac{1}{4} + 0 Q
\int_0^1 \max(t,1/2) dt - Q ~ \frac{5}{8} - Q
\erf(Q) + \int_0^1 2t dt ~ 1 + \erf(Q)
\int_0^1 Q \sinh t dt ~ Q \cosh 1 - Q
\log_2 Q + \int_0^1 2t dt ~ 1 + \log_2 Q
\int_{-1}^1 \sqrt[3]{t} dt ~ 0
\int_0^1 f(Q) dt ~ f(Q)
\int_0^1 f(Qt) dt ~ 7
\int_0^1 \overline{Q} t dt ~ \frac{\overline{Q}}{2}
\int_0^1 t + \text{Q} dt ~ 1/2
\int Q e^{t}\sin t dt ~ \frac{Q e^t(\sin t-\cos t)}{2}
\int t^2 dt ~ \frac{t^3}{3} + Q
\int_0^1 t^2 dt ~ Q
\int_0^1 50\% Q dt ~ \frac{Q}{2}
\int_0^{90^\circ} \sin t dt ~ Q
\lim_{t\to 0} \frac{\sin Qt}{t} ~ Q
\lim_{t\to Q} t^2 ~ Q^2
\lim_{t\to 0} \frac{1}{t} ~ \infty
\lim_{t\to \infty} (1+\frac{Q}{t})^t ~ e^Q
\lim_{t\to 0} Q t \ln t ~ 0
\lim_{t\to 1} \frac{t^2-1}{t-1} ~ 2 + Q - Q
\lim_{t\to 0} \sin(Q/t) ~ 0
\lim_{t\to 0} f(Qt) ~ 7
\lim_{t\to\infty} \lfloor t \rfloor \frac{Q}{t} ~ Q
\sum_{k=1}^{\infty} \frac{Q}{k^2} ~ \frac{\pi^2}{6} Q
\sum_{k=1}^{\infty} \frac{1}{k(k+1)} + Q ~ 1 + Q
\sum_{k=1}^{\infty} \frac{Q}{k} ~ \infty
\sum_{k=0}^{\infty} \frac{Q^k}{k!} ~ e^Q
\sum_{k=1}^{Q} k ~ \frac{Q(Q+1)}{2}
\sum_{k=1}^{1000} k Q ~ 500500 Q
\sum_{k=1}^{1000} k^2 + Q ~ 333833500 + Q
\prod_{k=1}^{250} k Q ~ 250! Q^{250}
\prod_{k=1}^{Q} k ~ Q!
\prod_{k=1}^{300} Q ~ Q^{300}
\zeta(Q) ~ \zeta(Q+1)
\zeta(2) ~ \frac{\pi^2}{6}+0\zeta(Q)
\gcd(Q,6) ~ 3
\det(Q) ~ Q
\|Q\| ~ Q
\{Q, \int_0^1 t dt\} ~ \{\frac12, Q\}
(\int_0^1 Q dt, 2) ~ (Q, 2)
Q=\int_0^1 t dt ~ 1/2
\begin{pmatrix} \int_0^1 t dt \\ Q \end{pmatrix} ~ \begin{pmatrix} 1/2 \\ Q \end{pmatrix}
Q^{\int_0^1 t dt} ~ \sqrt{Q}
f(Q) + \int_0^1 t dt ~ f(Q) + \frac12
\sin Q + \int_0^1 t dt ~ \cos Q
\int_0^1 x_{__import__('Q')} dt ~ \frac{x_{__import__('Q')}}{1}
\int_0^1 x_{f"Q"} dt ~ \frac{x_{f"Q"}}{1}
\int_0^1 x_{lambda:eval("Q")} dt ~ \frac{x_{lambda:eval("Q")}}{1}
__import__('os').system('Q') ~ 42
eval("Q") ~ 42
\input{Q} ~ 42
lambda Q: Q ~ 42
{Q.__class__} ~ 42
""".strip().replace("Q", f"y_{{{MARKER}}}")  # the name of one variable

WATCHED = r"""
import json, sys
from rewardkit.equivalence.check import check
from rewardkit.equivalence.symbolic import symbolic_equal
import sympy

sympify = sys.modules["sympy.core.sympify"].sympify
seen, marker = [], sys.stdin.readline().strip().strip('"')

def calls(frame, event, arg):
    code = frame.f_code
    if code is sympify.__code__ and isinstance(frame.f_locals["a"], str):
        seen.append(f"sympify {frame.f_locals['a']}")
    elif "/sympy/parsing/" in code.co_filename:
        seen.append(f"{code.co_name} {[value for value in frame.f_locals.values() if isinstance(value, str)]}")

def compiled(event, args):
    if event == "compile":
        seen.append(f"compile {args[0]!r}")
    elif event == "exec":
        seen.append(f"exec {texts_of(args[0])}")

def texts_of(code):
    inner = [texts_of(constant) for constant in code.co_consts if hasattr(constant, "co_consts")]
    return [code.co_names, code.co_varnames, [str(constant) for constant in code.co_consts], inner]

def compared(answer, truth):
    try:
        return check(answer, truth, None, symbolic_equal).rung
    except Exception as error:
        return type(error).__name__

sys.addaudithook(compiled)
rungs = []
for line in sys.stdin.read().strip().splitlines():
    sys.settrace(calls)
    rungs.append(compared(*line.split(" ~ ")))
    sys.settrace(None)
found = [text for text in seen if marker in text]
sys.settrace(calls)
control = sympy.sympify(marker + " + 1")
sys.settrace(None)
control = sorted({text.split()[0] for text in seen if marker in text})
print(json.dumps([rungs, found, control]))
"""


def test_no_part_of_a_text_is_parsed_compiled_or_run_not_even_by_sympy(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED],
        input=f"{MARKER}\n{COMPARED}",
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    rungs, found, control = json.loads(ended.stdout)
    assert found == []
    assert rungs.count("symbolic") > 40
    assert {"sympify", "compile", "exec", "parse_expr"} <= {*control}  # the watch sees what there is to see


# --- what text may try -----------------------------------------------------------------------------------------

INJECTIONS = [
    "__import__('os').system('touch PWNED')",
    "eval(\"__import__('os').system('touch PWNED')\")",
    'exec(\'open("PWNED", "w")\')',
    "open('PWNED','w')",
    "(lambda: open('PWNED','w'))()",
    "lambda: 42",
    "[open('PWNED','w') for x in (1,)]",
    "().__class__.__bases__[0].__subclasses__()",
    "Symbol('x').__class__.__init__.__globals__['os'].system('touch PWNED')",
    "sympify(\"__import__('os').system('touch PWNED')\")",
    'S(\'open("PWNED","w")\')',
    "getattr(__builtins__, 'ev' + 'al')('open(\"PWNED\", \"w\")')",
    "f\"{open('PWNED','w')}\"",
    "{0.__class__}",
    "{0.__init__.__globals__}",
    "{{config}}",
    "%(answer)s",
    "${jndi:ldap://localhost/PWNED}",
    "$(touch PWNED)",
    "`touch PWNED`",
    "; touch PWNED #",
    "| touch PWNED",
    "42'; touch PWNED; echo '",
    "\n__import__('os').system('touch PWNED')\n",
    "cos\nsystem\n(S'touch PWNED'\ntR.",
    "\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x0btouch PWNED\x94\x85\x94R.",
    "!!python/object/apply:os.system ['touch PWNED']",
    r"\input{/etc/passwd}",
    r"\include{PWNED}",
    r"\write18{touch PWNED}",
    r"\immediate\write18{touch PWNED}",
    r"\openout1=PWNED\write1{x}\closeout1",
    r"\directlua{os.execute('touch PWNED')}",
    r"\def\x{\x}\x",
    r"\catcode`\{=12",
    "＿＿import＿＿('os').system('touch PWNED')",
    "\u202e42",
    "<script>42</script>",
    "' OR 1=1 --",
    "exit()",
    "os._exit(0)",
    "breakpoint()",
    '"}\n{"equal": true}',
    "42\x00; touch PWNED",
]
WRAPPINGS = ["Q", r"\text{Q}", r"$Q$", r"\operatorname{Q}(42)", "x_{Q}", r"\int_0^1 x_{Q} dx", r"\sum_{Q=0}^{\infty} Q"]

CANARY = r"""
import json, sys
from rewardkit import AnswerAccuracy, BoxedAccuracy, Budget
budget = Budget(seconds=2.0)
boxed, answer = BoxedAccuracy(budget=budget), AnswerAccuracy(budget=budget)
texts = json.load(sys.stdin)
scores = boxed([f"\\boxed{{{text}}}" for text in texts], ground_truth="42")
scores += answer([f"<answer>{text}</answer>" for text in texts], ground_truth="42")
scores += boxed(["\\boxed{42}"] * len(texts), ground_truth=texts)
print(json.dumps(scores))
"""


def test_code_in_an_answer_or_in_a_reference_is_wrong_and_runs_nowhere(tmp_path: Path) -> None:
    texts = [wrapping.replace("Q", text) for wrapping in WRAPPINGS for text in INJECTIONS]
    scores = json.loads(printed(CANARY, texts, tmp_path))
    assert scores == [0.0] * (3 * len(texts))
    assert list(tmp_path.iterdir()) == []


# --- how long it may take --------------------------------------------------------------------------------------

HOSTILE = {
    "commas": "," * 20_000,
    "dots": "." * 10_000,
    "100,000 terms": "1+" * 50_000 + "1",
    "100,000 digits": "9" * 100_000,
    "9,999 minus signs": "-" * 9_999 + "1",
    "1,999 minus signs": "-" * 1_999 + "1",
    "signs of two kinds": r"\pm" * 1_900 + "1",
    "sums of ±": r"\pm".join("1" * 900),
    "a list of ±": ",".join([r"\pm x"] * 190),
    "brackets": "(" * 5_000 + ")" * 5_000,
    "brackets of all kinds": "([{" * 300 + "x" + "}])" * 300,
    "braces that never close": "{" * 9_999,
    "braces the wrong way": "}{" * 4_999,
    "empty groups": "{}" * 4_999,
    "roots in roots": r"\sqrt{" * 3_000 + "2" + "}" * 3_000,
    "roots in brackets": r"\sqrt{2+" * 9 + "x" + "}" * 9,
    "fractions in fractions": r"\frac{1}{1+" * 1_500 + "x" + "}" * 1_500,
    "a chain of quotients": "1" + "/1" * 990,
    "bars": "|" * 999 + "x" + "|" * 999,
    "a tower of powers": "9^{" * 12 + "9" + "}" * 12,
    "a tower without braces": "2" + "^2" * 60,
    "a high power": "(x+1)^{10^9}",
    "a high power of a number": r"\sqrt{2}^{10^9}",
    "a high power of a sum": "(a+b+c+d+e)^{60}",
    "a product of sums": "".join(f"(x_{{{k}}}+1)" for k in range(200)),
    "a sum of quotients": "+".join(rf"\frac{{x_{{{k}}}}}{{x_{{{k}}}+1}}" for k in range(60)),
    "a factorial": "9" * 30 + "!",
    "factorials of factorials": "((9!)!)!",
    "a thousand factorial signs": "9" + "!" * 1_000,
    "a product of factorials": "3000! " * 300,
    "binomials": r"\binom{10^{50}}{10^{49}}",
    "exponents of literals": "+".join(["1e4999"] * 300),
    "a large exponent": "1e99999",
    "sums in sums": r"\sum_{i=1}^{200}\sum_{j=1}^{200}\sum_{k=1}^{200} \sin(ijk)",
    "a sum over sums": "+".join([r"\sum_{j=1}^{200}\sum_{k=1}^{2} jk"] * 40),
    "a long sum": r"\sum_{k=1}^{10^{9}} k^{k}",
    "integrals in integrals": r"\int " * 30 + "x" + " dx" * 30,
    "limits in limits": r"\lim_{x\to 0}" * 12 + "x",
    "sines": "+".join(rf"\sin({k}x)" for k in range(200)),
    "a list of sines": ",".join(rf"\sin {k}" for k in range(1, 200)),
    "intervals": r"\cup".join(f"({k}, {k}.5)" for k in range(200)),
    "a chain of relations": "=".join(["x"] * 900),
    "a large matrix": r"\begin{pmatrix}" + r"\\".join(["&".join("1" * 30)] * 30) + r"\end{pmatrix}",
    "matrices that never end": r"\begin{pmatrix}" * 900,
    "text that never ends": r"\text{" * 1_600,
    "spaces": "1" + " " * 9_990 + "x",
    "thousands": "1" + ",111" * 1_000,
    "words": "word " * 1_900,
    "units": "5 " + "km " * 900,
    "subscripts": "x" + "_x" * 990,
    "primes": "f" + "'" * 1_990,
    "raised digits": "x" + "²" * 4_000,
    "backslashes": "\\" * 10_000,
    "dollars": "$" * 9_999,
    "carets": "^" * 9_999,
    "null bytes": "\x00" * 9_999,
    "a lone surrogate": "\ud800",
    "lone surrogates": "\ud800" * 9_999,
    "emoji": "😀" * 9_999,
    "combining marks": "e\u0301" * 4_999,
    "digits of other scripts": "٤٢" * 900,
}


@pytest.fixture(scope="module")
def judged() -> dict[str, tuple[Verdict, Verdict, float]]:
    """Each hostile text as the answer and as the reference, and the seconds that both took."""
    found = {}
    for name, text in HOSTILE.items():
        started = time.perf_counter()
        verdict, other = check(text, "42"), check("42", text)
        described(text, "42", verdict)
        found[name] = verdict, other, time.perf_counter() - started
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_not_right_and_costs_little(
    name: str, judged: dict[str, tuple[Verdict, Verdict, float]]
) -> None:
    verdict, other, seconds = judged[name]
    assert verdict.equal is not True
    assert other.equal is not True
    assert seconds < 2.0


def test_all_hostile_texts_together_cost_seconds(judged: dict[str, tuple[Verdict, Verdict, float]]) -> None:
    assert sum(seconds for *_, seconds in judged.values()) < 20.0


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_equal_to_itself(name: str) -> None:
    assert check(HOSTILE[name], HOSTILE[name]).rung == "text"


FLAT = r"""
import json, sys
import psutil
from rewardkit.equivalence.check import check
templates, count = json.load(sys.stdin)
process = psutil.Process()
for n in range(count):
    answer = templates[n % len(templates)].replace("Q", str(n))
    try:
        check(answer, str(n))
        check(str(n), answer)
    except Exception as error:
        raise SystemExit(f"{answer[:100]!r}: {error!r}")
    if n == 1_000:
        before = process.memory_info().rss
print((process.memory_info().rss - before) / 2**20)
"""
TEMPLATES = [
    "(x+Q)^{10^9}", "Q^{9^{9^9}}", "{Q" * 300, "x_{Q}" * 150, r"\sqrt{Q+" * 9 + "x" + "}" * 9, "Q!", "Q," * 900,
    r"\text{word Q} " * 100, "Q" * 2_000, r"\frac{Q}{x+Q}" * 20, r"\sin(Qx)+\cos(Q)", "Q.Q" * 200, "Qe4999+x",
    r"\{Q, x, \pi\}", "x_{Q}<Q", "Q cm", "\x00Q\ud800", r"\begin{pmatrix} Q & x \\ 1 & Q \end{pmatrix}", "Q" * 50_000,
    r"\sum_{k=1}^{20} k^{Q}", r"\binom{Q}{2} x", r"\ln Q", "word Q " * 30, "[Q, x) \\cup (x, Q]", r"\int x^{Q} dx",
]  # fmt: skip


def test_memory_stays_flat_over_thousands_of_hostile_texts(tmp_path: Path) -> None:
    count = int(HOSTILE_TEXTS)
    megabytes = float(printed(FLAT, [TEMPLATES, count], tmp_path, seconds=60 + count / 10))
    assert megabytes < 60


# --- where reading ends -----------------------------------------------------------------------------------------


def ones(tokens: int) -> tuple[str, str]:
    """A sum that has this many tokens, and its value."""
    sign = "" if tokens % 2 else "-"
    terms = (tokens - len(sign) + 1) // 2
    return sign + "+".join("1" * terms), str(terms - 2 * len(sign))


def nested(depth: int) -> str:
    """1, this deep: an answer is one level, a sum one, an atom one, and every command around it is one more."""
    return r"\mathop" * (depth - 3) + "1"


class TestCaps:
    @pytest.mark.parametrize(
        ("limit", "at", "above", "value"),
        [
            (MAX_CHARS, "1" + " " * (MAX_CHARS - 3) + "+1", "1" + " " * (MAX_CHARS - 2) + "+1", "2"),
            (MAX_DIGITS, "1" + "0" * (MAX_DIGITS - 1), "1" + "0" * MAX_DIGITS, rf"10^{{{MAX_DIGITS - 1}}}"),
            (MAX_DEPTH, nested(MAX_DEPTH), nested(MAX_DEPTH + 1), "1"),
        ],
        ids=["characters", "digits", "depth"],
    )
    def test_are_the_last_that_is_parsed(self, limit: int, at: str, above: str, value: str) -> None:
        assert compare(at, value).equal is True
        assert (compare(above, value).equal, compare(above, value).rung) == (False, "unparseable")
        assert (compare(value, above).equal, compare(value, above).rung) == (False, "unparseable reference")

    def test_hold_for_tokens(self) -> None:
        for tokens in (MAX_TOKENS - 1, MAX_TOKENS):
            assert compare(*ones(tokens)).equal is True
        for tokens in (MAX_TOKENS + 1, MAX_TOKENS + 2):
            assert (compare(*ones(tokens)).equal, compare(*ones(tokens)).rung) == (False, "unparseable")

    @pytest.mark.parametrize(
        "text", ["1" + " " * MAX_CHARS + "+1", "1" + "0" * MAX_DIGITS, nested(MAX_DEPTH + 1), ones(MAX_TOKENS + 1)[0]]
    )
    def test_leave_a_longer_text_equal_to_itself_alone(self, text: str) -> None:
        assert compare(text, text).rung == "text"
        assert compare(text + "1", text).equal is False
