r"""The rewards of TRL 1.16 (``trl.rewards``), value for value, without TRL.

Three have quirks of their own and are classes here. The other three are this package's plain rewards with TRL's
numbers, given below as ready instances. All but the token counts need the package math-verify (extra ``trl``).

    >>> from rewardkit import presets
    >>> chat = [{"role": "assistant", "content": r"<think>6 * 3</think> It is \boxed{18}."}]
    >>> presets.trl([chat], solution=["18"])
    [2.0]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewardkit.combine import combine
from rewardkit.contract import Batch, Outcome, Reward, judged
from rewardkit.length import CosineLength, SoftOverlong
from rewardkit.presets.first_message import first_messages, references
from rewardkit.presets.math_verify_outcomes import accuracies
from rewardkit.repetition import RepetitionPenalty


@dataclass(frozen=True, kw_only=True, repr=False)
class TrlAccuracy(Reward):
    r"""TRL's ``accuracy_reward``: 1.0 where math-verify finds the answer equal to the reference, else 0.0.

    The answer must be LaTeX: a box, or a formula behind words such as "the final answer is". Source:
    trl.rewards.accuracy_reward, TRL 1.16. The quirks, all kept:

    - a reference that is bare LaTeX is read as the first number in it: for ``3\sqrt{13}`` the answer 3 is paid,
      and ``\boxed{3\sqrt{13}}`` is not. Write references as ``$...$`` or ``\boxed{...}``;
    - a reference that cannot be read is ``None``, not an error;
    - ``\boxed{1} and \boxed{2}`` is the set of both, which equals neither;
    - of a completion with several messages the first is judged, whatever the others say;
    - the plain answer ``The answer is 18`` and ``#### 18`` are no LaTeX and earn 0.0;
    - ``\boxed{28\%}`` equals 28 and 0.28, and 10 cm equals 10 m.

    TRL's time-outs (10 s to read, 5 s to compare) hold in the main thread alone and are off elsewhere; here they
    hold in every thread, and what ignores them is killed and earns 0.0.

    Range {0.0, 1.0} or ``None``; the empty completion earns 0.0. How a model might cheat it: by two boxes near
    each other where the reference is a set, and by the fragments above. The mended plain reward is
    `boxed_accuracy`.

    Attributes:
        answer_key: the column of the references, which are text.

    Raises:
        ImportError: math-verify is not installed.
        ColumnError: no such column, or a reference that is not text.

    Example:
        >>> from rewardkit.presets import trl_accuracy
        >>> trl_accuracy([r"\boxed{36/2}", "It is 18.", r"\boxed{17} or \boxed{18}"], solution="18")
        [1.0, 0.0, 0.0]
    """

    answer_key: str = "solution"

    def _default_name(self) -> str:
        return "accuracy_reward"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """math-verify's verdicts."""
        return accuracies("trl", first_messages(batch), references(batch, self.answer_key), self.answer_key)


@dataclass(frozen=True, kw_only=True, repr=False)
class TrlReasoningAccuracy(Reward):
    r"""TRL's ``reasoning_accuracy_reward``: the accuracy of what follows the reasoning.

    Judged is the text behind the last occurrence of the first delimiter that occurs at all; a completion without
    any earns 0.0, even beside a reference that cannot be read. Source: trl.rewards.reasoning_accuracy_reward,
    TRL 1.16, with the quirks of `TrlAccuracy`.

    Range {0.0, 1.0} or ``None``; the empty completion earns 0.0. How a model might cheat it: ``</think>`` at the
    very start and no reasoning. The mended plain reward is `boxed_accuracy`, which looks behind ``</think>`` where
    there is one and judges truncated reasoning by its status.

    Attributes:
        reasoning_delimiters: what ends the reasoning, in the order in which they are looked for.
        answer_key: the column of the references, which are text.

    Raises:
        ImportError: math-verify is not installed.
        ColumnError: no such column, or a reference that is not text.

    Example:
        >>> from rewardkit.presets import trl_reasoning_accuracy
        >>> trl_reasoning_accuracy([r"\boxed{17}</think>\boxed{18}", r"<think>\boxed{18}"], solution="18")
        [1.0, 0.0]
    """

    reasoning_delimiters: Sequence[str] = ("</think>",)
    answer_key: str = "solution"

    def __post_init__(self) -> None:
        if isinstance(self.reasoning_delimiters, str) or not all(self.reasoning_delimiters):
            raise ValueError(
                f"reasoning_delimiters must be texts that are not empty, got {self.reasoning_delimiters!r}; "
                'write reasoning_delimiters=["</think>"]'
            )
        object.__setattr__(self, "reasoning_delimiters", tuple(self.reasoning_delimiters))

    def _default_name(self) -> str:
        return "reasoning_accuracy_reward"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """math-verify's verdicts on the final parts."""
        finals = [self._final_part(text) for text in first_messages(batch)]
        truths = references(batch, self.answer_key)
        ended = [(final, truth) for final, truth in zip(finals, truths, strict=True) if final is not None]
        judgements = iter(accuracies("trl", [f for f, _ in ended], [t for _, t in ended], self.answer_key))
        unended = Outcome(0.0, "no_answer", "the reasoning does not end")
        return [unended if final is None else next(judgements) for final in finals]

    def _final_part(self, text: str) -> str | None:
        delimiter = next((d for d in self.reasoning_delimiters if d in text), None)
        return None if delimiter is None else text.split(delimiter)[-1]


@dataclass(frozen=True, kw_only=True, repr=False)
class TrlThinkFormat(Reward):
    r"""TRL's ``think_format_reward``: 1.0 where the completion opens with ``<think>`` and closes it, else 0.0.

    value = 1.0 if the text matches ``^<think>(?!.*<think>)(.*?)</think>.*$`` with DOTALL, else 0.0; computed here by
    plain search. Source: trl.rewards.think_format_reward, TRL 1.16. The quirks, all kept: an empty
    ``<think></think>`` passes, so do repeated ``</think>`` and nothing after it; a completion that begins with white
    space fails, and so does every completion where the chat template wrote ``<think>`` into the prompt.

    Range {0.0, 1.0}; the empty completion earns 0.0. How a model might cheat it: ``<think></think>`` is enough. The
    mended plain rewards are `think_format` and `strict_format`.

    Example:
        >>> from rewardkit.presets import trl_think_format
        >>> trl_think_format(["<think>6 * 3</think>18", "<think></think>", "6 * 3</think>18", ""])
        [1.0, 1.0, 0.0, 0.0]
    """

    def _default_name(self) -> str:
        return "think_format_reward"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Right, or wrong with the fault as detail."""
        return [self._judge(text) for text in first_messages(batch)]

    def _judge(self, text: str) -> Outcome:
        opening = "<think>"
        if not text.startswith(opening):
            return judged(False, "does not begin with <think>")
        if text.find(opening, len(opening)) >= 0:
            return judged(False, "a second <think>")
        closed = text.find("</think>", len(opening)) >= 0
        return judged(closed, "" if closed else "no </think>")


trl_accuracy = TrlAccuracy()
trl_reasoning_accuracy = TrlReasoningAccuracy()
trl_think_format = TrlThinkFormat()

trl_cosine_scaled = CosineLength(max_length=1000, correctness=trl_accuracy, unit="tokens", name="cosine_scaled_reward")
"""TRL's ``get_cosine_scaled_reward(max_len=1000)``: clamped, in tokens, ``None`` beside an unreadable reference.
TRL has no default length; for another write ``CosineLength(max_length=..., correctness=trl_accuracy,
unit="tokens")``."""

trl_repetition_penalty = RepetitionPenalty(unit="tokens", name="repetition_penalty_reward")
"""TRL's ``get_repetition_penalty_reward()``: n-grams of three tokens, at most -1.0."""

trl_soft_overlong = SoftOverlong(max_length=20480, cache=4096, name="soft_overlong_punishment_reward")
"""TRL's ``get_soft_overlong_punishment(20480, 4096)``; TRL has no default lengths, these are DAPO's."""

trl = combine(trl_accuracy, trl_think_format, name="trl")
"""TRL's accuracy and think format, 1.0 each. TRL ships rewards, not a stack: these two are what its name for a
reasoning model promises, with TRL's default weights. Range [0, 2]."""
