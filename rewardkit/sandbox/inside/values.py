"""Plain values as JSON and back: what may pass between the program's process and the tests'.

The tests compare what they have unpacked, so only built-in values of their own process are ever compared:
no method of the program decides whether it was right.
"""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Callable
from typing import Any

_TEXT = {
    "decimal.Decimal": ("__str__", "__call__"),
    "fractions.Fraction": ("__str__", "__call__"),
    "datetime.datetime": ("isoformat", "fromisoformat"),
    "datetime.date": ("isoformat", "fromisoformat"),
    "datetime.time": ("isoformat", "fromisoformat"),
}
"""Types of the standard library that pass as text: how it is made, and how it is read."""

SHARED = frozenset(
    "abs all any ascii bin bool bytearray bytes callable chr complex dict divmod enumerate filter float format "
    "frozenset hash hex int isinstance issubclass iter len list map max min next object oct ord pow range repr "
    "reversed round set slice sorted str sum tuple type zip".split()
)
"""Built-in types and pure functions that the tests take from the program by their name: they only compute. Any
other (``exit``, say) would act on the tests' process."""

_VIEWS = {"keys": type({}.keys()), "values": type({}.values()), "items": type({}.items())}
_SEQUENCES: dict[str, type[Any]] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
_SMALL = 2**63


def pack(value: Any, export: Callable[[Any], list[Any]]) -> Any:
    """A value as JSON: scalars as they are, all else as ``[kind, ...]``; `export` packs what is not plain.

    A subclass passes as its base. Raises RecursionError for what holds itself.
    """
    if value is None or isinstance(value, (bool, str)):
        return value if value is None or isinstance(value, bool) else str.__str__(value)
    if isinstance(value, int):
        return int(value) if -_SMALL < value < _SMALL else ["int", hex(value)]  # decimal digits are limited in number
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        return ["complex", value.real, value.imag]
    if isinstance(value, (bytes, bytearray)):
        return [type(value).__name__, value.decode("latin-1")]
    if isinstance(value, dict):
        return ["dict", [[pack(k, export), pack(v, export)] for k, v in value.items()]]
    for kind, base in (*_SEQUENCES.items(), *_VIEWS.items()):
        if isinstance(value, base):
            return [kind, [pack(item, export) for item in value]]
    if isinstance(value, (range, slice)):
        return [type(value).__name__, [pack(item, export) for item in (value.start, value.stop, value.step)]]
    return _pack_object(value, export)


def _pack_object(value: Any, export: Callable[[Any], list[Any]]) -> list[Any]:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if kind in _TEXT:
        return ["text", kind, getattr(value, _TEXT[kind][0])()]
    if kind == "collections.deque":
        return ["deque", [pack(item, export) for item in value], value.maxlen]
    if isinstance(value, type) and issubclass(value, BaseException):
        return ["exception", [c.__name__ for c in value.__mro__]]
    name = getattr(value, "__name__", None)
    if isinstance(name, str) and getattr(builtins, name, None) is value and value is not print:  # it prints at home
        return ["builtin", name]
    if hasattr(type(value), "tolist"):  # arrays and scalars of NumPy
        return pack(value.tolist(), export)  # type: ignore[no-any-return]
    return export(value)


def unpack(packed: Any, resolve: Callable[[str, Any], Any]) -> Any:
    """The value that was packed; ``resolve(side, number)`` finds what was exported, ``("builtin", name)`` that."""
    if not isinstance(packed, list):
        return packed
    kind, *rest = packed
    if kind in _SEQUENCES:
        return _SEQUENCES[kind](unpack(item, resolve) for item in rest[0])
    if kind == "dict":
        return {unpack(k, resolve): unpack(v, resolve) for k, v in rest[0]}
    if kind == "int":
        return int(rest[0], 16)
    if kind == "complex":
        return complex(*rest)
    if kind in ("bytes", "bytearray"):
        return (bytes if kind == "bytes" else bytearray)(rest[0], "latin-1")
    if kind == "object":
        return resolve(*rest)
    return _unpack_object(kind, rest, resolve)


def _unpack_object(kind: str, rest: list[Any], resolve: Callable[[str, Any], Any]) -> Any:
    if kind == "text":
        module, _, name = rest[0].rpartition(".")
        reader = _TEXT[rest[0]][1]
        cls: Any = getattr(importlib.import_module(module), name)
        return cls(rest[1]) if reader == "__call__" else getattr(cls, reader)(rest[1])
    if kind == "deque":
        collections = importlib.import_module("collections")
        return collections.deque([unpack(item, resolve) for item in rest[0]], rest[1])
    if kind in ("range", "slice"):
        return (range if kind == "range" else slice)(*(unpack(item, resolve) for item in rest[0]))
    if kind in _VIEWS:
        return _view(kind, [unpack(item, resolve) for item in rest[0]])
    if kind == "exception":
        return exception_class(tuple(rest[0]))
    if kind == "builtin":
        return resolve("builtin", rest[0])
    raise ValueError(f"no value is packed as {kind!r}")


def _view(kind: str, items: list[Any]) -> Any:
    if kind == "keys":
        return dict.fromkeys(items).keys()
    return dict(items).items() if kind == "items" else dict(enumerate(items)).values()


_EXCEPTIONS: dict[str, type[Exception]] = {}


def exception_class(names: tuple[str, ...]) -> type[Exception]:
    """The exception of these names (its own, then its bases'): a built-in one, or one made after it.

    What is not an ``Exception`` (``SystemExit``, say) becomes one: it must not end the process of the tests.
    """
    bases = (getattr(builtins, name, None) for name in names)
    base = next((b for b in bases if isinstance(b, type) and issubclass(b, Exception)), Exception)
    if base.__name__ == names[0]:
        return base
    return _EXCEPTIONS.setdefault(names[0], type(names[0], (base,), {"__module__": "solution"}))
