r"""Where in a completion to look: the final part after the reasoning, and the body of a tag.

Every function is one linear scan with plain string search: completions are untrusted and long.
"""

from __future__ import annotations

from rewardkit.tags import tag_names


def final_part(text: str) -> str:
    r"""What follows the last ``</think>``; the whole text where there is none.

    Example:
        >>> final_part(r"<think>maybe \boxed{3}</think>It is \boxed{4}.")
        'It is \\boxed{4}.'
    """
    return text[text.rfind("</think>") + len("</think>") :] if "</think>" in text else text


def tag_body(text: str, tag: str) -> str | None:
    """The text between the last ``<tag>`` and the ``</tag>`` that follows it; ``None`` without such a pair.

    Where the last opening tag is never closed, the last pair that is complete counts. Many chat templates write
    ``<think>`` into the prompt, so where no ``<think>`` stands before a ``</think>``, the body of "think" begins
    with the text.

    Example:
        >>> tag_body("<answer>1</answer> no, <answer> 2 </answer>", "answer")
        ' 2 '
        >>> tag_body("1 + 1 is 2</think>2", "think")
        '1 + 1 is 2'
    """
    end = text.rfind(f"</{tag}>")
    start = text.rfind(f"<{tag}>", 0, max(end, 0))
    if end < 0 or (start < 0 and tag != "think"):
        return None
    body = text[start + len(tag) + 2 if start >= 0 else 0 : end]
    inner = body.find(f"</{tag}>")  # "<answer>a</answer>b</answer>": the first close ends it
    return body if inner < 0 else body[:inner]


def section(text: str, tag: str | None) -> str:
    """The body of `tag`, empty where the tag is missing; the whole text for ``None``."""
    return text if tag is None else (tag_body(text, tag) or "")


def check_section(tag: str | None) -> None:
    """Refuse what is neither the name of a tag nor ``None``: ``"<think>"`` would be missing in every text.

    Raises:
        ValueError: no tag name.
    """
    if tag is not None:
        tag_names((tag,))


def trimmed(text: str) -> str:
    r"""The text without its outer white space and without a byte order mark in front, which no reader sees.

    Example:
        >>> trimmed("\ufeff [1] ")
        '[1]'
    """
    return text.strip().removeprefix("\ufeff").strip()
