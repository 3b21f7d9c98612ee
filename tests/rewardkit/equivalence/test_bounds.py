"""What would run for minutes or fill the memory in this process ends at a limit; each of these once did."""

from __future__ import annotations

import time

import pytest

from rewardkit.equivalence.check import check

SECONDS = 5.0
"""Generous: on a quiet machine none takes more than half a second."""
GROWING = {
    "quotients of numbers with long exponents": "1" + "/7e-4999" * 900,
    "sums of fractions with long denominators": "+".join(f"1/({k}!+1)" for k in range(2_800, 3_000)),
    "a series of them": r"\sum_{k=1}^{200}\frac{1}{(2000-k)!+1}",
    "multiples of long numbers": r"\operatorname{lcm}(" + ",".join(f"{3_000 - k}!+1" for k in range(250)) + ")",
    "products of matrices": r"\begin{pmatrix}x&x\\x&x\end{pmatrix}" * 20,
    "fractions that may be mixed numbers": r"1\frac{" * 9 + "+".join(["1"] * 900) + "}{x}" * 9,
    "series of powers": "+".join([r"\sum_{k=1}^{200}(x+y+z+k)^6"] * 30),
    "series of factorials": "+".join([r"\sum_{k=1}^{200}(3000-k)!"] * 60),
    "series of series": r"\sum_{a=1}^{200}\sum_{b=1}^{200}\sum_{c=1}^{200} \sin(abc)",
    "towers whose names grow": "30^" * 20 + "30",
    "towers of long numbers": "1e4999^1e4999^1e4999^2",
    "powers near one": r"(\sin 9x)^{10^{999}}",
    "factorials times factorials": "*".join(["3000!"] * 100),
    "boxes in boxes": r"\boxed{" * 1_200 + "5" + "}" * 1_200,
}


@pytest.mark.parametrize("text", GROWING.values(), ids=GROWING.keys())
@pytest.mark.parametrize("reference", ["x", "3", r"\sqrt{2}"])
def test_ends_at_a_limit(text: str, reference: str) -> None:
    start = time.process_time()
    assert check(text, reference).equal is not True
    assert time.process_time() - start < SECONDS


def test_a_power_beyond_the_limits_keeps_its_variables() -> None:
    assert check("(2x)^{100000}", "2^{100000}x").equal is not True
    assert check("(2x)^{100000}", "2^{100000}x^{100000}").equal is True
