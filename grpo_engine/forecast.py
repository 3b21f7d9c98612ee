"""The plan of a run: what its model, its settings and its prompts come to in memory and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from grpo_engine.attention import own_attention
from grpo_engine.config import GRPOConfig
from grpo_engine.memory import saved_bytes_per_token
from grpo_engine.packing import Group, pack
from grpo_engine.plan import Plan, make_plan, measure_rates, seconds_of
from grpo_engine.policy import Policy
from grpo_engine.trunk import dropout_off, hidden_states, trunk

_OF_SLOTS = ("token_budget", "rollout_slots")  # settings that padded passes and `generate` do not read
_PROBE_TOKENS = 32  # of a prompt and of each completion: enough that what a token adds shows


def forecast(
    policy: Policy, config: GRPOConfig, *, prompt_lengths: Sequence[int], chosen: tuple[int, int] | None = None
) -> Plan:
    """Choose slots and token budget where the settings leave them open, and estimate a step.

    Activations and the device's rates are measured, on a few dozen tokens and in about a tenth of a second; the
    rest is arithmetic.

    Args:
        policy: on its device.
        config: the settings of the run.
        prompt_lengths: tokens of the prompts, or of a sample of them.
        chosen: slots and token budget that were chosen before, in a run that is resumed.
    """
    model = policy.model
    device = next(model.parameters()).device
    completions = config.per_device_train_batch_size * config.gradient_accumulation_steps
    slots, budget = config.rollout_slots, config.token_budget
    if chosen is not None:
        slots, budget = slots or chosen[0], budget or chosen[1]
    if not policy.packed:  # then a pass is a padded micro-batch
        budget = config.per_device_train_batch_size * (max(prompt_lengths) + config.max_completion_length)
    offloaded = config.offload_optimizer and device.type != "cpu"
    plan = make_plan(
        model,
        device=device,
        rates=measure_rates(device, model.dtype),
        host_bandwidth=measure_rates(torch.device("cpu"), torch.float32).bandwidth if offloaded else None,
        resident=_resident(policy, device),
        forward_seconds=_forward_seconds(model, device) if device.type == "cpu" else None,
        prompt_lengths=prompt_lengths,
        completions=completions,
        group=config.num_generations,
        max_completion_length=config.max_completion_length,
        num_iterations=config.num_iterations,
        scored_first=config.top_entropy_quantile < 1,
        beta=config.beta,
        top_p=config.top_p,
        optim=config.optim,
        optim_moments=config.optim_moments,
        offload_optimizer=config.offload_optimizer,
        gradient_checkpointing=config.gradient_checkpointing,
        slots=slots if policy.packed else completions,
        token_budget=budget,
        saved_bytes_per_token=_saved_bytes(model, device) if policy.packed else None,
    )
    if policy.packed:
        return plan
    return replace(plan, remedies=tuple(r for r in plan.remedies if not r.setting.startswith(_OF_SLOTS)))


def _resident(policy: Policy, device: torch.device) -> int:
    """Bytes on the device of what the plan counts: weights, reference, masters, and in a resumed run the moments."""
    reference = [] if policy.reference is None else [*policy.reference.model.parameters()]
    state = policy.optimizer.inner.state.values()
    moments = [value for entry in state for value in entry.values() if isinstance(value, Tensor)]
    held = [*policy.model.parameters(), *policy.model.buffers(), *policy.optimizer.masters, *reference, *moments]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in held if t.device == device}
    return sum(storages.values())


def _saved_bytes(model: Any, device: torch.device) -> float:
    """Bytes that a token of a packed pass holds at its peak."""
    tokens = min(_PROBE_TOKENS, (getattr(trunk(model).config, "max_position_embeddings", None) or 2**20) // 2)
    some = [i % model.get_output_embeddings().weight.shape[0] for i in range(tokens)]
    group = Group(some, range(4), [some] * 4)
    inputs = pack([group], sampled=torch.zeros(4, tokens, device=device)).inputs
    training = model.training
    model.train()
    try:
        here = [device] if device.type == "cuda" else []
        with own_attention(model), torch.random.fork_rng(devices=here):  # dropout must not change the run's chance
            return saved_bytes_per_token(
                lambda: hidden_states(model, **inputs), group.tokens, [*model.parameters(), *model.buffers()]
            )
    finally:
        model.train(training)


@torch.no_grad()
def _forward_seconds(model: Any, device: torch.device) -> float:
    """Seconds of the forward pass of one token: what starting the kernels takes."""
    ids = torch.zeros(1, 1, dtype=torch.long, device=device)

    def run() -> Tensor:
        return hidden_states(model, input_ids=ids, attention_mask=torch.ones_like(ids))

    with dropout_off(model):
        return seconds_of(run, device)
