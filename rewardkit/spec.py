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

import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rewardkit.contract import Reward
from rewardkit.fingerprint import fingerprint
from rewardkit.spec_names import SpecError, ready_rewards, registered
from rewardkit.spec_reader import read_reward
from rewardkit.spec_writer import encode

__all__ = [
    "VERSION",
    "SpecError",
    "fingerprint",
    "from_spec",
    "load_spec",
    "ready_rewards",
    "registered",
    "save_spec",
    "to_spec",
]

VERSION = 1
"""Of the format; readers refuse another."""


def to_spec(reward: Reward) -> dict[str, Any]:
    """A reward as JSON-able data: ``{"rewardkit": 1, "fingerprint": ..., "reward": node}``.

    A node has the ``type`` (the class) and every field that differs from its default. Plain functions are named by
    ``module:name``.

    Raises:
        SpecError: a value that has no name or form in a spec, such as a lambda.
    """
    node = encode(reward, "reward")
    return {"rewardkit": VERSION, "fingerprint": fingerprint(reward), "reward": node}


def from_spec(spec: Mapping[str, Any], *, allow: Iterable[str] = ()) -> Reward:
    """The reward that a spec describes.

    Args:
        spec: what :func:`to_spec` gave, or the same written by hand. In place of a node may stand the name of a
            ready reward (``"boxed_accuracy"``) or preset (``"presets.gsm8k_r1"``).
        allow: the functions and classes beyond this package that may be imported, each as ``module:name``; and the
            rewards that send completions to a server (``"Judge"``, ``"RewardModel"``), as a spec names the host and
            the environment variable that holds the key, and ``"CodeTests"`` where the spec requires less of the
            sandbox than the default. All that is missing is said at once.

    Raises:
        SpecError: another version, an unknown type or field, a value that the reward refuses, a function that is
            not allowed; it names the place. A ``fingerprint`` in the spec that is not the one of the reward read.
        TypeError: `allow` is a text instead of a list.
    """
    if not isinstance(spec, Mapping) or "reward" not in spec:
        raise SpecError('a spec is a table with "rewardkit" (the version) and "reward" (the node)')
    if spec.get("rewardkit") != VERSION:
        raise SpecError(f"this is a spec of version {spec.get('rewardkit')!r}; this rewardkit reads version {VERSION}")
    unknown = [name for name in spec if name not in ("rewardkit", "fingerprint", "reward")]
    if unknown:
        raise SpecError(f"a spec has no entry {unknown[0]!r}; it has rewardkit, fingerprint and reward")
    reward = read_reward(spec["reward"], allow)
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
    try:
        path.write_text(text, encoding="utf-8")
    except UnicodeEncodeError as error:
        raise SpecError(f"{path} cannot be written: {error}") from error


def load_spec(path: str | Path, *, allow: Iterable[str] = ()) -> Reward:
    """The reward of a ``.json`` or ``.toml`` file; see :func:`from_spec`.

    Raises:
        SpecError: a file that is neither, or not a spec.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            data = _toml().loads(text)
        elif path.suffix == ".json":
            data = json.loads(text)
        else:
            raise SpecError(f"{str(path)!r} is neither .json nor .toml; name the file accordingly")
        return from_spec(data, allow=allow)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:  # of the parsers
        raise SpecError(f"{path} cannot be read: {error}") from error


def _toml() -> Any:
    try:
        return importlib.import_module("tomllib")
    except ModuleNotFoundError:  # Python 3.10
        return importlib.import_module("tomli")
