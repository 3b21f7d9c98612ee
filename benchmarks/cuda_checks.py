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
from cuda_kernels import KERNELS, kernel_names
from cuda_rollouts import GROUP, ROLLOUTS, chance, compiled, on, world
from torch import Tensor, nn

from grpo_engine import GRPOConfig, GRPOTrainer
from grpo_engine.attention import own_attention
from grpo_engine.logprobs import FusedScorer, PlainScorer
from grpo_engine.optim import MasterAdamW
from grpo_engine.packing import bins, groups_of, pack
from grpo_engine.rollout import Rollouts, SlotSampler
from grpo_engine.trunk import matmul_fp32


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
        with own_attention(model):  # the plain scorer leaves the choice of the attention to its caller
            found, _ = scorer.backward(batch, lambda logp, _: logp, whole=False, sums=lambda w: sums[w])
        column = torch.cat([torch.arange(int(n)) for n in batch.lengths])
        logprobs[batch.rows[batch.sequence].cpu(), column] = found.logprobs.float().cpu()
    gradients = []
    for parameter, total in sums.items():
        gradients.append((total + (0 if parameter.grad is None else parameter.grad.float())).cpu())
        parameter.grad = None
    return logprobs, gradients


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


CHECKS: list[Check] = [
    *KERNELS,
    *ROLLOUTS,
    scorers,
    products,
    optimizer,
    learning,
    kernel_names,
]
OPTIONAL: list[Check] = [compiled]
"""Run only by name: they are slow to begin."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=1e9, help="no check begins later")
    parser.add_argument("--only", help=f"names, of {', '.join(c.__name__ for c in [*CHECKS, *OPTIONAL])}")
    parser.add_argument("--first", type=int, default=0, help="number of the first check, from 0")
    parser.add_argument("--failed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    checks = CHECKS
    if args.only:
        checks = [check for check in [*CHECKS, *OPTIONAL] if check.__name__ in args.only.split(",")]
    failed = run(checks, device=args.device, first=args.first, failed=args.failed, seconds=args.seconds)
    print(f"{failed} findings are not right" if failed else "all right", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
