"""The pipes and the file of one run: what is fed to it and what is drained from it, side by side and bounded."""

from __future__ import annotations

import os
import selectors
import tempfile
import time
from contextlib import suppress
from typing import Literal

_CHUNK = 65_536

Event = Literal["answer", "timeout", "output"]


class Channels:
    """Pipes of which the other ends go to a sandbox; used as a context, which closes all ends."""

    def __init__(self) -> None:
        self.theirs: list[int] = []
        self._selector = selectors.DefaultSelector()
        self._feeds: dict[int, memoryview] = {}
        self._drains: dict[int, tuple[bytearray, int]] = {}

    def __enter__(self) -> Channels:
        return self

    def __exit__(self, *_: object) -> None:
        self.hand_over()
        for fd in (*self._feeds, *self._drains):
            os.close(fd)
        self._selector.close()

    def feed(self, data: bytes) -> None:
        """A pipe from which the other side reads `data`."""
        theirs, ours = os.pipe()
        self.theirs.append(theirs)
        os.set_blocking(ours, False)
        self._feeds[ours] = memoryview(data)
        self._selector.register(ours, selectors.EVENT_WRITE)

    def offer(self, data: bytes) -> None:
        """A regular file that the other side reads: its size is known, and it can be mapped."""
        self.theirs.append(_unnamed_file(data))

    def drain(self, limit: int) -> bytearray:
        """A pipe into which the other side writes up to `limit` bytes; the buffer fills up while pumping."""
        ours, theirs = os.pipe()
        self.theirs.append(theirs)
        os.set_blocking(ours, False)
        buffer = bytearray()
        self._drains[ours] = buffer, limit
        self._selector.register(ours, selectors.EVENT_READ)
        return buffer

    def hand_over(self) -> None:
        """Close the other side's ends, which it has by now."""
        for fd in self.theirs:
            os.close(fd)
        self.theirs.clear()

    def pump(self, control: int, deadline: float) -> Event:
        """Feed and drain until `control` has something to read, a drain is over its limit or the time is up."""
        self._selector.register(control, selectors.EVENT_READ)
        try:
            while (left := deadline - time.monotonic()) > 0:
                for key, _ in self._selector.select(left):
                    if key.fd == control:
                        return "answer"
                    if key.fd in self._feeds:
                        self._write(key.fd)
                    elif not self._read(key.fd):
                        return "output"
            return "timeout"
        finally:
            self._selector.unregister(control)

    def finish(self) -> bool:
        """Read what a process that has ended left in its pipes; False where a drain is over its limit."""
        within = True
        for fd, (buffer, limit) in list(self._drains.items()):
            with suppress(BlockingIOError):
                while fd in self._drains and len(buffer) <= limit:
                    within &= self._read(fd)
        return within

    def _write(self, fd: int) -> None:
        try:
            self._feeds[fd] = self._feeds[fd][os.write(fd, self._feeds[fd][:_CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # nobody reads it any more
            self._feeds[fd] = memoryview(b"")
        if not self._feeds[fd]:
            self._close(fd)

    def _read(self, fd: int) -> bool:
        buffer, limit = self._drains[fd]
        chunk = os.read(fd, _CHUNK)
        buffer += chunk
        if not chunk:
            self._close(fd)
        return len(buffer) <= limit

    def _close(self, fd: int) -> None:
        self._selector.unregister(fd)
        self._feeds.pop(fd, None)
        self._drains.pop(fd, None)
        os.close(fd)


def _unnamed_file(data: bytes) -> int:
    """A descriptor, for reading only, of a file that nobody else can open."""
    memory = os.memfd_create("stdin") if hasattr(os, "memfd_create") else None
    with os.fdopen(memory, "wb") if memory is not None else tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return os.open(file.name if memory is None else f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC)
