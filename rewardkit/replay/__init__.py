"""Replay: what a stack would have done on recorded rollouts, before any training.

>>> from rewardkit import boxed_accuracy, soft_format
>>> from rewardkit.replay import read_rollouts, simulate
>>> texts = ["<answer>2</answer>", "\\\\boxed{2}", "no idea", "<think>1 + 1</think><answer>\\\\boxed{2}</answer>"]
>>> rollouts = read_rollouts([{"prompt": "1 + 1?", "completion": text, "answer": "2"} for text in texts])
>>> done = simulate(boxed_accuracy + 0.5 * soft_format, rollouts)
>>> done.totals, done.dead_groups
([0.0, 1.0, 0.0, 1.5], 0.0)
>>> {path: round(share, 2) for path, share in done.shares.items()}
{'boxed_accuracy': 0.74, 'soft_format': 0.26}
"""

from rewardkit.replay.advantages import advantages
from rewardkit.replay.changes import ComponentChange
from rewardkit.replay.difference import Example, RewardDiff, diff
from rewardkit.replay.findings import Finding
from rewardkit.replay.recorded import Recorded, recorded
from rewardkit.replay.records import Rejected
from rewardkit.replay.rollouts import Rollouts, read_rollouts
from rewardkit.replay.shares import Pair
from rewardkit.replay.simulation import Simulation, simulate
from rewardkit.replay.summaries import ComponentShare, StepSummary

__all__ = [
    "ComponentChange",
    "ComponentShare",
    "Example",
    "Finding",
    "Pair",
    "Recorded",
    "Rejected",
    "RewardDiff",
    "Rollouts",
    "Simulation",
    "StepSummary",
    "advantages",
    "diff",
    "read_rollouts",
    "recorded",
    "simulate",
]
