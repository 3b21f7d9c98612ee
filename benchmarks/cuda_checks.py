"""What only a GPU can show: kernels, graphs, the CPU's numbers on CUDA, bf16 with its masters, a loop that learns.

    python benchmarks/cuda_checks.py [--device cuda] [--seconds 90]

One line a check, ok or FAIL or, for a figure to know, note; the exit status is 1 if one fails. An exception in a
check is printed and counted as a failure, and the next one runs. With `--device cpu` it compares the CPU with
itself and so only checks the script.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from checking import Check, Finding, relative, run
from cuda_kernels import KERNELS
from step_model import build
from torch import Tensor, nn

from grpo_engine import GRPOConfig, GRPOTrainer
from grpo_engine.logprobs import FusedScorer, PlainScorer
from grpo_engine.optim import MasterAdamW
from grpo_engine.packing import bins, groups_of, pack
from grpo_engine.rollout import GenerateSampler, Rollouts, SlotSampler
from grpo_engine.rollout.graphs import StepGraphs
from grpo_engine.sampling import Sampling, uniforms
from grpo_engine.trunk import matmul_fp32

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


@cache
def sampled() -> Rollouts:
    """Completions from the CPU."""
    cpu, _, _, sampling, prompts = world()
    return SlotSampler(cpu, sampling)(prompts, group=GROUP, chance=chance())


def scored(scorer: Any) -> tuple[Tensor, list[Tensor]]:
    """Log-probabilities and the gradients of their sum over packs, on the CPU in fp32 or wider."""
    rollouts, model = sampled(), scorer.model
    device = next(model.parameters()).device
    parts = bins(groups_of(rollouts.prompt_ids, rollouts.completion_ids, [True] * 64), 1_024)
    sums = {p: torch.zeros_like(p, dtype=torch.float32) for p in model.parameters()}
    logprobs = torch.zeros_like(rollouts.logprobs, device="cpu")
    for part in parts:
        batch = pack(part, sampled=rollouts.logprobs.to(device))
        context = _in_packs(model) if isinstance(scorer, PlainScorer) else _nothing()
        with context:
            found, _ = scorer.backward(batch, lambda logp, _: logp, whole=False, sums=lambda w: sums[w])
        column = torch.cat([torch.arange(int(n)) for n in batch.lengths])
        logprobs[batch.rows[batch.sequence].cpu(), column] = found.logprobs.float().cpu()
    gradients = []
    for parameter, total in sums.items():
        gradients.append((total + (0 if parameter.grad is None else parameter.grad.float())).cpu())
        parameter.grad = None
    return logprobs, gradients


def _in_packs(model: Any) -> Any:
    """The plain scorer leaves the choice of the attention to its caller."""
    from grpo_engine.attention import own_attention

    return own_attention(model)


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def scorers(device: str) -> Iterator[Finding]:
    """Log-probabilities and gradients: CUDA against the CPU in fp32, bf16 against fp32, plain against fused."""
    sampling = world()[3]
    reference, gradients = scored(FusedScorer(on("cpu"), sampling))
    inside = reference != 0
    limits = {"fp32": (1e-4, 1e-3), "bf16": (2e-2, 5e-2)}
    for kind, (most, off) in limits.items():
        for scorer in (FusedScorer, PlainScorer):
            logprobs, found = scored(scorer(on(device, half=kind == "bf16"), sampling))
            mean = float((logprobs - reference)[inside].abs().mean())
            error = relative(torch.cat([g.flatten() for g in found]), torch.cat([g.flatten() for g in gradients]))
            worst = max(relative(a, b) for a, b in zip(found, gradients, strict=True))
            name = f"{scorer.__name__}, {kind}, against fp32 on the CPU"
            yield Finding(f"{name}, mean |d log-prob|", mean < most, f"{mean:.1e}")
            yield Finding(f"{name}, gradient", error < off, f"{error:.1e}, worst weight {worst:.1e}")


def products(device: str) -> Iterator[Finding]:
    """The head's products leave bf16 unrounded where they should."""
    torch.manual_seed(0)
    hidden, weight = (torch.randn(n, 256, device=device).bfloat16() for n in (300, 2_000))
    for name, left, right in (("logits", hidden, weight[:1_990].T), ("weight's gradient", hidden @ weight.T, None)):
        other = right if right is not None else hidden
        a = left if right is not None else left.T
        exact = a.double() @ other.double()
        error = relative(matmul_fp32(a, other), exact)
        limit = 1e-5 if device != "cpu" else 1e-2
        yield Finding(f"product in fp32 of bf16, {name}", error < limit, f"{error:.1e} (rounded to bf16: 2e-03)")


def optimizer(device: str) -> Iterator[Finding]:
    """Fused AdamW over masters, gradients summed by the hooks, against plain fp32 AdamW on the CPU."""
    torch.manual_seed(0)
    start = torch.randn(64, 48)
    parameter = nn.Parameter(start.clone().to(device))
    plain = nn.Parameter(start.clone())
    ours = MasterAdamW([parameter], lr=1e-3, half=torch.bfloat16)
    theirs = torch.optim.AdamW([plain], lr=1e-3, weight_decay=0.0)
    address = parameter.data_ptr()
    for step in range(5):
        both = [torch.randn(64, 48).bfloat16() for _ in range(2)]
        for part in both:
            (parameter * part.to(device)).sum().backward()
        if step == 0:
            (total,) = ours.gradients()
            yield Finding("hooks add in fp32", relative(total, sum(p.float() for p in both)) < 1e-6, str(total.dtype))
            yield Finding("no gradient stays at the parameter", parameter.grad is None, str(parameter.grad is None))
        plain.grad = both[0].float() + both[1].float()
        ours.clip(1.0)
        torch.nn.utils.clip_grad_norm_([plain], 1.0)
        ours.step()
        theirs.step()
    master = next(iter(ours._weights)).master
    error = relative(master - start.to(device), plain.detach() - start)
    yield Finding("masters after 5 fused steps, their movement", error < 1e-3, f"{error:.1e}")
    rounded = torch.equal(parameter.detach(), master.bfloat16())
    moved = parameter.data_ptr() != address
    figure = f"rounded {rounded}, moved {moved}"
    yield Finding("parameters are the rounded masters, in place", rounded and not moved, figure)


def low_words(completions: list[str], **_: Any) -> list[float]:
    """The share of words from the first half of the vocabulary."""
    return [sum(int(w[1:]) < 1_000 for w in words) / max(1, len(words)) for words in map(str.split, completions)]


def learning(device: str) -> Iterator[Finding]:
    """A short run of the trainer: reward rises, sampler and trainer agree, memory is as planned."""
    model, tokenizer, rows, _, _ = world()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder,
            max_steps=30,
            learning_rate=3e-3,
            lr_scheduler_type="constant",
            per_device_train_batch_size=64,
            max_completion_length=16,
            logging_steps=1,
            beta=0.01,
            use_cpu=device == "cpu",
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = GRPOTrainer(copy.deepcopy(model), low_words, config, rows, processing_class=tokenizer)
        plan = trainer.plan()
        history = trainer.train().log_history
    first, last = (sum(h["reward"] for h in part) / 5 for part in (history[:5], history[-5:]))
    yield Finding("a run learns (reward, first and last 5 steps)", last > first + 0.02, f"{first:.3f} -> {last:.3f}")
    gap = max(h["sampling/sampling_logp_difference/mean"] for h in history)
    yield Finding("sampler and trainer agree (mean |d log-prob|)", gap <= 0.01, f"{gap:.5f}")
    yield Finding("plan", None, plan.line())
    if device != "cpu":
        planned = max(v for name, v in plan.peak.items() if name != "host") / 2**20
        peak = (torch.cuda.max_memory_allocated() - before) / 2**20
        yield Finding("peak memory, planned and measured", None, f"{planned:.0f} and {peak:.0f} MB (tiny: not telling)")


def compiled(device: str) -> Iterator[Finding]:
    """Decoding through torch.compile; slow to begin, so it comes last."""
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


CHECKS: list[Check] = [
    *KERNELS,
    graphs,
    fresh_weights,
    devices,
    scorers,
    products,
    optimizer,
    learning,
    compiled,
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=1e9, help="no check begins later")
    parser.add_argument("--first", type=int, default=0, help="number of the first check, from 0")
    parser.add_argument("--failed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    failed = run(CHECKS, device=args.device, first=args.first, failed=args.failed, seconds=args.seconds)
    print(f"{failed} findings are not right" if failed else "all right", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
