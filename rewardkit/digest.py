"""What a function does, as a digest that layout, comments and docstrings do not change.

    >>> def times(factor):
    ...     return lambda value: factor * value
    >>> function_digest(times(2.0)) == function_digest(times(2.0))
    True
    >>> function_digest(times(2.0)) == function_digest(times(3.0))
    False

Of an object nothing is assumed: where neither its code nor what it holds can be read, there is no digest, as the name
of its type alone would say "unchanged" of everything.
"""

from __future__ import annotations

import copyreg
import functools
import hashlib
import re
import sys
import threading
import types
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from rewardkit.batch import short
from rewardkit.contract import Reward
from rewardkit.source import class_members, normalised_source
from rewardkit.spec_names import SpecError

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_CACHED = type(functools.lru_cache(len))


def function_digest(target: Any) -> str:
    """What a function (or class, partial, method, callable object) does, as 16 hexadecimal digits.

    It covers the source without comments, decorators, layout and docstrings, the values of defaults and closures, the
    arguments of a partial, what an object holds, and the bases of a class up to those of this package, which count
    by their revision. What a function reads from its module is not followed.

    Raises:
        SpecError: it holds something that cannot be told apart from others of its type.
    """
    try:
        return hashlib.sha256(_Digest().text(target).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    except RecursionError as error:
        raise SpecError(f"{short(target)} holds values too deeply nested for a fingerprint") from error


class _Digest:
    """Writes a value as text; it holds the values that are open, so that a cycle ends."""

    def __init__(self) -> None:
        self._open: list[int] = []

    def text(self, value: Any) -> str:
        if type(value) in _PLAIN:
            return repr(value)
        if id(value) in self._open:
            return f"^{len(self._open) - self._open.index(id(value))}"
        self._open.append(id(value))
        try:
            way = next((way for kinds, way in _WAYS if isinstance(value, kinds)), None)
            way = way or _EXACT.get(type(value), _Digest._object)
            return way(self, value)
        finally:
            self._open.pop()

    def _partial(self, value: functools.partial[Any]) -> str:
        return f"partial({self.text(value.func)}, {self.text(value.args)}, {self._pairs(value.keywords)})"

    def _method(self, value: types.MethodType) -> str:
        return f"{self.text(value.__self__)}.{self.text(value.__func__)}"

    def _function(self, value: FunctionType) -> str:
        code = normalised_source(value.__code__) or self._bytecode(value.__code__)
        defaults = f"{self.text(value.__defaults__)}|{self._pairs(value.__kwdefaults__ or {})}"
        return f"{code}|{defaults}|{[self._cell(cell) for cell in value.__closure__ or ()]}"

    def _cell(self, cell: types.CellType) -> str:
        try:
            return self.text(cell.cell_contents)
        except ValueError as error:
            if isinstance(error, SpecError):
                raise
            return "unset"

    def _bytecode(self, code: types.CodeType) -> str:
        constants = [self._bytecode(c) if isinstance(c, types.CodeType) else self.text(c) for c in code.co_consts]
        handlers = getattr(code, "co_exceptiontable", b"").hex()
        return f"{code.co_code.hex()}|{handlers}|{constants}|{code.co_names}|{code.co_varnames}|{code.co_freevars}"

    def _builtin(self, value: Any) -> str:
        owner = value.__self__
        if owner is None or isinstance(owner, types.ModuleType):
            return f"{value.__module__}:{value.__qualname__}"
        return f"{self.text(owner)}.{value.__qualname__}"

    def _descriptor(self, value: Any) -> str:
        return f"{value.__objclass__.__module__}:{value.__objclass__.__qualname__}.{value.__name__}"

    def _class(self, cls: type) -> str:
        return " < ".join(self._base(base) for base in cls.__mro__ if base is not object)

    def _base(self, base: type) -> str:
        package = base.__module__.partition(".")[0]
        if package == "rewardkit":
            return f"{base.__qualname__}#{getattr(base, 'revision', 1)}"
        if package in sys.stdlib_module_names:
            return f"{base.__module__}:{base.__qualname__}"
        source = normalised_source(base)
        return f"{source or base.__qualname__}{{{', '.join(self._members(base, source))}}}"

    def _members(self, base: type, source: str) -> Iterator[str]:
        for name, member in class_members(base):
            try:
                yield f"{name}={self.text(member)}"
            except SpecError:  # the source says how it is made
                if not source:
                    raise

    def _wrapped(self, value: Any) -> str:
        return f"{type(value).__name__}({self.text(value.__func__)})"

    def _property(self, value: property) -> str:
        return f"property({self.text((value.fget, value.fset, value.fdel))})"

    def _cached_property(self, value: functools.cached_property[Any]) -> str:
        return f"cached_property({self.text(value.func)})"

    def _cached(self, value: Any) -> str:
        return f"lru_cache({self.text(value.__wrapped__)})"

    def _items(self, value: list[Any] | tuple[Any, ...]) -> str:
        return f"{type(value).__name__}[{', '.join(map(self.text, value))}]"

    def _set(self, value: set[Any] | frozenset[Any]) -> str:
        return f"set{{{', '.join(sorted(map(self.text, value)))}}}"

    def _mapping(self, value: Any) -> str:
        return f"{{{', '.join(f'{self.text(k)}: {self.text(v)}' for k, v in value.items())}}}"

    def _pairs(self, named: dict[Any, Any]) -> str:
        """A mapping whose order is of no account: attributes, keywords."""
        return f"{{{', '.join(sorted(f'{self.text(k)}={self.text(v)}' for k, v in named.items()))}}}"

    def _object(self, value: Any) -> str:
        """What a value is made from and holds, as pickle would ask for it."""
        if type(value).__module__ == "numpy" and hasattr(value, "dtype") and hasattr(value, "tobytes"):
            return self._array(value)
        reduce = copyreg.dispatch_table.get(type(value))
        try:
            made: Any = reduce(value) if reduce is not None else value.__reduce_ex__(4)
        except RecursionError:
            raise
        except Exception as error:
            raise _unknown(value) from error
        if not isinstance(made, tuple):
            return _global(value, made)
        maker, arguments, state, items, pairs = (*made, None, None, None)[:5]
        named = isinstance(maker, FunctionType)
        text = f"{maker.__module__}:{maker.__qualname__}" if named else self.text(maker)
        text += self.text(arguments) + self._state(type(value), state)
        return text + self.text(None if items is None else list(items)) + self.text(None if pairs is None else [*pairs])

    def _state(self, cls: type, state: Any) -> str:
        if not isinstance(state, dict):
            return self.text(state)
        cached = functools.cached_property
        return self._pairs({k: v for k, v in state.items() if not isinstance(getattr(cls, str(k), None), cached)})

    def _array(self, value: Any) -> str:
        if value.dtype.hasobject:
            return f"array({value.shape}, {self.text(value.tolist())})"
        return f"array({value.shape}, {value.dtype.descr}, {hashlib.sha256(value.tobytes()).hexdigest()})"


def _global(value: Any, name: object) -> str:
    """The path of something that is known by its name, where that is what stands there."""
    module = getattr(value, "__module__", None) or type(value).__module__
    found: Any = sys.modules.get(str(module))
    for part in str(name).split("."):
        found = getattr(found, part, None)
    if found is not value:
        raise _unknown(value)
    return f"{module}:{name}"


def _unknown(value: object) -> SpecError:
    return SpecError(
        f"there is no fingerprint of {short(value)}: nothing tells one {type(value).__qualname__} from another; hold "
        "plain values instead, or give the class a __reduce__"
    )


_Way = Callable[[_Digest, Any], str]
_WAYS: tuple[tuple[type | tuple[type, ...], _Way], ...] = (
    (functools.partial, _Digest._partial),
    (types.MethodType, _Digest._method),
    (FunctionType, _Digest._function),
    (type, _Digest._class),
    (types.ModuleType, lambda self, value: f"module {value.__name__}"),
    ((types.BuiltinFunctionType, types.MethodWrapperType), _Digest._builtin),
    ((types.WrapperDescriptorType, types.MethodDescriptorType, types.ClassMethodDescriptorType), _Digest._descriptor),
    ((types.GetSetDescriptorType, types.MemberDescriptorType), _Digest._descriptor),
    ((staticmethod, classmethod), _Digest._wrapped),
    (property, _Digest._property),
    (functools.cached_property, _Digest._cached_property),
    (_CACHED, _Digest._cached),
    (Reward, lambda self, value: f"reward {value.fingerprint}"),
    (re.Pattern, lambda self, value: f"pattern({value.pattern!r}, {value.flags})"),
    (_LOCKS, lambda self, value: "lock"),  # they change when something is done, not what
)
_EXACT: dict[type, _Way] = {
    list: _Digest._items,
    tuple: _Digest._items,
    set: _Digest._set,
    frozenset: _Digest._set,
    dict: _Digest._mapping,
    types.MappingProxyType: _Digest._mapping,
}
