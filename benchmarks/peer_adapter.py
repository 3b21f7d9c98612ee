"""grpo_engine behind the interface of a step benchmark that runs several trainers on one model and data set.

    PYTHONPATH=. python BENCH --trainers trl,benchmarks.peer_adapter --repeats 3 --eos-extra 20

The benchmark imports this module and calls :func:`run` in a fresh process. Nothing here changes what the trainer
does: the settings are those of the benchmark's command line, every other setting is the default.
"""

from __future__ import annotations

import tempfile
import time
from typing import Any

from grpo_engine import GRPOConfig, GRPOTrainer


def run(cfg: dict[str, Any], model: Any, tokenizer: Any, dataset: Any, rewards: list[Any]) -> dict[str, Any]:
    """Train `cfg["steps"]` steps.

    Args:
        cfg: steps, batch (completions per step), accum, num_generations, num_iterations, max_new, lr, beta,
            loss_type, gradient_checkpointing, seed, and `extra`, further settings.
        model, tokenizer, dataset, rewards: what to train, on what.

    Returns:
        `steps`: seconds of each step (wall, generate, reward, train) and its completion tokens; `fill`: the share
        of completion tokens in a padded rectangle; `metrics_last`.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder,
            max_steps=cfg["steps"],
            num_generations=cfg["num_generations"],
            per_device_train_batch_size=cfg["batch"] // cfg["accum"],
            gradient_accumulation_steps=cfg["accum"],
            num_iterations=cfg["num_iterations"],
            max_completion_length=cfg["max_new"],
            learning_rate=cfg["lr"],
            lr_scheduler_type="constant",
            beta=cfg["beta"],
            loss_type=cfg["loss_type"],
            gradient_checkpointing=cfg["gradient_checkpointing"],
            seed=cfg["seed"],
            use_cpu=True,
            logging_steps=1,
            log_completions=False,
            save_strategy="no",
            disable_tqdm=True,
            **cfg.get("extra", {}),
        )
        trainer = GRPOTrainer(model, list(rewards), config, dataset, processing_class=tokenizer)
        cpu = [time.process_time()]
        inner = trainer._step

        def timed(*args: Any) -> None:
            inner(*args)
            cpu.append(time.process_time())

        trainer._step = timed  # type: ignore[method-assign]
        history = trainer.train().log_history
    size = cfg["batch"]
    steps = [
        {
            "wall": row["step_time"],
            "generate": row["time/rollout"],
            "reward": row["time/reward"],
            "forward": 0.0,
            "backward": row["time/train"],
            "tokens": row["completions/mean_length"] * size,
            "cpu": after - before,
        }
        for row, before, after in zip(history, cpu, cpu[1:], strict=False)
    ]
    fills = [row["completions/mean_length"] / row["completions/max_length"] for row in history]
    last = {name: history[-1][name] for name in ("reward", "loss", "grad_norm", "entropy")}
    return {"steps": steps, "fill": sum(fills) / len(fills), "metrics_last": last}
