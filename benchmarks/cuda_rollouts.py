"""Checks of the rollouts: graphs against eager steps, CUDA against the CPU, on a small model."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from checking import Check, Finding
from step_model import build
from torch import Tensor

from grpo_engine.rollout import GenerateSampler, Rollouts, SlotSampler
from grpo_engine.rollout.graphs import StepGraphs
from grpo_engine.sampling import Sampling, uniforms

PROMPTS, GROUP, LONGEST = 8, 8, 48
SAME = 60
"""Of 64 completions, how many must be equal between two devices: a draw at the edge between two tokens may fall
either way where sums are rounded differently, and all after it differs then."""


@cache
def world() -> tuple[Any, Any, list[dict[str, str]], Sampling, list[list[int]]]:
    """A small model on the CPU in fp32, its tokenizer, data, distribution (one id in 50 ends) and ragged prompts."""
    torch.manual_seed(0)
    model, tokenizer, rows = build("tiny", device="cpu", prompt=24, eos_share=50)
    sampling = Sampling(len(tokenizer), tuple(model.generation_config.eos_token_id))
    prompts = [tokenizer(row["prompt"])["input_ids"][: 10 + i] for i, row in enumerate(rows[:PROMPTS])]
    return model, tokenizer, rows, sampling, prompts


def on(device: str, *, half: bool = False) -> Any:
    """A copy of the small model there."""
    model = copy.deepcopy(world()[0]).to(device)
    for parameter in model.parameters() if half else ():
        parameter.data = parameter.data.to(torch.bfloat16)
    return model


def chance() -> Tensor:
    return uniforms(0, PROMPTS * GROUP, LONGEST)


def equal(a: Rollouts, b: Rollouts) -> int:
    """How many completions are the same."""
    return sum(x == y for x, y in zip(a.completion_ids, b.completion_ids, strict=True))


class EagerSteps(StepGraphs):
    """Every step as it is, none captured, for the same padded batches."""

    def __call__(self, limit: int) -> None:
        self._step(self._slots[: self._size], self._limit)


def eager(sampler: SlotSampler) -> SlotSampler:
    sampler._graphs = EagerSteps(sampler._step)
    return sampler


def graphs(device: str) -> Iterator[Finding]:
    """Replays of captured graphs give what the steps themselves give."""
    _, _, _, sampling, prompts = world()
    model = on(device, half=device != "cpu")
    for slots in (None, 20):
        sampler = SlotSampler(model, sampling, slots=slots)
        replayed = sampler(prompts, group=GROUP, chance=chance())
        again = sampler(prompts, group=GROUP, chance=chance())
        plain = eager(SlotSampler(model, sampling, slots=slots))(prompts, group=GROUP, chance=chance())
        name = f"graphs equal to eager, {slots or 64} slots"
        same = equal(replayed, plain)
        captured = sorted(sampler._graphs._graphs)
        figure = f"{same} of 64 completions; sizes captured: {captured}; wasted {sampler.wasted:.0%}"
        yield Finding(name, same == 64, figure)
        yield Finding(f"{name}, a second rollout", equal(replayed, again) == 64, f"{equal(replayed, again)} of 64")
        apart = float((replayed.logprobs - plain.logprobs).abs().max()) if same == 64 else float("inf")
        yield Finding(f"{name}, log-probabilities", apart < 1e-3, f"{apart:.1e}")


def fresh_weights(device: str) -> Iterator[Finding]:
    """Graphs read the weights as they are now."""
    _, _, _, sampling, prompts = world()
    model = on(device, half=device != "cpu")
    sampler = SlotSampler(model, sampling)
    before = sampler(prompts, group=GROUP, chance=chance())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    after = sampler(prompts, group=GROUP, chance=chance())
    plain = eager(SlotSampler(model, sampling))(prompts, group=GROUP, chance=chance())
    yield Finding("updated weights are seen by the graphs", equal(after, plain) == 64, f"{equal(after, plain)} of 64")
    yield Finding("and they change the completions", equal(before, after) < 32, f"{equal(before, after)} of 64 stayed")


def devices(device: str) -> Iterator[Finding]:
    """The same completions on both devices in fp32, by slots and by `generate`."""
    cpu, tokenizer, _, sampling, prompts = world()
    gpu = on(device)
    given = {"group": GROUP, "chance": chance()}
    reference = GenerateSampler(cpu, sampling, tokenizer.pad_token_id)(prompts, **given)
    found = {
        "generate": GenerateSampler(gpu, sampling, tokenizer.pad_token_id)(prompts, **given),
        "slots": SlotSampler(gpu, sampling)(prompts, **given),
        "20 slots": SlotSampler(gpu, sampling, slots=20)(prompts, **given),
    }
    for name, rollouts in found.items():
        same = equal(reference, rollouts)
        yield Finding(f"completions in fp32 by {name} equal to the CPU's generate", same >= SAME, f"{same} of 64")


def compiled(device: str) -> Iterator[Finding]:
    """Decoding through torch.compile."""
    _, _, _, sampling, prompts = world()
    if device == "cpu":
        yield Finding("compiled decoding", None, "left out on the CPU")
        return
    model = on(device, half=True)
    given = {"group": GROUP, "chance": chance()}
    plain = SlotSampler(model, sampling)(prompts, **given)
    found = SlotSampler(model, sampling, compiled=True)(prompts, **given)
    first = sum(a[0] == b[0] for a, b in zip(plain.completion_ids, found.completion_ids, strict=True))
    yield Finding("compiled decoding", None, f"{equal(plain, found)} of 64 as without, first tokens {first}")


ROLLOUTS: list[Check] = [graphs, fresh_weights, devices]
