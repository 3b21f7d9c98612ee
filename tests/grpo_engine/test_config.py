"""Settings are checked once, with the value, the range and the nearest name in the message."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from grpo_engine import GRPOConfig


def test_an_unknown_setting_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(TypeError, match="GRPOConfig has no setting 'num_generation'; did you mean 'num_generations'"):
        GRPOConfig(num_generation=4)
    with pytest.raises(TypeError, match="no setting 'max_completions_length'; did you mean 'max_completion_length'"):
        GRPOConfig(max_completions_length=4)


def test_an_unknown_setting_that_resembles_none_is_just_refused() -> None:
    with pytest.raises(TypeError, match=r"GRPOConfig has no setting 'zzz'$"):
        GRPOConfig(zzz=4)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("learning_rate", -1.0, "learning_rate must be at least 0; got -1.0"),
        ("learning_rate", math.nan, "learning_rate must be at least 0; got nan"),
        ("per_device_train_batch_size", 0, "per_device_train_batch_size must be at least 1; got 0"),
        ("gradient_accumulation_steps", 0, "gradient_accumulation_steps must be at least 1; got 0"),
        ("num_iterations", 0, "num_iterations must be at least 1"),
        ("max_completion_length", "long", "max_completion_length must be a whole number; got .long."),
        ("top_k", 5.5, "top_k must be a whole number; got 5.5"),
        ("epsilon", 1.5, "epsilon must be between 0 and 1; got 1.5"),
        ("top_p", 1.5, "top_p must be between 0 and 1; got 1.5"),
        ("top_p", 0.0, "top_p must be above 0"),
        ("min_p", -0.1, "min_p must be between 0 and 1; got -0.1"),
        ("beta", -0.1, "beta must be at least 0; got -0.1"),
        ("temperature", 0.0, "temperature must be above 0; got 0.0"),
        ("temperature", -1.0, "temperature must be at least 0; got -1.0"),
        ("temperature", math.nan, "temperature must be at least 0; got nan"),
        ("bf16", "yes", "bf16 must be True or False; got 'yes'"),
        ("lr_scheduler_type", "greedy", "lr_scheduler_type='greedy' needs an evaluation at every step"),
        ("temperature", "hot", "temperature must be a number; got 'hot'"),
        ("num_generations", 1, "num_generations must be at least 2, since advantages compare within a group; got 1"),
        ("loss_type", "ppo", "loss_type must be one of grpo, bnpo, dr_grpo, dapo, cispo, gspo, sapo; got 'ppo'"),
        ("loss_type", "cispo", "loss_type='cispo' needs epsilon_high: there it is the largest ratio itself"),
        ("kl_estimator", "k4", "kl_estimator must be one of k1, k2, k3; got 'k4'"),
        (
            "importance_sampling_level",
            "batch",
            "importance_sampling_level must be one of token, sequence; got 'batch'",
        ),
        ("sapo_temperature_pos", 0.0, "sapo_temperature_pos must be above 0; got 0.0"),
        ("sapo_temperature_neg", -1.0, "sapo_temperature_neg must be at least 0; got -1.0"),
        ("top_entropy_quantile", 0.0, "top_entropy_quantile must be above 0; got 0.0"),
        ("top_entropy_quantile", 1.2, "top_entropy_quantile must be between 0 and 1; got 1.2"),
        ("old_logprobs", "vllm", "old_logprobs must be one of auto, sampler, trainer; got 'vllm'"),
        ("rollout_is_cap", 0.5, "rollout_is_cap must be at least 1; got 0.5"),
        ("delta", -1.0, "delta must be at least 0; got -1.0"),
        ("rollout_backend", "vllm", "rollout_backend must be one of slots, generate; got 'vllm'"),
        ("rollout_slots", 0, "rollout_slots must be at least 1; got 0"),
        ("rollout_slots", 2.5, "rollout_slots must be a whole number; got 2.5"),
        ("rollout_steps_per_sync", 0, "rollout_steps_per_sync must be at least 1; got 0"),
        ("token_budget", 0, "token_budget must be at least 1; got 0"),
        ("token_budget", 1e4, "token_budget must be a whole number; got 10000.0"),
        ("optim_moments", "int8", "optim_moments must be one of float32, bfloat16; got 'int8'"),
        ("optim", "adam_torch", "optim.*'adam_torch'"),
        ("scale_rewards", "groups", "scale_rewards must be one of group, batch, none; got 'groups'"),
        ("eval_strategy", "epoch", "eval_strategy must be one of no, steps; got 'epoch'"),
        ("save_strategy", "best", "save_strategy must be one of no, steps; got 'best'"),
        ("reward_weights", [1.0, math.inf], "reward_weights must be finite"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_range(name: str, value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        GRPOConfig(**{name: value})


def test_cispo_is_taken_with_a_cap_of_its_own() -> None:
    assert GRPOConfig(loss_type="cispo", epsilon_high=5.0).epsilon_high == 5.0


@pytest.mark.parametrize(
    ("old", "updates", "from_sampler"),
    [("auto", 1, True), ("auto", 2, False), ("sampler", 1, True), ("trainer", 1, False), ("trainer", 2, False)],
)
def test_the_sampler_is_the_old_policy_with_one_update_per_rollout_unless_asked(
    old: str, updates: int, from_sampler: bool
) -> None:
    assert GRPOConfig(old_logprobs=old, num_iterations=updates).old_from_sampler is from_sampler


def test_the_sampler_can_not_be_the_old_policy_of_several_updates() -> None:
    with pytest.raises(ValueError, match="old_logprobs='sampler' serves one update per rollout; with num_iterations ="):
        GRPOConfig(old_logprobs="sampler", num_iterations=2)


@pytest.mark.parametrize("name", ["epsilon_high", "delta", "rollout_is_cap", "token_budget", "rollout_slots", "min_p"])
def test_a_setting_that_is_none_is_left_to_the_program(name: str) -> None:
    assert getattr(GRPOConfig(**{name: None}), name) is None


def test_warmup_is_a_number_of_steps_or_a_share_of_them() -> None:
    assert GRPOConfig(warmup_steps=7).warmup(100) == 7
    assert GRPOConfig(warmup_ratio=0.1).warmup(101) == math.ceil(0.1 * 101)
    assert GRPOConfig().warmup(100) == 0
    with pytest.raises(ValueError, match="warmup_ratio or warmup_steps, not both"):
        GRPOConfig(warmup_steps=7, warmup_ratio=0.1)


def test_scaling_as_a_truth_value_is_understood_as_trl_understands_it() -> None:
    assert GRPOConfig(scale_rewards=True).scale_rewards == "group"
    assert GRPOConfig(scale_rewards=False).scale_rewards == "none"


def test_evaluation_is_as_often_as_logging_unless_said() -> None:
    assert GRPOConfig(eval_strategy="steps", logging_steps=7).eval_steps == 7
    assert GRPOConfig(eval_strategy="steps", logging_steps=7, eval_steps=3).eval_steps == 3


def test_a_step_holds_the_batches_of_all_processes_in_whole_groups() -> None:
    config = GRPOConfig(per_device_train_batch_size=4, gradient_accumulation_steps=6, num_generations=8)
    assert config.prompts_per_step() == 4 * 6 // 8
    assert config.prompts_per_step(processes=3) == 3 * 4 * 6 // 8
    with pytest.raises(ValueError, match="= 24 completions do not hold whole groups of num_generations = 7; make it"):
        dataclasses.replace(config, num_generations=7).prompts_per_step()


def test_the_number_of_steps_is_that_of_the_epochs_unless_given() -> None:
    config = GRPOConfig(per_device_train_batch_size=16, num_generations=4, num_train_epochs=2.5)
    assert config.total_steps(rows=10) == math.ceil(2.5 * 10 / 4)
    assert config.total_steps(rows=10, processes=2) == math.ceil(2.5 * 10 / 8)
    assert dataclasses.replace(config, num_iterations=3).total_steps(rows=10) == 3 * math.ceil(2.5 * 10 / 4)
    assert dataclasses.replace(config, max_steps=5, num_iterations=3).total_steps(rows=10) == 5


def test_settings_that_trl_has_too_have_its_default() -> None:
    trl = pytest.importorskip("trl")
    theirs = {f.name: f.default for f in dataclasses.fields(trl.GRPOConfig)}
    ours = {f.name: f.default for f in dataclasses.fields(GRPOConfig)}
    explained = {
        "gradient_checkpointing",  # costs a third of the training time
        "output_dir",  # TRL derives the same name later
        "disable_tqdm",  # theirs is derived from the log level
        "log_completions",  # ours go to a file, theirs to the terminal
    }
    assert {n: (ours[n], theirs[n]) for n in set(ours) & set(theirs) - explained if ours[n] != theirs[n]} == {}


def test_the_settings_are_saved_as_plain_values_with_where_they_ran(tmp_path: Path) -> None:
    config = GRPOConfig(learning_rate=3e-6, reward_weights=[1.0, 0.5], run_name="mine")
    config.save(tmp_path, {"torch": "2"})
    saved = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert saved == {"recipe": "mine", "config": config.to_dict(), "environment": {"torch": "2"}}
    assert GRPOConfig(**saved["config"]) == config


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"optim": "paged_adamw_8bit", "optim_moments": "bfloat16"}, "format of its own for the moments"),
        ({"optim": "adamw_8bit", "offload_optimizer": True}, "steps on the GPU"),
    ],
)
def test_options_of_the_optimizer_that_exclude_each_other_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        GRPOConfig(**settings)
