r"""Scores of a trained reward model: behind a server, or a function that was loaded by the caller.

>>> from rewardkit import RewardModel
>>> def brevity(texts: list[str]) -> list[float]:  # stands for a model
...     return [-float(len(text)) for text in texts]
>>> RewardModel(scorer=brevity)(["4", "It is 4."], prompts=["2 + 2 = ", "2 + 2 = "])
[-9.0, -16.0]
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal, get_args

from rewardkit.contract import GROUND_TRUTH_KEYS, AsyncReward, Batch, Outcome, RewardError
from rewardkit.judging.client import (
    OPERATION,
    OnFailure,
    RefusedError,
    RequestError,
    check_endpoint,
    check_limits,
    environment_key,
    open_client,
    send,
    settle,
    tolerate,
)
from rewardkit.judging.prompts import as_messages, excerpt, fill, placeholders, prompt_text, reference_text
from rewardkit.judging.protocols import PROTOCOLS, ProtocolName, Row

Scorer = Callable[[list[str]], "Sequence[float] | Awaitable[Sequence[float]]"]
Template = Callable[[Any, Any], str]


@dataclass(frozen=True, kw_only=True, repr=False)
class RewardModel(AsyncReward):
    r"""The score of a sequence-classification reward model.

    value = s, or 1 / (1 + exp(-s)) with squash="sigmoid", where s is the model's raw output for prompt and
    completion. Source: Ouyang et al., Training language models to follow instructions with human feedback
    (arXiv 2203.02155), section 3.5; the protocols are those of vLLM (its /classify and /pooling) and of
    OpenRLHF (its remote reward model).

    Range: the model's, (0.0, 1.0) with "sigmoid"; ``None`` for a row that the server refuses. The empty
    completion is scored like any other. How a model might cheat it: reward models pay for length, lists, an
    agreeing tone and whatever else their training data preferred, and a policy finds it in a few hundred
    steps; a completion that is too long for the model is refused, and ``None`` may be better than a low score.
    Keep a KL penalty, add `soft_overlong`, squash or clip the score, and watch a verifiable reward beside it.

    Attributes:
        scorer: a function from a list of texts to one number each, for a model in this process; it may be
            asynchronous. It runs in another thread, one batch at a time. ``None`` asks a server.
        protocol: "classify" and "pooling" ask vLLM (from 0.22; an older one may ignore ``use_activation`` and give
            the sigmoid) for raw outputs; of a reward model per token, "pooling" takes the last token's.
            "openrlhf" posts query, prompts and labels and reads rewards.
        base_url: "classify" and "pooling": the server's root (their path is added), http://localhost:8000
            unless given. "openrlhf": the whole address, http://localhost:5000/get_reward unless given.
        model: as the server names it; ``None`` leaves the choice to the server.
        api_key_env: name of the environment variable that holds the key; ``None`` sends none.
        template: the text that the model reads. ``None``: prompt and completion as they follow one another
            or, for messages under "classify" and "pooling", the messages, which the server renders by the
            model's chat template (one request a row). Otherwise text with ``{prompt}`` and ``{completion}``, or a
            function of both as they came, such as one that applies a tokenizer's chat template.
        class_index: which output counts, where the model has more than one.
        squash: "sigmoid" or ``None``.
        batch_size: texts in one request. concurrency: requests of one call that are under way at once.
        timeout: seconds for one attempt. retries: attempts after the first, with growing pauses.
        on_failure: what a request that fails for good does: "raise", or "none" (its rows are not scored, one
            warning a call). A wrong key, address or model raises in any case.

    Raises:
        ValueError: an argument out of its range; messages that nothing turns into text.
        ColumnError: no ``prompts``.
        RewardError: a request failed for good, the server refused every row, or it gave other than one finite
            number a row.

    Example:
        >>> from rewardkit import RewardModel
        >>> def length(texts):
        ...     return [len(text) - 10.0 for text in texts]
        >>> polite = RewardModel(scorer=length, template="{prompt}|{completion}", squash="sigmoid")
        >>> polite(["12345678"], prompts=["?"])
        [0.5]
    """

    remote: ClassVar[bool] = True

    scorer: Scorer | None = None
    protocol: ProtocolName = "classify"
    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = field(default=None, metadata=OPERATION)
    template: str | Template | None = None
    class_index: int | None = None
    squash: Literal["sigmoid"] | None = None
    batch_size: int = field(default=32, metadata=OPERATION)
    concurrency: int = field(default=8, metadata=OPERATION)
    timeout: float = field(default=60.0, metadata=OPERATION)
    retries: int = field(default=4, metadata=OPERATION)
    on_failure: OnFailure = "raise"

    def __post_init__(self) -> None:
        check_endpoint(self.base_url, self.api_key_env)
        check_limits(**{n: getattr(self, n) for n in ("batch_size", "concurrency", "retries", "timeout")})
        if self.protocol not in get_args(ProtocolName):
            raise ValueError(f"protocol={self.protocol!r} is unknown; use {', '.join(get_args(ProtocolName))}")
        if self.on_failure not in ("raise", "none"):
            raise ValueError(f'on_failure must be "raise" or "none", got {self.on_failure!r}')
        if self.squash not in (None, "sigmoid"):
            raise ValueError(f'squash must be "sigmoid" or None, got {self.squash!r}')
        if self.scorer is not None and not callable(self.scorer):
            raise TypeError(f"scorer must be a function of a list of texts, got {self.scorer!r}")
        if self.scorer is not None and (self.base_url, self.model, self.api_key_env) != (None, None, None):
            raise ValueError("scorer is a model of this process; leave out base_url, model and api_key_env")
        if isinstance(self.template, str):
            _check_template(self.template)

    async def outcomes_async(self, batch: Batch) -> list[Outcome]:
        """Score the rows in requests of `batch_size`, in order."""
        if not len(batch):
            return []
        rows = self._rows(batch)
        size = 1 if rows[0].messages is not None else self.batch_size
        requests = [rows[start : start + size] for start in range(0, len(rows), size)]
        if self.scorer is None:
            from rewardkit.judging.waiting import apart

            scores = await apart(partial(self._from_server, requests))
        else:
            scores = await self._from_scorer(self.scorer, requests)
        flat = [score for part in scores for score in part]
        settle(self.__name__, flat, self.on_failure)
        return [self._outcome(score, text) for score, text in zip(flat, batch.texts, strict=True)]

    def _rows(self, batch: Batch) -> list[Row]:
        without = isinstance(self.template, str) and "prompt" not in placeholders(self.template)
        prompts = [""] * len(batch) if without else batch.column("prompts")
        labels: list[Any] = [None] * len(batch)
        if self.protocol == "openrlhf" and any(batch.columns.get(key) is not None for key in GROUND_TRUTH_KEYS):
            labels = batch.ground_truths()[1]
        chat = not all(isinstance(turn, str) for pair in zip(prompts, batch.completions, strict=True) for turn in pair)
        return [self._row(batch, i, chat, prompts[i], labels[i]) for i in range(len(batch))]

    def _row(self, batch: Batch, i: int, chat: bool, prompt: Any, label: Any) -> Row:
        index, completion = batch.row(i), batch.completions[i]
        prompt_as_text = prompt_text(prompt, row=index)
        label = None if label is None else reference_text(label)
        if self.template is None and not chat:
            return Row(index, prompt_as_text + batch.texts[i], None, prompt_as_text, label)
        if isinstance(self.template, str):
            text = fill(self.template, {"prompt": prompt_as_text, "completion": batch.texts[i]})
            return Row(index, text, None, prompt_as_text, label)
        if self.template is not None:
            text = self.template(prompt, completion)
            if not isinstance(text, str):
                raise RewardError(f"{self.__name__}: template gave {text!r} in row {index}; it must return the text")
            return Row(index, text, None, prompt_as_text, label)
        if self.scorer is not None or not PROTOCOLS[self.protocol].chat:
            who = "a scorer reads" if self.scorer is not None else f"protocol {self.protocol!r} takes"
            raise ValueError(f"{self.__name__}: prompts or completions are messages and {who} text; pass template=")
        turns = [*as_messages(prompt, "user", row=index), *as_messages(completion, "assistant", row=index)]
        return Row(index, "", turns, prompt_as_text, label)

    async def _from_scorer(self, scorer: Scorer, requests: Sequence[Sequence[Row]]) -> list[list[Any]]:
        """One batch after the other, in a thread, so that other members of a stack go on meanwhile."""
        from asyncio import to_thread

        scores: list[list[Any]] = []
        for rows in requests:
            given = await to_thread(scorer, [row.text for row in rows])
            given = await given if inspect.isawaitable(given) else given
            scores.append(self._checked(given, rows, "scorer"))
        return scores

    async def _from_server(self, requests: Sequence[Sequence[Row]]) -> list[list[Any]]:
        from rewardkit.waiting import bounded

        base_url = self.base_url or PROTOCOLS[self.protocol].address
        key = environment_key(self.api_key_env)
        async with open_client(base_url, key, timeout=self.timeout, retries=self.retries) as client:
            return await bounded(partial(self._ask, client, base_url), requests, self.concurrency)

    async def _ask(self, client: Any, base_url: str, rows: Sequence[Row]) -> list[Any]:
        """The scores of one request; one that is refused is asked again row by row, to find the culprit."""
        protocol = PROTOCOLS[self.protocol]
        body = protocol.request(rows) | ({} if self.model is None else {"model": self.model})
        try:
            answer = await send(client, base_url.rstrip("/") + protocol.path, body)
        except RequestError as error:
            if isinstance(error, RefusedError) and len(rows) > 1:
                return [score for row in rows for score in await self._ask(client, base_url, [row])]
            kept = tolerate(error, f"{self.__name__}, row {rows[0].row}", self.on_failure)
            return [kept] * len(rows)
        try:
            scores = protocol.scores(answer)
        except (LookupError, TypeError, AttributeError) as error:
            what = f"an answer that protocol {self.protocol!r} cannot read"
            raise RewardError(f"{self.__name__}: {base_url} gave {what}: {excerpt(repr(answer))}") from error
        return self._checked(scores, rows, base_url)

    def _checked(self, scores: Any, rows: Sequence[Row], source: str) -> list[Any]:
        """One finite number per row, or an error that names whoever gave something else."""
        scores = scores.tolist() if hasattr(scores, "tolist") else scores
        if isinstance(scores, (str, bytes, Mapping)) or not hasattr(scores, "__len__"):
            raise RewardError(f"{self.__name__}: {source} gave {excerpt(repr(scores))} in place of a list of scores")
        if len(scores) != len(rows):
            raise RewardError(f"{self.__name__}: {source} gave {len(scores)} scores for {len(rows)} texts")
        return [self._number(score, row.row, source) for score, row in zip(scores, rows, strict=True)]

    def _number(self, score: Any, row: int, source: str) -> float:
        if isinstance(score, (list, tuple)):
            if len(score) > 1 and self.class_index is None:
                what = f"{len(score)} outputs in row {row}"
                raise RewardError(f"{self.__name__}: {source} gave {what}; say which one counts with class_index=")
            index = self.class_index or 0
            score = score[index] if -len(score) <= index < len(score) else None
        try:
            number = float("text" if isinstance(score, (str, bytes, bool)) else score)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise RewardError(f"{self.__name__}: {source} gave {score!r} in row {row}; expected a finite number")
        return number

    def _outcome(self, score: float | RequestError, shown: str) -> Outcome:
        if isinstance(score, RequestError):
            refused = "refused" if isinstance(score, RefusedError) else "failed"
            return Outcome(None, "error", f"the request {refused}: {excerpt(str(score))}", extracted=excerpt(shown))
        if self.squash is None:
            return Outcome(score, "scored", extracted=excerpt(shown))
        return Outcome(_sigmoid(score), "scored", f"the sigmoid of {score:g}", extracted=excerpt(shown))


def _check_template(template: str) -> None:
    names = placeholders(template)
    if "completion" not in names:
        raise ValueError("template must contain {completion}, or every completion is worth the same")
    for stray in sorted(names - {"prompt", "completion"}):
        raise ValueError(f"template knows {{prompt}} and {{completion}}, not {{{stray}}}; write {{{{{stray}}}}}")


def _sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without an overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


reward_model = RewardModel()
