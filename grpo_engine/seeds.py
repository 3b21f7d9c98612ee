"""Independent seeds from one: every use of chance has its own, whatever the run's seed is."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: int | str) -> int:
    """A 32-bit seed that depends on all parts, so that neighbours (seed 1, step 2; seed 2, step 1) share nothing.

    Example:
        >>> derived_seed(42, "rollout", 0) != derived_seed(42, "rollout", 1)
        True
    """
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "little")
