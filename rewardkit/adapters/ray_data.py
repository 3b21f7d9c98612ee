r"""A stack over a data set of Ray Data.

>>> import numpy as np
>>> from rewardkit import boxed_accuracy
>>> from rewardkit.adapters import ScoreBatches
>>> batch = {"completion": np.array([r"It is \boxed{2}.", "2"]), "answer": np.array(["2", "2"])}
>>> ScoreBatches(boxed_accuracy)(batch)["reward"]
array([1., 0.])
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rewardkit.adapters.tables import TableScorer, plain
from rewardkit.contract import RewardFunction
from rewardkit.functions import as_reward


class ScoreBatches:
    """For ``dataset.map_batches``: adds the total and every component to a batch, in place of columns of their names.

    An instance runs in Ray's tasks (``map_batches(ScoreBatches(stack))``), the class in actors
    (``map_batches(ScoreBatches, fn_constructor_args=(stack,), ...)``), which pay for start and caches once. A batch may
    be a mapping of numpy arrays, a pandas data frame or an Arrow table; it comes back as what it was. A value that
    is not scored is NaN in numpy and pandas, and a null in Arrow. A reward that compares the completions of a prompt
    needs them in one batch.

    Args:
        stack: a reward, or a plain function of the contract.
        completions: the column with the completions, text or messages.
        prompts: the column with the prompts, if there is one.
        total: the column to add for the stack's value.
        prefix: of the columns to add for its components.
    """

    def __init__(
        self,
        stack: RewardFunction,
        completions: str = "completion",
        prompts: str = "prompt",
        total: str = "reward",
        prefix: str = "rewards/",
    ) -> None:
        self.scorer = TableScorer(
            stack=as_reward(stack), completions=completions, prompts=prompts, total=total, prefix=prefix
        )

    def __call__(self, batch: Any) -> Any:
        """The batch with its columns added.

        Raises:
            TypeError: the batch is neither a mapping, a data frame nor an Arrow table.
        """
        if isinstance(batch, Mapping):
            return {**batch, **_arrays(self._scored(batch, list(batch)))}
        if hasattr(batch, "assign"):  # pandas
            return batch.assign(**_arrays(self._scored(batch, list(batch.columns))))
        if hasattr(batch, "append_column"):  # Arrow
            return self._with_arrow_columns(batch)
        raise TypeError(f"a batch must be a mapping, a data frame or an Arrow table, got {type(batch).__name__}")

    def _scored(self, batch: Any, names: list[str]) -> dict[str, list[float | None]]:
        return self.scorer.scored({name: plain(batch[name]) for name in names})

    def _with_arrow_columns(self, batch: Any) -> Any:
        given = {name: batch.column(name) for name in batch.column_names}
        columns = self.scorer.scored({name: plain(c.to_pylist(), str(c.type)) for name, c in given.items()})
        made = type(batch).from_pydict(columns)  # the module of the table: nothing to import
        for name in columns:
            values = made.column(name).cast("float64")
            if name in given:  # of an earlier scoring: replaced, as in the other formats
                batch = batch.set_column(batch.column_names.index(name), name, values)
            else:
                batch = batch.append_column(name, values)
        return batch


def _arrays(columns: Mapping[str, list[float | None]]) -> dict[str, Any]:
    import numpy as np

    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
