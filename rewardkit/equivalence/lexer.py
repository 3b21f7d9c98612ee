r"""Text to tokens: LaTeX, plain notation and Unicode forms come out alike, layout is dropped.

>>> [token.text for token in lex(r"$\left( \dfrac{1}{2},\, 3π \right)$")]
['(', 'frac', '{', '1', '}', '{', '2', '}', ',', '3', 'π', ')']
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_CHARS = 10_000
"""A longer text is compared as it is: no answer is that long."""
MAX_TOKENS = 2_000


class NotMath(ValueError):
    """The text is no expression or structure that the parser knows."""


class Token(NamedTuple):
    """kind is num, sym, word, text, cmd, begin, end or op; spaced: white space came before it."""

    kind: str
    text: str
    spaced: bool


_OPERATORS = {
    "le": "≤", "leq": "≤", "leqslant": "≤", "leqq": "≤", "ge": "≥", "geq": "≥", "geqslant": "≥", "geqq": "≥",
    "lt": "<", "gt": ">", "ne": "≠", "neq": "≠", "approx": "≈", "simeq": "≈", "doteq": "≈", "thickapprox": "≈",
    "in": "∈", "cup": "∪", "bigcup": "∪", "cap": "∩", "bigcap": "∩", "setminus": "∖", "backslash": "∖",
    "smallsetminus": "∖", "times": "*", "cdot": "*", "ast": "*", "bullet": "*", "div": "/", "pm": "±", "mp": "∓",
    "lor": "or", "vee": "or", "land": "and", "wedge": "and", "mid": "|", "vert": "|", "lvert": "|", "rvert": "|",
    "Vert": "‖", "lVert": "‖", "rVert": "‖", "lbrace": "\\{", "rbrace": "\\}", "langle": "⟨", "rangle": "⟩",
    "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "colon": ":", "degree": "°", "textdegree": "°",
    "circ": "°", "prime": "'", "to": "→", "rightarrow": "→", "longrightarrow": "→", "lbrack": "[", "rbrack": "]",
    "ldots": "…", "dots": "…", "cdots": "…", "dotsc": "…", "equiv": "≡", "propto": "∝", "over": "over",
    "lparen": "(", "rparen": ")", "euro": "€", "pounds": "£", "yen": "¥", "textdollar": "\\$", "notin": "∉",
}  # fmt: skip
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
).split()
_SYMBOLS = {
    **{name: name for name in _GREEK}, "varepsilon": "epsilon", "vartheta": "theta", "varphi": "phi", "varrho": "rho",
    "varsigma": "sigma", "varpi": "varpi", "pi": "π", "infty": "∞", "infin": "∞", "emptyset": "∅", "varnothing": "∅",
    "hbar": "ħ", "ell": "ell", "imath": "i", "jmath": "j", "nabla": "nabla", "partial": "partial", "odot": "odot",
    "triangle": "triangle", "angle": "angle", "star": "star", "dagger": "dagger", "perp": "perp", "R": "ℝ", "Z": "ℤ",
}  # fmt: skip
_LAYOUT = frozenset(
    (
        "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr middle displaystyle textstyle "
        "limits nolimits scriptstyle quad qquad thinspace negthinspace nonumber rm bf it sf tt mathstrut hfill hline "
        "allowbreak nobreak medspace thickspace enspace relax strut smallskip bigskip medskip protect"
    ).split()
)
_FRACTIONS = {"dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "nicefrac": "frac", "sfrac": "frac",
              "dbinom": "binom", "tbinom": "binom", "choose": "choose"}  # fmt: skip
_BOARD = {"R": "ℝ", "Z": "ℤ", "N": "ℕ", "Q": "ℚ", "C": "ℂ"}
_BARE = {"pi": "π", "inf": "∞", "infinity": "∞", "infty": "∞", "oo": "∞"}
_ESCAPED = {"{": "\\{", "}": "\\}", "%": "%", "$": "\\$", "|": "‖", "&": "&amp;", "#": "#", "_": "\\_", "\\": "\\\\"}
_UNICODE = str.maketrans(
    {
        **{chr(0xFF01 + i): chr(0x21 + i) for i in range(94)},  # full-width ASCII
        **dict(zip("αβγδεζηθικλμνξρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", (rf"\{name} " for name in _GREEK), strict=True)),
        "−": "-", "﹣": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∗": "*", "÷": "/", "∕": "/",
        "⁄": "/", "π": r"\pi ", "𝜋": r"\pi ", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "≤": r"\le ", "≥": r"\ge ",
        "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "±": r"\pm ", "∓": r"\mp ", "∈": r"\in ",
        "∅": r"\emptyset ", "Ø": r"\emptyset ", "√": r"\sqrt ", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]", "∨": r"\lor ",
        "∧": r"\land ", "∖": r"\setminus ", "ϕ": r"\phi ", "ϵ": r"\epsilon ", "ℏ": r"\hbar ", "′": "'", "″": "''",
        "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}",
        "⟨": r"\langle ", "⟩": r"\rangle ", "〈": r"\langle ", "〉": r"\rangle ", "…": r"\ldots ", "º": "°",
        "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
        "⅕": r"\frac{1}{5}", "⅖": r"\frac{2}{5}", "⅗": r"\frac{3}{5}", "⅘": r"\frac{4}{5}", "⅙": r"\frac{1}{6}",
        "⅚": r"\frac{5}{6}", "⅐": r"\frac{1}{7}", "⅛": r"\frac{1}{8}", "⅜": r"\frac{3}{8}", "⅝": r"\frac{5}{8}",
        "⅞": r"\frac{7}{8}", "⅑": r"\frac{1}{9}", "⅒": r"\frac{1}{10}",
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u200a": " ", "\u2002": " ", "\u2003": " ", "\u3000": " ",
        "\u200b": None, "\u2061": None, "\u2062": None, "\ufeff": None, "，": ",", "。": ".", "、": ",",
        "“": '"', "”": '"', "’": "'", "‘": "'",
    }
)  # fmt: skip
_SCRIPTS = (
    (re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+"), str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n"), "^"),
    (re.compile("[₀₁₂₃₄₅₆₇₈₉ₙ]+"), str.maketrans("₀₁₂₃₄₅₆₇₈₉ₙ", "0123456789n"), "_"),
)
_RAISED_UNIT = re.compile(r"(?<=[\d ])(mm|cm|dm|km|m|in|ft|yd|mi)(?=[²³])")
_NEGATED = ((re.compile(r"\\not\s*="), r"\\ne "), (re.compile(r"\\not\s*\\in(?![a-z])"), r"\\notin "))
_DECORATION = re.compile(
    r"\\(?:text)?color\s*\{[^{}]*\}|\\tag\*?\s*\{[^{}]*\}|\\underline(?=\s*\{)|\\label\s*\{[^{}]*\}"
)
_LONE = re.compile(r"\{([:=<>+-])\}")
_UNION = re.compile(r"(?<=[)\]])\s*U\s*(?=[(\[])")
_SPEED = re.compile(r"(?<=[\d}])\s*(k?m|cm|ft|mi)\s*/\s*(s|h|hr|min)(?![a-zA-Z])")
_UNITS = re.compile(r"\\(?:mathrm|text|rm)\s*\{((?:[A-Za-zΩμ~\s/]|\\cdot\s?|\\[,;]|\\mu\s?|\^\{-?\d\}|\^-?\d)+)\}")
_MICRO = re.compile(r"\\mu\s*\\(?:mathrm|text)\s*\{\s*")
_TIMES_TEN = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))")

_SEPARATOR = r"(?:,\\!\s?|\{,\}|\\[,;:]|\\[ ]|~|\\thinspace\s?|,|\s)"
_TOKEN = re.compile(
    rf"""
    (?P<num>(?:(?<!\d,)(?!0)\d{{1,3}}(?:{_SEPARATOR}\d{{3}})+(?!\d|,\d)|\d+)(?:\.\d*)?(?:[eE][+-]?\d+(?![a-zA-Z\d]))?
        |\.\d+(?:[eE][+-]?\d+(?![a-zA-Z\d]))?)
    |\\(?P<text>text(?:bf|it|rm|sf|tt|normal|up)?|mbox|hbox|mathrm|mathbf|mathit|mathsf|boldsymbol|bm|operatorname\*?)
        \s*\{{(?P<body>(?:[^{{}}\\$]|\\[$%])*)\}}
    |\\mathbb\s*\{{?(?P<board>[A-Z])\}}?
    |\\(?P<env>begin|end)\s*\{{(?P<name>[a-zA-Z]+\*?)\}}
    |\\(?P<cmd>[a-zA-Z]+)
    |\\(?P<esc>.)
    |(?P<word>[ap]\.\s?m\.?(?![a-zA-Z])|[A-Za-z]{{2,}})
    |(?P<sym>[^\W\d_])
    |(?P<space>[\s~]+)
    |(?P<op>\*\*|<=|>=|(?<![\d)!])!=|==|->|=>|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN = {"**": "^", "<=": "≤", ">=": "≥", "!=": "≠", "==": "=", "->": "→", "=>": "→"}
_WORDY = re.compile(r"[^\W\d_](?:[^\W\d_]|[ .,'?!/-](?=[^\W\d_ (])|\^?[23](?![\w^]))*[.!?,]?")
_OPEN, _CLOSE = frozenset(("(", "[", "\\{", "⟨")), frozenset((")", "]", "\\}", "⟩"))
_BOLD = frozenset(("mathbf", "boldsymbol", "bm", "mathit"))


def lex(text: str) -> list[Token]:
    """The tokens of a text.

    Raises:
        NotMath: more than :data:`MAX_CHARS` characters or :data:`MAX_TOKENS` tokens.
    """
    if len(text) > MAX_CHARS:
        raise NotMath(f"longer than {MAX_CHARS} characters")
    if not text.isascii():
        text = _plain(text)
    if "\\" in text:
        text = _rewritten(text)
    if "{" in text:
        text = _LONE.sub(r"\1", text)
    if "U" in text:
        text = _UNION.sub(r"\\cup ", text)
    if "/" in text:
        text = _SPEED.sub(r"\\text{\1/\2}", text)
    if "10" in text and ("x" in text or "X" in text):
        text = _TIMES_TEN.sub("*", text)
    tokens: list[Token] = []
    _scan(text, tokens)
    return tokens


def _rewritten(text: str) -> str:
    """Commands that stand for others, or for nothing."""
    if "\\not" in text:
        for pattern, plain in _NEGATED:
            text = pattern.sub(plain, text)
    if "\\mu" in text:
        text = _MICRO.sub(r"\\text{μ", text)
    if "\\mathrm" in text or "\\text" in text or "\\rm" in text:
        text = _UNITS.sub(_units_apart, text)
    return _DECORATION.sub("", text)


def _units_apart(match: re.Match[str]) -> str:
    r"""\mathrm{m \cdot s^{-2}} as \text{m}\cdot\text{s}^{-2}; plain words stay as they are."""
    body = match.group(1)
    if "\\" not in body and "^" not in body:
        return match.group()
    body = re.sub(r"\\mu\s?", "μ", re.sub(r"\\[,;]", r"\\cdot ", body)).replace("~", " ")
    return re.sub(r"\\cdot|[A-Za-zΩμ]+", lambda m: m[0] if m[0][0] == "\\" else rf"\text{{{m[0]}}}", body)


def _plain(text: str) -> str:
    """Unicode forms in LaTeX."""
    text = _RAISED_UNIT.sub(r"\\text{\1}", text)
    for script, digits, mark in _SCRIPTS:
        text = script.sub(lambda m, d=digits, k=mark: f"{k}{{{m.group().translate(d)}}}", text)  # type: ignore[misc]
    if text[:1] in "–—":  # a dash before a number; between numbers it may be a range and stays what it is
        text = "-" + text[1:]
    return text.translate(_UNICODE)


def _scan(text: str, tokens: list[Token], depth: int = 0) -> None:
    dollars_pair = text.count("$") % 2 == 0
    spaced = False
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "num":
            literal = match.group()
            if (
                depth
                and "," in literal.replace("\\,", "")
                and not ("\\!" in literal or "{,}" in literal or ", " in text)
            ):
                _split(literal, tokens, spaced)  # (1,234) is a pair
            else:
                tokens.append(Token("num", literal, spaced))
        elif kind == "sym":
            tokens.append(Token("sym", match.group(), spaced))
        elif kind == "op":
            char = match.group()
            if char == "$":
                if dollars_pair:
                    spaced = True
                    continue
                char = "\\$"
            elif char in _OPEN:
                depth += 1
            elif char in _CLOSE:
                depth -= 1
            tokens.append(Token("op", _PLAIN.get(char, char), spaced))
        elif kind == "space":
            spaced = True
            continue
        elif kind == "cmd":
            name = match.group("cmd")
            if name in _LAYOUT:
                spaced = spaced or name.startswith("q")
                continue
            tokens.append(_command(name, spaced))
            if tokens[-1].text in _OPEN:
                depth += 1
            elif tokens[-1].text in _CLOSE:
                depth -= 1
        elif kind == "word":
            word = match.group()
            if "." in word:  # a.m.
                word = word[0] + "m"
            tokens.append(Token("sym", _BARE[word], spaced) if word in _BARE else Token("word", word, spaced))
        elif kind == "esc":
            escaped = match.group("esc")
            if escaped not in _ESCAPED:  # \, \; \! \: and the like
                spaced = True
                continue
            depth += (escaped == "{") - (escaped == "}")
            tokens.append(Token("op", _ESCAPED[escaped], spaced))
        elif kind == "body":
            _styled(match.group("text"), match.group("body"), tokens, depth, spaced)
        elif kind == "board":
            tokens.append(
                Token(
                    "sym",
                    _BOARD.get(match["board"], "𝔹" + match["board"]),
                    spaced,
                )
            )
        else:
            tokens.append(Token(match.group("env"), match.group("name"), spaced))
        spaced = False
        if len(tokens) > MAX_TOKENS:
            raise NotMath(f"more than {MAX_TOKENS} tokens")


def _command(name: str, spaced: bool) -> Token:
    if name in _OPERATORS:
        return Token("op", _OPERATORS[name], spaced)
    if name in _SYMBOLS:
        return Token("sym", _SYMBOLS[name], spaced)
    return Token("cmd", _FRACTIONS.get(name, name), spaced)


def _styled(style: str, body: str, tokens: list[Token], depth: int, spaced: bool) -> None:
    r"""The content of \text{...} and its kin: words stay together, anything else is read as if it stood bare."""
    content = body.replace("~", " ").strip()
    if content in ("a.m.", "p.m.", "a.m", "p.m"):
        content = content[0] + "m"
    if not content:
        return
    if _WORDY.fullmatch(content):
        kind = "sym" if style in _BOLD and len(content) == 1 else "text"
        tokens.append(Token(kind, content, spaced))
        return
    before = len(tokens)
    _scan(content, tokens, depth)
    if len(tokens) - before > 1 and style.startswith(("math", "b", "o")):
        tokens.insert(before, Token("op", "{", spaced))
        tokens.append(Token("op", "}", False))


def _split(literal: str, tokens: list[Token], spaced: bool) -> None:
    for index, part in enumerate(literal.split(",")):
        if index:
            tokens.append(Token("op", ",", False))
        tokens.append(Token("num", part, spaced and not index))
