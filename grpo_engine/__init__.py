"""A lean GRPO trainer: rollouts, rewards, advantages, update, each readable at one glance.

Rewards are callables of one contract, ``reward(prompts=, completions=, **columns) -> list[float | None]``;
the engine knows nothing else about them.
"""

from grpo_engine.config import GRPOConfig
from grpo_engine.report import write_report
from grpo_engine.scoring import RewardFailure
from grpo_engine.trainer import GRPOTrainer, TrainingInterrupted

__all__ = ["GRPOConfig", "GRPOTrainer", "RewardFailure", "TrainingInterrupted", "write_report"]
