"""Calls between two processes, a line of JSON each way: the tests' and the program's that they test.

The tests hold the program's functions, classes and objects as :class:`Remote`; a call runs over there and
its plain result comes back as a copy. A function that a test passes as an argument is called back here.
The program's side may be looked into; of the tests' side only what a test passed may be called, since its
frames and globals hold the expected results. No expected result is handed to an operator of the program:
two objects of the program may meet in one, an object and a plain value may not.
"""

from __future__ import annotations

import builtins
import json
import operator
from collections import deque
from collections.abc import Callable, Mapping
from functools import partialmethod
from typing import IO, Any

from .values import SHARED, exception_class, pack, unpack


def _is_instance(cls: Any, value: Any) -> bool:
    return isinstance(value, cls)


def _is_subclass(cls: Any, value: Any) -> bool:
    return issubclass(value, cls)


def _enter(target: Any) -> Any:
    return target.__enter__()


def _exit(target: Any, exception: type[BaseException] | None) -> None:
    target.__exit__(exception, None, None)


SPECIAL: dict[str, Callable[..., Any]] = {
    "__bool__": bool, "__len__": len, "__iter__": iter, "__next__": next, "__contains__": operator.contains,
    "__getitem__": operator.getitem, "__setitem__": operator.setitem, "__delitem__": operator.delitem,
    "__str__": str, "__repr__": repr, "__int__": int, "__float__": float, "__neg__": operator.neg,
    "__add__": operator.add, "__sub__": operator.sub, "__mul__": operator.mul, "__truediv__": operator.truediv,
    "__eq__": operator.eq, "__ne__": operator.ne, "__lt__": operator.lt, "__le__": operator.le,
    "__gt__": operator.gt, "__ge__": operator.ge, "__instancecheck__": _is_instance,
    "__subclasscheck__": _is_subclass, "__enter__": _enter, "__exit__": _exit,
}  # fmt: skip
"""What a test may do with an object of the program, besides attributes and calls."""

_MAX_MESSAGE = 2000


class ProgramEnded(BaseException):
    """The other process ended in the middle of a call. Not an Exception: no test may swallow it."""


class Peer:
    """One end of the link.

    Args:
        side: "program" or "tests".
        reader, writer: the two pipes, in binary.
        tests_module: name of the tests' module; the program may use objects of its classes.
    """

    def __init__(self, side: str, reader: IO[bytes], writer: IO[bytes], *, tests_module: str = "") -> None:
        self.side = side
        self.tests_module = tests_module
        self.namespace: Mapping[str, Any] = {}
        self._reader, self._writer = reader, writer
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._remotes: dict[int, Remote] = {}

    def ask(self, operation: str, *arguments: Any) -> Any:
        """What the other side answers; meanwhile this side answers it."""
        self._send(operation, *arguments)
        while True:
            kind, *rest = self._receive()
            if kind == "value":
                return unpack(rest[0], self._resolve)
            if kind == "raise":
                raise _exception(rest[0], rest[1])
            self._answer(kind, rest)

    def call(self, number: int, name: str | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A call of the other side's object or of its method; lists and the like that it changed change here."""
        result, changed = self.ask("call", number, name, self.pack(list(args)), self.pack(dict(kwargs)))
        if changed is not None:
            for mine, theirs in zip(args, changed[0], strict=False):
                _assign(mine, theirs)
            for key, mine in kwargs.items():
                _assign(mine, changed[1][key])
        return result

    def serve(self) -> None:
        """Answer until the other side ends."""
        while True:
            try:
                kind, *rest = self._receive()
            except ProgramEnded:
                return
            self._answer(kind, rest)

    def pack(self, value: Any) -> Any:
        """A value as JSON."""
        return pack(value, self._export)

    def _answer(self, operation: str, arguments: list[Any]) -> None:
        try:
            answer = self.pack(getattr(self, f"_do_{operation}")(*arguments))
        except Exception as error:  # noqa: BLE001 - raised on the other side, which asked
            names = [c.__name__ for c in type(error).__mro__]
            self._send("raise", names, str(error)[:_MAX_MESSAGE])
        else:
            self._send("value", answer)

    def _do_names(self, names: list[str]) -> dict[str, Any]:
        return {name: self.namespace[name] for name in names if name in self.namespace and self.side == "program"}

    def _do_call(self, number: int, name: str | None, args: Any, kwargs: Any) -> Any:
        target = self._objects[number]
        values = unpack(args, self._resolve)
        keywords = unpack(kwargs, self._resolve)
        if name is not None:
            self._check(target, name)
        result = SPECIAL[name](target, *values) if name is not None else target(*values, **keywords)
        unchanged = self.pack(values) == args and self.pack(keywords) == kwargs
        return result, (None if unchanged else (values, keywords))

    def _do_get(self, number: int, name: str) -> Any:
        self._check(self._objects[number], name)
        return getattr(self._objects[number], name)

    def _do_set(self, number: int, name: str, value: Any) -> None:
        self._check(self._objects[number], name)
        setattr(self._objects[number], name, unpack(value, self._resolve))

    def _check(self, target: Any, name: str) -> None:
        if self.side == "program":
            return
        if type(target).__module__ != self.tests_module or (name.startswith("_") and name not in SPECIAL):
            raise PermissionError(f"the program may not use {name} of what a test passed to it")

    def _export(self, value: Any) -> list[Any]:
        if isinstance(value, Remote):
            peer, number = remote_parts(value)
            return ["object", "tests" if peer.side == "program" else "program", number]
        number = self._numbers.setdefault(id(value), len(self._objects))
        if number == len(self._objects):
            self._objects.append(value)
        return ["object", self.side, number]

    def _resolve(self, side: str, number: Any) -> Any:
        if side == "builtin":
            if self.side == "tests" and number not in SHARED:
                raise ValueError(f"the program's {str(number)[:40]!r} would act on the process of the tests")
            return getattr(builtins, number)
        if side == self.side:
            return self._objects[number]
        if number not in self._remotes:  # one for each object, so that ``is`` holds
            self._remotes[number] = Remote(self, number)
        return self._remotes[number]

    def _send(self, *message: Any) -> None:
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            self._writer.flush()
        except BrokenPipeError:
            raise ProgramEnded("the process ended") from None

    def _receive(self) -> list[Any]:
        line = self._reader.readline()
        if not line.endswith(b"\n"):
            raise ProgramEnded("the process ended")
        message: list[Any] = json.loads(line)
        return message


class Remote:
    """A function, class or object of the other process."""

    __slots__ = ("_Remote__number", "_Remote__peer")

    def __init__(self, peer: Peer, number: int) -> None:
        object.__setattr__(self, "_Remote__peer", peer)
        object.__setattr__(self, "_Remote__number", number)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        peer, number = remote_parts(self)
        return peer.call(number, None, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):  # copy, pickle and inspect look for these
            raise AttributeError(name)
        peer, number = remote_parts(self)
        return peer.ask("get", number, name)

    def __setattr__(self, name: str, value: Any) -> None:
        peer, number = remote_parts(self)
        peer.ask("set", number, name, peer.pack(value))

    def __special(self, name: str, *args: Any) -> Any:
        peer, number = remote_parts(self)
        return peer.call(number, name, args, {})

    def __operator(self, name: str, other: object) -> Any:
        if remote_parts(self)[0].side == "tests" and not isinstance(other, Remote):
            raise TypeError(
                f"{name} of an object of the program with a plain value: it would decide itself; compare plain values"
            )
        return self.__special(name, other)

    def __eq__(self, other: object) -> bool:
        return self is other or bool(self.__operator("__eq__", other))

    def __ne__(self, other: object) -> bool:
        return self is not other and bool(self.__operator("__ne__", other))

    def __contains__(self, item: object) -> bool:
        if remote_parts(self)[0].side == "program":
            return bool(self.__special("__contains__", item))
        return any(item is mine or item == mine for mine in self)

    def __exit__(self, exception: type[BaseException] | None, *_: object) -> None:
        """It is told, but what it answers swallows no failure of a test."""
        self.__special("__exit__", exception)

    __hash__ = object.__hash__
    __bool__ = partialmethod(__special, "__bool__")
    __len__ = partialmethod(__special, "__len__")
    __iter__ = partialmethod(__special, "__iter__")
    __next__ = partialmethod(__special, "__next__")
    __getitem__ = partialmethod(__special, "__getitem__")
    __setitem__ = partialmethod(__special, "__setitem__")
    __delitem__ = partialmethod(__special, "__delitem__")
    __str__ = partialmethod(__special, "__str__")
    __repr__ = partialmethod(__special, "__repr__")
    __int__ = partialmethod(__special, "__int__")
    __float__ = partialmethod(__special, "__float__")
    __neg__ = partialmethod(__special, "__neg__")
    __enter__ = partialmethod(__special, "__enter__")
    __instancecheck__ = partialmethod(__special, "__instancecheck__")
    __subclasscheck__ = partialmethod(__special, "__subclasscheck__")
    __add__ = partialmethod(__operator, "__add__")
    __sub__ = partialmethod(__operator, "__sub__")
    __mul__ = partialmethod(__operator, "__mul__")
    __truediv__ = partialmethod(__operator, "__truediv__")
    __lt__ = partialmethod(__operator, "__lt__")
    __le__ = partialmethod(__operator, "__le__")
    __gt__ = partialmethod(__operator, "__gt__")
    __ge__ = partialmethod(__operator, "__ge__")


def remote_parts(remote: Remote) -> tuple[Peer, int]:
    """The end of the link and the number behind a remote object."""
    return object.__getattribute__(remote, "_Remote__peer"), object.__getattribute__(remote, "_Remote__number")


def _exception(names: list[str], text: str) -> Exception:
    cls = exception_class(tuple(names))
    error = cls.__new__(cls, text)  # some need more arguments to be initialised
    error.args = (text,)
    return error


def _assign(mine: Any, theirs: Any) -> None:
    if isinstance(mine, (list, bytearray)):
        mine[:] = theirs
    elif isinstance(mine, (dict, set)):
        mine.clear()
        mine.update(theirs)
    elif isinstance(mine, deque):
        mine.clear()
        mine.extend(theirs)
