r"""What follows a command: fractions, roots, functions and their arguments, series, integrals, limits, matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from rewardkit.equivalence.function_names import FUNCTIONS, TRIGONOMETRIC
from rewardkit.equivalence.juxtaposition import juxtaposed
from rewardkit.equivalence.lexer import NotMath, Token
from rewardkit.equivalence.tree import (
    HALF,
    MINUS_ONE,
    Call,
    Collection,
    E,
    Matrix,
    Node,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    Tuple,
    expressions,
    quotient,
)

if TYPE_CHECKING:
    from rewardkit.equivalence.parser import Parser

_ACCENTS = frozenset(
    (
        "overline bar vec hat tilde dot ddot widehat widetilde overrightarrow overleftarrow underline mathcal mathscr "
        "mathfrak overarc wideparen"
    ).split()
)
_SAME_ACCENT = {"bar": "overline", "widehat": "hat", "widetilde": "tilde", "overrightarrow": "vec"}
_TRANSPARENT = frozenset(("boxed fbox ensuremath mathop mathrm text mathbf operatorname textbf boldsymbol").split())
_MATRICES = frozenset(("pmatrix", "bmatrix", "matrix", "Bmatrix", "smallmatrix", "array"))


def command(p: Parser, name: str) -> Node:
    """The node that a command and its arguments make."""
    read = _COMMANDS.get(name)
    if read is not None:
        return read(p)
    if name in FUNCTIONS:
        return function(p, FUNCTIONS[name])
    if name in _ACCENTS:
        return p.symbol(f"{_SAME_ACCENT.get(name, name)}({p.raw_script()})")
    if name in _TRANSPARENT:
        return p.nested(p.atom)
    raise NotMath(f"the command \\{name}")


def fraction(p: Parser) -> Node:
    r"""\frac{a}{b}, \frac12."""
    top, bottom = expressions([_argument(p), _argument(p)])
    return quotient(top, bottom)


def _argument(p: Parser) -> Node:
    """A group, or a single digit or symbol."""
    kind, text, _ = p.tokens[p.at]
    if kind == "num" and text.rstrip(".").isdigit() and text.isascii():
        if len(text) > 1:
            p.tokens[p.at] = Token("num", text[1:], False)
        else:
            p.at += 1
        return Number(int(text[0]))
    if kind == "sym":
        p.at += 1
        return Symbol(text)
    if text == "{" and [t.kind for t in p.tokens[p.at + 1 : p.at + 3]] == ["word", "op"]:
        word, closing = p.tokens[p.at + 1].text, p.tokens[p.at + 2].text
        if len(word) == 2 and word[0] == "d" and closing == "}":  # dy over dx
            p.at += 3
            return Symbol(word)
    return p.nested(p.atom)


def _root(p: Parser) -> Node:
    index: Node | None = None
    if p.is_operator("["):
        p.at += 1
        index = p.expression()
        p.expect("]")
    (radicand,) = expressions([p.scripted()])
    return Power(radicand, HALF if index is None else quotient(Number(1), *expressions([index])))


def _binomial(p: Parser) -> Node:
    return Call("binom", expressions([_argument(p), _argument(p)]))


def function(p: Parser, name: str) -> Node:
    """A function with its exponent or base, applied to its operand."""
    exponent: Node | None = None
    base: Node | None = None
    while p.is_operator("^", "_"):
        if p.take().text == "^":
            exponent = p.script()
        else:
            base = p.scripted()
    return call(name, _operand(p), base, exponent)


def call(name: str, argument: Node, base: Node | None = None, exponent: Node | None = None) -> Node:
    """The node of a function of an argument: sin²x, log₂ 8, sin⁻¹ x, exp(x)."""
    args = expressions(argument.items if isinstance(argument, Tuple) else [argument])
    if len(args) > 1 and name not in ("gcd", "lcm", "max", "min"):
        raise NotMath(f"{name} of {len(args)} arguments")
    if len(args) < 2 and name in ("gcd", "lcm", "max", "min"):
        raise NotMath(f"{name} of one argument")
    if base is not None and name != "log":
        raise NotMath(f"a subscript of {name}")
    if exponent == MINUS_ONE and name in TRIGONOMETRIC:
        return Call("arc" + name, args)
    node: Node
    if name == "exp":
        node = Power(E, args[0])
    elif name == "cis":
        node = Sum((Call("cos", args), Product((Symbol("i"), Call("sin", args)))))
    elif name in ("sqrt", "cbrt"):
        node = Power(args[0], HALF if name == "sqrt" else Number(Fraction(1, 3)))
    elif name == "lg":
        node = Call("log", (args[0], Number(10)))
    else:
        node = Call(name, args if base is None else (args[0], *expressions([base])))
    return node if exponent is None else Power(node, *expressions([exponent]))


def _operand(p: Parser) -> Node:
    r"""What is in brackets, or the product up to the next function: \sin 2x \cos x is sin(2x) · cos x."""
    if p.is_operator("(", "{", "[", "|", "\\{"):
        operand = p.nested(p.atom)
        return Tuple(operand.items) if isinstance(operand, Collection) else operand  # max{a, b}
    factors = [p.signed(p.power)]
    while juxtaposed(p, factors[-1]) and not _starts_function(p):
        factors.append(p.power())
    return factors[0] if len(factors) == 1 else Product(expressions(factors))


def _starts_function(p: Parser) -> bool:
    kind, text, _ = p.tokens[p.at]
    return (kind in ("cmd", "word", "text") and text in FUNCTIONS and text != "sqrt") or (kind, text) == ("op", "(")


def _series(name: str) -> Callable[[Parser], Node]:
    """A sum or product over a range; the body is the product that follows."""

    def read(p: Parser) -> Node:
        bounds: dict[str, Node] = {}
        variable = ""
        while p.is_operator("_", "^") and len(bounds) < 2:
            if p.take().text == "_":
                p.expect("{")
                variable = p.take().text
                p.expect("=")
                bounds["low"] = p.expression()
                p.expect("}")
            else:
                bounds["high"] = p.script()
        if not variable or len(bounds) != 2:
            raise NotMath(f"{name} without a range")
        return Call(name, expressions([p.nested(p.product), Symbol(variable), bounds["low"], bounds["high"]]))

    return read


def _integral(p: Parser) -> Node:
    bounds: dict[str, Node] = {}
    while p.is_operator("_", "^"):
        mark = p.take().text
        bounds[mark] = p.scripted()
    p.integrals += 1
    body = p.expression()
    p.integrals -= 1
    differential = p.take().text
    variable = differential[1:] if len(differential) > 1 else p.take().text
    if differential[0] != "d" or not variable or len(bounds) not in (0, 2):
        raise NotMath("an integral without a differential or with one bound")
    return Call("int", expressions([body, Symbol(variable), *(bounds[k] for k in ("_", "^") if k in bounds)]))


def _limit(p: Parser) -> Node:
    p.expect("_")
    p.expect("{")
    variable = Symbol(p.take().text)
    p.expect("→")
    point = p.expression()
    p.expect("}")
    return Call("lim", expressions([p.nested(p.product), variable, point]))


def matrix(p: Parser, environment: str) -> Node:
    r"""The rows between \begin and \end."""
    if environment not in _MATRICES:
        raise NotMath(f"the environment {environment}")
    if environment == "array" and p.is_operator("{"):
        p.raw_script()
    rows: list[list[Node]] = [[]]
    while p.tokens[p.at].kind != "end":
        if p.is_operator("\\\\"):
            p.at += 1
            rows.append([])
            continue
        if rows[-1]:
            p.expect("&")
        rows[-1].append(p.expression_or_item())
    p.at += 1
    rows = [row for row in rows if row]
    if not rows or len({len(row) for row in rows}) > 1:
        raise NotMath("a matrix with rows of different lengths")
    return Matrix(tuple(tuple(row) for row in rows))


_COMMANDS: Mapping[str, Callable[[Parser], Node]] = {
    "frac": fraction,
    "sqrt": _root,
    "binom": _binomial,
    "sum": _series("sum"),
    "prod": _series("prod"),
    "int": _integral,
    "lim": _limit,
}
