"""A stack in ms-swift's registry of reward functions, for ``--reward_funcs``.

>>> from rewardkit import boxed_accuracy, soft_format
>>> from rewardkit.adapters.swift import to_swift
>>> classes, weights = to_swift(2.0 * boxed_accuracy + 0.5 * soft_format)
>>> classes["boxed_accuracy"](args=None)([r"It is \\boxed{2}."], solution=["2"]), weights
([1.0], [2.0, 0.5])
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from rewardkit.adapters.components import weighted_terms
from rewardkit.contract import Reward, RewardFunction
from rewardkit.functions import as_reward


class SwiftRewards(NamedTuple):
    """Reward classes by the name under which ms-swift finds and logs them, and ``--reward_weights``."""

    classes: dict[str, type[SwiftReward]]
    weights: list[float]


class SwiftReward:
    """What ms-swift makes of an entry of its registry: it takes `args`, and is called with the batch's columns.

    ms-swift logs a reward by its class name, so each stack has a class of its own, made by :func:`to_swift`.
    Completions come as text; the conversation (``messages``) gives the prompts, and the sampled tokens
    (``response_token_ids``) are ``completion_ids``. ``None`` is "not scored" there too.

    Attributes:
        reward: what is scored.
        args: ms-swift's settings, unused.
    """

    reward: ClassVar[Reward]

    def __init__(self, args: Any = None, **_: Any) -> None:
        self.args = args

    def __call__(self, completions: list[str], **columns: Any) -> list[float | None]:
        """Score the completions by the contract."""
        return self.reward(completions, **_columns(columns))

    def __reduce__(self) -> Any:
        """By the reward and the name: the class was made at run time."""
        return _instance, (self.reward, type(self).__name__, self.args)


class AsyncSwiftReward(SwiftReward):
    """The same for a stack that waits; ms-swift looks for a coroutine function and runs them together."""

    async def __call__(self, completions: list[str], **columns: Any) -> list[float | None]:  # type: ignore[override]
        """Score the completions by the contract."""
        return await self.reward.aio(completions, **_columns(columns))


def to_swift(stack: RewardFunction, name: str | None = None) -> SwiftRewards:
    """Reward classes for ms-swift's registry ``orms``.

    Args:
        stack: a reward, or a plain function of the contract.
        name: with a name, the stack is one reward of that name; without, a plain weighted sum becomes one
            reward per component, each logged by its own name, and their weights.
    """
    terms = weighted_terms(stack) if name is None else [(as_reward(stack).named(name), 1.0)]
    return SwiftRewards({r.__name__: _reward_class(r, r.__name__) for r, _ in terms}, [weight for _, weight in terms])


def register(stack: RewardFunction, name: str | None = None) -> SwiftRewards:
    """Enter a stack in ms-swift's registry; for the file that ``--external_plugins`` names.

    Args:
        stack: a reward, or a plain function of the contract.
        name: as for :func:`to_swift`.

    Returns:
        What was entered: the names are for ``--reward_funcs``, the weights for ``--reward_weights``.

    Raises:
        ImportError: ms-swift is not installed.
        ValueError: ms-swift, or another plugin, has a reward of that name.
    """
    from swift.rewards import orms

    made = to_swift(stack, name)
    for key, entry in made.classes.items():
        taken = orms.get(key)
        if taken is not None and getattr(taken, "reward", None) != entry.reward:
            raise ValueError(
                f"ms-swift has a reward {key!r} already ({taken.__module__}.{taken.__qualname__}); "
                'rename yours: reward.named("...")'
            )
    orms.update(made.classes)
    return made


def _reward_class(reward: Reward, name: str) -> type[SwiftReward]:
    base = AsyncSwiftReward if reward.asynchronous else SwiftReward
    return type(name, (base,), {"reward": reward, "__module__": __name__, "__doc__": f"{reward!r} for ms-swift."})


def _instance(reward: Reward, name: str, args: Any) -> SwiftReward:
    return _reward_class(reward, name)(args)


def _columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """ms-swift's columns, with prompts and token ids under the names of the contract."""
    found = dict(columns)
    messages, token_ids = columns.get("messages"), columns.get("response_token_ids")
    if messages is not None:
        found.setdefault("prompts", [conversation[:-1] for conversation in messages])
    if token_ids is not None and all(ids for ids in token_ids):
        found.setdefault("completion_ids", [_flat(ids) for ids in token_ids])
    return found


def _flat(ids: list[Any]) -> list[int]:
    """Token ids of one completion; of several turns they come as a list of lists."""
    return [token for turn in ids for token in turn] if isinstance(ids[0], (list, tuple)) else list(ids)
