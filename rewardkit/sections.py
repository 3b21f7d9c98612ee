r"""Where in a completion to look: the final part after the reasoning, and the body of a tag.

Every function is one linear scan with plain string search: completions are untrusted and long.
"""

from __future__ import annotations


def final_part(text: str) -> str:
    r"""What follows the last ``</think>``; the whole text where there is none.

    Example:
        >>> final_part(r"<think>maybe \boxed{3}</think>It is \boxed{4}.")
        'It is \\boxed{4}.'
    """
    return text[text.rfind("</think>") + len("</think>") :] if "</think>" in text else text


def tag_body(text: str, tag: str) -> str | None:
    """The text between the last ``<tag>`` and the ``</tag>`` that follows it; ``None`` without such a pair.

    Where the last opening tag is never closed, the last pair that is complete counts.

    Example:
        >>> tag_body("<answer>1</answer> no, <answer> 2 </answer>", "answer")
        ' 2 '
    """
    end = text.rfind(f"</{tag}>")
    start = text.rfind(f"<{tag}>", 0, max(end, 0))
    if end < 0 or start < 0:
        return None
    body = text[start + len(tag) + 2 : end]
    inner = body.find(f"</{tag}>")  # "<answer>a</answer>b</answer>": the first close ends it
    return body if inner < 0 else body[:inner]


def section(text: str, tag: str | None) -> str:
    """The body of `tag`, empty where the tag is missing; the whole text for ``None``."""
    return text if tag is None else (tag_body(text, tag) or "")
