"""Units of measurement: exact factors between those of a kind, names of everything else that is counted.

Factors are those of the SI brochure and of NIST Special Publication 811 (the international foot and pound).

    >>> read_unit("square feet") == read_unit("ft", 2)
    True
    >>> read_unit("km").factor / read_unit("m").factor, read_unit("chocolate bars").dimensions
    (Fraction(1000, 1), (('chocolate bar', 1),))
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction

from rewardkit.equivalence.lexer import NotMath
from rewardkit.equivalence.tree import Unit

_PREFIXES = {
    "": (0, ""), "k": (3, "kilo"), "M": (6, "mega"), "d": (-1, "deci"), "c": (-2, "centi"), "m": (-3, "milli"),
    "μ": (-6, "micro"), "n": (-9, "nano"),
}  # fmt: skip


def _table() -> dict[str, Unit]:
    table: dict[str, Unit] = {}

    def add(names: str, factor: str | int | Fraction, **dimensions: int) -> None:
        for name in names.split():
            table[name] = Unit(Fraction(factor), tuple(sorted(dimensions.items())))

    for prefix, (power, long) in _PREFIXES.items():
        scale = Fraction(10) ** power
        add(f"{prefix}m {long}meter {long}metre", scale, m=1)
        add(f"{prefix}g {long}gram", scale / 1000, kg=1)
        add(f"{prefix}L {prefix}l {long}liter {long}litre", scale / 1000, m=3)
        add(f"{prefix}s {prefix}sec {long}second", scale, s=1)
        add(f"{prefix}N {long}newton", scale, kg=1, m=1, s=-2)
        add(f"{prefix}J {long}joule", scale, kg=1, m=2, s=-2)
        add(f"{prefix}W {long}watt", scale, kg=1, m=2, s=-3)
        add(f"{prefix}Pa {long}pascal", scale, kg=1, m=-1, s=-2)
        add(f"{prefix}Hz {long}hertz", scale, s=-1)
        add(f"{prefix}V {long}volt", scale, volt=1)
        add(f"{prefix}A {long}ampere", scale, ampere=1)
    for name in ("K kelvin", "T tesla", "C coulomb", "H henry", "F farad", "mol mole", "eV electronvolt", "acre"):
        add(name, 1, **{name.split()[-1]: 1})
    add("ha hectare", 10_000, m=2)
    add("in inch inche", "0.0254", m=1)
    add("ft foot feet", "0.3048", m=1)
    add("yd yard", "0.9144", m=1)
    add("mi mile", "1609.344", m=1)
    add("lb pound", "0.45359237", kg=1)
    add("oz ounce", "0.028349523125", kg=1)
    add("min minute", 60, s=1)
    add("h hr hour", 3600, s=1)
    add("day", 86_400, s=1)
    add("week wk", 604_800, s=1)
    add("year yr", 12, month=1)
    add("month", 1, month=1)
    add("mph", Fraction("1609.344") / 3600, m=1, s=-1)
    add("kph kmh", Fraction(1000, 3600), m=1, s=-1)
    add("dollar usd USD", 1, dollar=1)
    add("cent", "0.01", dollar=1)
    add("euro EUR", 1, euro=1)
    add("GBP", 1, sterling=1)
    add("yen JPY", 1, yen=1)
    add("rupee INR", 1, rupee=1)
    add("degree deg", 1, degree=1)
    add("radian rad", 1, radian=1)
    add("am", 1, am=1)
    add("pm", 1, pm=1)
    add("°C", 1, celsius=1)
    add("°F", 1, fahrenheit=1)
    add("Ω ohm Omega", 1, ohm=1)
    add("unit", 1)
    return table


UNITS: Mapping[str, Unit] = _table()
CURRENCIES = {
    "\\$": UNITS["dollar"],
    "¢": UNITS["cent"],
    "₹": UNITS["rupee"],
    "€": UNITS["euro"],
    "£": UNITS["GBP"],
    "¥": UNITS["yen"],
}
DEGREE, RADIAN, PLAIN = UNITS["degree"], UNITS["radian"], UNITS["unit"]
SCALES = {
    "hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
}  # fmt: skip
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
DENIALS = frozenset(
    (
        "not no never maybe perhaps possibly probably hopefully guess wrong incorrect false reject rejected "
        "rejecting rather neither nor none except excluded excluding without instead otherwise invalid "
        "extraneous fails cannot isn doesn don wasn aren everything suppose assume unless if let"
    ).split()
)
"""Words that take back what stands beside them."""
NO_UNIT = DENIALS | frozenset(
    (
        "and or to than else but either plus minus times squared cubed factorial choose mod more less least "
        "most fewer about approximately roughly nearly around almost over under between half halve third "
        "fourth quarter fifth sixth seventh eighth ninth tenth hundredth thousandth lakh crore ten six five "
        "score doubled tripled halved repeating base binary hex is are was equals where when for positive "
        "negative even odd prime inverse imaginary opposite loss right correct may below above zero sin cos "
        "tan log ln"
    ).split()
)
"""Words after a number that make it another number, or no number."""
_LETTERS = re.compile(r"[^\W\d_]+")
_SPLIT = re.compile(r"[\s·.]+")
_PART = re.compile(r"(.+?)(?:\^?([23]))?")


def is_unit(name: str) -> bool:
    """Whether a word is a known unit of measurement."""
    return name in UNITS or _singular(name) in UNITS or name in _POWERS


def read_unit(words: str, power: int = 1) -> Unit:
    """The unit that words name: ``cm``, ``square feet``, ``miles per hour``, ``m/s^2``, ``apples``.

    Raises:
        NotMath: words that change the number before them, e.g. "or more".
    """
    units: list[Unit] = []
    for index, part in enumerate(re.split(r"/|\bper\b", words)):
        names = [name for name in _SPLIT.split(part.strip(" ,!?-")) if name]
        if any(name.casefold() in NO_UNIT or _singular(name.casefold()) in NO_UNIT for name in names):
            raise NotMath(f"{words!r} is no unit")
        sign = -power if index else power
        units.extend(power_unit(unit, sign * exponent) for unit, exponent in _factors(names))
    return combine_units(units)


def power_unit(unit: Unit, exponent: int) -> Unit:
    """A unit to an integer power."""
    return Unit(unit.factor**exponent, tuple((name, count * exponent) for name, count in unit.dimensions))


def combine_units(units: Iterable[Unit]) -> Unit:
    """The product of several units."""
    factor, dimensions = Fraction(1), dict[str, int]()
    for unit in units:
        factor *= unit.factor
        for name, count in unit.dimensions:
            dimensions[name] = dimensions.get(name, 0) + count
    return Unit(factor, tuple(sorted((name, count) for name, count in dimensions.items() if count)))


def raised_unit(words: str, exponent: int) -> Unit:
    r"""A unit to a power; in \text{m/s}^2 the power belongs to the last unit."""
    first, slash, last = words.rpartition("/")
    if slash:
        return combine_units([read_unit(first), raised_unit(last, -exponent)])
    return read_unit(words, exponent)


def _factors(names: list[str]) -> list[tuple[Unit, int]]:
    """Units with their exponents; words that are none of them make one unit of their own."""
    found: list[tuple[Unit, int]] = []
    other: list[str] = []
    power = 1
    for name in names:
        match = _PART.fullmatch(name)
        assert match is not None  # any text without a line break matches
        base, raised = match.group(1), int(match.group(2) or 1)
        unit = UNITS.get(base) or UNITS.get(_singular(base)) or UNITS.get(_singular(base.casefold()))
        if name.casefold() in _POWERS:
            power = _POWERS[name.casefold()]
        elif unit is not None and (unit is not PLAIN or not other):
            found.append((unit, power * raised))
            power = 1
        else:
            other.append(_singular(name.casefold()))
    if other:
        found.append((Unit(Fraction(1), ((" ".join(other), 1),)), power))
    return found


def _singular(name: str) -> str:
    return name[:-1] if len(name) > 2 and name.endswith("s") and not name.endswith("ss") else name


_SHORT_WORDS = frozenset("no on in up is it ok me my we us am pm".split())


def words_in(text: str) -> set[str]:
    """The words of a text, in lower case."""
    return set(_LETTERS.findall(text.casefold()))


def is_word(text: str) -> bool:
    """Whether a bare run of letters is plain language, not a product such as ``mg``, ``abc`` or ``xy``."""
    low = text.casefold()
    if len(low) > 4:
        return True
    if len(low) == 2:
        return low in _SHORT_WORDS or (text.isupper() and set(text) <= set("IVXLCDM"))
    if text.isupper():
        return True
    return bool(set(low) & set("aeiouy")) and not set(low) <= set("abcdexyz") and text[1:] == low[1:]
