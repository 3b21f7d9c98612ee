"""Whole runs of a tiny policy: it learns, its log is right, and a run that was stopped ends as if it had not been."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Qwen2Config,
    Qwen2ForSequenceClassification,
)

from grpo_engine import GRPOConfig, GRPOTrainer, RewardFailure, TrainingInterrupted, learner
from grpo_engine import trainer as module
from grpo_engine.memory import Memory
from grpo_engine.optim import MasterAdamW
from grpo_engine.packing import bins, groups_of
from grpo_engine.plan import Remedy, make_plan
from grpo_engine.update import Update
from tests.grpo_engine.conftest import make_model
from tests.grpo_engine.families import exact_norms, relative
from tests.grpo_engine.families import make as make_family

Make = Callable[..., GRPOTrainer]
Weights = Callable[[torch.nn.Module], Tensor]
TIMES = ("time/", "step_time", "tokens_per_second", "eval_runtime")

METRICS = {
    "loss", "grad_norm", "learning_rate", "epoch", "step", "num_tokens", "step_time", "tokens_per_second",
    "reward", "reward_std", "rewards/letter_share/mean", "rewards/letter_share/std", "frac_reward_zero_std",
    "completions/mean_length", "completions/min_length", "completions/max_length", "completions/clipped_ratio",
    "completions/mean_terminated_length", "completions/min_terminated_length", "completions/max_terminated_length",
    "entropy", "clip_ratio", "clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean",
    "sampling/sampling_logp_difference/mean", "sampling/sampling_logp_difference/p99.9",
    "sampling/sampling_logp_difference/max",
    "time/rollout", "time/reward", "time/train", "time/other",
}  # fmt: skip


def log_file(run: GRPOTrainer, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    text = (Path(run.args.output_dir) / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def without_times(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if not k.startswith(TIMES)} for row in history]


# Learning.


def test_the_reward_of_a_toy_task_rises_in_training_and_on_held_out_prompts(trainer: Make, rows: Any) -> None:
    held_out = rows[::5]  # each digit on either side was seen, in other pairs
    run = trainer(
        data=[row for row in rows if row not in held_out],
        eval_data=held_out,
        num_generations=8,
        per_device_train_batch_size=64,
        lr_scheduler_type="constant",
        max_steps=50,
    )
    before = run.evaluate()["eval_reward"]
    rewards = [row["reward"] for row in run.train().log_history if "reward" in row]
    assert before is not None
    assert before < 0.15
    assert sum(rewards[-5:]) / 5 > 0.6
    assert (run.evaluate()["eval_reward"] or 0.0) > 0.5  # one letter for all would earn a quarter


def test_the_reference_holds_the_policy_back(trainer: Make, weights: Weights, new_model: Any) -> None:
    start = weights(new_model())
    moved = {}
    for beta in (0.0, 10.0):
        run = trainer(beta=beta, max_steps=8)
        history = run.train().log_history
        moved[beta] = history[-1]["completions/mean_length"], relative(weights(run.model), start)
        assert ("kl" in history[-1]) == (beta > 0)
        if beta:
            assert history[0]["kl"] == pytest.approx(0.0, abs=1e-6)
            assert all(row["kl"] >= 0 for row in history)
            assert history[-1]["kl"] > 0
    assert moved[10.0][1] < moved[0.0][1]


@pytest.mark.parametrize("split", [(8, 2), (4, 4), (2, 8)], ids=str)
@pytest.mark.parametrize("loss_type", ["dapo", "grpo"])
def test_the_weights_do_not_depend_on_how_the_batch_is_split(
    trainer: Make, weights: Weights, split: tuple[int, int], loss_type: str
) -> None:
    settings = {"loss_type": loss_type, "adam_epsilon": 1e-4}  # a gradient of 0 would give the sign of its rounding
    whole, parts = (
        trainer(per_device_train_batch_size=size, gradient_accumulation_steps=steps, **settings)
        for size, steps in ((16, 1), split)
    )
    expected, got = whole.train().log_history, parts.train().log_history
    assert relative(weights(parts.model), weights(whole.model)) <= 1e-5
    for ours, theirs in zip(without_times(got), without_times(expected), strict=True):
        assert ours == {name: pytest.approx(value, rel=1e-4, abs=1e-5) for name, value in theirs.items()}


def test_gradient_checkpointing_changes_no_weight(trainer: Make, weights: Weights) -> None:
    plain, saving = trainer(), trainer(gradient_checkpointing=True)
    plain.train()
    saving.train()
    assert relative(weights(saving.model), weights(plain.model)) <= 1e-6


def test_a_reward_that_scores_nothing_teaches_nothing(trainer: Make, weights: Weights, new_model: Any) -> None:
    def silent(completions: Any, **_: Any) -> list[None]:
        return [None] * len(completions)

    run = trainer(rewards=silent)
    history = run.train().log_history
    assert torch.equal(weights(run.model), weights(new_model()))
    assert [(row["reward"], row["loss"], row["grad_norm"]) for row in history] == [(None, 0.0, 0.0)] * 3


def test_a_policy_in_bf16_trains_and_scores_what_it_samples(trainer: Make, weights: Weights, new_model: Any) -> None:
    run = trainer(bf16=True, learning_rate=1e-3)
    history = run.train().log_history
    assert {p.dtype for p in run.model.parameters()} == {torch.bfloat16}
    assert relative(weights(run.model), weights(new_model().bfloat16())) > 0
    assert all(row["sampling/sampling_logp_difference/mean"] < 0.02 for row in history)


# The same step, however it is computed.


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The gradient of every optimizer step, as one vector, before it is clipped."""
    found: list[Tensor] = []
    real = MasterAdamW.clip

    def clip(self: Any, max_norm: float) -> Tensor:
        found.append(torch.cat([g.flatten().clone() for g in self.gradients(fill=True)]))
        return real(self, max_norm)

    monkeypatch.setattr(MasterAdamW, "clip", clip)
    return found


def sometimes_flat(completions: Any, letter: list[str], **_: Any) -> list[float]:
    """Groups of some rows have no advantage."""
    return [
        1.0 if wanted in "ab" else c.count(wanted) + 0.1 * len(c) for c, wanted in zip(completions, letter, strict=True)
    ]


def reversed_bins(groups: Any, token_budget: int) -> Any:
    return bins(groups, token_budget)[::-1]


def all_groups(prompt_ids: Any, completion_ids: Any, kept: Any) -> Any:
    assert not all(kept)
    return groups_of(prompt_ids, completion_ids, [True] * len(kept))


COMPUTED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a pass for each completion": ({"token_budget": 1}, {}),
    "passes of some groups": ({"token_budget": 30}, {}),
    "one pass": ({"token_budget": 100_000}, {}),
    "passes in reverse": ({"token_budget": 15}, {"bins": reversed_bins}),
    "groups without advantage kept": ({"token_budget": 30}, {"groups_of": all_groups}),
    "generate": ({"rollout_backend": "generate"}, {}),
    "generate, small micro-batches": (
        {"rollout_backend": "generate", "per_device_train_batch_size": 2, "gradient_accumulation_steps": 8},
        {},
    ),
    "few slots": ({"rollout_slots": 3}, {}),
    "gradient checkpointing": ({"gradient_checkpointing": True}, {}),
}


@pytest.mark.parametrize("loss_type", ["dapo", "gspo"])
@pytest.mark.parametrize("how", list(COMPUTED))
def test_the_gradients_of_a_run_are_the_same_however_they_are_computed(
    trainer: Make, new_model: Any, gradients: list[Tensor], monkeypatch: pytest.MonkeyPatch, how: str, loss_type: str
) -> None:
    exact_norms(monkeypatch)
    settings, patches = COMPUTED[how]
    common = {"rewards": sometimes_flat, "loss_type": loss_type, "num_iterations": 2, "max_steps": 4}
    common |= {"adam_epsilon": 1e-4}  # a gradient of 0 would give the sign of its rounding
    expected = trainer(model=new_model().double(), **common).train().log_history
    for name, value in patches.items():
        monkeypatch.setattr(learner, name, value)
    got = trainer(model=new_model().double(), **{**common, **settings}).train().log_history
    whole, other = gradients[:4], gradients[4:]
    assert [row["reward"] for row in got] == [row["reward"] for row in expected]
    assert any(row["frac_reward_zero_std"] > 0 for row in expected)
    for one, two in zip(other, whole, strict=True):
        assert two.dtype == torch.float64
        assert relative(one, two) <= 1e-6


@pytest.mark.parametrize("backend", ["slots", "generate"])
@pytest.mark.parametrize("truncation", [{}, {"top_p": 0.8}, {"top_k": 6}, {"top_k": 8, "top_p": 0.9}], ids=str)
@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.3])
def test_the_trainer_agrees_with_the_sampler_on_every_token(
    trainer: Make, new_model: Any, temperature: float, truncation: dict[str, Any], backend: str
) -> None:
    model = new_model(initializer_range=0.3)  # distributions that are far from flat
    run = trainer(model=model, temperature=temperature, rollout_backend=backend, max_steps=1, **truncation)
    (row,) = run.train().log_history
    name = "sampling/sampling_logp_difference"
    assert 0 <= row[f"{name}/mean"] <= row[f"{name}/p99.9"] <= row[f"{name}/max"] <= 1e-5


@pytest.mark.parametrize("backend", ["slots", "generate"])
def test_sampler_and_trainer_as_the_old_policy_give_the_same_gradient(
    trainer: Make, gradients: list[Tensor], backend: str
) -> None:
    for old in ("sampler", "trainer"):
        trainer(old_logprobs=old, rollout_backend=backend, max_steps=1).train()
    assert relative(*gradients) <= 1e-5  # fp32 noise of the ratio, which is 1


@pytest.mark.parametrize(
    ("settings", "from_sampler"),
    [
        ({}, True),
        ({"num_iterations": 2}, False),
        ({"old_logprobs": "trainer"}, False),
        ({"old_logprobs": "sampler"}, True),
    ],
    ids=str,
)
def test_the_old_policy_is_the_one_of_the_settings(
    trainer: Make, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], from_sampler: bool
) -> None:
    found = []

    class Recorded(Update):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            found.append(kwargs["old_from_sampler"])
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(learner, "Update", Recorded)
    trainer(max_steps=1, **settings).train()
    assert found == [from_sampler]


@pytest.mark.parametrize("old", ["sampler", "trainer"])
def test_a_sampler_that_thinks_tokens_unlikely_is_capped(trainer: Make, gradients: list[Tensor], old: str) -> None:
    class Shifted:
        """Says that every token was e times less likely than it was."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            rollouts = self.inner(*args, **kwargs)
            inside = rollouts.logprobs != 0
            return dataclasses.replace(rollouts, logprobs=rollouts.logprobs - inside.float())

    weights_of = {}
    for shifted, cap in ((False, 2.0), (True, 1.5), (True, 100.0)):
        # with a clip that never binds the ratio is the weight of a token's gradient
        run = trainer(old_logprobs=old, rollout_is_cap=cap, epsilon_high=1000.0, max_steps=1)
        if shifted:
            run._collector._sampler = Shifted(run._collector._sampler)
        (row,) = run.train().log_history
        assert row["sampling/sampling_logp_difference/mean"] == pytest.approx(float(shifted), abs=1e-5)
        weights_of[shifted, cap] = gradients[-1]
    plain = weights_of[False, 2.0]
    torch.testing.assert_close(weights_of[True, 1.5], 1.5 * plain, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(weights_of[True, 100.0], math.e * plain, rtol=1e-3, atol=1e-6)


# Every variant runs.

VARIANTS: dict[str, dict[str, Any]] = {
    "cispo": {"loss_type": "cispo", "epsilon_high": 5.0},
    "gspo": {"loss_type": "gspo"},
    "sapo": {"loss_type": "sapo"},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "bnpo": {"loss_type": "bnpo"},
    "delta": {"delta": 1.5},
    "tokens of high entropy": {"top_entropy_quantile": 0.3},
    "ratio of the sequence": {"importance_sampling_level": "sequence"},
    "k1": {"kl_estimator": "k1", "beta": 0.1},
    "k2": {"kl_estimator": "k2", "beta": 0.1, "use_bias_correction_kl": False},
    "one update, corrected": {"old_logprobs": "trainer", "num_iterations": 1},
    "batch scale, truncated masked": {"scale_rewards": "batch", "mask_truncated_completions": True},
}


@pytest.mark.parametrize("backend", ["slots", "generate"])
@pytest.mark.parametrize("variant", list(VARIANTS))
def test_every_variant_trains_with_finite_numbers(
    trainer: Make, weights: Weights, new_model: Any, variant: str, backend: str
) -> None:
    settings = {"num_iterations": 2, "max_steps": 4, "token_budget": 30, **VARIANTS[variant]}
    run = trainer(rewards=sometimes_flat, rollout_backend=backend, **settings)
    history = run.train().log_history
    for row in history:
        assert all(math.isfinite(value) for value in row.values() if value is not None)
        assert row["loss"] is not None
        assert row["grad_norm"] > 0
    assert relative(weights(run.model), weights(new_model())) > 0.01


EQUAL_OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adamw_torch": {"optim": "adamw_torch"},
    "offloaded": {"offload_optimizer": True},
}


@pytest.mark.parametrize("name", list(EQUAL_OPTIMIZERS))
def test_where_the_optimizer_is_and_how_its_kernel_is_written_changes_nothing(
    trainer: Make, weights: Weights, name: str
) -> None:
    plain, other = trainer(adam_epsilon=1e-4), trainer(adam_epsilon=1e-4, **EQUAL_OPTIMIZERS[name])
    plain.train()
    other.train()
    assert relative(weights(other.model), weights(plain.model)) <= 1e-6


@pytest.mark.parametrize(
    "settings",
    [
        {"optim_moments": "bfloat16"},
        {"bf16": True},
        {"bf16": True, "optim_moments": "bfloat16", "offload_optimizer": True},
    ],
    ids=str,
)
def test_moments_and_weights_in_half_precision_move_the_policy_as_full_ones_do(
    trainer: Make, weights: Weights, new_model: Any, settings: dict[str, Any]
) -> None:
    start = weights(new_model())
    plain, half = trainer(adam_epsilon=1e-4), trainer(adam_epsilon=1e-4, **settings)
    plain.train()
    assert all(math.isfinite(row["loss"]) for row in half.train().log_history)
    moved, expected = weights(half.model) - start, weights(plain.model) - start
    assert torch.cosine_similarity(moved, expected, dim=0) > 0.8
    states = half._policy.optimizer.inner.state.values()
    wanted = torch.bfloat16 if "optim_moments" in settings else torch.float32
    assert {state[name].dtype for state in states for name in ("exp_avg", "exp_avg_sq")} == {wanted}
    assert {p.dtype for p in half.model.parameters()} == {torch.bfloat16 if "bf16" in settings else torch.float32}


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")  # torch's own, in its compiler
def test_a_compiled_rollout_samples_the_same_completions(trainer: Make, new_model: Any) -> None:
    texts = []
    for compiled in (False, True):
        run = trainer(
            model=new_model(num_hidden_layers=1), compile_rollout=compiled, max_completion_length=3, max_steps=1
        )
        run.train()
        texts.append([row["completion"] for row in log_file(run, "completions.jsonl")])
    assert texts[0] == texts[1]


# Models that the own attention does not serve.


def ranked(completions: Any, **_: Any) -> list[float]:
    return [float(i % 4) for i in range(len(completions))]


def capped(tokenizer: Any) -> Any:
    torch.manual_seed(0)
    return Gemma2ForCausalLM(
        Gemma2Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=None,
        )
    )


@pytest.mark.parametrize("family", ["Gemma2", "GPT2"])
def test_a_model_of_another_attention_is_refused_and_trains_with_generate(
    trainer: Make, weights: Weights, tokenizer: Any, absolute: Any, family: str
) -> None:
    make = {"Gemma2": lambda: capped(tokenizer), "GPT2": lambda: copy.deepcopy(absolute)}[family]
    with pytest.raises(ValueError, match=rf"{family}.* can not use the own rollouts: .*set rollout_backend='generate'"):
        trainer(model=make())
    run = trainer(model=make(), rewards=ranked, rollout_backend="generate", disable_dropout=True)
    for row in run.train().log_history:
        assert math.isfinite(row["loss"])
        assert row["sampling/sampling_logp_difference/max"] < 1e-4
    assert relative(weights(run.model), weights(make())) > 1e-3


def test_a_sliding_window_shorter_than_prompt_and_completion_is_refused_before_training(
    trainer: Make, tokenizer: Any
) -> None:
    def windowed(window: int) -> Any:
        return make_family("mistral", vocab_size=len(tokenizer), sliding_window=window)

    long = {"rewards": ranked, "max_completion_length": 12, "max_steps": 1}  # prompts have four tokens
    with pytest.raises(ValueError, match=r"sliding window of 15 tokens is shorter than .*\(16 tokens\).*'generate'"):
        trainer(model=windowed(15), **long)
    with pytest.raises(ValueError, match=r"sliding window of 15 tokens"):
        trainer(
            model=windowed(15), **{**long, "max_completion_length": 11}, eval_data=[{"prompt": "1" * 5, "letter": "a"}]
        )
    for settings in ({"model": windowed(16)}, {"model": windowed(15), "rollout_backend": "generate"}):
        (row,) = trainer(**long, **settings).train().log_history
        assert row["sampling/sampling_logp_difference/max"] < 1e-4


# What rewards see.


def test_rewards_of_text_prompts_see_text_and_the_columns_of_their_rows(trainer: Make, rows: Any) -> None:
    calls: list[dict[str, Any]] = []

    def reward(**arguments: Any) -> list[float]:
        calls.append(arguments)
        return [0.0] * len(arguments["completions"])

    run = trainer(rewards=reward, max_steps=1)
    run.train()
    (call,) = calls
    letters = {row["prompt"]: row["letter"] for row in rows}
    assert len(call["prompts"]) == 16
    assert all(isinstance(c, str) for c in call["completions"])
    assert call["letter"] == [letters[p] for p in call["prompts"]]
    assert all(len(set(call["prompts"][i : i + 4])) == 1 for i in range(0, 16, 4))
    for text, ids in zip(call["completions"], call["completion_ids"], strict=True):
        assert text == run.processing_class.decode(ids, skip_special_tokens=True)
    assert call["trainer_state"].max_steps == 1


@pytest.mark.parametrize("kind", [list, Dataset.from_list])
def test_rewards_of_conversations_see_messages(trainer: Make, kind: Any) -> None:
    seen: list[Any] = []

    def reward(prompts: Any, completions: Any, answer: Any, **_: Any) -> list[float]:
        seen.append((prompts, completions, answer))
        return [float(len(c[-1]["content"])) for c in completions]

    data = [{"prompt": [{"role": "user", "content": f"{n}+1"}], "answer": n + 1} for n in range(4)]
    run = trainer(rewards=reward, data=kind(data), max_steps=1)
    run.train()
    prompts, completions, answers = seen[0]
    assert [int(p[-1]["content"][0]) + 1 for p in prompts] == answers
    assert [[m["role"] for m in c] for c in completions] == [["assistant"]] * 16
    lengths = [len(c[0]["content"]) for c in completions]
    assert run.state.log_history[0]["reward"] == pytest.approx(sum(lengths) / 16)


@pytest.mark.parametrize("backend", ["slots", "generate"])
def test_what_was_sampled_is_what_is_scored_and_what_is_trained(
    trainer: Make, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    scored: list[list[int]] = []
    updates: list[dict[str, Any]] = []
    flat = range(4, 8)  # a group that teaches nothing

    class Recorded(Update):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            updates.append(kwargs)
            super().__init__(*args, **kwargs)

    def reward(completions: Any, completion_ids: Any, **_: Any) -> list[float]:
        scored.extend(completion_ids)
        return [1.0 if i in flat else float(i % 4) for i in range(len(completions))]

    monkeypatch.setattr(learner, "Update", Recorded)
    trainer(rewards=reward, max_steps=1, mask_truncated_completions=True, per_device_train_batch_size=4,
            gradient_accumulation_steps=4, rollout_backend=backend, token_budget=15).train()  # fmt: skip
    (update,) = updates
    trained = {
        row: batch.targets[batch.sequence == i].tolist()
        for batch in update["batches"]
        for i, row in enumerate(batch.rows.tolist())
    }
    ended = [i for i, ids in enumerate(scored) if ids[-1] == 1]
    assert 0 < len({*ended} & {*flat}) < len(ended) < 16
    assert trained == {i: scored[i] for i in ended if i not in flat}
    assert update["totals"].completions == 16
    assert update["totals"].tokens == sum(len(scored[i]) for i in ended)


def test_a_truncated_completion_is_trained_unless_it_is_masked(trainer: Make, weights: Weights) -> None:
    runs = [trainer(mask_truncated_completions=masked) for masked in (False, True)]
    histories = [run.train().log_history for run in runs]
    assert histories[0][0]["reward"] == histories[1][0]["reward"]
    assert histories[0][0]["grad_norm"] != histories[1][0]["grad_norm"]
    assert 0 < histories[0][0]["completions/clipped_ratio"] < 1


def classifier(tokenizer: Any) -> Any:
    torch.manual_seed(0)
    return Qwen2ForSequenceClassification(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            num_labels=1,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=None,
        )
    )


def test_a_reward_model_stands_beside_a_function_and_is_not_trained(
    trainer: Make, weights: Weights, tokenizer: Any, tmp_path: Path
) -> None:
    judge = classifier(tokenizer)
    judge.save_pretrained(tmp_path / "judge")
    tokenizer.save_pretrained(tmp_path / "judge")
    before = weights(judge).clone()

    def length(completions: Any, **_: Any) -> list[float]:
        return [float(len(c)) for c in completions]

    run = trainer(rewards=[str(tmp_path / "judge"), length], reward_weights=[2.0, 0.1], max_steps=2)
    for row in run.train().log_history:
        total = 2.0 * row["rewards/judge/mean"] + 0.1 * row["rewards/length/mean"]
        assert row["reward"] == pytest.approx(total)
        assert row["rewards/judge/std"] > 0
    assert torch.equal(weights(Qwen2ForSequenceClassification.from_pretrained(tmp_path / "judge")), before)


def test_a_reward_that_fails_stops_the_run_by_name_and_the_report_is_still_written(
    trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    monkeypatch.setattr(module, "write_report", written.append)

    def fragile(completions: Any, trainer_state: Any, **_: Any) -> list[float]:
        return [1 / (1 - trainer_state.global_step)] * len(completions)

    run = trainer(rewards=fragile)
    with pytest.raises(RewardFailure, match="'fragile' raised ZeroDivisionError"):
        run.train()
    assert written == [Path(run.args.output_dir)]
    assert [row["step"] for row in log_file(run)] == [1]


# The log.


def test_every_promised_number_is_logged_and_finite(trainer: Make) -> None:
    run = trainer(beta=0.1)
    history = run.train().log_history
    for row in history:
        assert set(row) == METRICS | {"kl"}
        assert all(torch.tensor(v).isfinite() for v in row.values() if v is not None)
        assert row["sampling/sampling_logp_difference/max"] < 1e-4  # no stale weights
    assert [row["step"] for row in history] == [1, 2, 3]
    assert log_file(run) == history


def test_the_logged_rewards_are_those_that_were_returned(trainer: Make) -> None:
    returned: list[list[float | None]] = []

    def odd(completions: Any, log_metric: Any, **_: Any) -> list[float | None]:
        returned.append([None if i % 5 == 0 else float(i % 4 + len(c)) for i, c in enumerate(completions)])
        log_metric("calls", len(returned))
        return returned[-1]

    for row, values in zip(trainer(rewards=odd, reward_weights=[0.5]).train().log_history, returned, strict=True):
        scored = torch.tensor([v for v in values if v is not None], dtype=torch.float64)
        assert row["rewards/odd/mean"] == pytest.approx(scored.mean().item())
        assert row["rewards/odd/std"] == pytest.approx(scored.std().item())
        assert row["reward"] == pytest.approx(0.5 * scored.mean().item())
        assert row["reward_std"] == pytest.approx(0.5 * scored.std().item())
        assert row["calls"] == row["step"]


def test_the_phases_of_a_step_add_up_to_its_time(trainer: Make, rows: Any) -> None:
    run = trainer(eval_data=rows[:2], eval_strategy="steps", save_strategy="steps", save_steps=1)
    for row in run.train().log_history:
        if "eval_reward" in row:
            continue
        parts = [v for k, v in row.items() if k.startswith("time/")]
        assert sum(parts) == pytest.approx(row["step_time"])
        assert min(parts) >= 0
        assert "time/save" not in row  # neither saving nor evaluating is part of a step
        tokens = row["completions/mean_length"] * 16
        assert row["tokens_per_second"] == pytest.approx(tokens / row["step_time"])


def test_each_phase_is_counted_once_and_nothing_else_takes_time(
    trainer: Make, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    def takes(seconds: float, function: Any) -> Any:
        def timed(*args: Any, **kwargs: Any) -> Any:
            clock[0] += seconds
            return function(*args, **kwargs)

        return timed

    monkeypatch.setattr("grpo_engine.metrics.time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(Update, "epoch", takes(100.0, Update.epoch))

    def slow(completions: Any, **_: Any) -> list[float]:
        clock[0] += 10.0
        return [float(len(c)) for c in completions]

    def slower(**arguments: Any) -> list[float]:
        return slow(**arguments)

    monkeypatch.setattr(module, "forecast", takes(1000.0, module.forecast))  # before the first step
    run = trainer(rewards=[slow, slower], num_iterations=2, max_steps=4, eval_data=rows[:2], eval_strategy="steps")
    run._collector._sampler = takes(1.0, run._collector._sampler)
    history = [row for row in run.train().log_history if "reward" in row]
    for row in history:
        times = {k.removeprefix("time/"): v for k, v in row.items() if k.startswith("time/") and v}
        first = row["step"] % 2 == 1  # the second step uses the same rollouts
        assert times == ({"rollout": 1.0, "reward": 20.0, "train": 100.0} if first else {"train": 100.0})
        assert row["step_time"] == sum(times.values())


def test_an_entry_of_several_steps_is_their_mean(trainer: Make) -> None:
    each = trainer(max_steps=4).train().log_history
    pairs = trainer(max_steps=4, logging_steps=2).train().log_history
    assert [row["step"] for row in pairs] == [2, 4]
    for row, first, second in zip(pairs, each[::2], each[1::2], strict=True):
        for name in ("loss", "reward", "entropy", "grad_norm"):
            assert row[name] == pytest.approx((first[name] + second[name]) / 2)
        assert row["learning_rate"] == second["learning_rate"]
        assert row["num_tokens"] == second["num_tokens"]


def test_the_logged_learning_rate_is_the_one_that_was_used(trainer: Make) -> None:
    run = trainer(learning_rate=0.01, warmup_steps=2, max_steps=6)
    rates = [row["learning_rate"] for row in run.train().log_history]
    assert rates == pytest.approx([0.01 * k / 2 if k < 2 else 0.01 * (6 - k) / 4 for k in range(6)])


def test_the_token_count_is_that_of_all_prompts_and_completions_read(trainer: Make) -> None:
    history = trainer().train().log_history
    seen = 0.0
    for row in history:
        seen += 16 * (4 + row["completions/mean_length"])  # every prompt has four characters
        assert row["num_tokens"] == pytest.approx(seen)
        assert row["epoch"] == row["step"] * 4 / 16


def test_completions_are_written_with_their_rewards_and_advantages(trainer: Make) -> None:
    run = trainer(max_steps=2, logging_steps=2)
    run.train()
    rows = log_file(run, "completions.jsonl")
    assert len(rows) == 16
    assert {row["step"] for row in rows} == {2}
    for start in range(0, 16, 4):
        group = rows[start : start + 4]
        assert len({row["prompt"] for row in group}) == 1
        assert sum(row["advantage"] for row in group) == pytest.approx(0.0, abs=1e-6)
        for row in group:
            assert row["rewards"] == {"letter_share": row["reward"]}


def test_an_earlier_run_in_the_folder_is_moved_aside(trainer: Make) -> None:
    for steps in (1, 2):
        run = trainer(max_steps=steps, save_strategy="steps")
        run.train()
    folder = Path(run.args.output_dir)
    assert [row["step"] for row in log_file(run)] == [1, 2]
    assert [p.name for p in folder.glob("checkpoint-*")] == ["checkpoint-2"]
    aside = folder / "previous-1"
    assert [json.loads(line)["step"] for line in (aside / "metrics.jsonl").read_text().splitlines()] == [1]
    assert (aside / "checkpoint-1").is_dir()


# Several iterations.


def test_each_batch_of_rollouts_serves_several_steps_against_the_policy_that_sampled_it(trainer: Make) -> None:
    calls: list[int] = []

    def reward(completions: Any, letter: Any, trainer_state: Any, **_: Any) -> list[float]:
        calls.append(trainer_state.global_step)
        return [float(len(set(c))) for c in completions]

    history = trainer(rewards=reward, num_iterations=3, max_steps=7, learning_rate=0.05).train().log_history
    assert calls == [0, 3, 6]
    for row in history:
        first = row["step"] % 3 == 1
        assert (row["clip_ratio"] > 0) == (not first)
        assert ("sampling/sampling_logp_difference/mean" in row) == first
    assert [row["epoch"] for row in history] == [n * 4 / 16 for n in (1, 1, 1, 2, 2, 2, 3)]


# Evaluation.


def test_two_evaluations_of_one_policy_are_equal_whatever_their_batches(trainer: Make, rows: Any) -> None:
    results = []
    for size in (4, 12, 100):
        run = trainer(eval_data=rows[:5], per_device_eval_batch_size=size)
        for _ in range(2):
            results.append(run.evaluate())
    for result in results:
        result.pop("eval_runtime", None)
        assert result == {name: pytest.approx(value, rel=1e-6) for name, value in results[0].items()}
    assert results[0].keys() == {"eval_reward", "eval_rewards/letter_share/mean", "eval_completions/mean_length"}


def test_an_evaluation_changes_nothing_in_the_training(trainer: Make, weights: Weights, rows: Any) -> None:
    plain = trainer()
    watched = trainer(eval_data=rows[:5], eval_strategy="steps", eval_on_start=True)
    plain.train()
    history = watched.train().log_history
    assert torch.equal(weights(plain.model), weights(watched.model))
    assert [row["step"] for row in history if "eval_reward" in row] == [0, 1, 2, 3]
    rows_of_eval = [row for row in log_file(watched, "completions.jsonl") if row["split"] == "eval"]
    assert len(rows_of_eval) == 4 * 5 * 4


def test_an_evaluation_is_the_mean_over_what_was_scored(trainer: Make, rows: Any) -> None:
    values: list[float | None] = []

    def reward(completions: Any, **_: Any) -> list[float | None]:
        got = [None if len(c) == 6 else float(len(c)) for c in completions]
        values.extend(got)
        return got

    run = trainer(rewards=reward, eval_data=rows[:5], num_generations_eval=3, per_device_eval_batch_size=6)
    result = run.evaluate()
    assert len(values) == 5 * 3
    scored = [v for v in values if v is not None]
    assert 0 < len(scored) < 15
    assert result["eval_reward"] == pytest.approx(sum(scored) / len(scored))


def test_an_evaluation_without_data_says_what_is_missing(trainer: Make) -> None:
    with pytest.raises(ValueError, match="needs an eval_dataset"):
        trainer().evaluate()


# Stopping and going on.

RESUMED: dict[str, dict[str, Any]] = {
    "plain": {},
    "schedule with warmup, reference, two iterations": {
        "num_iterations": 2,
        "warmup_steps": 3,
        "lr_scheduler_type": "cosine",
        "beta": 0.1,
        "weight_decay": 0.1,
    },
    "bf16": {"bf16": True, "learning_rate": 1e-3},
    "dropout": {"model": {"attention_dropout": 0.3}, "rollout_backend": "generate"},
    "transformers' generate": {"rollout_backend": "generate"},
    "offloaded moments in bf16": {"offload_optimizer": True, "optim_moments": "bfloat16", "bf16": True},
    "accumulation": {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
}


@pytest.mark.parametrize("case", list(RESUMED))
def test_a_resumed_run_ends_bitwise_as_the_undisturbed_one(
    trainer: Make, weights: Weights, new_model: Any, tmp_path: Path, case: str
) -> None:
    settings = dict(RESUMED[case])
    changes = settings.pop("model", {})
    settings |= {"max_steps": 8, "save_strategy": "steps", "save_steps": 3}
    whole = trainer(model=new_model(**changes), output_dir=str(tmp_path / "whole"), **settings)
    whole.train()
    saved = sorted((tmp_path / "whole").glob("checkpoint-*"))
    folder = tmp_path / "resumed" / saved[0].name
    shutil.copytree(saved[0], folder)

    torch.manual_seed(99)
    resumed = trainer(model=new_model(**changes), output_dir=str(tmp_path / "resumed"), **settings)
    torch.rand(7)  # whatever happens in between
    history = resumed.train(resume_from_checkpoint=True).log_history
    assert torch.equal(weights(resumed.model), weights(whole.model))
    assert without_times(history) == without_times(whole.state.log_history)
    assert resumed.state.global_step == 8


def test_an_entry_of_several_steps_covers_those_before_the_checkpoint_too(trainer: Make, tmp_path: Path) -> None:
    settings = {"max_steps": 8, "logging_steps": 4, "save_strategy": "steps", "save_steps": 3}
    whole = trainer(output_dir=str(tmp_path / "whole"), **settings)
    whole.train()
    shutil.copytree(tmp_path / "whole" / "checkpoint-3", tmp_path / "resumed" / "checkpoint-3")
    resumed = trainer(output_dir=str(tmp_path / "resumed"), **settings)
    resumed.train(resume_from_checkpoint=True)
    assert without_times(resumed.state.log_history) == without_times(whole.state.log_history)


def test_training_again_goes_on_with_the_run_and_buries_nothing(trainer: Make, weights: Weights) -> None:
    whole = trainer(rewards=Interrupting(0), max_steps=5)
    whole.train()
    run = trainer(rewards=Interrupting(1), max_steps=5)
    with pytest.raises(TrainingInterrupted):
        run.train()
    for _ in range(2):  # the second call has nothing left to do
        history = run.train().log_history
        assert torch.equal(weights(run.model), weights(whole.model))
        assert without_times(history) == without_times(whole.state.log_history)
        assert log_file(run) == history


def test_a_checkpoint_is_written_between_batches_of_rollouts_only(trainer: Make) -> None:
    run = trainer(num_iterations=2, max_steps=8, save_strategy="steps", save_steps=3)
    run.train()
    assert sorted(p.name for p in Path(run.args.output_dir).glob("checkpoint-*")) == [
        "checkpoint-4",
        "checkpoint-6",
        "checkpoint-8",
    ]


def test_only_the_newest_checkpoints_are_kept(trainer: Make) -> None:
    run = trainer(max_steps=5, save_strategy="steps", save_steps=1, save_total_limit=2)
    run.train()
    assert sorted(p.name for p in Path(run.args.output_dir).glob("checkpoint-*")) == ["checkpoint-4", "checkpoint-5"]


def test_going_on_without_a_checkpoint_says_so(trainer: Make) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        trainer().train(resume_from_checkpoint=True)


class Interrupting:
    """A reward that presses Ctrl-C while the third step is scored."""

    __name__ = "interrupting"

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, completions: Any, letter: Any, trainer_state: Any, **_: Any) -> list[float]:
        if trainer_state.global_step == 2:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)
        return [c.count(wanted) / max(len(c), 1) for c, wanted in zip(completions, letter, strict=True)]


def test_an_interrupt_finishes_the_step_saves_and_says_how_to_go_on(trainer: Make, weights: Weights) -> None:
    handler = signal.getsignal(signal.SIGINT)
    whole = trainer(rewards=Interrupting(0), max_steps=5, warmup_steps=2)
    whole.train()
    stopped = trainer(rewards=Interrupting(1), max_steps=5, warmup_steps=2)
    with pytest.raises(
        TrainingInterrupted, match=r"after step 3 of 5.*checkpoint-3; train\(resume_from_checkpoint=True"
    ):
        stopped.train()
    assert signal.getsignal(signal.SIGINT) is handler
    assert stopped.state.global_step == 3

    resumed = trainer(rewards=Interrupting(0), max_steps=5, warmup_steps=2)
    history = resumed.train(resume_from_checkpoint=True).log_history
    assert torch.equal(weights(resumed.model), weights(whole.model))
    assert without_times(history) == without_times(whole.state.log_history)
    assert [row["step"] for row in log_file(resumed)] == [1, 2, 3, 4, 5]


def test_a_second_interrupt_stops_at_once(trainer: Make) -> None:
    handler = signal.getsignal(signal.SIGINT)
    run = trainer(rewards=Interrupting(2), max_steps=5)
    with pytest.raises(KeyboardInterrupt) as caught:
        run.train()
    assert not isinstance(caught.value, TrainingInterrupted)
    assert run.state.global_step == 2
    assert signal.getsignal(signal.SIGINT) is handler


def test_training_works_outside_of_the_main_thread(trainer: Make) -> None:
    run = trainer(max_steps=1)
    thread = threading.Thread(target=run.train)
    thread.start()
    thread.join()
    assert run.state.global_step == 1


# Beginnings and ends.


def test_a_policy_is_loaded_from_a_folder_with_its_tokenizer_and_saved_as_one(
    tmp_path: Path, model: Any, tokenizer: Any, rows: Any, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "write_report", lambda folder: None)
    model.save_pretrained(tmp_path / "policy")
    tokenizer.save_pretrained(tmp_path / "policy")
    config = GRPOConfig(
        output_dir=str(tmp_path / "run"),
        max_completion_length=4,
        max_steps=1,
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    run = GRPOTrainer(str(tmp_path / "policy"), lambda completions, **_: [0.0] * len(completions), config, rows)
    run.train()
    run.save_model(tmp_path / "final")
    assert torch.equal(weights(AutoModelForCausalLM.from_pretrained(tmp_path / "final")), weights(model))


def test_what_cannot_work_is_refused_before_a_model_is_loaded(rows: Any, tmp_path: Path) -> None:
    config = GRPOConfig(use_cpu=True, output_dir=str(tmp_path))
    nowhere, reward = "no/such-model", lambda completions, **_: [0.0] * len(completions)
    with pytest.raises(ValueError, match="train_dataset is missing"):
        GRPOTrainer(nowhere, reward, config)
    with pytest.raises(ValueError, match="no column 'prompt'"):
        GRPOTrainer(nowhere, reward, config, [{"question": "1"}])
    with pytest.raises(ValueError, match="no column 'prompt'"):
        GRPOTrainer(nowhere, reward, config, rows, [{"question": "1"}])
    with pytest.raises(ValueError, match="need an eval_dataset"):
        GRPOTrainer(nowhere, reward, GRPOConfig(use_cpu=True, eval_strategy="steps"), rows)
    with pytest.raises(ValueError, match="do not hold whole groups"):
        GRPOTrainer(nowhere, reward, GRPOConfig(use_cpu=True, num_generations=3), rows)
    with pytest.raises(ValueError, match="2 reward_weights for 1 reward functions"):
        GRPOTrainer(nowhere, reward, GRPOConfig(use_cpu=True, reward_weights=[1.0, 2.0]), rows)
    with pytest.raises(OSError, match="'no/such-model' is no local folder and could not be fetched"):
        GRPOTrainer(nowhere, reward, config, rows)


def test_prompts_that_are_too_long_are_left_out_of_the_run(trainer: Make, capsys: pytest.CaptureFixture[str]) -> None:
    seen: set[str] = set()

    def reward(prompts: Any, completions: Any, **_: Any) -> list[float]:
        seen.update(prompts)
        return [0.0] * len(completions)

    data = [{"prompt": "1" * n} for n in (2, 3, 9, 4, 5)]
    trainer(rewards=reward, data=data, max_prompt_length=4, max_steps=2, disable_tqdm=False).train()
    assert seen == {"11", "111", "1111"}
    assert "2 prompts have more than 4 tokens and were left out" in capsys.readouterr().out


def test_the_report_is_written_at_the_end(tmp_path: Path, trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from grpo_engine.report import write_report

    run = trainer()
    monkeypatch.setattr(module, "write_report", write_report)
    run.train()
    assert {"report.html", "report.png", "metrics.jsonl", "completions.jsonl", "config.json"} <= {
        p.name for p in Path(run.args.output_dir).iterdir()
    }


def test_a_tracker_that_is_not_installed_is_refused_by_name(new_model: Any, tokenizer: Any, tmp_path: Path) -> None:
    config = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, report_to=["no_such_tracker"])
    with pytest.raises(ValueError, match="no_such_tracker"):
        GRPOTrainer(new_model(), lambda **_: [], config, [{"prompt": "a"}], processing_class=tokenizer)


def test_a_reference_in_half_precision_is_the_policy_to_the_bit(trainer: Make) -> None:
    run = trainer(bf16=True, beta=0.1, learning_rate=0.0, max_steps=1)
    angles = [m.inv_freq.dtype for m in run._policy.reference.model.modules() if hasattr(m, "inv_freq")]
    assert angles
    assert set(angles) == {torch.float32}
    (row,) = run.train().log_history
    assert row["kl"] == 0.0


def test_frozen_parameters_are_rounded_with_the_others(trainer: Make, tokenizer: Any) -> None:
    model = make_model(tokenizer)
    model.model.layers[0].requires_grad_(False)
    (row,) = trainer(model, bf16=True, max_steps=1).train().log_history
    assert row["grad_norm"] > 0


def test_a_resumed_run_keeps_the_slots_and_the_token_budget_that_were_chosen(
    trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trainer(max_steps=1, save_strategy="steps", save_steps=1)
    first.train()
    chosen = (first.plan().slots, first.plan().token_budget)
    scarce = Memory(total=2**40, free=2**18)
    monkeypatch.setattr("grpo_engine.memory.device_memory", lambda device: scarce)
    alone = trainer(max_steps=1)
    assert (alone.plan().slots, alone.plan().token_budget) != chosen  # it would choose otherwise
    again = trainer(max_steps=2)
    again.train(resume_from_checkpoint=Path(first.args.output_dir) / "checkpoint-1")
    assert (again.plan().slots, again.plan().token_budget) == chosen


def test_a_checkpoint_of_another_engine_is_refused_with_the_way_on(trainer: Make) -> None:
    run = trainer()
    state = run._policy.optimizer.state_dict()
    del state["kind"]
    with pytest.raises(ValueError, match="earlier version"):
        run._policy.optimizer.load_state_dict(state)


def test_out_of_memory_in_the_update_names_what_to_lower(trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(Update, "epoch", full)
    with pytest.raises(torch.OutOfMemoryError, match=r"lower token_budget \(now \d+\)"):
        trainer(max_steps=1).train()


def test_learned_positions_that_end_too_early_are_refused_before_the_first_rollout(
    trainer: Make, absolute: Any
) -> None:
    with pytest.raises(ValueError, match="positions end at 64; lower max_completion_length"):
        trainer(absolute, max_completion_length=80, disable_dropout=True)


def test_disabling_dropout_reaches_the_rates_that_attention_keeps_as_numbers(trainer: Make, tokenizer: Any) -> None:
    model = make_model(tokenizer, attention_dropout=0.5)
    (row,) = trainer(model, disable_dropout=True, max_steps=1).train().log_history  # refused otherwise
    assert row["sampling/sampling_logp_difference/max"] < 1e-5


def test_an_evaluation_fills_the_slots_and_leaves_their_buffers(trainer: Make, rows: Any) -> None:
    run = trainer(eval_data=rows, eval_strategy="steps", eval_steps=1, num_generations_eval=1, max_steps=2)
    run.train()
    assert run._policy.sampler.slots_in_use == 16


def test_a_plan_for_generate_names_no_setting_that_generate_does_not_read(
    trainer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = (Remedy("token_budget=64", 2), Remedy("rollout_slots=4", 2), Remedy("gradient_checkpointing=True", 1))

    def planned(*args: Any, **settings: Any) -> Any:
        return dataclasses.replace(make_plan(*args, **settings), remedies=short)

    monkeypatch.setattr("grpo_engine.forecast.make_plan", planned)
    assert trainer(rollout_backend="slots").plan().remedies == short
    assert trainer(rollout_backend="generate").plan().remedies == short[2:]
