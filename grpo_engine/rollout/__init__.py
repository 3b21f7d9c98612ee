"""Ways to sample completions; each gives the same :class:`Rollouts`."""

from grpo_engine.rollout.generate import Rollouts, generate, uniforms

__all__ = ["Rollouts", "generate", "uniforms"]
