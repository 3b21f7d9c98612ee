"""Specification of rewardkit.equivalence.parser, .commands and .matrices: what binds to what, and what is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit.equivalence.algebra import same_form
from rewardkit.equivalence.answers import Reader
from rewardkit.equivalence.lexer import NotMath, lex
from rewardkit.equivalence.matrices import MAX_ENTRIES
from rewardkit.equivalence.parser import MAX_DEPTH, Parser
from rewardkit.equivalence.tree import (
    HALF,
    INFINITY,
    MINUS_ONE,
    PI,
    PLUS_MINUS,
    Call,
    E,
    Matrix,
    Node,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
)

A, B, N, X, Y = map(Symbol, "abnxy")
ONE, TWO, THREE = map(Number, (1, 2, 3))


def parsed(text: str) -> Node:
    return Reader(lex(text)).answer()


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x", X),
        ("x+2", Sum((X, TWO))),
        ("x-2", Sum((X, Number(-2)))),
        ("-x", Product((MINUS_ONE, X))),
        ("--x", X),
        ("+x", X),
        ("2x", Product((TWO, X))),
        ("xy", Product((X, Y))),
        (r"2 \cdot 3", Product((TWO, THREE))),
        ("6/3", TWO),  # quotients of integers are the only thing that is worked out
        ("x/2", Product((X, Power(TWO, MINUS_ONE)))),
        ("x^2", Power(X, TWO)),
        (r"\sqrt{x}", Power(X, HALF)),
        (r"\sqrt[3]{x}", Power(X, Number(parsed("1/3").value))),  # type: ignore[union-attr]
        (r"\sqrt[n]{x}", Power(X, Product((ONE, Power(N, MINUS_ONE))))),
        (r"\exp(x)", Power(E, X)),
        ("5!", Call("factorial", (Number(5),))),
        ("5!!", Call("factorial2", (Number(5),))),
        (r"50\%", Call("percent", (Number(50),))),
        (r"90^\circ", Call("degree", (Number(90),))),
        (r"90^{\circ}", Call("degree", (Number(90),))),
        ("90°", Call("degree", (Number(90),))),
        ("|x|", Call("abs", (X,))),
        (r"\|x\|", Call("norm", (X,))),
        (r"\lfloor x \rfloor", Call("floor", (X,))),
        (r"\lceil x \rceil", Call("ceil", (X,))),
        (r"\binom{n}{2}", Call("binom", (N, TWO))),
        (r"{n \choose 2}", Call("binom", (N, TWO))),
        (r"{x \over 2}", Product((X, Power(TWO, MINUS_ONE)))),
        (r"\gcd(a, b)", Call("gcd", (A, B))),
        (r"\operatorname{lcm}(a, b)", Call("lcm", (A, B))),
        (r"\log_2 x", Call("log", (X, TWO))),
        (r"\log x", Call("log", (X,))),
        (r"\lg x", Call("log", (X, Number(10)))),
        (r"\sin^2 x", Power(Call("sin", (X,)), TWO)),
        (r"\sin^{-1} x", Call("arcsin", (X,))),
        ("asin x", Call("arcsin", (X,))),
        ("sinx", Call("sin", (X,))),
        ("f(x)", Call("f", (X,))),
        ("f(x, y)", Call("f", (X, Y))),
        ("f'(x)", Call("f'", (X,))),
        (r"\pm x", Product((PLUS_MINUS, X))),
        (r"\mp x", Product((MINUS_ONE, Product((PLUS_MINUS, X))))),
        ("x_{10}", Symbol("x_10")),
        (r"x_\text{max}", Symbol("x_max")),
        ("x'", Symbol("x'")),
        ("x^{''}", Symbol("x''")),
        (r"\overline{AB}", Symbol("overline(AB)")),
        (r"\infty", INFINITY),
        (r"\pi", PI),
        (r"\sum_{k=1}^{n} k", Call("sum", (Symbol("k"), Symbol("k"), ONE, N))),
        (r"\prod_{k=1}^n k", Call("prod", (Symbol("k"), Symbol("k"), ONE, N))),
        (r"\int x \, dx", Call("int", (X, X))),
        (r"\int_0^1 x \, dx", Call("int", (X, X, Number(0), ONE))),
        (r"\int_0^1 x \, \mathrm{d}x", Call("int", (X, X, Number(0), ONE))),
        (r"\lim_{x \to 0} x", Call("lim", (X, X, Number(0)))),
    ],
)
def test_reads_text_as_a_tree(text: str, tree: Node) -> None:
    assert parsed(text) == tree


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a-b-c", "(a-b)-c"),
        ("a-b+c", "(a-b)+c"),
        ("a/b/c", "a/(b*c)"),
        ("a/b c", "(a/b)*c"),
        ("1/2x", "(1/2)*x"),
        ("a/b*c", "(a/b)*c"),
        ("-x^2", "-(x^2)"),
        ("2x^2", "2*(x^2)"),
        ("2^{3^2}", "512"),
        ("2^3^2", "512"),
        ("x^12", "x^{12}"),
        ("x^-1", "1/x"),
        ("x^{-1}", "1/x"),
        ("3--2", "5"),
        ("3-+2", "1"),
        ("2*-3", "-6"),
        ("ab^2", "a*(b^2)"),
        (r"\frac12x", "x/2"),
        (r"\frac123", r"\frac{1}{2}*3"),
        (r"\frac1x", "1/x"),
        (r"\frac\pi2", r"\pi/2"),
        (r"\frac{1}{2}^2", "1/4"),
        (r"\sqrt2x", r"\sqrt{2}*x"),
        (r"\sqrt12", r"\sqrt{12}"),
        (r"\sqrt{2}^2", "2"),
        (r"2\sqrt{3}\sqrt{2}", r"2*\sqrt{6}"),
        (r"\sin 2x", r"\sin(2x)"),
        (r"\sin 2x \cos x", r"\sin(2x)*\cos(x)"),
        (r"\sin x + 1", r"(\sin(x))+1"),
        (r"\sin -x", r"\sin(-x)"),
        (r"\sin x^2", r"\sin(x^2)"),
        (r"\sin(x)^2", r"\sin(x)*\sin(x)"),
        (r"\sin(x) y", r"y*\sin(x)"),
        (r"\sin\frac{x}{2}", r"\sin(x/2)"),
        (r"\ln xy", r"\ln(x*y)"),
        (r"\ln x - y", r"\ln(x) - y"),
        (r"\log_2 8x", r"\log_2(8x)"),
        (r"\sin\cos x", r"\sin(\cos(x))"),
        ("2 sin x", r"2*\sin(x)"),
        ("x(y+1)", "x*y+x"),
        ("(x+1)(x-1)", "x*x-1"),
        ("2(3)", "6"),
        ("n!^2", "(n!)*(n!)"),
        ("2n!", "2*(n!)"),
        ("(2n)!", "(n+n)!"),
        ("-5!", "-120"),
        ("|x||y|", "(|x|)*(|y|)"),
        ("||x|-1|", r"\left|(|x|)-1\right|"),
        ("2|x|", "2*(|x|)"),
        ("x|y|z", "x*z*(|y|)"),
        (r"5\%x", r"x*(5\%)"),
        (r"{a+1 \over b}", "(a+1)/b"),
        (r"\sum_{k=1}^{3} 2k", "12"),
        (r"\sum_{k=1}^{3} k + 1", "7"),
        (r"1 + \sum_{k=1}^{3} k^2", "15"),
        (r"\boxed{x}", "x"),
        (r"\mathrm{2+3}x", "5x"),
        ("xf(x)", "x*f(x)"),
    ],
)
def test_binds_as_it_is_meant(text: str, meant: str) -> None:
    assert same_form(parsed(text), parsed(meant)) is True


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("ab", "ba_1"),
        ("x_1y", "x_{1y}"),
        ("f(x)", "x"),
        (r"\overline{AB}", "AB"),
        (r"\vec{v}", "v"),
        ("x'", "x"),
        ("1/2x", "1/(2x)"),
        ("-2^2", "(-2)^2"),
    ],
)
def test_keeps_names_and_bindings_apart(text: str, other: str) -> None:
    assert same_form(parsed(text), parsed(other)) is not True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "x+",
        "x*",
        "x/",
        "x^",
        "*x",
        "/x",
        "(x",
        "x)",
        "{x",
        "x}",
        "[x)",
        "|x",
        "()",
        "{}",
        r"\frac{1}",
        r"\frac{}{}",
        r"\sqrt",
        r"\sqrt[3{x}",
        r"\binom{n}",
        r"\sin",
        r"\sin(x, y)",
        r"\sin_2 x",
        r"\unknown{x}",
        r"\lfloor x",
        r"\lfloor x \rceil",
        "5!!!",
        "5'",
        r"\sum k",
        r"\sum_{k=1} k",
        r"\sum_{k}^{n} k",
        r"\int x",
        r"\int_0 x dx",
        r"\lim x",
        r"\lim_{x} x",
        r"\begin{cases} 1 \end{cases}",
        r"\begin{pmatrix} 1 & 2 \\ 3 \end{pmatrix}",
        r"\begin{pmatrix} \end{pmatrix}",
        r"\begin{pmatrix} 1",
        "@",
        "x_",
    ],
)
def test_refuses_what_is_no_expression(text: str) -> None:
    with pytest.raises(NotMath):
        parsed(text)


@pytest.mark.parametrize("text", ["1 + (2, 3)", r"\sqrt{x = 1}", r"\sqrt{\{1, 2\}}", "(1, 2)^2", r"\{1\}!"])
def test_a_structure_is_no_part_of_an_expression(text: str) -> None:
    with pytest.raises(NotMath, match="inside an expression"):
        parsed(text)


@pytest.mark.parametrize(
    ("opening", "closing"), [("(", ")"), ("{", "}"), (r"\sqrt{", "}"), (r"\frac{1}{", "}"), ("-(", ")"), ("2^{", "}")]
)
def test_nesting_is_bounded(opening: str, closing: str) -> None:
    shallow, deep = 7, MAX_DEPTH + 1
    assert parsed(opening * shallow + "x" + closing * shallow)
    with pytest.raises(NotMath, match=f"nested deeper than {MAX_DEPTH}"):
        parsed(opening * deep + "x" + closing * deep)


@pytest.mark.parametrize(
    "text", ["-" * 1_500 + "1", "x" + "+x" * 900, "x" + "'" * 1_900, "2" + "!" * 1_000, "(" * 1_999]
)
def test_long_texts_are_read_or_refused_but_raise_nothing_else(text: str) -> None:
    with suppress(NotMath):
        parsed(text)


def test_expressions_alone_hold_no_structures() -> None:
    assert Parser(lex("2x")).expression() == Product((TWO, X))
    for text in ("(1, 2)", r"\{1\}"):
        with pytest.raises(NotMath):
            Parser(lex(text)).expression()


class TestMatrices:
    @pytest.mark.parametrize(
        ("text", "rows"),
        [
            (r"\begin{pmatrix} 1 & 2 \\ 3 & x \end{pmatrix}", ((ONE, TWO), (THREE, X))),
            (r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}", ((ONE,), (TWO,))),
            (r"\begin{array}{cc} 1 & 2 \end{array}", ((ONE, TWO),)),
            (r"\left(\begin{array}{c} 1 \\ 2 \\ \end{array}\right)", ((ONE,), (TWO,))),
            (r"\begin{pmatrix} 1 & 2 \\ 3 & x \end{pmatrix}^T", ((ONE, THREE), (TWO, X))),
        ],
    )
    def test_have_rows(self, text: str, rows: tuple[tuple[Node, ...], ...]) -> None:
        assert parsed(text) == Matrix(rows)

    @pytest.mark.parametrize(
        ("text", "entries"),
        [
            (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix} + \begin{pmatrix} 3 \\ 4 \end{pmatrix}", [4, 6]),
            (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix} - \begin{pmatrix} 3 \\ 4 \end{pmatrix}", [-2, -2]),
            (r"3\begin{pmatrix} 1 \\ 2 \end{pmatrix}", [3, 6]),
            (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix} \cdot 3", [3, 6]),
            (r"-\begin{pmatrix} 1 \\ 2 \end{pmatrix}", [-1, -2]),
            (r"\frac12\begin{pmatrix} 2 \\ 4 \end{pmatrix}", [1, 2]),
            (
                r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}\begin{pmatrix} 5 & 6 \\ 7 & 8 \end{pmatrix}",
                [1 * 5 + 2 * 7, 1 * 6 + 2 * 8, 3 * 5 + 4 * 7, 3 * 6 + 4 * 8],
            ),
            (r"\begin{pmatrix} 1 & 2 \end{pmatrix}\begin{pmatrix} 3 \\ 4 \end{pmatrix}", [1 * 3 + 2 * 4]),
        ],
    )
    def test_add_and_multiply_entry_by_entry(self, text: str, entries: list[int]) -> None:
        matrix = parsed(text)
        assert isinstance(matrix, Matrix)
        found = [entry for row in matrix.rows for entry in row]
        assert all(same_form(one, Number(other)) for one, other in zip(found, entries, strict=True))

    @pytest.mark.parametrize(
        "text",
        [
            r"\begin{pmatrix} 1 \\ 2 \end{pmatrix} + \begin{pmatrix} 1 & 2 \end{pmatrix}",
            r"\begin{pmatrix} 1 \\ 2 \end{pmatrix} + 1",
            r"1 + \begin{pmatrix} 1 \\ 2 \end{pmatrix}",
            r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}\begin{pmatrix} 1 \\ 2 \end{pmatrix}",
            r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}^2",
            r"\frac{\begin{pmatrix} 1 \\ 2 \end{pmatrix}}{2}",
        ],
    )
    def test_refuse_shapes_that_do_not_fit(self, text: str) -> None:
        with pytest.raises(NotMath):
            parsed(text)

    def test_products_are_bounded(self) -> None:
        side = int(MAX_ENTRIES**0.5) + 1
        column = r"\begin{pmatrix}" + r" 1 \\" * side + r"\end{pmatrix}"
        row = r"\begin{pmatrix} 1" + " & 1" * (side - 1) + r"\end{pmatrix}"
        with pytest.raises(NotMath, match="shapes do not fit"):
            parsed(column + row)


PIECES = ["1", "2/3", "x", "y", "+", "-", "*", "/", "^", "(", ")", "{", "}", "|", ",", "=", "!", "_", r"\pm", r"\sin"]
PIECES += [r"\frac", r"\sqrt", r"\pi", "[", "]", r"\{", r"\}", r"\text{cm}", r"\%", "or", r"\begin{pmatrix}", "&"]
PIECES += [r"\end{pmatrix}", r"\sum_{k=1}^{3}", r"\int", "dx", ":", "<", r"\cup", r"\log_2", "25_6", "$", "e", "i"]


@given(st.lists(st.sampled_from(PIECES), max_size=15).map(" ".join))
def test_any_row_of_tokens_is_read_or_refused(text: str) -> None:
    with suppress(NotMath):
        parsed(text)
