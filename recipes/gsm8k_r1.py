r"""Grade-school mathematics with the rewards of DeepSeek-R1: the right boxed answer, in the right format.

    python -m recipes.gsm8k_r1                        # with a GPU: Qwen2.5-1.5B-Instruct on openai/gsm8k
    python -m recipes.gsm8k_r1 --embedded             # anywhere: a small policy on generated problems, minutes
    python -m recipes.gsm8k_r1 --dataset train.jsonl --eval-dataset test.jsonl --model ./my-model
    accelerate launch --num_processes 8 -m recipes.gsm8k_r1          # --resume goes on from the newest checkpoint

What it leaves out: supervised warm-up, curricula, several turns, tools. A data set needs the columns `question` and
`answer`; the reference is what follows `####` in the answer, else its box, else all of it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Threads that spin slow a small model tenfold on a busy machine; those that sleep at once, twofold on an idle one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # some tens of microseconds; overrides the line above in libgomp

MODEL, DATASET = "Qwen/Qwen2.5-1.5B-Instruct", "openai/gsm8k"
SYSTEM = (
    "Solve the problem step by step. Write your reasoning between <think> and </think> and then your final answer "
    "between <answer> and </answer>, each tag on a line of its own. Put the number inside \\boxed{} within the answer."
)
FULL = {
    "run_name": "gsm8k_r1",
    "output_dir": "runs/gsm8k_r1",
    "per_device_train_batch_size": 16,
    "gradient_accumulation_steps": 8,
    "max_completion_length": 512,
    "max_steps": 400,
    "warmup_ratio": 0.05,
    "lr_scheduler_type": "constant_with_warmup",
    "eval_steps": 100,
    "save_steps": 100,
}
EMBEDDED = {
    "run_name": "gsm8k_r1, embedded",
    "output_dir": "runs/gsm8k_r1_embedded",
    "per_device_train_batch_size": 64,
    "gradient_accumulation_steps": 2,
    "max_completion_length": 96,
    "max_steps": 80,
    "learning_rate": 2e-4,
    "adam_beta2": 0.99,
    "lr_scheduler_type": "constant",
    "eval_steps": 20,
    "save_steps": 40,
}
BOTH = {"eval_strategy": "steps", "eval_on_start": True, "num_generations_eval": 1, "per_device_eval_batch_size": 256}
BOTH |= {"logging_steps": 1, "save_total_limit": 2}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; settings that were not given are absent."""
    from recipes.flags import add_settings

    parser = argparse.ArgumentParser(
        prog="python -m recipes.gsm8k_r1",
        usage="%(prog)s [--embedded | --model NAME] [--dataset NAME] [--resume] [settings]",
        description=(__doc__ or "").split("\n\n", 1)[0],
        allow_abbrev=False,
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--embedded", action="store_true", help="the small policy that ships with the package")
    either.add_argument("--model", help=f"hub name or local folder (default: {MODEL}, or the embedded policy)")
    parser.add_argument("--dataset", help=f"hub name, JSONL, Parquet or saved data set (default: {DATASET})")
    parser.add_argument("--eval-dataset", help="where to evaluate (default: the test split, or rows held out)")
    parser.add_argument("--eval-rows", type=int, default=256, help="problems per evaluation (default: 256)")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in --output-dir")
    add_settings(parser, {**FULL, **BOTH})
    return parser.parse_args(argv)


def problems(args: argparse.Namespace, embedded: bool, seed: int, steps: int) -> tuple[Any, Any]:
    """Training and evaluation rows: `prompt` and `answer`."""
    from datasets import Dataset

    from recipes import embedded as small
    from recipes.data import load_split, require_columns

    if embedded and args.dataset is None:
        train = Dataset.from_list(small.problems(max(256, 16 * steps), seed=seed, split="train"))
        test = Dataset.from_list(small.problems(args.eval_rows, seed=seed, split="test"))
    else:
        source = args.dataset or DATASET
        train, test = load_split(source, args.eval_dataset, args.eval_rows, "main" if source == DATASET else None)
        require_columns(train, ["question", "answer"], source)
        require_columns(test, ["question", "answer"], args.eval_dataset or source)
    system = [] if embedded else [{"role": "system", "content": SYSTEM}]

    def with_prompt(row: dict[str, Any]) -> dict[str, Any]:
        return {"prompt": [*system, {"role": "user", "content": row["question"]}], "answer": row["answer"]}

    return tuple(rows.map(with_prompt, remove_columns=rows.column_names) for rows in (train, test))


def main(argv: list[str] | None = None) -> int:
    """Run the recipe; returns the exit status."""
    args = parse(argv)
    import torch
    from datasets import disable_progress_bars

    from grpo_engine import GRPOConfig, GRPOTrainer, RewardFailure, TrainingInterrupted
    from recipes.embedded import POLICY_PATH
    from recipes.summary import print_summary
    from rewardkit import presets

    disable_progress_bars()
    embedded = args.embedded or (args.model is None and not torch.cuda.is_available())
    first = os.environ.get("RANK", "0") == "0"
    full = args.model or MODEL
    if first and embedded:
        print("Embedded default: a 1M-parameter policy. The full recipe: a GPU, or --model NAME.", flush=True)
    elif first:
        print(f"Full recipe: {full}. The embedded default, minutes on a CPU: --embedded.", flush=True)
    stack = presets.gsm8k_r1
    settings: dict[str, Any] = {**BOTH, **(EMBEDDED if embedded else FULL), "reward_weights": list(stack.weights)}
    settings |= {name: value for name, value in vars(args).items() if name in GRPOConfig.__dataclass_fields__}
    try:
        config = GRPOConfig(**settings)
        train, test = problems(args, embedded, config.seed, max(config.max_steps, 1))
        trainer = GRPOTrainer(
            model=str(POLICY_PATH) if embedded else full,
            reward_funcs=list(stack.members),
            args=config,
            train_dataset=train,
            eval_dataset=test,
        )
        state = trainer.train(resume_from_checkpoint=args.resume)
    except TrainingInterrupted as stopped:
        flags = [flag for flag in argv or sys.argv[1:] if flag != "--resume"]
        print(f"\n{stopped}\nGo on with: python -m recipes.gsm8k_r1 {shlex.join([*flags, '--resume'])}")
        return 130
    except (ValueError, OSError, RewardFailure) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    trainer.save_model(Path(config.output_dir) / "final")
    if first:
        print_summary(state.log_history, Path(config.output_dir))
    return 0


if __name__ == "__main__":
    sys.exit(main())
