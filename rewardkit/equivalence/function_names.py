"""The functions that are read by name, and the names they have."""

from __future__ import annotations

TRIGONOMETRIC = ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "sech", "csch")
FUNCTIONS = {
    **{name: name for name in TRIGONOMETRIC},
    **{f"{prefix}{name}": f"arc{name}" for name in TRIGONOMETRIC for prefix in ("arc", "a")},
    **{f"ar{name}": f"arc{name}" for name in TRIGONOMETRIC[6:]},
    **{name: name for name in ("ln", "log", "exp", "gcd", "lcm", "max", "min", "floor", "abs", "arg", "det", "sqrt")},
    "lg": "lg", "cbrt": "cbrt", "ceil": "ceil", "Re": "Re", "Im": "Im", "sgn": "sgn", "sign": "sgn", "erf": "erf",
    "Gamma": "gamma", "zeta": "zeta", "cis": "cis",
    "tg": "tan", "ctg": "cot", "arctg": "arctan", "arcctg": "arccot", "cosec": "csc",
}  # fmt: skip
