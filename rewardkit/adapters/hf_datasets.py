r"""A stack over a data set of the ``datasets`` library.

>>> from rewardkit import boxed_accuracy, soft_format
>>> from rewardkit.adapters import score_map
>>> score = score_map(boxed_accuracy + 0.5 * soft_format)
>>> score({"completion": [r"It is \boxed{2}."], "answer": ["2"]})
{'reward': [1.0], 'rewards/boxed_accuracy': [1.0], 'rewards/soft_format': [0.0]}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rewardkit.adapters.tables import TableScorer, plain
from rewardkit.contract import RewardFunction
from rewardkit.functions import as_reward


@dataclass(frozen=True, kw_only=True)
class ScoreMap(TableScorer):
    """A function for ``dataset.map(..., batched=True)``; see :func:`score_map`."""

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[float | None]]:
        """The columns to add."""
        table = getattr(batch, "pa_table", None)  # behind what ``map`` passes: it knows the types of the lists
        kinds = {} if table is None else {field.name: str(field.type) for field in table.schema}
        return self.scored({name: plain(batch[name], kinds.get(name, "")) for name in batch})

    def features(self, before: Mapping[str, Any]) -> Any:
        """The features of the data set with the added columns, for ``map(..., features=)``."""
        from datasets import Features, Value

        return Features({**before, **{name: Value("float64") for name in self.names}})


def score_map(
    stack: RewardFunction,
    *,
    completions: str = "completion",
    prompts: str = "prompt",
    total: str = "reward",
    prefix: str = "rewards/",
) -> ScoreMap:
    """A function for ``dataset.map(..., batched=True)`` that adds the total and every component.

    It pickles, so ``num_proc=`` works. ``None`` ("not scored") is a null. A data set takes the type of a column from
    its first rows, and refuses numbers where those were all null: pass ``features=score.features(dataset.features)``.
    A reward that compares the completions of a prompt needs them in one batch: sort by prompt, and make
    ``batch_size`` a multiple of the group.

    Args:
        stack: a reward, or a plain function of the contract.
        completions: the column with the completions, text or messages.
        prompts: the column with the prompts, if there is one.
        total: the column to add for the stack's value.
        prefix: of the columns to add for its components.
    """
    return ScoreMap(stack=as_reward(stack), completions=completions, prompts=prompts, total=total, prefix=prefix)
