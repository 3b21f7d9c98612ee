r"""The forms in which a well-meant completion may give its answer.

>>> layout = Layout("<think>\n{reasoning}\n</think>\n{body}", r"\boxed{{answer}}", ("think",))
>>> layout.write("4", reasoning="2 + 2")
'<think>\n2 + 2\n</think>\n\\boxed{4}'
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rewardkit.equivalence import reference_answer

REASONING = (
    "I read the question carefully, write down what is given and what is wanted, "
    "and work it out one piece at a time until nothing is left open."
)
"""The reasoning of every honest answer, right or wrong, so that nothing but the answer differs."""

BETWEEN = "I go over it again."
"""The body of a section between the reasoning and the answer."""

FORMS = (
    r"\boxed{{answer}}",
    "{answer}",
    "The answer is {answer}.",
    "Answer: {answer}",
    "#### {answer}",
    '{"answer": "{answer}"}',
    "```python\n{answer}\n```",
)
"""How an answer may be given."""

_SLOTS = re.compile(r"(\{reasoning\}|\{body\})")
_TAG = re.compile(r"<([A-Za-z_][\w-]*)>")


@dataclass(frozen=True)
class Layout:
    """A form for completions.

    Attributes:
        frame: the text around, with ``{body}`` and perhaps ``{reasoning}``.
        form: how the answer stands in the body, with ``{answer}``.
        tags: the sections of the frame, in order.
        whole: all of a reference is the answer, and not what it ends in (after ``####``, in its last box).
    """

    frame: str
    form: str
    tags: tuple[str, ...] = ()
    whole: bool = False

    @classmethod
    def of(cls, template: str) -> Layout:
        """The layout of a user's template with ``{answer}``.

        Raises:
            ValueError: the template has no ``{answer}``.
        """
        if "{answer}" not in template:
            raise ValueError(f"template {template!r} has no {{answer}}; write where the answer goes")
        tags = tuple(dict.fromkeys(name for name in _TAG.findall(template) if f"</{name}>" in template))
        return cls(template.replace("{answer}", "{body}"), "{answer}", tags)

    @property
    def reasons(self) -> bool:
        """Whether there is room for a reasoning."""
        return "{reasoning}" in self.frame

    def slot(self, answer: str) -> str:
        """The answer as it stands in the body."""
        return self.form.replace("{answer}", answer)

    def fill(self, body: str, reasoning: str = REASONING) -> str:
        """The frame around a body."""
        values = {"{reasoning}": reasoning, "{body}": body}
        return "".join(values.get(piece, piece) for piece in _SLOTS.split(self.frame))

    def write(self, answer: str, reasoning: str = REASONING) -> str:
        """A completion that gives the answer."""
        return self.fill(self.slot(answer), reasoning)

    def answer_of(self, gold: str) -> str:
        """What of a reference is given as the answer."""
        return gold.strip() if self.whole else reference_answer(gold)


def layouts(tag_sets: Sequence[tuple[str, ...]], *, whole: bool) -> list[Layout]:
    """Every frame with every form.

    Args:
        tag_sets: names of sections, in order.
        whole: references hold more than the answer, so that all of one is another way to answer.
    """
    frames = list(dict.fromkeys(_frames(tag_sets)))
    return [
        Layout(frame, form, tags, everything)
        for everything in ((False, True) if whole else (False,))
        for frame, tags in frames
        for form in FORMS
    ]


def _frames(tag_sets: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "{reasoning}\n{body}", ()
    for tags in tag_sets:
        yield from _around(tags)
    for tags in tag_sets:
        opening, closing = f"<{tags[0]}>", f"</{tags[0]}>"
        yield f"{opening}\n{{reasoning}}\n{closing}\n{{body}}", tags[:1]
        yield f"{{reasoning}}\n<{tags[-1]}>\n{{body}}\n</{tags[-1]}>", tags[-1:]
        yield f"<{tags[-1]}>{{body}}</{tags[-1]}>", tags[-1:]
    yield "{body}", ()


def _around(tags: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """All sections, each on lines of its own or in one line."""
    if len(tags) == 1:
        return
    bodies = ["{reasoning}", *[BETWEEN] * (len(tags) - 2), "{body}"]
    lines = "\n".join(f"<{tag}>\n{body}\n</{tag}>" for tag, body in zip(tags, bodies, strict=True))
    yield lines, tags
    yield f"{lines}\n", tags
    yield "".join(f"<{tag}>{body}</{tag}>" for tag, body in zip(tags, bodies, strict=True)), tags
