r"""Tokens to expressions: one recursive descent over LaTeX and plain notation, bounded in depth.

Nothing is evaluated here but quotients of integers. ``1/2x`` is x/2, ``\sin 2x`` takes the whole product,
``2\frac12`` and ``2 1/2`` are mixed numbers, ``x^12`` takes all digits, ``\frac12`` one by one.
"""

from __future__ import annotations

from collections.abc import Callable

from rewardkit.equivalence.commands import call, command, function, matrix
from rewardkit.equivalence.function_names import FUNCTIONS
from rewardkit.equivalence.juxtaposition import glued, juxtaposed, unit_follows
from rewardkit.equivalence.lexer import NotMath, Token
from rewardkit.equivalence.matrices import matrix_product, matrix_sum
from rewardkit.equivalence.numerals import based, number
from rewardkit.equivalence.tree import (
    MINUS_ONE,
    PLUS_MINUS,
    UNKNOWN_FUNCTIONS,
    Call,
    Matrix,
    Node,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    Tuple,
    Unit,
    expressions,
    negative,
    quotient,
)
from rewardkit.equivalence.units import CURRENCIES, NO_UNIT, UNITS, words_in

MAX_DEPTH = 40
"""Deeper nesting is not parsed; the deepest gold of MATH has 7."""

_END = Token("end of text", "", False)
_CLOSERS = {"(": (")", "]"), "[": ("]", ")", "["), "⟨": ("⟩",), "]": ("[", "]")}


class Parser:
    """Reads expressions off a list of tokens; :class:`.answers.Reader` adds relations, lists, sets and units.

    Args:
        tokens: what :func:`.lexer.lex` made of a text.
        letters: read bare words such as ``mg`` as products of letters, also where they may be units.
    """

    def __init__(self, tokens: list[Token], *, letters: bool = False) -> None:
        self.tokens = [*tokens, _END]
        self.at = 0
        self.depth = 0
        self.bars = 0
        self.integrals = 0
        self.inside = 0
        self.letters = letters
        self.raw_unit = False
        self.applied = False
        self.sign_unit: Unit | None = None

    # --- tokens ---------------------------------------------------------------------------------------------

    def peek(self) -> str:
        """The text of the next token."""
        return self.tokens[self.at].text

    def take(self) -> Token:
        """The next token, which is consumed."""
        token = self.tokens[self.at]
        self.at += 1
        if token is _END:
            raise NotMath("the text ends too early")
        return token

    def is_operator(self, *texts: str) -> bool:
        """Whether the next token is one of these operators."""
        token = self.tokens[self.at]
        return token.kind == "op" and token.text in texts

    def expect(self, text: str) -> None:
        """Consume an operator that must come next."""
        if not self.is_operator(text):
            raise NotMath(f"{self.peek()!r} where {text!r} was expected")
        self.at += 1

    def nested(self, read: Callable[[], Node]) -> Node:
        """Read one level deeper."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotMath(f"nested deeper than {MAX_DEPTH}")
        node = read()
        self.depth -= 1
        return node

    # --- sums, products, powers -----------------------------------------------------------------------------

    def expression(self) -> Node:
        """A sum."""
        return self.nested(self._sum)

    def _sum(self) -> Node:
        terms = [self.signed(self.product)]
        while self.is_operator("+", "-", "±", "∓") and terms != [Symbol("ℝ")]:
            terms.append(self.signed(self.product))
        if len(terms) == 1:
            return terms[0]
        return matrix_sum(terms) if isinstance(terms[0], Matrix) else Sum(expressions(terms))

    def signed(self, read: Callable[[], Node]) -> Node:
        """What `read` reads, after any number of signs."""
        minus, both = False, False
        while self.is_operator("+", "-", "±", "∓"):
            sign = self.take().text
            minus ^= sign in ("-", "∓")
            both ^= sign in ("±", "∓")
        node = read()
        if both:
            node = Product((PLUS_MINUS, *expressions([node])))
        if not minus:
            return node
        if isinstance(node, Matrix):
            return matrix_product([MINUS_ONE, node])
        return negative(*expressions([node]))

    def product(self) -> Node:
        """Factors, with and without signs of multiplication and division between them."""
        factors = [self.power()]
        while True:
            if self.is_operator("*"):
                self.at += 1
                factors.append(self.signed(self.power))
            elif self.is_operator("/") and not unit_follows(self):
                self.at += 1
                factors[-1] = quotient(*expressions([factors[-1], self.signed(self.power)]))
            elif juxtaposed(self, factors[-1]):
                factors.append(self.power())
            else:
                break
        if len(factors) == 1:
            return factors[0]
        if any(isinstance(factor, Matrix) for factor in factors):
            return matrix_product(factors)
        return Product(expressions(factors))

    def power(self) -> Node:
        """An atom with everything that is attached to it: exponents, factorials, degrees, percent signs."""
        node = self.nested(self.atom)
        while True:
            if self.is_operator("^"):
                self.at += 1
                node = self._raised(node)
            elif self.is_operator("!"):
                self.at += 1
                double = self.is_operator("!")
                self.at += double
                if self.is_operator("!"):
                    raise NotMath("more than two factorial signs")
                node = Call("factorial2" if double else "factorial", expressions([node]))
            elif self.is_operator("°"):
                self.at += 1
                if not isinstance(node, Number) and self.tokens[self.at].kind == "sym":
                    raise NotMath("a composition of functions")
                node = self._in_degrees(node)
            elif self.is_operator("%"):
                self.at += 1
                if isinstance(node, Call) and node.name == "percent":
                    raise NotMath("two percent signs")
                node = Call("percent", expressions([node]))
            elif self.is_operator("_") and isinstance(node, Number) and self.tokens[self.at - 1].text == ")":
                if not isinstance(node.value, int) or not 0 <= node.value < 10**400:
                    raise NotMath("a base of something that is no whole number")
                node = based(self, str(node.value))
            elif self.peek() in CURRENCIES:
                self.sign_unit = CURRENCIES[self.take().text]
            else:
                return node

    def _raised(self, base: Node) -> Node:
        if self.is_operator("°"):
            self.at += 1
            return self._in_degrees(base)
        if self.is_operator("'") or (self.is_operator("{") and self.tokens[self.at + 1].text in ("°", "'")):
            braces = self.is_operator("{")
            self.at += braces
            mark = "".join(self.take().text for _ in range(self._run(self.peek())))
            if braces:
                self.expect("}")
            if mark == "°":
                return self._in_degrees(base)
            if isinstance(base, Symbol):
                return Symbol(base.name + mark)
            raise NotMath("a prime after something that is no name")
        exponent = self.script()
        if isinstance(base, Matrix):
            if exponent == Symbol("T"):
                return Matrix(tuple(zip(*base.rows, strict=True)))
            raise NotMath("a power of a matrix")
        return Power(*expressions([base, exponent]))

    def _in_degrees(self, node: Node) -> Node:
        """An angle, or a temperature where C or F follows."""
        if self.peek() in ("C", "F") and isinstance(node, Number):
            self.sign_unit = UNITS[f"°{self.take().text}"]
            return node
        if isinstance(node, Call) and node.name == "degree":
            raise NotMath("two degree signs")
        return Call("degree", expressions([node]))

    def _run(self, text: str) -> int:
        length = 0
        while self.tokens[self.at + length].text == text:
            length += 1
        return length

    def script(self) -> Node:
        """What stands after ``^``: a group, or one signed atom; a further ``^`` binds to the right."""
        node = self.scripted()
        if self.is_operator("^"):
            self.at += 1
            return self.nested(lambda: self._raised(node))
        return node

    def scripted(self) -> Node:
        return self.signed(self._single)

    def _single(self) -> Node:
        r"""One atom without braces; a number is no mixed one there: \log_2\frac14."""
        token = self.tokens[self.at]
        if token.kind == "num":
            self.at += 1
            return number(self, token, mixed=False)
        return self.nested(self.atom)

    # --- atoms ----------------------------------------------------------------------------------------------

    def atom(self) -> Node:
        kind, text, _ = token = self.take()
        if kind == "num":
            return number(self, token)
        if kind == "sym":
            return self.symbol(text)
        if kind == "word":
            return self._word(text)
        if kind == "text":
            if text in FUNCTIONS and len(text) > 1:
                return function(self, FUNCTIONS[text])
            if NO_UNIT & words_in(text):
                raise NotMath(f"the words {text!r}")
            return self.symbol(text if len(text) == 1 else quoted(text))
        if kind == "cmd":
            return command(self, text)
        if kind == "begin":
            return matrix(self, text)
        if text == "{":
            return self._braced()
        if text in ("(", "[", "⟨", "]"):
            return self._bracketed(text)
        if text in CURRENCIES:
            self.sign_unit = CURRENCIES[text]
            return self.signed(self.power)
        if text in ("|", "‖", "⌊", "⌈"):
            return self._bars(text)
        return self.special(text)

    def special(self, text: str) -> Node:
        """Atoms that only the reader of whole answers knows."""
        raise NotMath(f"{text!r} where a value was expected")

    def group(self, brackets: str) -> Node:
        """The items of a bracket that has been opened; the reader of whole answers knows lists."""
        raise NotMath(f"a list in {brackets}")

    def raw_script(self) -> str:
        """The text of a group or of one token, as it stands."""
        if not self.is_operator("{"):
            token = self.take()
            if token.kind == "word":  # a_nb is a_n times b
                self.spell(token.text)
                return self.take().text
            return token.text
        self.at += 1
        depth, parts = 1, []
        while depth:
            text = self.take().text
            depth += (text == "{") - (text == "}")
            parts.append(text)
        return "".join(parts[:-1])

    def symbol(self, name: str) -> Node:
        while self.is_operator("_", "'"):
            name += self.take().text if self.peek() == "'" else "_" + self._subscript()
        if name.rstrip("'").partition("_")[0] in UNKNOWN_FUNCTIONS and not self.letters:
            if self._inverse_follows():
                self.at += 5
                name += "^-1"
            if self.is_operator("(") and not self.tokens[self.at].spaced:
                self.applied = True
                return Call(name, self._arguments())
        if name in ("zeta", "Gamma") and self.is_operator("("):
            return call(FUNCTIONS[name], self.nested(self.atom))
        return Symbol(name)

    def _inverse_follows(self) -> bool:
        texts = [token.text for token in self.tokens[self.at : self.at + 6]]
        return texts == ["^", "{", "-", "1", "}", "("]

    def _subscript(self) -> str:
        self.at += 1
        return self.raw_script()

    def _arguments(self) -> tuple[Node, ...]:
        argument = self.nested(self.atom)
        return expressions(argument.items if isinstance(argument, Tuple) else [argument])

    def _word(self, word: str) -> Node:
        if word.casefold() in NO_UNIT and word not in FUNCTIONS and not word.isupper():
            raise NotMath(f"the word {word!r}")
        if word in FUNCTIONS:
            return function(self, FUNCTIONS[word])
        name = glued(word)
        if name is not None:
            return call(FUNCTIONS[name], Symbol(word[len(name) :]))
        if len(word) > 4:
            return self.symbol(quoted(word))
        if word.isupper() and (len(word) > 2 or set(word) <= set("IVXLCDM")):  # ABC, XIV: the order counts
            return self.symbol(word)
        self.spell(word)
        return self.atom()

    def spell(self, word: str) -> None:
        """Put the letters of a word in its place: they are factors, each with exponents of its own."""
        self.tokens[self.at : self.at] = [Token("sym", letter, False) for letter in word]

    def _braced(self) -> Node:
        r"""A LaTeX group; {a \over b} is a quotient."""
        self.inside += 1
        first = self.expression_or_item()
        self.inside -= 1
        if self.is_operator("over") or self.peek() == "choose":
            kind = self.take().text
            second = self.expression()
            self.expect("}")
            return (
                quotient(*expressions([first, second]))
                if kind == "over"
                else Call("binom", expressions([first, second]))
            )
        self.expect("}")
        return first

    def expression_or_item(self) -> Node:
        """What may stand in a LaTeX group."""
        return self.expression()

    def _bracketed(self, opening: str) -> Node:
        bars, self.bars = self.bars, 0
        node = self.nested(lambda: self.group(opening))
        self.bars = bars
        return node

    def closing(self, opening: str) -> str:
        """The bracket that closes `opening`, consumed."""
        if not self.is_operator(*_CLOSERS[opening]):
            raise NotMath(f"{opening!r} is not closed")
        return self.take().text

    def _bars(self, opening: str) -> Node:
        closing = {"⌊": "⌋", "⌈": "⌉"}.get(opening, opening)
        self.bars += 1
        node = self.expression()
        self.bars -= 1
        self.expect(closing)
        return Call({"|": "abs", "‖": "norm", "⌊": "floor", "⌈": "ceil"}[opening], expressions([node]))


def quoted(words: str) -> str:
    """The name of a quantity that is named in words."""
    return f"“{words.casefold()}”"
