r"""Text that is put before a model: prompts as text, completions within bounds, values within a template.

Values come from untrusted completions, so a template is filled in one pass, in which a value is never read as
a template, and a value can be fenced by a mark that it cannot contain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

from rewardkit.batch import short
from rewardkit.contract import ColumnError, completion_text

_PLACEHOLDER = re.compile(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}")


def placeholders(template: str) -> set[str]:
    """The names that a template asks for; ``{{name}}`` stands for the text ``{name}``.

    Example:
        >>> sorted(placeholders('{prompt} {completion} {{x}} {"score": 7}'))
        ['completion', 'prompt']
    """
    return {match[2] for match in _PLACEHOLDER.finditer(template) if match[2]}


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with every placeholder replaced, once: what a value contains is left as it is.

    Example:
        >>> fill("{a}-{b}-{{a}}", {"a": "{b}", "b": "{0.__class__}"})
        '{b}-{0.__class__}-{a}'
    """
    return _PLACEHOLDER.sub(partial(_replacement, values), template)


def _replacement(values: Mapping[str, str], match: re.Match[str]) -> str:
    return values[match[2]] if match[2] else f"{{{match[1]}}}"


def fenced(name: str, text: str) -> str:
    """The text between two tags that carry the same mark, a digest of the text itself.

    Whoever writes the text cannot close the fence: the text would have to contain its own SHA-256 digest. The
    mark depends on nothing else, so equal texts make equal requests.
    """
    mark = sha256(f"{name}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"<{name} {mark}>\n{text}\n</{name} {mark}>"


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of a text and a note: its beginning and its end, between them what is left out.

    Example:
        >>> shortened("abcdefghij", 4)
        'ab\\n[... 6 characters left out ...]\\nij'
    """
    if len(text) <= limit:
        return text
    head, tail = limit - limit // 2, limit // 2
    note = f"\n[... {len(text) - limit} characters left out ...]\n"
    return text[:head] + note + text[len(text) - tail :]


def excerpt(text: str, limit: int = 200) -> str:
    """The beginning of a text, for an outcome."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def prompt_text(prompt: Any, *, row: int) -> str:
    """A prompt as text: a string as it is, messages each under its role.

    Raises:
        ColumnError: neither a string nor messages.

    Example:
        >>> prompt_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}], row=0)
        'system: Be brief.\\n\\nuser: 1 + 1?'
    """
    if isinstance(prompt, str):
        return prompt
    messages = as_messages(prompt, "user", row=row)
    texts = [completion_text({**message, "role": "assistant"}, row=row) for message in messages]
    if len(messages) == 1:
        return texts[0]
    return "\n\n".join(f"{m.get('role', 'user')}: {text}" for m, text in zip(messages, texts, strict=True))


def as_messages(turn: Any, role: str, *, row: int) -> list[Mapping[str, Any]]:
    """A prompt or a completion as messages; a string is one message of `role`.

    Raises:
        ColumnError: neither a string nor messages.
    """
    if isinstance(turn, str):
        return [{"role": role, "content": turn}]
    turn = turn.tolist() if getattr(turn, "ndim", 0) else turn  # an array cell, as Parquet has them
    messages = [turn] if isinstance(turn, Mapping) else turn
    if not isinstance(messages, Sequence) or not all(isinstance(m, Mapping) for m in messages):
        raise ColumnError(f"row {row} is neither text nor a list of messages, got {short(turn)}")
    return list(messages)


def reference_text(reference: Any) -> str:
    """A ground truth as text; a list means any of its answers.

    Example:
        >>> reference_text(["1/2", 0.5])
        '1/2\\nor: 0.5'
    """
    return "\nor: ".join(map(str, reference)) if isinstance(reference, (list, tuple)) else str(reference)
