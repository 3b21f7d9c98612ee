r"""A reward for reasoning in one language: by its alphabet, or by a detector of languages.

>>> from rewardkit import LanguageConsistency
>>> chinese = LanguageConsistency(language="zh", section="think")
>>> chinese(["<think>设 x = 3，所以答案是 9。</think>9", "<think>Let x = 3, so it is 9.</think>9"])
[1.0, 0.0]
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rewardkit.contract import Batch, ColumnError, Outcome, Reward, RewardError
from rewardkit.scripts import in_scripts, letters, primary, prose, scripts_of
from rewardkit.sections import check_section
from rewardkit.sections import section as section_of

Detector = Callable[[str], "str | None"]

_SENTENCE_END = re.compile(r"[.!?;。！？；؟।\r\n\u2028\u2029]+")
_SHOWN = 10  # foreign letters, or characters of a foreign sentence, that the detail quotes


@dataclass(frozen=True, kw_only=True, repr=False)
class LanguageConsistency(Reward):
    r"""The share of the text that is in the target language.

    value = letters of the target language / letters. Without a detector a letter is of the language when its
    Unicode script is one that the language is written in: Han for "zh", Hiragana, Katakana and Han for "ja".
    With a detector every letter is of the language that is detected in its sentence. Digits, punctuation and
    symbols are no letters; Latin and Greek letters do not count in code, mathematics, LaTeX commands, tags
    and addresses, as the unit of a number (5 cm), as the name of a function (sin x), or alone, as a variable,
    unless several are spaced out (``s o``). A letter in another dress (bold, circled) is that letter. Source:
    the language consistency reward of DeepSeek-R1 (arXiv 2501.12948), the proportion of target language words in
    the chain of thought; letters are counted here because Chinese, Japanese and Thai put no spaces between words.

    What the light form cannot see: languages that share an alphabet (English and French; Russian and
    Bulgarian; a Japanese text in Han alone is Chinese to it), and words of a language in the letters of
    another. Use a detector for those. Names and terms in Latin letters lower the share of other languages.

    Range [0.0, 1.0]; the empty completion, a missing section and a text without a letter earn 0.0. How a
    model might cheat it: where the target is written in other letters, by reasoning in Latin ones inside code
    or mathematics, or letter by letter with signs between (``s/o``); by one short sentence in place of a
    reasoning; by repeating one in the target language. Pay for being right first.

    Attributes:
        language: an ISO 639-1 code such as "en" or "zh" ("zh-Hant" and "pt_BR" are read up to the mark);
            ``None`` reads the column `language_key`.
        language_key: the column with the code of each row, or one code for all; ``None`` in a row is "not
            scored".
        section: the tag whose body is judged, its last complete pair, where "think" may be opened by the
            prompt; ``None`` for the whole completion.
        detector: a function from one sentence to its language code, or ``None`` where it cannot tell, which
            counts as another language; see :func:`lingua_detector`. Pickles where the function does.

    Raises:
        ValueError, TypeError: no language code, one whose script is not known, a detector that cannot be called,
            a section that is no tag name.
        ColumnError: the language is neither given nor in a column, or a row holds no language code.
        RewardError: the detector returned something that is no language code.

    Example:
        >>> from rewardkit import language_consistency
        >>> language_consistency(["So the sum is 5.", "The 总和是 5.", "5"], language="en")
        [1.0, 0.5, 0.0]
        >>> language_consistency.explain(["The 总和是 5."], language="en")[0].detail
        '3 of 6 letters are Latin; other: 总和是'
    """

    language: str | None = None
    language_key: str = "language"
    section: str | None = None
    detector: Detector | None = None

    def __post_init__(self) -> None:
        if self.detector is not None and not callable(self.detector):
            raise TypeError(f"detector must be a function from text to a language code, got {self.detector!r}")
        if self.language is not None:
            self._target(self.language)
        check_section(self.section)

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The share, with the two counts and the beginning of what is foreign as detail."""
        column = None if self.language is not None else self.language_key
        languages = [self.language] * len(batch) if column is None else self._languages(batch)
        return [
            self._judge(text, language, column)._replace(gold=column and language, gold_column=column)
            for text, language in zip(batch.texts, languages, strict=True)
        ]

    def _languages(self, batch: Batch) -> list[str | None]:
        """The column of languages, each one checked; a single code holds for every row."""
        given = batch.columns.get(self.language_key)
        if given is None:
            raise ColumnError(
                f"no language: the call has no column {self.language_key!r}; set language=, such as "
                'language="en", or name the column with language_key='
            )
        languages = [given] * len(batch) if isinstance(given, str) else batch.column(self.language_key)
        for row, language in enumerate(languages):
            try:
                if language is not None:
                    self._target(language)
            except ValueError as error:
                raise ColumnError(f"column {self.language_key!r}, row {batch.row(row)}: {error}") from error
        return languages

    def _target(self, language: object) -> tuple[str, ...]:
        """What the language is known by: its scripts, or for a detector its code."""
        return (primary(language),) if self.detector else scripts_of(language)

    def _judge(self, text: str, language: str | None, column: str | None) -> Outcome:
        if language is None:
            return Outcome(None, "not_scored", f"no language in column {column!r}")
        own, target = prose(section_of(text, self.section)), self._target(language)
        if self.detector is None:
            inside, total, other = _by_script(own, target)
            known = f"are {' or '.join(target)}"
        else:
            inside, total, other = self._by_sentence(own, target[0])
            known = f"are in sentences detected as {target[0]}"
        if not total:
            return Outcome(0.0, "no_answer", "no letters to judge")
        detail = f"{inside} of {total} letters {known}" + (f"; other: {other[:_SHOWN]}" if other else "")
        return Outcome(inside / total, "scored", detail)

    def _by_sentence(self, text: str, target: str) -> tuple[int, int, str]:
        """Letters in sentences of the target language, all letters, and the first other sentence."""
        inside, total, other = 0, 0, ""
        sentences = Counter(piece.strip() for piece in _SENTENCE_END.split(text))  # one that is repeated is judged once
        for sentence, times in sentences.items():
            count = times * letters(sentence).total()
            if not count:
                continue
            total += count
            if self._detected(sentence) == target:
                inside += count
            else:
                other = other or sentence
        return inside, total, other

    def _detected(self, sentence: str) -> str | None:
        code = None if self.detector is None else self.detector(sentence)
        try:
            return None if code is None else primary(code)
        except ValueError as error:
            name = getattr(self.detector, "__name__", repr(self.detector))
            raise RewardError(f"detector {name} gave {code!r} for {sentence[:60]!r}: {error}, or None") from error


def _by_script(text: str, scripts: tuple[str, ...]) -> tuple[int, int, str]:
    """Letters of the scripts, all letters, and the other letters, each once."""
    found = letters(text)
    inside = in_scripts(found, scripts)
    return inside.total(), found.total(), "".join(letter for letter in found if letter not in inside)


@dataclass(frozen=True)
class LinguaDetector:
    """A detector of :class:`LanguageConsistency` that asks the package `lingua`; see :func:`lingua_detector`."""

    languages: tuple[str, ...]

    def __call__(self, text: str) -> str | None:
        """The ISO 639-1 code of the most likely of the languages, ``None`` where none is likely."""
        encodable = text.encode(errors="replace").decode()  # half a surrogate pair would raise there
        found = _lingua(self.languages).detect_language_of(encodable)
        return None if found is None else str(found.iso_code_639_1.name).lower()

    def __repr__(self) -> str:
        return f"lingua_detector({list(self.languages)!r})"


def lingua_detector(languages: Sequence[str]) -> LinguaDetector:
    """A detector that tells these languages apart by their spelling, for ``LanguageConsistency(detector=)``.

    Needs the package `lingua` (``pip install "rewardkit[language]"``). It always answers with one of the
    languages given, so name those that the model drifts into beside the target; few and different ones are
    told apart best. Equal, picklable and printed as code; the models load with the first sentence.

    Args:
        languages: at least two ISO 639-1 codes.

    Raises:
        ImportError: the package is not installed.
        TypeError, ValueError: fewer than two languages, no code, or one that `lingua` does not know.
    """
    if isinstance(languages, str):
        raise TypeError(f"languages must be a list of codes, got the text {languages!r}; put it in a list")
    codes = tuple(sorted({primary(code) for code in languages}))
    if len(codes) < 2:
        raise ValueError(f"languages must name at least two to choose from, got {list(languages)}")
    _lingua(codes)
    return LinguaDetector(codes)


@lru_cache(maxsize=8)
def _lingua(codes: tuple[str, ...]) -> Any:
    try:
        import lingua
    except ImportError as error:
        raise ImportError('lingua_detector needs lingua: pip install "rewardkit[language]"') from error
    unknown = [code for code in codes if not hasattr(lingua.IsoCode639_1, code.upper())]
    if unknown:
        raise ValueError(
            f"lingua does not know the language {unknown[0]!r}; leave it out or write a detector of your own"
        )
    known = [getattr(lingua.IsoCode639_1, code.upper()) for code in codes]
    return lingua.LanguageDetectorBuilder.from_iso_codes_639_1(*known).build()


language_consistency = LanguageConsistency()
