"""What holds for every pair of answers: each equals itself, layout is nothing, a change of value is a difference.

Examples are drawn from a fixed seed, so that a run is the same each time. For a longer search with new ones:

    REWARDKIT_EXAMPLES=5000 pytest tests/rewardkit/equivalence/test_properties.py
"""

from __future__ import annotations

import math
import os
import re
import time
from contextlib import suppress
from datetime import timedelta
from fractions import Fraction
from functools import reduce
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rewardkit import boxed_accuracy, equivalent
from rewardkit.equivalence.check import check
from rewardkit.equivalence.describe import described
from rewardkit.equivalence.extract import boxes, extract_answer, last_boxed, reference_answer

from . import strategies as own

_EXAMPLES = os.environ.get("REWARDKIT_EXAMPLES")
profile = settings(
    max_examples=int(_EXAMPLES or 100),
    derandomize=_EXAMPLES is None,
    database=None,
    deadline=timedelta(seconds=2),  # for one example, where a check takes milliseconds: the machine may be busy
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

GROUPS = {
    "plain_numbers": own.plain_numbers,
    "expressions": own.expressions,
    "percentages": own.percentages,
    "units": own.units,
    "currency": own.currency,
    "degrees": own.degrees,
    "plus_minus": own.plus_minus,
    "bases": own.bases,
    "ratios": own.ratios,
    "towers": own.towers,
    "structures": own.structures,
    "relations": own.relations,
    "choices": own.choices,
    "words": own.words,
    "special": own.special,
}
pairs = st.one_of(st.tuples(own.answers, own.answers), *(st.tuples(group, group) for group in GROUPS.values()))


class TestReflexive:
    @given(own.answers)
    @profile
    def test_an_answer_equals_itself(self, answer: str) -> None:
        assert equivalent(answer, answer).equal is True

    @given(own.answers)
    @profile
    def test_a_reference_may_be_boxed_in_dollars_or_a_worked_solution(self, answer: str) -> None:
        completion = rf"Thus \boxed{{{answer}}}."
        for truth in (answer, f"${answer}$", rf"So $x = \boxed{{{answer}}}$.", f"We add.\n#### {answer}"):
            assert boxed_accuracy([completion], ground_truth=truth) == [1.0]

    @given(own.noise)
    @profile
    def test_whatever_is_written_equals_itself(self, text: str) -> None:
        verdict = check(text, text)
        assert verdict.equal is True or verdict.detail == "the answer is empty"


class TestSymmetric:
    @given(pairs)
    @settings(profile, max_examples=3 * profile.max_examples)
    def test_answers_compare_alike_in_both_directions(self, pair: tuple[str, str]) -> None:
        a, b = pair
        assert check(a, b).equal is check(b, a).equal

    @given(own.noise, own.noise)
    @profile
    def test_noise_compares_alike_in_both_directions(self, a: str, b: str) -> None:
        assert check(a, b).equal is check(b, a).equal


class TestLayout:
    @given(own.answers, own.anywhere)
    @settings(profile, max_examples=3 * profile.max_examples)
    def test_says_nothing(self, answer: str, layouts: list[own.Layout]) -> None:
        text = own.laid_out(answer, layouts)
        assert check(text, answer).equal is True
        assert check(answer, text).equal is True

    @given(st.one_of(own.plain_numbers, own.expressions), own.at_expressions)
    @settings(profile, max_examples=2 * profile.max_examples)
    def test_around_expressions_says_nothing(self, answer: str, layouts: list[own.Layout]) -> None:
        assert check(own.laid_out(answer, layouts), answer).equal is True

    @given(pairs, own.anywhere)
    @settings(profile, max_examples=2 * profile.max_examples)
    def test_changes_no_verdict(self, pair: tuple[str, str], layouts: list[own.Layout]) -> None:
        a, b = pair
        assert check(own.laid_out(a, layouts), b).equal is check(a, b).equal


class TestDifferent:
    @given(st.one_of(own.plain_numbers, own.expressions))
    @profile
    def test_one_more_is_another_value(self, answer: str) -> None:
        assert check(f"({answer})+1", answer).equal is False

    @given(st.one_of(own.plain_numbers, own.multiples_of_pi, own.roots))
    @profile
    def test_the_negative_of_a_number_is_another_number(self, answer: str) -> None:
        assume(not check(answer, "0").equal)
        assert check(f"-({answer})", answer).equal is False

    @given(st.lists(own.rationals.filter(lambda r: r.value is not None), min_size=2, max_size=4), st.data())
    @profile
    def test_a_tuple_with_two_entries_swapped_is_another_tuple(self, items: list[own.Rational], data: Any) -> None:
        i, j = data.draw(st.sampled_from([(i, j) for j in range(len(items)) for i in range(j)]))
        assume(items[i].value != items[j].value)
        swapped = list(items)
        swapped[i], swapped[j] = swapped[j], swapped[i]
        texts = [f"({', '.join(item.text for item in some)})" for some in (items, swapped)]
        assert check(*texts).equal is False

    @given(st.lists(own.fractions, min_size=1, max_size=4), own.fractions)
    @profile
    def test_a_list_with_one_more_member_is_another_list(self, items: list[str], more: str) -> None:
        assert check(", ".join([*items, more]), ", ".join(items)).equal is False


class TestTheSameInOtherWords:
    @given(st.lists(st.one_of(own.fractions, own.roots, own.polynomials), min_size=2, max_size=5), st.randoms())
    @profile
    def test_a_shuffled_set_is_the_same_set(self, items: list[str], random: Any) -> None:
        shuffled = list(items)
        random.shuffle(shuffled)
        assert check(rf"\{{{', '.join(items)}\}}", rf"\{{{', '.join(shuffled)}\}}").equal is True
        assert check(", ".join(items), rf"\{{{'; '.join(shuffled)}\}}").equal is True

    @given(own.rewritings)
    @settings(profile, max_examples=3 * profile.max_examples)
    def test_a_rewritten_expression_is_the_same(self, pair: tuple[str, str]) -> None:
        assert check(*pair).equal is True

    @given(own.rewritings)
    @profile
    def test_a_rewritten_expression_and_one_more_is_not(self, pair: tuple[str, str]) -> None:
        a, b = pair
        assert check(a, f"{b}+1").equal is False


class TestOracles:
    @given(own.rationals, own.rationals)
    @settings(profile, max_examples=2 * profile.max_examples)
    def test_rational_arithmetic_agrees_with_fractions(self, a: own.Rational, b: own.Rational) -> None:
        assume(a.value is not None and b.value is not None)
        assert check(a.text, b.text).equal is (a.value == b.value)

    @given(own.rationals)
    @settings(profile, max_examples=2 * profile.max_examples)
    def test_a_rational_expression_is_its_value(self, a: own.Rational) -> None:
        assume(a.value is not None)
        assert a.value is not None
        value = rf"\frac{{{a.value.numerator}}}{{{a.value.denominator}}}"
        assert check(a.text, value).equal is True
        near = a.value + Fraction(1, 10**30)
        assert check(a.text, rf"\frac{{{near.numerator}}}{{{near.denominator}}}").equal is False

    @given(own.trees, own.trees)
    @profile
    def test_polynomials_agree_with_sympy(self, a: own.Tree, b: own.Tree) -> None:
        one, two = _built(a), _built(b)
        assert check(own.latex(a), own.latex(b)).equal is bool((one - two).expand() == 0)

    @given(own.trees)
    @profile
    def test_a_polynomial_is_what_sympy_multiplies_out(self, tree: own.Tree) -> None:
        import sympy

        terms = sympy.Poly(_built(tree), *map(sympy.Symbol, "xy")).terms()
        text = "+".join(f"({c})x^{{{i}}}y^{{{j}}}" for (i, j), c in terms)
        assert check(own.latex(tree), text).equal is True

    @given(own.tight, own.tight)
    @settings(profile, max_examples=5 * profile.max_examples)
    def test_tight_notation_means_what_its_tree_means(self, a: own.Tree, b: own.Tree) -> None:
        points = [(0.83, 1.37, 2.21), (1.91, 0.43, 1.13), (2.6, 2.3, 0.7), (-0.77, 1.9, 2.3), (-1.3, -2.1, -0.6)]
        values = []
        for point in points:
            with suppress(ArithmeticError):
                at = dict(zip("xyb", point, strict=True))
                values.append((own.value_at(a, at), own.value_at(b, at)))
        assume(len(values) > 2)
        assume(all(abs(value) < 1e6 for both in values for value in both))  # x - 3^27 and y - 3^27 are near as floats
        same = all(math.isclose(one, two, rel_tol=1e-9) for one, two in values)
        verdict = check(own.tightly(a), own.tightly(b)).equal
        assert verdict is same or verdict is None


def _built(tree: own.Tree) -> Any:
    """The tree in sympy's objects; no text is parsed."""
    import sympy

    if isinstance(tree, tuple):
        operator, left, right = tree
        one, two = _built(left), _built(right)
        return {"+": one + two, "-": one - two, "*": one * two}.get(operator) if operator != "^" else one**two
    return sympy.Symbol(tree) if isinstance(tree, str) else sympy.Integer(tree)


class TestNothingRaises:
    @given(own.noise, own.noise)
    @settings(profile, max_examples=3 * profile.max_examples)
    def test_whatever_is_written(self, a: str, b: str) -> None:
        assert isinstance(described(a, b, check(a, b)).why, str)

    @given(own.noise, own.answers)
    @profile
    def test_noise_against_an_answer(self, text: str, answer: str) -> None:
        assert isinstance(described(text, answer, check(text, answer)).why, str)
        assert isinstance(check(answer + text, answer).why, str)

    @given(st.sampled_from(own.TOKENS), st.integers(2, 2_000), own.answers)
    @profile
    def test_one_token_again_and_again(self, token: str, times: int, answer: str) -> None:
        text = token * min(times, 20_000 // len(token))
        assert isinstance(check(text, answer).why, str)
        assert isinstance(check(text + answer, answer).why, str)


FRAGMENTS = (
    r"\boxed{", r"\fbox{", r"\\boxed{", "\\boxed \n{", "{", "}", r"\{", r"\}", "\\\\", "\\", "2", " ", "\n",
    r"\frac{1}{2}", "</think>", "<think>", "####", "$", "boxed{", "🎲",
)  # fmt: skip
texts = st.one_of(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join), own.noise)


class TestExtraction:
    @given(texts)
    @settings(profile, max_examples=3 * profile.max_examples)
    def test_a_box_is_a_balanced_piece_of_the_text(self, text: str) -> None:
        for box in boxes(text):
            if box in text:
                assert _balanced(box) or "\\\\" in text  # an escape too many was taken away: the braces were others
            else:
                assert box in text.replace("\\\\", "\\")

    @given(texts)
    @profile
    def test_never_raises(self, text: str) -> None:
        found = boxes(text)
        assert last_boxed(text) == (found[-1] if found else None)
        assert reference_answer(text) in text or last_boxed(text) is not None
        for on_conflict in ("last", "reject"):
            answer = extract_answer(text, on_conflict=on_conflict)  # type: ignore[arg-type]
            assert answer.text is None or answer.text in found
            assert answer.why

    @given(texts, own.answers)
    @profile
    def test_the_last_box_is_the_answer_whatever_comes_before(self, before: str, answer: str) -> None:
        assert extract_answer(f"{before}\n\\boxed{{{answer}}}").text == answer

    @pytest.mark.parametrize("fragment", FRAGMENTS)
    def test_reads_a_hundred_thousand_characters_at_once(self, fragment: str) -> None:
        text = fragment * (100_000 // len(fragment)) + r"\boxed{2}"
        started = time.process_time()
        boxes(text), extract_answer(text), reference_answer(text)
        assert time.process_time() - started < 2  # milliseconds; quadratic work would take minutes


def _balanced(text: str) -> bool:
    """Whether every brace that is not escaped has its partner."""
    bare = re.sub(r"\\.", "", text, flags=re.DOTALL)
    depths = reduce(lambda depths, c: [*depths, depths[-1] + (c == "{") - (c == "}")], bare, [0])
    return depths[-1] == 0 and min(depths) == 0
