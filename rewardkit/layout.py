"""The components of a tree by their paths, told from the tree alone.

What a trainer is told must not depend on the batch: it averages a metric over the calls that logged it, and a table
needs every column in every call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rewardkit.choices import Gated, MaxOf, MinOf, Routed
from rewardkit.combine import Clipped, Combined, Weighted
from rewardkit.contract import Reward
from rewardkit.guarding import Guarded
from rewardkit.shaping import Mapped, Threshold


class Node(NamedTuple):
    """A component of a tree.

    Attributes:
        path: as in a breakdown.
        reward: the component.
        added: whether its value is, or may be, added to the total.
    """

    path: str
    reward: Reward
    added: bool

    @property
    def wrappers(self) -> tuple[Reward, ...]:
        """The component and what it wraps on the same level: a gate of a guarded reward."""
        return tuple(_wrappers(self.reward))


def nodes(reward: Reward, prefix: str = "", added: bool = True) -> Iterator[Node]:
    """The components below a reward, each above its own."""
    if isinstance(reward, Guarded):
        yield from nodes(reward.reward, prefix, added)
    elif isinstance(reward, Gated):
        yield from nodes(reward.reward, prefix, added)
        yield from _with_below(Node(f"{prefix}{reward.gate_name}", reward.by, False))
    else:
        for name, member, joins in _members(reward):
            yield from _with_below(Node(f"{prefix}{name}", member, added and joins))


def _with_below(node: Node) -> Iterator[Node]:
    yield node
    yield from nodes(node.reward, f"{node.path}/", node.added)


def _members(reward: Reward) -> Iterator[tuple[str, Reward, bool]]:
    """Name, member, whether it is added."""
    if isinstance(reward, (Weighted, Clipped, Mapped, Threshold)):
        yield f"{reward.reward.__name__}.raw", reward.reward, isinstance(reward, (Weighted, Clipped))
    elif isinstance(reward, Routed):
        for label, member in reward.by_label.items():
            yield label, member, True
    else:
        for member in reward.children:
            yield member.__name__, member, isinstance(reward, (Combined, MinOf, MaxOf))


def _wrappers(reward: Reward) -> Iterator[Reward]:
    yield reward
    if isinstance(reward, (Guarded, Gated)):
        yield from _wrappers(reward.reward)
