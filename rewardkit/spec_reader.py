"""The data of a spec to rewards: it builds the classes of this package and imports nothing without leave."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from rewardkit.batch import short
from rewardkit.contract import Reward
from rewardkit.functions import PerCompletion
from rewardkit.spec_names import SpecError, nearest, ready_rewards, registered, undecorated
from rewardkit.spec_types import hints_of, holds_rewards, item_hints, list_type
from rewardkit.spec_writer import DEPTH, require_fit, too_deep

_FLOATS = ("inf", "-inf", "nan")


class _Unallowed(SpecError):
    """Something that the caller has not given leave for; what it is stands in ``Reader.refused``."""


def read_reward(node: Any, allow: Iterable[str]) -> Reward:
    """The reward of a node.

    Raises:
        SpecError: anything that is wrong with it, with the place; what is not allowed all at once.
    """
    if isinstance(allow, str):
        raise TypeError(f"allow must be a list of names, got {allow!r}; write allow=[{allow!r}]")
    reader = Reader(frozenset(map(_dotted, allow)))
    try:
        reward: Reward = reader.read(node, Reward, "reward", 0)
    except _Unallowed:
        reasons = "; ".join(dict.fromkeys(reason for reason, _ in reader.refused))
        names = list(dict.fromkeys(name for _, name in reader.refused))
        raise SpecError(f"{reasons}; if you trust the spec, pass allow={names!r}") from None
    except RecursionError as error:
        raise SpecError("reward: nested too deeply to be read") from error
    return reward


def _dotted(path: str) -> str:
    return path.replace(":", ".")


@dataclass(frozen=True)
class Reader:
    """Reads nodes.

    Attributes:
        allowed: the dotted names that may be imported.
        refused: why and what, in the order of the spec, of what is not among them.
    """

    allowed: frozenset[str]
    refused: list[tuple[str, str]] = field(default_factory=list)

    def read(self, data: Any, hint: Any, where: str, depth: int) -> Any:
        """The value of a field that is annotated with `hint`."""
        if isinstance(data, str) and holds_rewards(hint):
            return self._ready(data, where)
        value = self._value(data, hint, where, depth)
        require_fit(value, hint, where)
        return value

    def _value(self, data: Any, hint: Any, where: str, depth: int) -> Any:
        if data is None or isinstance(data, (bool, int, float, str)):
            return data
        if depth > DEPTH:
            raise too_deep(where)
        if isinstance(data, (list, tuple)):
            hints = item_hints(hint, len(data))
            reads = [(item, of, f"{where}[{i}]") for i, (item, of) in enumerate(zip(data, hints, strict=True))]
            return _made(where, list_type(hint), self._each(reads, depth + 1))
        if not isinstance(data, Mapping):
            raise SpecError(f"{where}: {short(data)} of type {type(data).__name__} has no form in a spec")
        if "$" in data:
            return self._marked(data, where, depth)
        if "type" in data:
            return self._built(data, where, depth)
        raise SpecError(f'{where}: a table needs "type" (a class) or "$" (a marked value), got {[*map(str, data)]}')

    def _each(self, reads: Iterable[tuple[Any, Any, str]], depth: int) -> list[Any]:
        """All of them, so that all that is not allowed is found, and not the first."""
        values, refusal = [], None
        for data, hint, where in reads:
            try:
                values.append(self.read(data, hint, where, depth))
            except _Unallowed as error:
                refusal = error
        if refusal is not None:
            raise refusal
        return values

    def _marked(self, data: Mapping[str, Any], where: str, depth: int) -> Any:
        kind = data["$"]
        if kind == "none":
            return None
        if kind == "float" and data.get("value") in _FLOATS:
            return float(data["value"])
        if kind == "map" and isinstance(data.get("items"), (list, tuple)):
            reads = [(pair, tuple[Any, Any], f"{where}[{i}]") for i, pair in enumerate(data["items"])]
            return _made(where, dict, self._each(reads, depth + 2))
        if kind == "function" and isinstance(data.get("path"), str):
            return self._imported(data["path"], where)
        raise SpecError(f"{where}: {short(dict(data))} is no marked value of a spec")

    def _built(self, data: Mapping[str, Any], where: str, depth: int) -> Any:
        given = {name: value for name, value in data.items() if name != "type"}
        try:
            cls = self._class(data["type"], where)
        except _Unallowed:
            self._each([(value, Any, f"{where}.{name}") for name, value in given.items()], depth + 1)
            raise
        known, hints = {f.name for f in fields(cls) if f.init}, hints_of(cls)
        unknown = next((name for name in given if name not in known), None)
        if unknown is not None:
            raise SpecError(f"{where}: {cls.__name__} has no setting {unknown!r}{nearest(str(unknown), known)}")
        if cls is PerCompletion:
            hints = {**hints, "function": Any}
        reads = [(value, hints.get(name, Any), f"{where}.{name}") for name, value in given.items()]
        settings = dict(zip(given, self._each(reads, depth + 1), strict=True))
        if cls is PerCompletion:
            settings["function"] = undecorated(settings.get("function"))
            require_fit(settings["function"], Callable[..., Any], f"{where}.function")
        built = _made(where, lambda values: cls(**values), settings)
        self._require_safety(built, where)
        return built

    def _require_safety(self, built: Any, where: str) -> None:
        """Programs run in a sandbox as safe as by default, or with leave."""
        cls = type(built)
        if registered().get("CodeTests") is cls and cls.__name__ not in self.allowed:
            weaker = [name for name in cls().require if name not in built.require]
            if weaker:
                self._refuse(
                    f"{where}: CodeTests would run programs without requiring {', '.join(weaker)}", "CodeTests"
                )

    def _ready(self, name: str, where: str) -> Reward:
        known = ready_rewards()
        if name not in known:
            raise SpecError(f"{where}: there is no ready reward {name!r}{nearest(name, known)}")
        self._require_leave(type(known[name]), where)
        return known[name]

    def _require_leave(self, cls: type, where: str) -> None:
        if getattr(cls, "remote", False) and cls.__name__ not in self.allowed:
            self._refuse(f"{where}: {cls.__name__} sends completions to a server", cls.__name__)

    def _refuse(self, reason: str, name: str) -> None:
        self.refused.append((reason, name))
        raise _Unallowed(reason)

    def _class(self, name: Any, where: str) -> Any:
        known = registered()
        if not isinstance(name, str):
            raise SpecError(f"{where}: there is no reward type {name!r}")
        if name in known:
            self._require_leave(known[name], where)
            return known[name]
        if ":" in name:
            cls = self._imported(name, where)
            if isinstance(cls, type) and is_dataclass(cls):
                return cls
            raise SpecError(f"{where}: {name!r} is no dataclass")
        raise SpecError(f"{where}: there is no reward type {name!r}{nearest(name, known)}")

    def _imported(self, path: str, where: str) -> Any:
        if _dotted(path) not in self.allowed:
            self._refuse(f"{where}: {path!r} may not be imported", path)
        module, _, name = path.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            raise SpecError(f"{where}: {path!r} cannot be imported: {error}") from error
        return found


def _made(where: str, make: Callable[[Any], Any], data: Any) -> Any:
    """What `make` makes of it; where it refuses, so does the spec."""
    try:
        return make(data)
    except SpecError:
        raise
    except (TypeError, ValueError, AttributeError, OverflowError, IndexError, KeyError) as error:
        raise SpecError(f"{where}: {error}") from error
