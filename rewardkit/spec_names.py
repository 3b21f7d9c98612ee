"""What a spec may name: classes, ready rewards, and what a module holds."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

from rewardkit.contract import Reward
from rewardkit.functions import PerCompletion
from rewardkit.guarding import Guarded
from rewardkit.schedule import Schedule


class SpecError(ValueError):
    """A spec that cannot be read, or a reward that cannot be written; it names the place in the spec."""


@cache
def registered() -> dict[str, type]:
    """The classes that a spec may name, by name: the rewards of this package, schedules and ``Budget``."""
    import rewardkit
    from rewardkit import presets, schedule
    from rewardkit.equivalence import Budget

    public = [getattr(rewardkit, name) for name in rewardkit.__all__]
    held = [value for holder in (presets, schedule, *_submodules(presets)) for value in vars(holder).values()]
    return {cls.__name__: cls for cls in [*filter(_is_own_class, [*public, *held]), Budget]}


def _submodules(package: Any) -> list[Any]:
    return [value for value in vars(package).values() if getattr(value, "__package__", "") == package.__name__]


def _is_own_class(value: object) -> bool:
    if not isinstance(value, type) or not issubclass(value, (Reward, Schedule)) or inspect.isabstract(value):
        return False
    cls: type = value
    return cls.__module__.split(".")[0] == "rewardkit" and not cls.__name__.startswith("_")


def ready_rewards() -> dict[str, Reward]:
    """The ready rewards of this package by name, presets as ``presets.NAME``."""
    import rewardkit
    from rewardkit import presets

    public = {name: getattr(rewardkit, name) for name in rewardkit.__all__}
    found = {name: value for name, value in public.items() if isinstance(value, Reward)}
    found |= {f"presets.{name}": value for name, value in vars(presets).items() if isinstance(value, Reward)}
    return dict(sorted(found.items()))


def type_name(cls: type, where: str) -> str:
    """The name of a class in a spec."""
    return cls.__name__ if registered().get(cls.__name__) is cls else path_of(cls, where)


def path_of(target: Any, where: str) -> str:
    """``module:name`` of something that can be imported by it.

    Raises:
        SpecError: it has no name, lives in the script that runs, or another thing stands under its name.
    """
    module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", None)
    if not module or not name or "<" in name:
        raise SpecError(f"{where}: {target!r} has no name to import it by; define it at the top of a module")
    if module == "__main__":
        raise SpecError(f"{where}: {name} lives in __main__; move it to a module that can be imported")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if target not in (found, undecorated(found)):
        raise SpecError(
            f"{where}: {module}:{name} is {found!r}, not {target!r}; define it at the top of a module, and give what "
            "is made of it another name"
        )
    return f"{module}:{name}"


def undecorated(found: Any) -> Any:
    """The function below ``@reward``, which stands under its name in its module."""
    found = found.reward if isinstance(found, Guarded) else found
    return found.function if isinstance(found, PerCompletion) else found


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about a name that there is not."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
