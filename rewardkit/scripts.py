r"""The alphabet of a text: which Unicode scripts a language is written in, and the prose of a completion.

>>> scripts_of("sr"), scripts_of("zh-Hant")
(('Cyrillic', 'Latin'), ('Han', 'Bopomofo'))
>>> prose(r"The root \sqrt{2} of `x = 2  # 平方` is $y_1$.")
'The root \\ {2} of `  = 2  # 平方` is $ _1$.'
>>> prose("设 x 为 5cm，则 sin(x) = 0.5")
'设   为 5 ，则 ,( ) = 0.5'
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Any

_WRITTEN_IN = {
    "Latin": (
        "af az br bs ca cs cy da de en eo es et eu fi fo fr fy ga gd gl ha hr ht hu id ig is it jv la lb lg ln lt lv"
        " mg mi ms mt nb nl nn no oc pl pt qu rm ro rw sk sl sm sn so sq st su sv sw tk tl tn to tr ts uz vi wo xh yo"
        " zu"
    ),
    "Cyrillic": "ba be bg ce cv ky mk os ru tg tt uk",
    "Arabic": "ar fa ps sd ug ur",
    "Devanagari": "hi mr ne sa",
    "Hebrew": "he yi",
    "Bengali": "as bn",
    "Ethiopic": "am ti",
    "Tibetan": "bo dz",
    "Armenian": "hy",
    "Georgian": "ka",
    "Greek": "el",
    "Gujarati": "gu",
    "Gurmukhi": "pa",
    "Hangul": "ko",
    "Kannada": "kn",
    "Khmer": "km",
    "Lao": "lo",
    "Malayalam": "ml",
    "Myanmar": "my",
    "Oriya": "or",
    "Sinhala": "si",
    "Tamil": "ta",
    "Telugu": "te",
    "Thaana": "dv",
    "Thai": "th",
}
_WRITTEN_IN_SEVERAL = {
    "ja": ("Hiragana", "Katakana", "Han"),
    "kk": ("Cyrillic", "Latin"),
    "ku": ("Latin", "Arabic"),
    "mn": ("Cyrillic", "Mongolian"),
    "sr": ("Cyrillic", "Latin"),
    "zh": ("Han", "Bopomofo"),
}
SCRIPTS: dict[str, tuple[str, ...]] = {
    **{code: (script,) for script, codes in _WRITTEN_IN.items() for code in codes.split()},
    **_WRITTEN_IN_SEVERAL,
}
"""Unicode scripts by ISO 639-1 code. Korean is Hangul alone: Hanja are rare today, a drift to Chinese is not."""

_LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_SYMBOLS = f"{_LATIN}\u0370-\u03ff\u1f00-\u1fff"  # mathematics is written in Latin and Greek letters
_SYMBOL = re.compile(f"[{_SYMBOLS}]+")
_BEGINS, _ENDS = f"(?<![{_SYMBOLS}\u0300-\u036f])", f"(?![{_SYMBOLS}\u0300-\u036f])"  # a word or a letter alone
_LONE_SYMBOLS = re.compile(  # with those that only white space, dots and what is not seen keep apart from it
    f"{_BEGINS}[{_SYMBOLS}]{_ENDS}(?:[\\s.\u00ad\u200b-\u200f\u2060\ufeff]+[{_SYMBOLS}]{_ENDS})*"
)
_UNITS = (
    "mm cm dm km mg kg ml dl ms min Hz kHz MHz GHz Pa kPa MPa kJ kW kWh MW mA mV kV mol cal kcal rad deg KB MB GB TB"
)
_UNIT = re.compile(rf"(?<=\d)[ \u00a0]?(?:{'|'.join(_UNITS.split())}){_ENDS}")
_FUNCTIONS = (
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp sqrt max min gcd lcm mod lim det arg"
)
_FUNCTION = re.compile(
    rf"{_BEGINS}(?:{'|'.join(_FUNCTIONS.split())}){_ENDS}(?= ?(?:[(\[{{^_\d\u00b2]|[{_SYMBOLS}]{_ENDS}))"
)
_BLOCKS = (("```", "```", True), ("$$", "$$", False), (r"\[", r"\]", False), (r"\(", r"\)", False))
_INLINE = re.compile(
    r"`[^`\n]+`"  # code
    r"|\$(?! )[^$\n]+(?<! )\$(?!\d)"  # mathematics, and not "$5 and $6"
    r"|\\(?:begin|end)\{[a-z]{1,20}\*?\}|\\[A-Za-z]+"  # a LaTeX environment or command
    r"|</?[A-Za-z][\w-]{0,40}/?>"  # a tag without attributes: anything longer could hide prose
    r"|https?://[!-~]+"
)


def primary(code: object) -> str:
    """The language of a tag such as "zh-Hant" or "pt_BR": its first part in small letters, "zh", "pt".

    Raises:
        ValueError: not two or three ASCII letters.
    """
    first = re.split("[-_]", code.strip().lower(), maxsplit=1)[0] if isinstance(code, str) else ""
    if not (first.isascii() and first.isalpha() and len(first) in (2, 3)):
        raise ValueError(f'language {code!r} is no language code; use ISO 639-1, such as "en" or "zh"')
    return first


def scripts_of(code: object) -> tuple[str, ...]:
    """The Unicode scripts that a language is written in.

    Raises:
        ValueError: no language code, or one that is not in :data:`SCRIPTS`.
    """
    language = primary(code)
    if language not in SCRIPTS:
        raise ValueError(
            f"the script of language {code!r} is not known; use an ISO 639-1 code out of "
            f"{', '.join(sorted(SCRIPTS))}, or pass a detector"
        )
    return SCRIPTS[language]


def prose(text: str) -> str:
    """The text without the letters that belong to no language.

    Latin and Greek letters are taken out of code, mathematics, LaTeX commands, tags and addresses, where one
    stands alone, as a variable does, where a number has them as its unit, and where a function such as sin is
    applied. Letters that are spaced out (``s o``) are a word. Letters of other alphabets stay wherever they are:
    they are never part of a notation, so nothing can be hidden there. A letter in another dress, such as a bold
    or a circled one, is read as that letter. Linear in the text.
    """
    text = _undressed(text)
    for opening, closing, to_the_end in _BLOCKS:
        text = _without_blocks(text, opening, closing, to_the_end)
    text = _FUNCTION.sub(",", _UNIT.sub(" ", _INLINE.sub(_without_symbols, text)))
    return _LONE_SYMBOLS.sub(_without_one, text)


def _undressed(text: str) -> str:
    """The text with its letters in the plain form, each for itself: to normalise a whole text is not linear."""
    if text.isascii():
        return text
    plain = {ord(letter): _plain(letter) for letter in set(text) if letter > "\x7f"}
    return text.translate(plain)


def _plain(letter: str) -> str:
    """The compatibility form of a letter, also of a circled or bracketed one; other characters as they are."""
    form = unicodedata.normalize("NFKC", letter).strip("()")
    return form if letter.isalpha() or (len(form) == 1 and form.isalpha()) else letter


def _without_one(found: re.Match[str]) -> str:
    return " " if len(found[0]) == 1 else found[0]


def _without_symbols(found: re.Match[str]) -> str:
    return _SYMBOL.sub(" ", found[0])


def _without_blocks(text: str, opening: str, closing: str, to_the_end: bool) -> str:
    pieces, at = [], 0
    while (start := text.find(opening, at)) >= 0:
        end = text.find(closing, start + len(opening))
        if end < 0 and not to_the_end:
            break
        end = len(text) if end < 0 else end + len(closing)
        pieces += [text[at:start], _SYMBOL.sub(" ", text[start:end])]
        at = end
    return "".join(pieces) + text[at:] if pieces else text


def letters(text: str) -> Counter[str]:
    """How often each letter of a script occurs; symbols that are in no script, such as ℝ, do not count."""
    counts = Counter(text)
    own = _pattern(()).sub("", "".join(counts))
    return Counter({letter: counts[letter] for letter in own})


def in_scripts(found: Counter[str], scripts: tuple[str, ...]) -> Counter[str]:
    """Those of the letters that are of one of the scripts."""
    return Counter({letter: found[letter] for letter in _pattern(scripts).findall("".join(found))})


@lru_cache(maxsize=256)
def _pattern(scripts: tuple[str, ...]) -> Any:
    """One letter of the scripts; without any, one character that is a letter of none."""
    import regex  # it knows the scripts; loaded only where they are asked for

    if not scripts:
        return regex.compile(r"[^\p{L}]|\p{Script=Common}|\p{Script=Inherited}")
    return regex.compile("|".join(rf"\p{{Script={script}}}" for script in scripts))
