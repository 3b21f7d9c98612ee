"""The same completions through TRL's GRPOTrainer and through ours, and what each of them made of them.

TRL computes everything itself: rewards, advantages, old log-probabilities, loss, gradient, optimizer step. Only
its generation is replaced, by completions that depend on the prompt and on the number of the rollout alone; ours
gets the same ones in place of its sampler.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook
from transformers import AutoModelForCausalLM

from grpo_engine import GRPOConfig, GRPOTrainer
from grpo_engine.rollouts import Rollouts

GROUP, LENGTH, EOS = 4, 8, 1
ROWS = [
    {"prompt": prompt, "letter": letter, "flat": flat}
    for prompt, letter, flat in (
        ("1+2=", "a", False),
        ("31+42=", "b", True),  # all completions get the same reward: the group teaches nothing
        ("7=", "c", False),
        ("5+5+5+5=", "d", False),
        ("9+1=", "e", False),
        ("0=", "f", False),
        ("2+22=", "g", True),
        ("88+8=", "h", False),
    )
]
BATCH = 4 * GROUP
COMMON: dict[str, Any] = {
    "num_generations": GROUP,
    "max_completion_length": LENGTH,
    "per_device_train_batch_size": BATCH,
    "shuffle_dataset": False,
    "epsilon": 0.1,
    "epsilon_high": 0.3,
    "learning_rate": 1e-2,  # large, so that ratios leave 1 within one step
    "lr_scheduler_type": "constant",
    "adam_epsilon": 1e-3,  # with 1e-8 a gradient that is 0 but for rounding moves its weight by a full step
    "max_grad_norm": 0.0,  # scaled to a norm, gradients that differ by a factor are equal
    "max_steps": 5,
    "bf16": False,
    "use_cpu": True,
    "disable_tqdm": True,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
}
"""What both trainers are told; both know these settings by the same names."""


@dataclass(frozen=True)
class Trace:
    """What a trainer did: one entry per optimizer step.

    Attributes:
        advantages: of each (prompt, completion).
        losses: the loss whose gradient was taken.
        gradients: all of them as one vector, as the optimizer got them.
        weights: all of them as one vector; before the first step, then after each.
        metrics: what was logged.
        tokens: how many went through the model with gradients on.
    """

    advantages: list[dict[tuple[str, str], float]]
    losses: list[float]
    gradients: list[Tensor]
    weights: list[Tensor]
    metrics: list[dict[str, Any]]
    tokens: list[int]

    @property
    def change(self) -> Tensor:
        """What all steps together did to the weights."""
        return self.weights[-1] - self.weights[0]


Rewards = Callable[..., list[float | None]]


def closeness(completions: list[str], letter: list[str], flat: list[bool], **columns: Any) -> list[float | None]:
    """How close the completion's letters are to the row's in the alphabet; one value for all of a flat group."""
    return [
        0.5 if same else sum(1 / (1 + abs(ord(c) - ord(wanted))) for c in text) / (len(text) + 1)
        for text, wanted, same in zip(completions, letter, flat, strict=True)
    ]


def length(completions: list[str], **columns: Any) -> list[float | None]:
    """Scores all but the completions of one length; 0.1 is no number of fp32."""
    return [None if len(text) == LENGTH - 1 else 0.1 * len(text) for text in completions]


def alone(completions: list[str], **columns: Any) -> list[float | None]:
    """Scores one completion of each group, which then has nothing to be compared with."""
    return [0.3 if i % GROUP == 0 else None for i in range(len(completions))]


def at_first(completions: list[str], trainer_state: Any, **columns: Any) -> list[float | None]:
    """Tells completions apart in the first rollout only."""
    return [float(len(text)) if trainer_state.global_step == 0 else 1.0 for text in completions]


def equal(completions: list[str], **columns: Any) -> list[float | None]:
    """The same for all; eight of it do not add up to eight times it in fp32."""
    return [0.04] * len(completions)


def completions_of(rollout: int, prompt: Sequence[int], group: int, vocab_size: int) -> list[list[int]]:
    """The completions of one prompt in one rollout, of any length; the last one is cut off by the length limit."""
    chance = random.Random(f"{rollout} {list(prompt)}")
    lengths = [chance.randint(1, LENGTH) for _ in range(group - 1)]
    ended = [[*(chance.randrange(2, vocab_size) for _ in range(n - 1)), EOS] for n in lengths]
    return [*ended, [chance.randrange(2, vocab_size) for _ in range(LENGTH)]]


def moved(model: Any) -> Any:
    """Takes a policy away from its starting point, so that the KL to the reference is not 0."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


def flat_copy(values: Iterator[Tensor]) -> Tensor:
    return torch.cat([v.detach().flatten() for v in values])


class Recorder:
    """Watches a model: the tokens that enter it, its gradients and its weights at each optimizer step."""

    def __init__(self, model: Any) -> None:
        self._model, self._tokens = model, 0
        self.gradients: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.tokens: list[int] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        embeddings = self._model.get_input_embeddings()
        handles = [register_optimizer_step_pre_hook(self._step), embeddings.register_forward_hook(self._forward)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        self.weights.append(flat_copy(self._model.parameters()))

    def _forward(self, module: Any, args: Any, output: Tensor) -> None:
        if torch.is_grad_enabled():
            self._tokens += output.shape[:-1].numel()

    def _step(self, *_: Any) -> None:
        self.weights.append(flat_copy(self._model.parameters()))
        gradients = (torch.zeros_like(p) if p.grad is None else p.grad for p in self._model.parameters())
        self.gradients.append(flat_copy(gradients))
        self.tokens.append(self._tokens)
        self._tokens = 0


class FixedCompletions:
    """Put before TRL's trainer in the order of methods: no generation; losses and advantages are kept."""

    num_generations: int
    processing_class: Any
    state: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rollout = -1
        self.losses: list[float] = []
        self.advantages: list[dict[tuple[str, str], float]] = []

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> tuple[list[list[int]], None]:
        self.rollout += 1
        number: Counter[tuple[int, ...]] = Counter()
        completions = []
        for prompt in map(tuple, prompt_ids):
            group = completions_of(self.rollout, prompt, self.num_generations, len(self.processing_class))
            completions.append(group[number[prompt]])
            number[prompt] += 1
        return completions, None

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        loss = super()._compute_loss(model, inputs)  # type: ignore[misc]
        if self.state.global_step == len(self.losses):  # the first micro-batch of a step
            self.losses.append(0.0)
            self.advantages.append({})
        self.losses[-1] += loss.item()
        texts = [
            self.processing_class.batch_decode(inputs[name], skip_special_tokens=True)
            for name in ("prompt_ids", "completion_ids")
        ]
        self.advantages[-1] |= dict(zip(zip(*texts, strict=True), inputs["advantages"].tolist(), strict=True))
        return loss


def run_trl(start: Path, tokenizer: Any, folder: Path, settings: dict[str, Any], rewards: list[Rewards]) -> Trace:
    """Train TRL from the model in `start`: it is the reference, and the policy has moved away from it."""
    trl = pytest.importorskip("trl", reason="needs trl (the extra `trl`)")
    from datasets import Dataset

    args = trl.GRPOConfig(
        **{**COMMON, "output_dir": str(folder), "model_init_kwargs": {"dtype": "float32"}, **settings},
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
    )
    trainer_class: Any = type("FixedTRL", (FixedCompletions, trl.GRPOTrainer), {})
    with mock.patch("huggingface_hub.constants.HF_HUB_OFFLINE", True):  # TRL reports each trainer that is made
        trainer = trainer_class(
            str(start), rewards, args, train_dataset=Dataset.from_list(ROWS), processing_class=tokenizer
        )
    recorder = Recorder(moved(trainer.model))
    with recorder.watching():
        trainer.train()
    return Trace(
        advantages=trainer.advantages,
        losses=trainer.losses,
        gradients=recorder.gradients,
        weights=recorder.weights,
        metrics=[entry for entry in trainer.state.log_history if "grad_norm" in entry],
        tokens=recorder.tokens,
    )


class FixedRollouts:
    """Stands in for our sampler; the log-probabilities as sampled are those of the policy at that moment."""

    def __init__(self, trainer: GRPOTrainer, start: Path) -> None:
        self._policy, self._vocab_size = trainer.model, len(trainer.processing_class)
        self._group, self._temperature = trainer.args.num_generations, trainer.args.temperature
        self._twin = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)  # transformers' own forward
        self._rollout = -1

    @torch.no_grad()
    def __call__(self, data: Any, indices: Sequence[int], *args: Any, **kwargs: Any) -> Rollouts:
        self._rollout += 1
        self._twin.load_state_dict(self._policy.state_dict())
        prompts = [data.ids(i) for i in indices]
        completions = [c for p in prompts for c in completions_of(self._rollout, p, self._group, self._vocab_size)]
        logprobs = torch.zeros(len(completions), max(map(len, completions)))
        for i, completion in enumerate(completions):
            prompt = prompts[i // self._group]
            logits = self._twin(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
            chosen = (logits / self._temperature).log_softmax(-1).gather(1, torch.tensor(completion)[:, None])
            logprobs[i, : len(completion)] = chosen[:, 0]
        return Rollouts(prompts, completions, logprobs, torch.tensor([c[-1] == EOS for c in completions]))


def run_ours(start: Path, tokenizer: Any, folder: Path, settings: dict[str, Any], rewards: list[Rewards]) -> Trace:
    """Train ours, as :func:`run_trl`."""
    config = GRPOConfig(**{**COMMON, "output_dir": str(folder), "log_completions": True, **settings})
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    trainer = GRPOTrainer(model, rewards, config, ROWS, processing_class=tokenizer)
    recorder = Recorder(moved(trainer.model))
    sampler = FixedRollouts(trainer, start)
    trainer.plan()  # measures with passes of its own
    with (
        recorder.watching(),
        mock.patch.object(trainer._collector, "_sample", sampler),
        mock.patch("grpo_engine.trainer.write_report"),
    ):
        history = trainer.train().log_history
    logged = [json.loads(line) for line in (folder / "completions.jsonl").read_text(encoding="utf-8").splitlines()]
    return Trace(
        advantages=[
            {(row["prompt"], row["completion"]): row["advantage"] for row in logged if row["step"] == entry["step"]}
            for entry in history
        ],
        losses=[entry["loss"] for entry in history],
        gradients=recorder.gradients,
        weights=recorder.weights,
        metrics=history,
        tokens=recorder.tokens,
    )
