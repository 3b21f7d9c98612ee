"""What holds a program on this machine: measured by a trial process that tries to break out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields


class SandboxError(RuntimeError):
    """The sandbox cannot be had on this machine, or not with the protection that was required."""


@dataclass(frozen=True)
class Protection:
    """By what means each attempt of a trial process was refused, or "none" where it succeeded.

    Attributes:
        network: opening a socket.
        processes: starting another process.
        writing: opening a file for writing.
        reading: reading a file that is not the interpreter's.
        memory: taking more memory than the limit.
    """

    network: str
    processes: str
    writing: str
    reading: str
    memory: str

    @classmethod
    def measured(cls, refused: Mapping[str, bool], *, calls: bool, files: bool) -> Protection:
        """From the report of a trial: what was refused, and which means of the kernel were in force."""
        filtered = "seccomp" if calls else "audit hook"
        means = dict.fromkeys(("network", "processes", "writing"), filtered)
        means |= {"reading": "Landlock" if files else "audit hook", "memory": "RLIMIT_AS"}
        return cls(**{name: by if refused[name] else "none" for name, by in means.items()})

    def held(self, name: str) -> bool:
        """Whether the kernel holds it; an audit hook of the interpreter does not stop who tries."""
        return getattr(self, name) not in ("none", "audit hook")

    def demand(self, required: Iterable[str]) -> None:
        """Raise unless the kernel holds all that is required.

        Raises:
            SandboxError: it does not; the message says how to do without.
        """
        missing = [name for name in required if not self.held(name)]
        if missing:
            raise SandboxError(
                f"this machine does not protect {', '.join(missing)}: {self}. Run on Linux (x86_64 or aarch64; "
                "reading needs Landlock, kernel 5.13), or accept it with require=() where the programs are harmless"
            )

    def __str__(self) -> str:
        return ", ".join(f"{f.name}: {getattr(self, f.name)}" for f in fields(self))


PROTECTIONS = tuple(f.name for f in fields(Protection))


def protection() -> Protection:
    """What holds a program on this machine, found out by starting a sandbox.

    Raises:
        SandboxError: there is no sandbox on this system at all (Windows).

    Example:
        >>> protection().held("network")  # on Linux
        True
    """
    from rewardkit.sandbox.runner import Limits, Sandbox

    with Sandbox(Limits()) as sandbox:
        return sandbox.protection
