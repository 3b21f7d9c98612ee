r"""Plain functions as rewards: of the contract, or of one completion.

>>> from rewardkit import boxed_accuracy, reward
>>> @reward
... def brief(completion, max_words=5):
...     return len(completion.split()) <= max_words
>>> brief(["one two", "one two three four five six"])
[1.0, 0.0]
>>> (boxed_accuracy + 0.5 * brief)([r"\boxed{2}"], answer="2")
[1.5]
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal, overload

from rewardkit.contract import Batch, Outcome, Reward, RewardError, RewardFunction, as_code
from rewardkit.driving import as_float
from rewardkit.guarding import Guarded, guard

_HELPERS = ("prompts", "log_metric", "log_extra")


@dataclass(frozen=True, kw_only=True, repr=False)
class _Calling(Reward):
    """A function of the user as a reward."""

    function: Callable[..., Any]

    def _default_name(self) -> str:
        return _function_name(self.function)

    @cached_property
    def asynchronous(self) -> bool:
        """Whether the function is a coroutine function."""
        return _is_coroutine_function(self.function)

    @property
    def thread_safe(self) -> bool:
        """False: it may use what belongs to the main thread, such as signals."""
        return False


@dataclass(frozen=True, kw_only=True, repr=False)
class Function(_Calling):
    """A plain function of the contract as a :class:`Reward`, so that it adds, scales and explains.

    Attributes:
        function: called by keyword with ``completions``, ``prompts`` and every column; a coroutine function
            is awaited. It prints by its dotted name; the reward pickles where the function does.
    """

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"a reward must be callable, got {self.function!r}")

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Call the function and read its values."""
        if self.asynchronous:
            return self.score(batch)
        return self._read(self._call(batch), batch)

    async def outcomes_async(self, batch: Batch) -> list[Outcome]:
        """Await the function and read its values."""
        return self._read(await self._call(batch), batch)

    def _call(self, batch: Batch) -> Any:
        columns = {"prompts": None, **batch.columns, "completions": batch.completions}
        arguments = {k: list(v) if isinstance(v, list) else v for k, v in columns.items()}  # it may change its own
        try:
            return self.function(**arguments)
        except TypeError as error:
            self._require_keywords(arguments, error)
            raise

    def _require_keywords(self, arguments: Mapping[str, Any], error: TypeError) -> None:
        """Say how a function is to be defined, where it does not take what it is called with."""
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):
            return
        taken = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        refused = sorted(set(arguments) - taken)
        if refused and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            raise TypeError(
                f"{self.__name__} does not take the keyword {refused[0]!r}; rewards are called with every column, so "
                "let its signature end in **columns"
            ) from error

    def _read(self, values: Any, batch: Batch) -> list[Outcome]:
        if inspect.iscoroutine(values):
            values.close()
            raise RewardError(f"{self.__name__} returned a coroutine; define it with async def, so that it is awaited")
        if isinstance(values, (str, bytes, dict)) or not hasattr(values, "__len__"):
            raise RewardError(
                f"{self.__name__} returned {values!r}; a reward returns a list with one value per completion"
            )
        return [_outcome(value, self.__name__, batch.row(row)) for row, value in enumerate(values)]


@dataclass(frozen=True, kw_only=True, repr=False)
class PerCompletion(_Calling):
    """A function of one completion as a reward of the contract; made by :func:`reward`.

    Attributes:
        function: takes ``completion`` (its text), and by their names whatever else it asks for: ``prompt``,
            ``message`` (the completion as it came), ``trainer_state``, or a column, of which it gets its
            row's value. It returns a number, a bool, ``None`` or an :class:`Outcome`.
        concurrency: how many calls of a coroutine function may wait at once.
    """

    concurrency: int = 32

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"@reward decorates a function, got {self.function!r}")
        if self.concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, got {self.concurrency}")
        self._parameters  # noqa: B018 - a signature that cannot be served is refused here

    @cached_property
    def _parameters(self) -> tuple[Mapping[str, bool], bool]:
        """The names it asks for, whether each is required; and whether it takes all columns."""
        wanted: dict[str, bool] = {}
        everything = False
        for parameter in inspect.signature(self.function).parameters.values():
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
                raise TypeError(f"{self.__name__}: {parameter} cannot be given by name; use plain parameters")
            if parameter.kind is parameter.VAR_KEYWORD:
                everything = True
            else:
                wanted[parameter.name] = parameter.default is parameter.empty
        if wanted.get("completions"):
            raise TypeError(
                f"{self.__name__} asks for `completions`; a function under @reward gets one `completion` at a time, "
                "and a function of the whole batch is a reward without it"
            )
        return wanted, everything

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Call the function once per completion, in order."""
        if self.asynchronous:
            return self.score(batch)
        return [self._one(row, batch.row(i)) for i, row in enumerate(self._arguments(batch))]

    def _one(self, arguments: dict[str, Any], row: int) -> Outcome:
        try:
            return self._read(self.function(**arguments), row)
        except Exception as error:
            if hasattr(error, "add_note"):  # Python 3.11 and later
                error.add_note(f"in the reward {self.__name__!r}, row {row}")
            raise

    async def outcomes_async(self, batch: Batch) -> list[Outcome]:
        """Await the function once per completion, at most `concurrency` at a time; order is kept."""
        from rewardkit.waiting import bounded

        values = await bounded(lambda arguments: self.function(**arguments), self._arguments(batch), self.concurrency)
        return [self._read(value, batch.row(i)) for i, value in enumerate(values)]

    def _arguments(self, batch: Batch) -> list[dict[str, Any]]:
        wanted, everything = self._parameters
        names = [n for n in batch.columns if n in wanted or (everything and n not in _HELPERS)]
        fixed, varying = {}, {}
        for name in names:
            value = batch.columns[name]
            other = hasattr(value, "__len__") and len(value) not in (1, len(batch))
            if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__len__"):
                fixed[name] = value  # one value for all, such as trainer_state
            elif other and name not in wanted:
                fixed[name] = value  # not a column, and nobody asked for it by name
            else:
                varying[name] = value if len(value) == 1 else batch.column(name)
        if "prompt" in wanted and batch.columns.get("prompts") is not None:
            varying["prompt"] = batch.column("prompts")
        rows = [fixed | {n: v[0 if len(v) == 1 else i] for n, v in varying.items()} for i in range(len(batch))]
        for row, text, message in zip(rows, batch.texts, batch.completions, strict=True):
            row |= {"completion": text} if everything or "completion" in wanted else {}
            row |= {"message": message} if "message" in wanted else {}
        for name, required in wanted.items():
            if required and rows and name not in rows[0]:
                batch.column(name)  # says what is missing and what there is
        return rows

    def _read(self, value: Any, row: int) -> Outcome:
        return value if isinstance(value, Outcome) else _outcome(value, self.__name__, row)

    def __deepcopy__(self, memo: object) -> PerCompletion:
        """Itself: it cannot be changed, and a local function has no name to copy it by."""
        return self

    def __reduce__(self) -> Any:
        """By the name of the decorated function, which in its module stands for this reward.

        Raises:
            TypeError: the name leads to something else: a local function, a lambda, a name taken again.
        """
        try:
            found = _restore(self.function.__module__, self.function.__qualname__, {}).function
        except (AttributeError, ImportError, TypeError):
            found = None
        if found is not self.function:
            raise TypeError(
                f"the reward {self.__name__!r} cannot be pickled: {as_code(self.function)} does not lead to it; "
                "define it at the top of a module, and give what is made of it another name"
            )
        changes = {"name": self.name, "concurrency": self.concurrency}
        return _restore, (self.function.__module__, self.function.__qualname__, changes)

    def __repr__(self) -> str:
        code = as_code(self.function)
        return f"{code}.named({self.name!r})" if self.name else code


def _restore(module: str, qualname: str, changes: Mapping[str, Any]) -> PerCompletion:
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    found = found.reward if isinstance(found, Guarded) else found
    if isinstance(found, PerCompletion):
        return replace(found, **changes)
    return PerCompletion(function=found, **changes)


@overload
def reward(function: Callable[..., Any], /) -> PerCompletion: ...
@overload
def reward(
    function: None = None,
    /,
    *,
    name: str | None = None,
    on_error: Literal["raise", "none"] = "raise",
    concurrency: int = 32,
) -> Callable[[Callable[..., Any]], Any]: ...
def reward(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    on_error: Literal["raise", "none"] = "raise",
    concurrency: int = 32,
) -> Any:
    """Turn a function of one completion into a reward of the contract.

    Args:
        function: takes ``completion`` and, by name, what else it needs; see :class:`PerCompletion`. It may
            be a coroutine function.
        name: what trainers log it by; the function's name unless given.
        on_error: "none" makes a failure "not scored"; see :meth:`Reward.on_error`.
        concurrency: how many calls of a coroutine function may wait at once.

    Returns:
        The reward, or a decorator where only settings are given.

    Raises:
        TypeError: parameters that cannot be given by name.

    Example:
        >>> from rewardkit import reward
        >>> @reward(name="cites")
        ... def cites_its_source(completion, source):
        ...     return 1.0 if source in completion else 0.0
        >>> cites_its_source(["as Euler shows", "as is known"], source=["Euler", "Gauss"])
        [1.0, 0.0]
    """
    if function is None:
        return partial(_decorated, name=name, on_error=on_error, concurrency=concurrency)
    return _decorated(function, name=name, on_error=on_error, concurrency=concurrency)


def _decorated(function: Callable[..., Any], *, name: str | None, on_error: str, concurrency: int) -> Reward:
    return guard(PerCompletion(function=function, name=name, concurrency=concurrency), on_error)


def as_reward(function: RewardFunction) -> Reward:
    """A plain function wrapped as :class:`Function`; a :class:`Reward` as it is.

    Raises:
        TypeError: a class instead of a reward, a list of rewards, or something that cannot be called.
    """
    if isinstance(function, type):
        raise TypeError(f"{function.__name__} is a class; give an instance, such as {function.__name__}()")
    if isinstance(function, (list, tuple)):
        raise TypeError(f"a reward is wanted, got a list of {len(function)}; unpack it: combine(*rewards)")
    return function if isinstance(function, Reward) else Function(function=function)


def _outcome(value: Any, name: str, row: int) -> Outcome:
    return Outcome(None, "not_scored") if value is None else Outcome(as_float(value, name, row), "scored")


def _function_name(function: Any) -> str:
    while isinstance(function, partial):
        if "__name__" in vars(function):
            break
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _is_coroutine_function(function: Any) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
