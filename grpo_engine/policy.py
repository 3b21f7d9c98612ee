"""The policy: the model, its tokenizer, and all that moves its weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import get_scheduler

from grpo_engine.checkpoint import no_progress_bar
from grpo_engine.config import GRPOConfig
from grpo_engine.loading import load_model, load_tokenizer, sampling_of
from grpo_engine.logprobs import scorer_of
from grpo_engine.optim import MasterAdamW
from grpo_engine.processes import Processes
from grpo_engine.rollout import GenerateSampler, Sampler, SlotSampler
from grpo_engine.support import check_supported
from grpo_engine.trunk import trunk


class Policy:
    """A causal language model in training.

    Args:
        model: a hub name, a path, or the model.
        tokenizer: its tokenizer; the one saved with it for None.
        config: the settings of the run.
        processes: says where the model goes, and makes it the same everywhere.

    Attributes:
        model: the model, not wrapped; rollouts use it.
        scorer: gives the loss its log-probabilities.
        reference: those of a frozen copy of the starting point, where `beta` is not 0.
        sampler: draws completions.
        packed: whether the passes of the loss are packed (see `packing.py`) or padded.

    Raises:
        UnsupportedModel: the own rollouts can not run the model; the message names what can.
    """

    def __init__(self, model: Any, tokenizer: Any, config: GRPOConfig, processes: Processes) -> None:
        self._config = config
        half = torch.bfloat16 if _wants_bf16(config, processes.device) else None
        self.model = load_model(model, config, torch.float32).to(processes.device)  # the masters are taken from it
        processes.same_everywhere(self.model.state_dict().values())
        self.tokenizer = load_tokenizer(tokenizer, self.model)
        self.sampling = sampling_of(config, self.model, self.tokenizer)
        if config.disable_dropout:
            _disable_dropout(self.model)
        self.reference = None
        if config.beta:
            frozen = copy.deepcopy(self.model).eval().requires_grad_(False)
            _round(frozen.parameters(), half)  # as the policy is rounded, so that the KL starts at 0
            self.reference = scorer_of(frozen, self.sampling)
        if config.gradient_checkpointing:
            renamed = getattr(self.model, "activation_checkpointing_enable", None)  # in transformers 5.23
            (renamed or self.model.gradient_checkpointing_enable)({"use_reentrant": False})
        self.packed = config.rollout_backend == "slots"
        if self.packed:
            check_supported(self.model)  # in full precision, where a wrong mask can not hide in the rounding
        _round((p for p in self.model.parameters() if not p.requires_grad), half)  # the optimizer rounds the others
        self.optimizer = MasterAdamW(
            self.model.parameters(),
            lr=config.learning_rate,
            betas=(config.adam_beta1, config.adam_beta2),
            eps=config.adam_epsilon,
            weight_decay=config.weight_decay,
            half=half,
            optim=config.optim,
            moments=torch.bfloat16 if config.optim_moments == "bfloat16" else torch.float32,
            offload=config.offload_optimizer,
        )
        self.scorer = scorer_of(self.model, self.sampling)
        if self.packed and half:
            check_supported(self.model)  # and as it will run
        self.sampler: Sampler = self._slot_sampler() if self.packed else self._generate_sampler()

    def _generate_sampler(self) -> GenerateSampler:
        return GenerateSampler(self.model, self.sampling, self.tokenizer.pad_token_id)

    def _slot_sampler(self) -> SlotSampler:
        config = self._config
        return SlotSampler(
            self.model,
            self.sampling,
            slots=config.rollout_slots,
            steps=config.rollout_steps_per_sync,
            compiled=config.compile_rollout,
        )

    def sequences_at_once(self, most: int) -> int:
        """How many sequences a rollout may have: as many as there are slots, which the others wait for, or `most`."""
        slots = self.sampler.slots if isinstance(self.sampler, SlotSampler) else None
        return max(most, slots or 0)

    def use_slots(self, slots: int, message: Callable[[str], None]) -> None:
        """Let rollouts decode so many sequences at once, as planned; without slots this changes nothing.

        Args:
            message: told when memory lowers their number.
        """
        if isinstance(self.sampler, SlotSampler):
            self.sampler.slots, self.sampler.message = slots, message

    def schedule(self, total_steps: int) -> Any:
        """The learning-rate schedule over the whole run."""
        return get_scheduler(
            self._config.lr_scheduler_type,
            self.optimizer.inner,
            num_warmup_steps=self._config.warmup(total_steps),
            num_training_steps=total_steps,
            scheduler_specific_kwargs=self._config.lr_scheduler_kwargs,
        )

    def save(self, folder: Path) -> None:
        """Model (safetensors) and tokenizer in transformers format."""
        with no_progress_bar():
            self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def load(self, folder: Path) -> None:
        """Take the weights of a saved policy."""
        with no_progress_bar():
            self.model.load_state_dict(load_model(str(folder), self._config, self.model.dtype).state_dict())


def _disable_dropout(model: Any) -> None:
    """Set every dropout of a model to 0: the modules, and the rates that attention layers keep as numbers."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    for holder in (trunk(model).config, *model.modules()):
        for name in ("attention_dropout", "attn_pdrop"):
            if isinstance(getattr(holder, name, None), float):
                setattr(holder, name, 0.0)


def _round(parameters: Iterable[nn.Parameter], half: torch.dtype | None) -> None:
    """Keep parameters in half precision; buffers stay as they are: rotary angles need their fp32."""
    for parameter in parameters if half else ():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(half)


def _wants_bf16(config: GRPOConfig, device: torch.device) -> bool:
    if config.bf16 is None:
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return config.bf16
