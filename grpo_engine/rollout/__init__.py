"""Ways to sample completions; each is a :class:`Sampler` and gives the same :class:`Rollouts`."""

from grpo_engine.rollout.generate import GenerateSampler
from grpo_engine.rollout.slots import SlotSampler
from grpo_engine.rollouts import Rollouts, Sampler

__all__ = ["GenerateSampler", "Rollouts", "Sampler", "SlotSampler"]
