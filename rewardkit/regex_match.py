r"""A reward for text that a regular expression matches, with a limit on the time it may take.

>>> from rewardkit.regex_match import RegexMatch
>>> RegexMatch(pattern=r"#### -?\d+\s*\Z")(["1 + 1 = 2\n#### 2", "It is 2."])
[1.0, 0.0]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rewardkit.contract import Batch, ColumnError, Outcome, Reward
from rewardkit.sections import check_section, tag_body
from rewardkit.structure import PATTERN_SECONDS

Mode = Literal["search", "match", "fullmatch"]


@dataclass(frozen=True, kw_only=True, repr=False)
class RegexMatch(Reward):
    r"""1.0 where the pattern matches the completion, or the body of its last `section`; else 0.0.

    The text is tried as it stands and, where that fails, without its outer white space, then with the line
    breaks of Windows as ``\n`` too, so that ``$`` finds the end of every line. A pattern comes from
    the code or the data set and is trusted to be one; the text it meets is not: each completion has `seconds`
    in all, and a search that is cut off is 0.0 with the status "timeout", never an error.

    Range {0.0, 1.0}; ``None`` where the row's pattern is ``None``. The empty completion and a section that
    is missing or blank earn 0.0, whatever the pattern. How a model might cheat it: by writing what the
    pattern looks for and nothing else, or many guesses of which one matches. A pattern that can match
    nothing (``\d*``) is found in every text. Anchor the pattern, or use `mode="fullmatch"` on a section.

    Attributes:
        pattern: a regular expression in the syntax of the package `regex`, which is that of `re` and more;
            ``None`` takes each row's pattern from the column `pattern_key`.
        pattern_key: the column with the patterns; ``None`` is "pattern". A single text holds for all rows.
        mode: "search" finds it anywhere, "match" at the start, "fullmatch" demands the whole text.
        ignore_case: capital and small letters are the same.
        dotall: a dot matches line breaks, as reasoning has several lines; without it ``<think>.*</think>``
            misses every reasoning of more than one line.
        multiline: ``^`` and ``$`` match at every line, not at the ends of the text alone.
        section: the tag in whose body to look, its last complete pair, where "think" may be opened by the
            prompt; ``None`` for the whole completion.
        seconds: what one completion may take, more than 0.

    Raises:
        ValueError, TypeError: a pattern that is empty or does not compile, both `pattern` and
            `pattern_key`, an unknown mode, a bad tag name, seconds that are not positive.
        ColumnError: no column of patterns, or a row that holds none, with the row.

    Example:
        >>> from rewardkit.regex_match import RegexMatch, regex_match
        >>> integer = RegexMatch(pattern=r"-?\d+", mode="fullmatch", section="answer")
        >>> integer(["So <answer> 42 </answer>", "<answer>about 42</answer>", "42", ""])
        [1.0, 0.0, 0.0, 0.0]
        >>> regex_match(["a cat", "a dog"], pattern=[r"\bcats?\b", r"\bcats?\b"])
        [1.0, 0.0]
    """

    pattern: str | None = None
    pattern_key: str | None = None
    mode: Mode = "search"
    ignore_case: bool = False
    dotall: bool = True
    multiline: bool = False
    section: str | None = None
    seconds: float = PATTERN_SECONDS

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f'mode={self.mode!r} is unknown; use "search", "match" or "fullmatch"')
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"seconds must be a positive number, got {self.seconds}")
        check_section(self.section)
        if self.pattern is not None:
            if self.pattern_key is not None:
                raise ValueError(
                    f"pattern={self.pattern!r} and pattern_key={self.pattern_key!r} exclude each other; give one"
                )
            self._compiled(self.pattern)

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Correct, wrong, no_answer or timeout, with what was matched."""
        if self.pattern is not None:
            compiled = self._compiled(self.pattern)
            return [self._judge(text, compiled) for text in batch.texts]
        key = self.pattern_key or "pattern"
        single = isinstance(batch.columns.get(key), str)
        rows = [batch.columns[key]] * len(batch) if single else batch.column(key)
        patterns = [self._compiled_row(value, key, batch.row(index)) for index, value in enumerate(rows)]
        pairs = zip(batch.texts, patterns, strict=True)
        return [self._not_scored(key) if p is None else self._judge(text, p, key) for text, p in pairs]

    def _compiled_row(self, value: Any, key: str, row: int) -> Any:
        try:
            return None if value is None else self._compiled(value)
        except (ValueError, TypeError) as error:
            raise ColumnError(f"column {key!r}, row {row}: {error}; use None for 'not scored'") from error

    def _compiled(self, pattern: str) -> Any:
        import regex  # its matching can be stopped by the clock; loaded only where a pattern is used

        if not isinstance(pattern, str):
            raise TypeError(f"pattern must be text, got {type(pattern).__name__} {pattern!r}")
        if not pattern:
            raise ValueError("pattern '' matches every text; write what to look for")
        flags = regex.IGNORECASE * self.ignore_case | regex.DOTALL * self.dotall | regex.MULTILINE * self.multiline
        try:
            return regex.compile(pattern, flags)  # cached by the package
        except (regex.error, ValueError, RecursionError) as error:  # ValueError: inline flags that clash
            raise ValueError(f"pattern {pattern[:200]!r} is no regular expression: {error}") from error

    def _not_scored(self, key: str) -> Outcome:
        return Outcome(None, "not_scored", f"the row has no {key}", gold_column=key)

    def _judge(self, text: str, pattern: Any, key: str | None = None) -> Outcome:
        source = {"gold": pattern.pattern[:200], "gold_column": key} if key else {}
        searched = text if self.section is None else tag_body(text, self.section)
        if searched is None:
            return Outcome(0.0, "no_answer", f"no <{self.section}>", **source)
        if not searched or searched.isspace():
            return Outcome(0.0, "no_answer", "nothing to search", **source)
        try:
            found = self._found(searched, pattern)
        except TimeoutError:
            detail = f"the pattern took longer than {self.seconds:g} s"
            return Outcome(0.0, "timeout", detail, extracted=searched[:200], **source)
        if found is None:
            detail = f"no {self.mode} of {pattern.pattern[:200]!r}"
            return Outcome(0.0, "wrong", detail, extracted=searched[:200], **source)
        return Outcome(1.0, "correct", extracted=found[:200], **source)

    def _found(self, text: str, pattern: Any) -> str | None:
        """What the pattern matches in the text or, failing that, in the text as it is tidied step by step."""
        bare = text.strip()
        forms = dict.fromkeys((text, bare, bare.replace("\r\n", "\n")))
        for form in forms:
            match = getattr(pattern, self.mode)(form, timeout=self.seconds / len(forms))
            if match is not None:
                return str(match.group())
        return None


regex_match = RegexMatch()
