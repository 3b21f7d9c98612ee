"""What only a GPU can show: the same numbers as on the CPU, bf16 with its master, a loop that learns.

    python benchmarks/cuda_checks.py [--device cuda]

Runs on the CPU too (`--device cpu`), where it compares the CPU with itself and so only checks the script.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
from typing import Any

import torch
from step import build

from grpo_engine import GRPOConfig, GRPOTrainer
from grpo_engine.batching import micro_batches
from grpo_engine.logprobs import Sampling, TokenScorer
from grpo_engine.rollout import Rollouts, generate, uniforms


def check(name: str, right: bool, figure: str) -> bool:
    """Print one line and pass the verdict on."""
    print(f"{'ok  ' if right else 'FAIL'} {name}: {figure}", flush=True)
    return right


def low_words(completions: list[str], **_: Any) -> list[float]:
    """The share of words from the first half of the vocabulary."""
    return [sum(int(w[1:]) < 1_000 for w in words) / max(1, len(words)) for words in map(str.split, completions)]


def scored(model: Any, rollouts: Rollouts, sampling: Sampling) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Log-probabilities and gradients of one micro-batch, on the CPU in fp32."""
    device = next(model.parameters()).device
    moved = Rollouts(rollouts.prompt_ids, rollouts.completion_ids, rollouts.logprobs.to(device), rollouts.finished)
    micro = next(micro_batches(moved, 64, group=8, pad_id=0))
    model.zero_grad()
    logprobs, _ = TokenScorer(model, sampling)(micro.input_ids, micro.attention_mask, micro.completion_mask)
    logprobs.sum().backward()
    return logprobs.detach().float().cpu(), [p.grad.float().cpu() for p in model.parameters()]


def main() -> int:
    """Run all checks; returns 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    device = parser.parse_args().device
    size = argparse.Namespace(size="tiny", device="cpu", eos_share=50, prompt=24)
    cpu, tokenizer, rows = build(size)
    gpu = copy.deepcopy(cpu).to(device)
    sampling = Sampling(len(tokenizer), tuple(cpu.generation_config.eos_token_id))
    prompts = [tokenizer(row["prompt"])["input_ids"][: 10 + i] for i, row in enumerate(rows[:8])]
    draw = {"group": 8, "sampling": sampling, "pad_id": 0, "chance": uniforms(0, 64, 48)}
    on_cpu, on_gpu = generate(cpu, prompts, **draw), generate(gpu, prompts, **draw)
    same = sum(a == b for a, b in zip(on_cpu.completion_ids, on_gpu.completion_ids, strict=True))
    results = [check("completions equal to the CPU's (rounding may part a few)", same >= 60, f"{same} of 64")]
    logprobs, gradients = scored(cpu, on_cpu, sampling)
    logprobs_gpu, gradients_gpu = scored(gpu, on_cpu, sampling)
    difference = (logprobs - logprobs_gpu).abs().max().item()
    results.append(check("log-probabilities, fp32, largest difference", difference < 1e-3, f"{difference:.2e}"))
    error = max(
        ((a - b).norm() / a.norm().clamp(min=1e-9)).item() for a, b in zip(gradients, gradients_gpu, strict=True)
    )
    results.append(check("gradients, fp32, largest relative difference", error < 1e-2, f"{error:.2e}"))
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
            save_steps=10,
            disable_tqdm=True,
        )
        state = GRPOTrainer(cpu, low_words, config, rows, processing_class=tokenizer).train()
    first, last = (sum(h["reward"] for h in part) / 5 for part in (state.log_history[:5], state.log_history[-5:]))
    results.append(
        check("a run learns (reward of the first and last 5 steps)", last > first + 0.02, f"{first:.3f} -> {last:.3f}")
    )
    gap = max(h["sampling/sampling_logp_difference/mean"] for h in state.log_history)
    results.append(check("sampler and trainer agree (mean |difference|)", gap < 0.02, f"{gap:.5f}"))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
