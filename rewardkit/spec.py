"""A stack as data: written to JSON or TOML, read back, and told apart by a fingerprint.

    >>> from rewardkit import boxed_accuracy, combine, strict_format
    >>> from rewardkit.spec import from_spec, to_spec
    >>> stack = combine(boxed_accuracy, strict_format, weights=[1.0, 0.5], name="r1")
    >>> to_spec(stack)["reward"]["members"]
    [{'type': 'BoxedAccuracy'}, {'type': 'StrictFormat'}]
    >>> from_spec(to_spec(stack)) == stack
    True
    >>> (2.0 * boxed_accuracy).fingerprint == (3.0 * boxed_accuracy).fingerprint
    False

A spec names rewards; it holds no code. Reading one builds the classes of this package and looks up nothing else,
unless the caller lists it: ``from_spec(spec, allow=["mypackage.rewards:brevity"])`` imports that one name.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rewardkit.contract import Reward
from rewardkit.digest import function_digest
from rewardkit.functions import Function, Guarded, PerCompletion

VERSION = 1
"""Of the format; readers refuse another."""

DEPTH = 64
"""How deeply a spec may be nested."""


class SpecError(ValueError):
    """A spec that cannot be read, or a reward that cannot be written; it names the place in the spec."""


def to_spec(reward: Reward) -> dict[str, Any]:
    """A reward as JSON-able data: ``{"rewardkit": 1, "fingerprint": ..., "reward": node}``.

    A node has the ``type`` (the class) and every field that differs from its default. Plain functions are named by
    ``module:name``.

    Raises:
        SpecError: a value that has no name or form in a spec, such as a lambda.
    """
    return {"rewardkit": VERSION, "fingerprint": fingerprint(reward), "reward": _encode(reward, "reward")}


def from_spec(spec: Mapping[str, Any], *, allow: Iterable[str] = ()) -> Reward:
    """The reward that a spec describes.

    Args:
        spec: what :func:`to_spec` gave, or the same written by hand. In place of a node may stand the name of a
            ready reward (``"boxed_accuracy"``) or preset (``"presets.gsm8k_r1"``).
        allow: the functions and classes beyond this package that may be imported, each as ``module:name``; and the
            rewards that send completions to a server (``"Judge"``, ``"RewardModel"``), as a spec names the host and
            the environment variable that holds the key.

    Raises:
        SpecError: another version, an unknown type or field, a value that the reward refuses, a function that is
            not allowed; it names the place. A ``fingerprint`` in the spec that is not the one of the reward read.
    """
    if not isinstance(spec, Mapping) or "reward" not in spec:
        raise SpecError('a spec is a table with "rewardkit" (the version) and "reward" (the node)')
    if spec.get("rewardkit") != VERSION:
        raise SpecError(f"this is a spec of version {spec.get('rewardkit')!r}; this rewardkit reads version {VERSION}")
    unknown = sorted(set(spec) - {"rewardkit", "fingerprint", "reward"})
    if unknown:
        raise SpecError(f"a spec has no entry {unknown[0]!r}; it has rewardkit, fingerprint and reward")
    reward = _Reader({_dotted(path) for path in allow}).node(spec["reward"], "reward", 0)
    stated = spec.get("fingerprint")
    if stated is not None and stated != fingerprint(reward):
        raise SpecError(
            f"the spec says fingerprint {stated!r}, the reward it describes has {fingerprint(reward)!r}: it was "
            "edited, or something it names has changed; remove the entry to accept it as it is"
        )
    return reward


def save_spec(reward: Reward, path: str | Path) -> None:
    """Write a spec to a ``.json`` or ``.toml`` file.

    Raises:
        SpecError: another suffix, or a reward that cannot be written.
    """
    path, spec = Path(path), to_spec(reward)
    if path.suffix == ".json":
        text = json.dumps(spec, indent=2, ensure_ascii=False) + "\n"
    elif path.suffix == ".toml":
        import tomli_w

        text = tomli_w.dumps(spec)
    else:
        raise SpecError(f"{str(path)!r} is neither .json nor .toml; name the file accordingly")
    path.write_text(text, encoding="utf-8")


def load_spec(path: str | Path, *, allow: Iterable[str] = ()) -> Reward:
    """The reward of a ``.json`` or ``.toml`` file; see :func:`from_spec`.

    Raises:
        SpecError: a file that is neither, or not a spec.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".toml":
            data = _toml().loads(text)
        elif path.suffix == ".json":
            data = json.loads(text)
        else:
            raise SpecError(f"{str(path)!r} is neither .json nor .toml; name the file accordingly")
        return from_spec(data, allow=allow)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error
    except ValueError as error:  # of the parsers
        raise SpecError(f"{path} cannot be read: {error}") from error


def fingerprint(reward: Reward) -> str:
    """16 hexadecimal digits that change when the values that a reward gives may change, and with nothing else.

    It covers every setting, defaults included, the revision of each class, and the code of functions (without
    comments, docstrings and layout). Names are left out: they change the log, not the values.
    """
    canonical = json.dumps(_canonical(reward), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@cache
def registered() -> dict[str, type]:
    """The classes that a spec may name, by name: the rewards of this package and what their fields hold."""
    import rewardkit
    from rewardkit import presets, schedule
    from rewardkit.equivalence import Budget

    public = [getattr(rewardkit, name) for name in rewardkit.__all__]
    held = [value for holder in (presets, schedule, *_submodules(presets)) for value in vars(holder).values()]
    found = [value for value in (*public, *held) if _is_own_class(value)]
    return {cls.__name__: cls for cls in [*found, Budget]}


def _submodules(package: Any) -> list[Any]:
    return [value for value in vars(package).values() if getattr(value, "__package__", "") == package.__name__]


def _is_own_class(value: object) -> bool:
    return isinstance(value, type) and is_dataclass(value) and value.__module__.split(".")[0] == "rewardkit"


def _type_name(cls: type, where: str) -> str:
    if registered().get(cls.__name__) is cls:
        return cls.__name__
    return _path_of(cls, where)


def _path_of(target: Any, where: str) -> str:
    module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", None)
    if not module or not name or "<" in name or module == "__main__":
        raise SpecError(f"{where}: {target!r} has no name to import it by; define it at the top of a module")
    return f"{module}:{name}"


def _dotted(path: str) -> str:
    return path.replace(":", ".")


def _toml() -> Any:
    try:
        return importlib.import_module("tomllib")
    except ModuleNotFoundError:  # Python 3.10
        return importlib.import_module("tomli")


def _encode(value: Any, where: str) -> Any:
    """A value as data; None, infinities and functions as tables with the key ``$``."""
    if value is None:
        return {"$": "none"}
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$": "float", "value": repr(value)}
    if isinstance(value, (list, tuple)):
        return [_encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, (frozenset, set)):
        return [_encode(item, where) for item in sorted(value)]
    if isinstance(value, Mapping):
        return {"$": "map", "items": [[_encode(k, where), _encode(v, f"{where}[{k!r}]")] for k, v in value.items()]}
    if is_dataclass(value) and not isinstance(value, type):
        return _encode_node(value, where)
    if callable(value):
        return {"$": "function", "path": _path_of(value, where)}
    raise SpecError(f"{where}: {value!r} of type {type(value).__name__} has no form in a spec")


def _encode_node(value: Any, where: str) -> dict[str, Any]:
    node: dict[str, Any] = {"type": _type_name(type(value), where)}
    for f in fields(value):
        setting = getattr(value, f.name)
        if f.init and not _is_default(f, setting):
            node[f.name] = _encode(setting, f"{where}.{f.name}")
    return node


def _is_default(f: Field[Any], setting: Any) -> bool:
    default = f.default_factory() if f.default_factory is not MISSING else f.default
    return default is not MISSING and type(default) is type(setting) and bool(default == setting)


@dataclass(frozen=True)
class _Reader:
    """Reads nodes; `allowed` are the dotted names that may be imported."""

    allowed: set[str]

    def node(self, node: Any, where: str, depth: int) -> Reward:
        """A reward."""
        value = self._ready(node, where) if isinstance(node, str) else self.value(node, where, depth)
        if not isinstance(value, Reward):
            raise SpecError(f"{where}: expected a reward, got {value!r}")
        return value

    def _ready(self, name: str, where: str) -> Reward:
        known = ready_rewards()
        if name not in known:
            raise SpecError(f"{where}: there is no ready reward {name!r}{_nearest(name, known)}")
        self._require_leave(type(known[name]), where)
        return known[name]

    def _require_leave(self, cls: type, where: str) -> None:
        if getattr(cls, "remote", False) and cls.__name__ not in self.allowed:
            name = cls.__name__
            raise SpecError(
                f"{where}: {name} sends completions to a server; if you trust the spec, pass allow=[{name!r}]"
            )

    def value(self, data: Any, where: str, depth: int) -> Any:
        """Anything that a field may hold."""
        if depth > DEPTH:
            raise SpecError(f"{where}: nested more than {DEPTH} deep")
        if isinstance(data, (list, tuple)):
            return tuple(self.value(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(data))
        if not isinstance(data, Mapping):
            return data
        if "$" in data:
            return self._marked(data, where, depth)
        if "type" in data:
            return self._built(data, where, depth)
        raise SpecError(f'{where}: a table needs "type" (a class) or "$" (a marked value), got {sorted(data)}')

    def _marked(self, data: Mapping[str, Any], where: str, depth: int) -> Any:
        kind = data["$"]
        if kind == "none":
            return None
        if kind == "float" and data.get("value") in ("inf", "-inf"):
            return float(data["value"])
        if kind == "map" and isinstance(data.get("items"), (list, tuple)):
            pairs = [self.value(pair, f"{where}[{i}]", depth + 1) for i, pair in enumerate(data["items"])]
            return dict(pairs)
        if kind == "function" and isinstance(data.get("path"), str):
            return self._imported(data["path"], where)
        raise SpecError(f"{where}: {dict(data)!r} is no marked value of a spec")

    def _built(self, data: Mapping[str, Any], where: str, depth: int) -> Any:
        cls = self._class(data["type"], where)
        known = {f.name for f in fields(cls) if f.init}
        settings: dict[str, Any] = {}
        for name, value in data.items():
            if name == "type":
                continue
            if name not in known:
                raise SpecError(f"{where}: {cls.__name__} has no setting {name!r}{_nearest(name, known)}")
            settings[name] = self._setting(cls, name, value, f"{where}.{name}", depth + 1)
        if cls is PerCompletion:
            settings["function"] = _undecorated(settings.get("function"))
        try:
            return cls(**settings)
        except (TypeError, ValueError) as error:
            raise SpecError(f"{where}: {error}") from error

    def _setting(self, cls: type, name: str, value: Any, where: str, depth: int) -> Any:
        """A field; where it holds rewards, a text is the name of a ready one."""
        if name in ("reward", "by", "correctness") or (name == "default" and cls.__name__ == "Routed"):
            return self._ready(value, where) if isinstance(value, str) else self.value(value, where, depth)
        if name == "members" and isinstance(value, (list, tuple)):
            return tuple(self.node(item, f"{where}[{i}]", depth) for i, item in enumerate(value))
        if name == "routes" and isinstance(value, (list, tuple)):
            return tuple((key, self.node(item, f"{where}[{key!r}]", depth)) for key, item in value)
        return self.value(value, where, depth)

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
        raise SpecError(f"{where}: there is no reward type {name!r}{_nearest(name, known)}")

    def _imported(self, path: str, where: str) -> Any:
        if _dotted(path) not in self.allowed:
            raise SpecError(f"{where}: {path!r} may not be imported; if you trust it, pass allow=[{path!r}]")
        module, _, name = path.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise SpecError(f"{where}: {path!r} cannot be imported: {error}") from error
        return found


def _undecorated(found: Any) -> Any:
    """The function below ``@reward``, which stands under its name in its module."""
    found = found.reward if isinstance(found, Guarded) else found
    return found.function if isinstance(found, PerCompletion) else found


def ready_rewards() -> dict[str, Reward]:
    """The ready rewards of this package by name, presets as ``presets.NAME``."""
    import rewardkit
    from rewardkit import presets

    public = {name: getattr(rewardkit, name) for name in rewardkit.__all__}
    found = {name: value for name, value in public.items() if isinstance(value, Reward)}
    found |= {f"presets.{name}": value for name, value in vars(presets).items() if isinstance(value, Reward)}
    return dict(sorted(found.items()))


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"


def _canonical(value: Any) -> Any:
    """A value for the fingerprint: every setting, numbers alike, functions by their code, no names."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return {"number": repr(float(value)) if abs(value) <= 2**53 else repr(value)}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, (frozenset, set)):
        return sorted(json.dumps(_canonical(item), sort_keys=True) for item in value)
    if isinstance(value, Mapping):
        return {"map": [[_canonical(k), _canonical(v)] for k, v in value.items()]}
    if isinstance(value, (Function, PerCompletion)):
        return {"function": function_digest(value.function), "per_completion": isinstance(value, PerCompletion)}
    if is_dataclass(value) and not isinstance(value, type):
        return _canonical_node(value)
    if callable(value):
        return {"function": function_digest(value)}
    raise SpecError(f"{value!r} of type {type(value).__name__} has no fingerprint")


def _canonical_node(value: Any) -> dict[str, Any]:
    cls = type(value)
    settings = {f.name: _canonical(getattr(value, f.name)) for f in fields(value) if f.name != "name" and _counts(f)}
    own = registered().get(cls.__name__) is cls
    code: Any = getattr(cls, "revision", 1) if own else function_digest(cls)
    return {"type": cls.__qualname__, "code": code, "settings": settings}


def _counts(f: Field[Any]) -> bool:
    """Whether a field has a part in the values: retries and caches, say, have not."""
    return f.compare and bool(f.metadata.get("behaviour", True))
