"""The settings of a run. Names and defaults are TRL's (1.16) and transformers' where both have a setting.

Defaults that differ from TRL, and why: `gradient_checkpointing` is off (it costs a third of the training time;
turn it on when memory is short) and `bf16` holds the weights in bf16 with an fp32 master copy in the optimizer.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch

from grpo_engine.advantages import SCALES
from grpo_engine.objective import KL_ESTIMATORS, LOSSES
from grpo_engine.optim import optimizer_named

_T = TypeVar("_T")


_ELSEWHERE = {
    **dict.fromkeys(("use_vllm", "vllm_mode", "deepspeed", "fsdp", "fp16"), "it is not here"),
    **dict.fromkeys(
        ("vllm_importance_sampling_cap", "vllm_importance_sampling_clip_max"), "rollout_is_cap is what serves here"
    ),
    **dict.fromkeys(
        ("steps_per_generation", "generation_batch_size"),
        "a rollout is one optimizer step's batch, which num_iterations uses several times",
    ),
    "gradient_checkpointing_kwargs": "gradient_checkpointing=True needs none",
    "max_new_tokens": "it is max_completion_length",
}
"""Settings of TRL and transformers that are not here, and what to do."""


def refuse_unknown(cls: type[_T]) -> type[_T]:
    """Class decorator: an unknown keyword argument is an error that names the nearest known one."""
    init: Callable[..., None] = cls.__init__
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]

    def checked(self: _T, *args: Any, **kwargs: Any) -> None:
        for name in kwargs:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                hint = f"; {_ELSEWHERE[name]}" if name in _ELSEWHERE else hint
                raise TypeError(f"{cls.__name__} has no setting {name!r}{hint}")
        init(self, *args, **kwargs)

    cls.__init__ = checked  # type: ignore[method-assign, assignment]
    return cls


@refuse_unknown
@dataclass
class GRPOConfig:
    """Settings of :class:`grpo_engine.GRPOTrainer`, checked once, here.

    An optimizer step uses ``per_device_train_batch_size * gradient_accumulation_steps * processes``
    completions in groups of `num_generations`; each process holds whole groups.

    Raises:
        TypeError: a setting that does not exist, with the nearest that does.
        ValueError: a value out of range, with the range.
    """

    output_dir: str = "trainer_output"
    run_name: str | None = None

    # Data and batches. A batch size counts completions, as in TRL.
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    num_train_epochs: float = 3.0
    max_steps: int = -1
    shuffle_dataset: bool = True
    seed: int = 42

    # Rollouts.
    num_generations: int = 8
    num_generations_eval: int | None = None
    max_prompt_length: int | None = None
    max_completion_length: int = 512
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    rollout_backend: str = "slots"
    rollout_slots: int | None = None
    rollout_steps_per_sync: int | None = None
    compile_rollout: bool = False

    # Objective.
    loss_type: str = "dapo"
    epsilon: float = 0.2
    epsilon_high: float | None = None
    delta: float | None = None
    importance_sampling_level: str = "token"
    beta: float = 0.0
    kl_estimator: str = "k3"
    use_bias_correction_kl: bool = True
    sapo_temperature_pos: float = 1.0
    sapo_temperature_neg: float = 1.05
    top_entropy_quantile: float = 1.0
    num_iterations: int = 1
    old_logprobs: str = "auto"
    rollout_is_cap: float | None = 2.0
    scale_rewards: str | bool = "group"
    reward_weights: list[float] | None = None
    mask_truncated_completions: bool = False

    # Optimizer.
    optim: str = "adamw_torch_fused"
    optim_moments: str = "float32"
    offload_optimizer: bool = False
    learning_rate: float = 1e-6
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    lr_scheduler_type: str = "linear"
    lr_scheduler_kwargs: dict[str, Any] | None = None
    warmup_ratio: float = 0.0
    warmup_steps: float = 0

    # Model and machine.
    bf16: bool | None = None
    use_cpu: bool = False
    token_budget: int | None = None
    gradient_checkpointing: bool = False
    disable_dropout: bool = False
    model_init_kwargs: dict[str, Any] | None = None

    # Evaluation, logs, checkpoints.
    eval_strategy: str = "no"
    eval_steps: int | None = None
    eval_on_start: bool = False
    logging_steps: int = 10
    log_completions: bool = True
    report_to: str | list[str] = "none"
    disable_tqdm: bool = False
    save_strategy: str = "steps"
    save_steps: int = 500
    save_total_limit: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.scale_rewards, bool):
            self.scale_rewards = "group" if self.scale_rewards else "none"
        self._check_choices()
        self._check_ranges()
        if self.warmup_ratio and self.warmup_steps:
            raise ValueError("give warmup_ratio or warmup_steps, not both")
        if self.eval_strategy == "steps" and self.eval_steps is None:
            self.eval_steps = self.logging_steps
        if LOSSES[self.loss_type].absolute_cap and self.epsilon_high is None:
            raise ValueError(
                f"loss_type={self.loss_type!r} needs epsilon_high: there it is the largest ratio itself (5.0, say), "
                "not a distance from 1; epsilon (0.2) in its place would scale every token's gradient by 0.2"
            )
        if self.lr_scheduler_type in ("reduce_lr_on_plateau", "greedy"):
            raise ValueError(
                f"lr_scheduler_type={self.lr_scheduler_type!r} needs an evaluation at every step; choose another, "
                "such as linear, cosine or constant_with_warmup"
            )
        if self.old_logprobs == "sampler" and self.num_iterations > 1:
            raise ValueError(
                "old_logprobs='sampler' serves one update per rollout; with num_iterations = "
                f"{self.num_iterations} use 'trainer' or 'auto'"
            )

    def _check_choices(self) -> None:
        choices = {
            "loss_type": tuple(LOSSES),
            "kl_estimator": tuple(KL_ESTIMATORS),
            "importance_sampling_level": ("token", "sequence"),
            "old_logprobs": ("auto", "sampler", "trainer"),
            "rollout_backend": ("slots", "generate"),
            "optim_moments": ("float32", "bfloat16"),
            "scale_rewards": tuple(SCALES),
            "eval_strategy": ("no", "steps"),
            "save_strategy": ("no", "steps"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}")

        optimizer_named(self.optim, moments=getattr(torch, self.optim_moments), offload=self.offload_optimizer)

    def _check_ranges(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if str(field.type).startswith("bool") and not isinstance(value, bool | None):
                raise ValueError(f"{field.name} must be True or False; got {value!r}")
            whole = isinstance(value, int) and not isinstance(value, bool)
            if str(field.type).startswith("int") and value is not None and not whole:
                raise ValueError(f"{field.name} must be a whole number; got {value!r}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, (int, float)):
                raise ValueError(f"{name} must be a number; got {value!r} ({type(value).__name__})")
            if not low <= value <= high:
                limit = f"at least {low}" if high == math.inf else f"between {low} and {high}"
                raise ValueError(f"{name} must be {limit}; got {value!r}")
        for name in ("temperature", "top_p", "top_entropy_quantile", "sapo_temperature_pos", "sapo_temperature_neg"):
            if getattr(self, name) == 0:
                raise ValueError(f"{name} must be above 0; got {getattr(self, name)}")
        if self.num_generations < 2:
            raise ValueError(
                "num_generations must be at least 2, since advantages compare within a group; "
                f"got {self.num_generations}"
            )
        if self.reward_weights and not all(math.isfinite(w) for w in self.reward_weights):
            raise ValueError(f"reward_weights must be finite; got {self.reward_weights}")

    @property
    def old_from_sampler(self) -> bool:
        """Whether the sampler's log-probabilities are the old policy's: with one update per rollout, unless asked."""
        return self.num_iterations == 1 if self.old_logprobs == "auto" else self.old_logprobs == "sampler"

    def prompts_per_step(self, processes: int = 1) -> int:
        """Prompts of one optimizer step over all processes.

        Raises:
            ValueError: the batch of a process does not hold whole groups.
        """
        local = self.per_device_train_batch_size * self.gradient_accumulation_steps
        if local % self.num_generations:
            raise ValueError(
                f"per_device_train_batch_size * gradient_accumulation_steps = {local} completions do not hold "
                f"whole groups of num_generations = {self.num_generations}; make it a multiple"
            )
        return local // self.num_generations * processes

    def total_steps(self, rows: int, processes: int = 1) -> int:
        """Optimizer steps of the run: `max_steps`, else what `num_train_epochs` over `rows` prompts needs."""
        if self.max_steps > 0:
            return self.max_steps
        rollouts = math.ceil(self.num_train_epochs * rows / self.prompts_per_step(processes))
        return max(1, rollouts) * self.num_iterations

    def warmup(self, total_steps: int) -> int:
        """Warm-up steps: `warmup_steps`, else the share `warmup_ratio` of all steps.

        As in transformers, `warmup_steps` below 1 is a share too.
        """
        if self.warmup_steps >= 1:
            return int(self.warmup_steps)
        return math.ceil((self.warmup_steps or self.warmup_ratio) * total_steps)

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain values."""
        return asdict(self)

    def save(self, folder: Path, environment: Mapping[str, Any]) -> None:
        """Write ``config.json``: the settings and where they ran."""
        known = {"recipe": self.run_name, "config": self.to_dict(), "environment": dict(environment)}
        text = json.dumps(known, indent=2, default=str)
        (folder / "config.json").write_text(text + "\n", encoding="utf-8")


_RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        (
            "per_device_train_batch_size",
            "per_device_eval_batch_size",
            "gradient_accumulation_steps",
            "max_completion_length",
            "max_prompt_length",
            "num_iterations",
            "num_generations_eval",
            "logging_steps",
            "save_steps",
            "eval_steps",
            "save_total_limit",
            "rollout_slots",
            "rollout_steps_per_sync",
            "token_budget",
            "rollout_is_cap",
        ),
        (1, math.inf),
    ),
    **dict.fromkeys(
        (
            "beta",
            "epsilon_high",
            "learning_rate",
            "weight_decay",
            "adam_epsilon",
            "temperature",
            "top_k",
            "delta",
            "sapo_temperature_pos",
            "sapo_temperature_neg",
            "warmup_steps",
        ),
        (0, math.inf),
    ),
    **dict.fromkeys(
        ("epsilon", "adam_beta1", "adam_beta2", "min_p", "warmup_ratio", "top_p", "top_entropy_quantile"), (0, 1)
    ),
    "max_grad_norm": (0, math.inf),
    "num_train_epochs": (0, math.inf),
}
