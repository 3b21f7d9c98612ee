"""A failing reward as "not scored" instead of the end of the run: counted in the log, warned of once."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass

from rewardkit.contract import Batch, Call, Composite, Outcome, Plan, Reward


@dataclass(frozen=True, kw_only=True, repr=False)
class Guarded(Composite):
    """A reward whose failures are "not scored" instead of the end of the run; made by :meth:`Reward.on_error`.

    When the reward raises, every completion of that call gets ``None`` with the status "error" and the
    message. They are counted in the log as ``rewards/{name}/error``, and the first failure of each kind
    (reward and exception) warns. Nothing else is caught: an interrupt ends the run.
    """

    reward: Reward

    def _default_name(self) -> str:
        return self.reward.__name__

    def plan(self, batch: Batch) -> Plan:
        """The inner outcomes, or "error" for all of them."""
        try:
            (inner,) = yield [Call("", self.reward, batch)]
        except Exception as error:  # noqa: BLE001 - what on_error="none" asks for; it is counted and warned of
            kind = type(error).__name__
            _warn_once(self.__name__, kind, str(error))
            return [Outcome(None, "error", f"{kind}: {error}")] * len(batch)
        return inner

    def __repr__(self) -> str:
        return f"({self.reward!r}).on_error('none')" + (f".named({self.name!r})" if self.name else "")


_WARNED: set[tuple[str, str]] = set()
_WARNING = threading.Lock()


def _warn_once(name: str, kind: str, message: str) -> None:
    """Warn of the first failure of a kind in this process, as the log counts all of them."""
    with _WARNING:
        if (name, kind) in _WARNED:
            return
        _WARNED.add((name, kind))
    warnings.warn(
        f"{name} raised {kind}: {message}; its completions are not scored (on_error='none'), and further "
        f"failures of this kind are only counted, as rewards/{name}/error",
        RuntimeWarning,
        stacklevel=2,
    )


def guard(inner: Reward, action: str) -> Reward:
    """`inner` with its failures handled as `action` says: "raise" or "none"."""
    if action == "raise":
        return inner.reward if isinstance(inner, Guarded) else inner
    if action == "none":
        return inner if isinstance(inner, Guarded) else Guarded(reward=inner)
    raise ValueError(f'on_error={action!r} is unknown; use "raise" or "none"')
