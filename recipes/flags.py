"""Every setting of the trainer as a command line flag."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from grpo_engine import GRPOConfig
from grpo_engine.objective import LOSSES

HELP = {
    "output_dir": "where logs, checkpoints, the page and the final model go",
    "max_steps": "optimizer steps; -1 follows --num-train-epochs",
    "learning_rate": "peak learning rate of AdamW",
    "num_generations": "completions per prompt (the group)",
    "per_device_train_batch_size": "completions per step and process, times --gradient-accumulation-steps",
    "gradient_accumulation_steps": "see above; with --rollout-backend generate a pass holds one batch of it",
    "token_budget": "tokens of a forward and backward pass; less takes less memory (default: from free memory)",
    "rollout_backend": "slots (fast), or generate (transformers' own, every model)",
    "max_completion_length": "tokens after which a completion is cut",
    "temperature": "of the sampling, and of the log-probabilities",
    "beta": "weight of the KL to the starting policy; 0 keeps no reference",
    "num_iterations": "optimizer steps per batch of rollouts (mu)",
    "loss_type": f"{', '.join(LOSSES)}",
    "scale_rewards": "group, batch or none: what centred rewards are divided by",
    "bf16": "train in bf16 with an fp32 master (default: on a GPU that can)",
    "report_to": "trackers, by accelerate's names, comma-separated",
    "seed": "of the data order and of every draw",
}
_FIRST = tuple(HELP)


def add_settings(parser: argparse.ArgumentParser, defaults: Mapping[str, Any]) -> None:
    """Give the parser a flag for every field of :class:`GRPOConfig`.

    Args:
        parser: gets two groups of flags, the usual ones first.
        defaults: the recipe's own defaults, shown in the help.
    """
    usual = parser.add_argument_group("settings")
    others = parser.add_argument_group("more settings (of grpo_engine.GRPOConfig)")
    by_name = {f.name: f for f in fields(GRPOConfig)}
    for name in [*_FIRST, *(n for n in by_name if n not in _FIRST)]:
        default = defaults.get(name, by_name[name].default)
        group = usual if name in HELP else others
        group.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            default=argparse.SUPPRESS,
            type=_reader(str(by_name[name].type)),
            metavar="X",
            help=f"{HELP.get(name, '')} (default: {default})".strip(),
        )


def _reader(annotation: str) -> Any:
    """What reads the text of a flag: by the annotation of its field."""
    kind = annotation.removesuffix(" | None")
    if kind in ("bool", "str | bool"):
        return _boolean if kind == "bool" else str
    if kind.startswith(("dict", "list[float]")):
        return json.loads
    return {"int": int, "float": float, "str | list[str]": _names}.get(kind, str)


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "1", "yes", "false", "0", "no"):
        return text.lower() in ("true", "1", "yes")
    raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
