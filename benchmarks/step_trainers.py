"""One trainer in one process: ours, TRL's as it comes, TRL's at its best, and our rollouts alone.

Every figure is written to a file as soon as it is known, so a process that is stopped has said what it knew. A run
ends after its last step or, once a step has been timed, when its seconds are used up.

TRL's best setting without vLLM, chosen from its source (1.16):
- the weights in bf16. TRL's default keeps them in fp32 under autocast, which casts them again for every token;
  bf16 weights without an fp32 master train badly at RL's learning rates, but are the fastest it has;
- no gradient checkpointing, and 32 completions a pass instead of 8;
- its plain `generate` with the dynamic cache. TRL passes `disable_compile=True`, so a static cache would only add
  a mask to every attention call; continuous batching without the flash-attn package builds a mask over the keys
  of all sequences.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu_rollout import clock_captures, idle, rollouts_alone
from profiling import heaviest, idle_share, kernels_of
from step_model import Digits, build
from step_work import training_flops


class Record:
    """A file of JSON lines.

    Args:
        path: of the file.
        device: whose peak memory goes with every step.
    """

    def __init__(self, path: Path, device: str) -> None:
        self._path, self._cuda = path, device != "cpu"

    def write(self, kind: str, **figures: Any) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **figures}) + "\n")

    def step(self, **figures: Any) -> None:
        self.write("step", peak_mb=self._peak(), **figures)

    def _peak(self) -> float:
        if self._cuda:
            return torch.cuda.max_memory_allocated() / 2**20
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def settings(args: argparse.Namespace, folder: str, micro: int) -> dict[str, Any]:
    """What all trainers are told."""
    return {
        "output_dir": folder,
        "max_steps": args.steps + 1,
        "num_generations": args.group,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": args.prompts * args.group // micro,
        "max_completion_length": args.completion,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "beta": 0.0,
        "use_cpu": args.device == "cpu",
        "bf16": args.device != "cpu",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def work(args: argparse.Namespace, model: Any, lengths: list[int]) -> dict[str, float]:
    """Tokens and operations of a step."""
    flops = training_flops(model.config, prompt=args.prompt, group=args.group, lengths=lengths)
    return {"tokens": sum(lengths), "flops": flops}


def run_ours(args: argparse.Namespace, record: Record) -> None:
    """The steps of grpo_engine, its plan, and its idle time in decoding."""
    import grpo_engine.trainer
    from grpo_engine import GRPOConfig, GRPOTrainer

    grpo_engine.trainer.write_report = lambda folder: None  # pictures are not what is measured
    model, tokenizer, rows = build(args.size, device=args.device, prompt=args.prompt, eos_share=args.eos_share)
    reward = Digits()
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(**settings(args, folder, args.micro), token_budget=args.token_budget, log_completions=False)
        trainer = GRPOTrainer(model, reward, config, rows, processing_class=tokenizer)
        plan = trainer.plan()
        seconds = {x.part: x.seconds for x in plan.lines if x.seconds is not None}
        record.write("plan", line=plan.line(), peak=plan.peak, seconds=seconds)
        sampler = trainer._policy.sampler
        captures = clock_captures(sampler)
        inner, begin = trainer._step, time.perf_counter()
        last: list[Any] = []

        def step(*given: Any) -> None:
            last[:] = given
            inner(*given)
            row = trainer.state.log_history[-1]
            times = {name: row[f"time/{name}"] for name in ("rollout", "reward", "train", "other")}
            gap = row["sampling/sampling_logp_difference/mean"]
            record.step(
                step=row["step_time"],
                **times,
                **work(args, model, reward.lengths),
                difference=gap,
                difference_high=row["sampling/sampling_logp_difference/p99.9"],
                slots=sampler.slots_in_use,
                wasted=sampler.wasted,
            )
            record.write("capture", graphs=len(captures), seconds=sum(captures))
            if trainer.state.global_step >= 2 and time.perf_counter() - begin > args.budget:
                trainer._total_steps = trainer.state.global_step

        trainer._step = step  # type: ignore[method-assign]
        trainer.train()
        prompts = [trainer._train.ids(i) for i in range(args.prompts)]
        record.write("idle", **idle(sampler, prompts, group=args.group, device=args.device))
        trainer._total_steps += 1
        record.write("update", **profiled_update(lambda: inner(*last), cuda=args.device != "cpu"))


def profiled_update(step: Callable[[], object], *, cuda: bool) -> dict[str, Any]:
    """The kernels of one more update, its rollout left out."""
    from grpo_engine.update import Update

    plain, seen = Update.epoch, []

    def epoch(*given: Any) -> Any:
        result: list[Any] = []
        seen.extend(kernels_of(lambda: result.append(plain(*given)), cuda=cuda))
        return result[0]

    Update.epoch = epoch  # type: ignore[method-assign]
    try:
        step()
    except Exception as error:  # noqa: BLE001 - tracing may be refused where this runs; the steps were measured
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        Update.epoch = plain  # type: ignore[method-assign]
    return {"idle_kernels": idle_share(seen, (0.0, 1.0)), "heaviest": heaviest(seen)}


def run_rollouts(args: argparse.Namespace, record: Record) -> None:
    """Our rollouts alone, of a model in half precision that does not train."""
    from grpo_engine.rollout import SlotSampler
    from grpo_engine.sampling import Sampling

    half = args.device != "cpu"
    model, tokenizer, rows = build(
        args.size, device=args.device, prompt=args.prompt, eos_share=args.eos_share, half=half
    )
    prompts = [tokenizer(row["prompt"])["input_ids"] for row in rows[: args.prompts]]
    sampler = SlotSampler(
        model, Sampling(len(tokenizer), tuple(model.generation_config.eos_token_id)), slots=args.slots
    )
    captures, begin = clock_captures(sampler), time.perf_counter()
    if args.device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    for done in range(args.steps + 1):
        one = rollouts_alone(sampler, prompts, group=args.group, completion=args.completion, device=args.device)
        tokens = sum(one.pop("lengths"))
        record.step(step=one["rollout"], tokens=tokens, **one)
        record.write("capture", graphs=len(captures), seconds=sum(captures))
        if done and time.perf_counter() - begin > args.budget:
            break
    record.write("idle", **idle(sampler, prompts, group=args.group, device=args.device))


def run_trl(args: argparse.Namespace, record: Record, *, best: bool) -> None:
    """The steps of TRL's trainer, timed around its own methods."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    half = best and args.device != "cpu"
    model, tokenizer, rows = build(
        args.size, device=args.device, prompt=args.prompt, eos_share=args.eos_share, half=half
    )
    reward = Digits()
    spent = {"rollout": 0.0, "prepared": 0.0}

    def clocked(name: str, inner: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            start = now()
            result = inner(*given, **named)
            spent[name] += now() - start
            return result

        return call

    def now() -> float:
        if args.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter()

    class Clock(TrainerCallback):
        begin = last = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.begin = self.last = now()

        def on_step_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:
            step = now() - self.last
            train = step - spent["prepared"]
            record.step(step=step, rollout=spent["rollout"], train=train, **work(args, model, reward.lengths))
            spent.update(rollout=0.0, prepared=0.0)
            if state.global_step >= 2 and now() - self.begin > args.budget:
                control.should_training_stop = True
            self.last = now()

    micro = args.micro if best else min(8, args.prompts * args.group)
    with tempfile.TemporaryDirectory() as folder:
        given = settings(args, folder, micro)
        if best:
            given["gradient_checkpointing"] = False
        trainer = GRPOTrainer(
            model,
            reward,
            args=GRPOConfig(**given),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            callbacks=[Clock()],
        )
        trainer._generate_single_turn = clocked("rollout", trainer._generate_single_turn)
        trainer._generate_and_score_completions = clocked("prepared", trainer._generate_and_score_completions)
        trainer.train()


RUNS = {
    "ours": run_ours,
    "trl-default": lambda args, record: run_trl(args, record, best=False),
    "trl-best": lambda args, record: run_trl(args, record, best=True),
    "rollouts": run_rollouts,
}


def run(name: str, args: argparse.Namespace) -> int:
    """Run one trainer in this process; its failure is a line of the record."""
    if args.threads:
        torch.set_num_threads(args.threads)
    record = Record(args.record, args.device)
    try:
        RUNS[name](args, record)
    except Exception as error:  # noqa: BLE001 - the parent reads the record and goes on
        traceback.print_exc()
        record.write("error", error=f"{type(error).__name__}: {error}")
        return 1
    return 0
