"""One GRPO step, ours and TRL's in turn: seconds, tokens per second and peak memory on the same model and prompts.

    python benchmarks/step.py                                  # CPU, a model of two million parameters
    python benchmarks/step.py --size 0.5b --prompts 32 --completion 512 --prompt 128      # a GPU
    python benchmarks/step.py --eos-share 256                  # completions of geometric length, mean 256

The model has random weights in a Qwen2.5 shape, the tokenizer is made here, the reward counts digits. Every trainer
runs in a process of its own, --repeat times in turn; the first step is warm-up. Completions are of full length, or,
with --eos-share N, every N-th id of the vocabulary ends one. Prints a table and, with --json, writes all figures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # both trainers alike: spinning threads drown the figures

SIZES = {  # hidden, intermediate, layers, heads, key-value heads, vocabulary
    "tiny": (128, 512, 4, 4, 2, 2_000),
    "0.5b": (896, 4_864, 24, 14, 2, 151_936),
    "1.5b": (1_536, 8_960, 28, 12, 2, 151_936),
    "7b": (3_584, 18_944, 28, 28, 4, 152_064),
}


def build(args: argparse.Namespace) -> tuple[Any, Any, list[dict[str, str]]]:
    """The model (random weights), a tokenizer of numbered words, and the prompts."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    hidden, intermediate, layers, heads, kv_heads, vocab = SIZES[args.size]
    words = {"<pad>": 0, "<eos>": 1, **{f"w{i}": i for i in range(2, vocab)}}
    raw = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", padding_side="left")
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=4_096,
        tie_word_embeddings=args.size != "7b",
        eos_token_id=1,
        pad_token_id=0,
        bos_token_id=None,
    )
    with torch.device(args.device):
        model = Qwen2ForCausalLM(config)
    ends = list(range(2, vocab, args.eos_share)) if args.eos_share else []
    model.generation_config.eos_token_id = [1, *ends]
    model.generation_config.pad_token_id = 0
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(2, vocab, (256, args.prompt), generator=generator).tolist()
    return model, tokenizer, [{"prompt": " ".join(f"w{i}" for i in row)} for row in ids]


def digits(completions: list[str], **_: Any) -> list[float]:
    """A cheap reward that differs between completions."""
    return [sum(c in "02468" for c in text) / max(1, len(text)) for text in completions]


def settings(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    """What both trainers are told."""
    return {
        "output_dir": folder,
        "max_steps": args.steps + 1,
        "num_generations": args.group,
        "per_device_train_batch_size": args.micro,
        "gradient_accumulation_steps": args.prompts * args.group // args.micro,
        "max_completion_length": args.completion,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "beta": 0.0,
        "use_cpu": args.device == "cpu",
        "bf16": args.device != "cpu",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "gradient_checkpointing": False,
        "disable_tqdm": True,
    }


def run_ours(args: argparse.Namespace) -> dict[str, Any]:
    """Step and phase seconds of grpo_engine."""
    from datasets import Dataset

    from grpo_engine import GRPOConfig, GRPOTrainer

    model, tokenizer, rows = build(args)
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(**settings(args, folder))
        trainer = GRPOTrainer(model, digits, config, Dataset.from_list(rows), processing_class=tokenizer)
        history = trainer.train().log_history[1:]
    size = args.prompts * args.group
    return {
        "step": [h["step_time"] for h in history],
        "rollout": [h["time/rollout"] for h in history],
        "tokens": [h["completions/mean_length"] * size for h in history],
    }


def run_trl(args: argparse.Namespace) -> dict[str, Any]:
    """Step and rollout seconds of TRL's trainer, timed around its own methods."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    model, tokenizer, rows = build(args)
    marks: list[float] = []
    rollouts: list[float] = []

    class Clock(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(**settings(args, folder))
        data = Dataset.from_list(rows)
        trainer = GRPOTrainer(
            model, digits, args=config, train_dataset=data, processing_class=tokenizer, callbacks=[Clock()]
        )
        inner = trainer._generate_single_turn

        def timed(*a: Any, **k: Any) -> Any:
            start = time.perf_counter()
            result = inner(*a, **k)
            rollouts.append(time.perf_counter() - start)
            return result

        trainer._generate_single_turn = timed
        trainer.train()
        history = [h for h in trainer.state.log_history if "reward" in h][1:]
    size = args.prompts * args.group
    return {
        "step": [b - a for a, b in itertools.pairwise(marks)][1:],
        "rollout": rollouts[1:],
        "tokens": [h["completions/mean_length"] * size for h in history],
    }


def one(args: argparse.Namespace) -> None:
    """Run one trainer in this process and print its figures as JSON."""
    import resource

    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    figures = {"ours": run_ours, "trl": run_trl}[args.one](args)
    if args.device == "cpu":
        figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    else:
        figures["peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
    print("FIGURES " + json.dumps(figures), flush=True)


def main() -> int:
    """Run the trainers in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=64, help="tokens of a prompt")
    parser.add_argument("--completion", type=int, default=128, help="tokens of the longest completion")
    parser.add_argument("--micro", type=int, default=32, help="completions per forward and backward pass")
    parser.add_argument("--eos-share", type=int, default=0)
    parser.add_argument("--steps", type=int, default=5, help="timed steps, after one of warm-up")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves torch's choice")
    parser.add_argument("--trainers", default="trl,ours")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        one(args)
        return 0
    names = args.trainers.split(",")
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(args.repeat):
        for name in names:
            command = [sys.executable, __file__, *sys.argv[1:], "--one", name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = [line for line in done.stdout.splitlines() if line.startswith("FIGURES ")]
            if not lines:
                print(f"{name} failed:\n{done.stderr[-3_000:]}", file=sys.stderr)
                return 1
            runs[name].append(json.loads(lines[0].removeprefix("FIGURES ")))
    report(args, runs)
    return 0


def report(args: argparse.Namespace, runs: dict[str, list[dict[str, Any]]]) -> None:
    """Print medians over all timed steps and their ratio to the last trainer named."""
    import torch

    device = platform.processor() or platform.machine()
    if args.device != "cpu":
        device = torch.cuda.get_device_name()
    print(f"{args.size}, {args.prompts} prompts x {args.group}, prompt {args.prompt}, completion <= {args.completion}")
    print(f"device {device}, {os.cpu_count()} cores, torch {torch.__version__}, Python {platform.python_version()}")
    print(f"{'':6} {'step s':>8} {'rollout s':>10} {'rest s':>8} {'rollout tok/s':>14} {'peak MB':>8}")
    medians = {}
    for name, results in runs.items():
        step = statistics.median(s for r in results for s in r["step"])
        rollout = statistics.median(s for r in results for s in r["rollout"])
        rate = statistics.median(t / s for r in results for t, s in zip(r["tokens"], r["rollout"], strict=True))
        peak = statistics.median(r["peak_mb"] for r in results)
        medians[name] = step
        print(f"{name:6} {step:8.3f} {rollout:10.3f} {step - rollout:8.3f} {rate:14,.0f} {peak:8,.0f}")
    if {"trl", "ours"} <= set(medians):
        print(f"step time, trl / ours: {medians['trl'] / medians['ours']:.2f}")
    if args.json:
        args.json.write_text(json.dumps({"command": sys.argv, "device": device, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
