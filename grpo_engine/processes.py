"""Values that are spread over processes: whose share is whose, and what they come to together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor

BUCKET = 2**26
"""Numbers that are reduced together: 256 MiB in fp32."""


class Processes:
    """This process among the others; prompts are shared out in contiguous parts, in order.

    Args:
        accelerator: accelerate's view of them.
    """

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator
        self.count: int = accelerator.num_processes
        self.rank: int = accelerator.process_index
        self.device: torch.device = accelerator.device

    def share(self, values: Sequence[Any]) -> Sequence[Any]:
        """This process's part of values that all processes have; the last parts may be shorter, or empty."""
        size = -(-len(values) // self.count)
        return values[self.rank * size : (self.rank + 1) * size]

    def share_rows(self, values: Tensor) -> Tensor:
        """This process's completions, flat, of a (P, G) tensor that all processes have."""
        rows = self.share(range(len(values)))
        return values[rows[0] : rows[-1] + 1].flatten()

    def gather(self, values: Tensor) -> Tensor:
        """(n, ...) of every process, in order, on the CPU; n must be the same everywhere."""
        gathered: Tensor = self._accelerator.gather(values.contiguous().to(self.device))
        return gathered.cpu()

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, on the CPU."""
        total: Tensor = self._accelerator.reduce(values.to(self.device), "sum")
        return total.cpu()

    def sum_in_place(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, which must have the same list."""
        for bucket in _buckets(tensors) if self.count > 1 else ():
            flat = torch.cat([tensor.flatten() for tensor in bucket])
            torch.distributed.all_reduce(flat)
            parts = torch.split(flat, [tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def same_everywhere(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by the main process's."""
        for tensor in tensors if self.count > 1 else ():
            torch.distributed.broadcast(tensor, src=0)

    def gather_uneven(self, values: Tensor) -> Tensor:
        """(n,) values of every process, in order, on the CPU; n may differ."""
        if self.count == 1:
            return values.cpu()
        sizes = self.gather(torch.tensor([len(values)])).tolist()
        padded = torch.zeros(max(sizes), dtype=values.dtype)
        padded[: len(values)] = values
        rows = self.gather(padded).view(self.count, -1)
        return torch.cat([row[:size] for row, size in zip(rows, sizes, strict=True)])

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return bool(self.gather(torch.tensor([flag])).any())

    def mean(self, metrics: Mapping[str, float]) -> dict[str, float | None]:
        """Means over the processes that have the metric; the names may differ between them."""
        everywhere: list[dict[str, float]] = gather_object([dict(metrics)])
        names = sorted({name for one in everywhere for name in one})
        values = {name: [one[name] for one in everywhere if name in one] for name in names}
        return {name: sum(numbers) / len(numbers) for name, numbers in values.items()}


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type together, up to :data:`BUCKET` numbers: few calls, little memory."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        full = sum(t.numel() for t in bucket) + tensor.numel() > BUCKET
        if bucket and (full or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket
