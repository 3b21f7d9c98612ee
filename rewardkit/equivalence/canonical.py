"""The tokens of a text as one string: equal for texts that differ in layout alone."""

from __future__ import annotations

from rewardkit.equivalence.lexer import Token

_SEPARATORS = str.maketrans("", "", " ,{}\\!;:~\t\n")


def canonical(tokens: list[Token]) -> str:
    """The tokens as one string: equal for texts that differ in layout alone."""
    tokens = [t for k, t in enumerate(tokens) if not _needless_brace(tokens, k)]
    parts: list[str] = []
    wordy = False
    previous = ""
    for kind, text, spaced in tokens:
        if kind == "cmd" or (kind == "sym" and len(text) > 1):
            text = "\\" + text  # \xi is not x i
        if kind in ("word", "text") or (kind == "sym" and wordy):
            if parts and (spaced or wordy):
                parts.append(" ")
            wordy = True
        else:
            wordy = False
            if kind == "num":
                if previous == "num":  # 1 1/2 is not 11/2
                    parts.append(" ")
                text = text.translate(_SEPARATORS)
        previous = kind
        parts.append(text)
    return "".join(parts)


def _needless_brace(tokens: list[Token], at: int) -> bool:
    """Whether a brace holds a single character of a script: x^{2} is x^2."""
    start = at if tokens[at].text == "{" else at - 2
    if not 0 < start <= len(tokens) - 3 or tokens[start].text != "{" or tokens[start + 2].text != "}":
        return False
    follows = tokens[start + 3].kind if start + 3 < len(tokens) else ""
    return (
        tokens[start - 1].text in ("^", "_", "pmod")
        and tokens[start + 1].kind in ("num", "sym")
        and len(tokens[start + 1].text) == 1
        and follows != "num"
    )
