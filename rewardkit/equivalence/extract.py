r"""Which text is the answer: the last box of a completion, the final answer of a reference.

>>> last_boxed(r"First \boxed{3}, no: \boxed{\frac{1}{2}}")
'\\frac{1}{2}'
>>> reference_answer("16 - 3 - 4 = 9, and 9 * 2 = 18.\n#### 18")
'18'
"""

from __future__ import annotations

import re

# A token that can change the nesting of braces: a box that opens, an escaped character, a brace.
_BRACES = re.compile(r"(?<!\\)(\\+)(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)


def last_boxed(text: str) -> str | None:
    r"""The content of the last ``\boxed{...}`` or ``\fbox{...}`` with balanced braces; ``None`` without one.

    One pass over the text with a stack of open braces, so nesting costs nothing extra. A box that holds a
    box is the outer one; a box that never closes (a truncated completion) does not count. LaTeX that was
    escaped once too often (``\\boxed{\\frac{1}{2}}``) is read as it was meant.
    """
    stack: list[tuple[int, int]] = []  # (backslashes before "boxed", 0 for a bare brace; where its content starts)
    found: tuple[int, int, int] | None = None
    if "boxed" not in text and "fbox" not in text:
        return None
    for match in _BRACES.finditer(text):
        token = match.group()
        if match.group(1) or token == "{":
            stack.append((len(match.group(1) or ""), match.end()))
        elif token == "}" and stack:
            slashes, start = stack.pop()
            if slashes:
                found = slashes, start, match.start()
    if found is None:
        return None
    slashes, start, end = found
    return text[start:end] if slashes % 2 else text[start:end].replace("\\\\", "\\")


def reference_answer(ground_truth: str) -> str:
    r"""The answer within a reference: after the last ``####``, else its last box, else all of it."""
    if "####" in ground_truth:
        return ground_truth[ground_truth.rfind("####") + 4 :].strip()
    boxed = last_boxed(ground_truth)
    return (ground_truth if boxed is None else boxed).strip()
