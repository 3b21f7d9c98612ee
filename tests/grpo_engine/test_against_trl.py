"""TRL's GRPOTrainer and ours make the same of the same completions: advantages, losses, gradients, weights.

TRL 1.16's own `_compute_loss` and training loop run here; nothing of it is written down again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.grpo_engine.families import relative
from tests.grpo_engine.trl_oracle import (
    BATCH,
    COMMON,
    GROUP,
    LENGTH,
    ROWS,
    Rewards,
    Trace,
    alone,
    at_first,
    closeness,
    equal,
    length,
    run_ours,
    run_trl,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning"),  # transformers' own, in TRL's use
    pytest.mark.filterwarnings("ignore:.*importance_sampling_level.*:UserWarning"),
]

EQUAL = 1e-5  # relative, in fp32
DIFFERENT = 1e-3  # relative; what two different settings must differ by for their test to mean anything
LOSSES: dict[str, dict[str, Any]] = {
    "grpo": {},
    "bnpo": {},
    "dr_grpo": {},
    "dapo": {},
    "cispo": {"epsilon_high": 1.1},  # a cap on the ratio itself
    "sapo": {"sapo_temperature_pos": 0.7, "sapo_temperature_neg": 1.9},
    "gspo": {"epsilon": 0.05, "epsilon_high": 0.1},  # the mean over a completion moves less than a token
}
TRL_NAMES = {"gspo": {"loss_type": "grpo", "importance_sampling_level": "sequence"}}
KLS: dict[str, dict[str, Any]] = {
    "no KL": {"beta": 0.0},
    "KL": {"beta": 0.04, "use_bias_correction_kl": False},
    "corrected KL": {"beta": 0.04, "use_bias_correction_kl": True},
}

every_variant = pytest.mark.parametrize(
    ("loss", "kl", "updates"),
    [
        pytest.param(loss, kl, updates, id=f"{loss}, {kl}, {updates} per rollout")
        for loss, kl, updates in itertools.product(LOSSES, KLS, (1, 2))
    ],
)


def variant(loss: str, kl: str, updates: int, **settings: Any) -> dict[str, Any]:
    """The settings of a loss with a KL and a number of updates per rollout; more of them, or others."""
    return {"loss_type": loss, "num_iterations": updates, **LOSSES[loss], **KLS[kl], **settings}


class Runs:
    """Both trainers on the same settings; each pair is trained once and kept."""

    def __init__(self, start: Path, tokenizer: Any, folders: Callable[[], Path]) -> None:
        self._start, self._tokenizer, self._folders = start, tokenizer, folders
        self._known: dict[str, Trace] = {}

    def ours(self, *, rewards: Sequence[Rewards] = (closeness,), **settings: Any) -> Trace:
        return self._run(run_ours, settings, rewards)

    def trl(self, *, rewards: Sequence[Rewards] = (closeness,), **settings: Any) -> Trace:
        return self._run(run_trl, {**settings, **TRL_NAMES.get(settings.get("loss_type", ""), {})}, rewards)

    def both(self, **settings: Any) -> tuple[Trace, Trace]:
        trl = self.trl(**settings)  # first, so that a test is skipped where TRL is missing
        return self.ours(**settings), trl

    def _run(self, run: Callable[..., Trace], settings: dict[str, Any], rewards: Sequence[Rewards]) -> Trace:
        key = repr((run.__name__, sorted(settings.items()), [r.__name__ for r in rewards]))
        if key not in self._known:
            self._known[key] = run(self._start, self._tokenizer, self._folders(), settings, list(rewards))
        return self._known[key]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any, new_model: Callable[..., Any]) -> Runs:
    start = tmp_path_factory.mktemp("start")
    new_model(initializer_range=0.1).save_pretrained(start)
    return Runs(start, tokenizer, lambda: tmp_path_factory.mktemp("run"))


def same_advantages(ours: Trace, trl: Trace) -> None:
    assert len(ours.advantages) == len(trl.advantages) == COMMON["max_steps"]
    for mine, theirs in zip(ours.advantages, trl.advantages, strict=True):
        keys = sorted(theirs)
        assert sorted(mine) == keys
        assert len(keys) == BATCH
        assert relative(*(torch.tensor([a[k] for k in keys]).double() for a in (mine, theirs))) <= EQUAL


def same_losses(ours: Trace, trl: Trace) -> None:
    rounding = 2e-7  # of a sum of terms near 1; the loss of a first update by `grpo` is 0 but for it
    assert ours.losses == pytest.approx(trl.losses, rel=EQUAL, abs=rounding)


def same_gradients(ours: Trace, trl: Trace) -> None:
    assert len(ours.gradients) == len(trl.gradients) == COMMON["max_steps"]
    for mine, theirs in zip(ours.gradients, trl.gradients, strict=True):
        assert relative(mine, theirs) <= EQUAL


def same_weights(ours: Trace, trl: Trace) -> None:
    assert torch.equal(ours.weights[0], trl.weights[0])
    assert len(ours.weights) == len(trl.weights) == COMMON["max_steps"] + 1
    assert relative(ours.change, trl.change) <= EQUAL


def same(ours: Trace, trl: Trace) -> None:
    same_advantages(ours, trl)
    same_losses(ours, trl)
    same_gradients(ours, trl)
    same_weights(ours, trl)


class TestEveryLoss:
    @every_variant
    def test_the_advantages_are_trls(self, runs: Runs, loss: str, kl: str, updates: int) -> None:
        same_advantages(*runs.both(**variant(loss, kl, updates)))

    @every_variant
    def test_the_loss_of_each_step_is_trls(self, runs: Runs, loss: str, kl: str, updates: int) -> None:
        same_losses(*runs.both(**variant(loss, kl, updates)))

    @every_variant
    def test_the_gradient_of_each_step_is_trls(self, runs: Runs, loss: str, kl: str, updates: int) -> None:
        same_gradients(*runs.both(**variant(loss, kl, updates)))

    @every_variant
    def test_the_weights_after_five_steps_are_trls(self, runs: Runs, loss: str, kl: str, updates: int) -> None:
        same_weights(*runs.both(**variant(loss, kl, updates)))


class TestTheCases:
    """What the comparison would prove little without."""

    @pytest.mark.parametrize("loss", ["grpo", "bnpo", "dr_grpo", "dapo", "gspo"])
    def test_the_second_update_of_a_rollout_is_clipped_on_both_sides_and_not_everywhere(
        self, runs: Runs, loss: str
    ) -> None:
        trl = runs.trl(**variant(loss, "no KL", 2))
        for side in ("low", "high"):
            assert trl.metrics[0][f"clip_ratio/{side}_mean"] == 0.0
            assert 0.02 < trl.metrics[1][f"clip_ratio/{side}_mean"] < 0.6

    def test_the_cap_of_cispo_is_reached_and_not_everywhere(self, runs: Runs) -> None:
        trl = runs.trl(**variant("cispo", "no KL", 2))
        assert 0.02 < trl.metrics[1]["cispo_clip_ratio"] < 0.6

    def test_the_policy_is_away_from_the_reference(self, runs: Runs) -> None:
        for kl in ("KL", "corrected KL"):
            assert all(entry["kl"] > 0.05 for entry in runs.trl(**variant("dapo", kl, 1)).metrics)

    def test_any_two_variants_give_different_weights(self, runs: Runs) -> None:
        variants = [v for v in itertools.product(LOSSES, KLS) if v[0] != "bnpo"]  # one micro-batch: dapo
        changes = {v: runs.trl(**variant(*v, 2)).change for v in variants}
        for one, other in itertools.combinations(variants, 2):
            assert relative(changes[one], changes[other]) > DIFFERENT, (one, other)

    def test_completions_have_many_lengths_and_some_are_cut_off(self, runs: Runs) -> None:
        trl = runs.trl(**variant("dapo", "no KL", 1))
        lengths = {len(text) for step in trl.advantages for _, text in step}
        assert len(lengths) > LENGTH // 2
        assert max(lengths) == LENGTH  # without an end token

    def test_one_group_of_each_rollout_has_no_advantage(self, runs: Runs) -> None:
        trl = runs.trl(**variant("dapo", "no KL", 1))
        flat = {row["prompt"] for row in ROWS if row["flat"]}
        for step in trl.advantages:
            assert {prompt for prompt, _ in step if not any(a for (p, _), a in step.items() if p == prompt)} <= flat
            assert sum(a == 0 for a in step.values()) == GROUP


class TestSettings:
    """Each setting with two updates per rollout and a KL, against the same run without it."""

    @pytest.mark.parametrize(
        "setting",
        [
            {"delta": 1.2},
            {"epsilon_high": None},
            {"mask_truncated_completions": True},
            {"top_entropy_quantile": 0.4},
            {"scale_rewards": "batch"},
            {"scale_rewards": "none"},
            {"temperature": 0.7},
            {"max_grad_norm": 0.1},
            {"weight_decay": 0.3},
            {"adam_beta1": 0.5, "adam_beta2": 0.9},
            {"lr_scheduler_type": "linear", "warmup_steps": 2},
            {"num_iterations": 3},
        ],
        ids=lambda setting: ", ".join(f"{name} {value}" for name, value in setting.items()),
    )
    def test_it_changes_what_trl_does_and_ours_does_the_same(self, runs: Runs, setting: dict[str, Any]) -> None:
        ours, trl = runs.both(**{**variant("dapo", "KL", 2), **setting})
        without = runs.trl(**variant("dapo", "KL", 2))
        assert relative(trl.change, without.change) > DIFFERENT
        same(ours, trl)

    @pytest.mark.parametrize("loss", list(LOSSES))
    @pytest.mark.parametrize("kl", ["no KL", "corrected KL"])
    def test_completions_that_were_cut_off_are_masked_alike_in_every_loss(self, runs: Runs, loss: str, kl: str) -> None:
        same(*runs.both(**variant(loss, kl, 2, mask_truncated_completions=True)))

    @pytest.mark.parametrize("loss", list(LOSSES))
    def test_tokens_of_low_entropy_are_left_out_alike_in_every_loss(self, runs: Runs, loss: str) -> None:
        same(*runs.both(**variant(loss, "corrected KL", 2, top_entropy_quantile=0.4)))

    @pytest.mark.parametrize("loss", ["grpo", "bnpo", "dr_grpo", "dapo", "gspo"])
    def test_the_ratio_is_capped_by_delta_alike_in_every_clipped_loss(self, runs: Runs, loss: str) -> None:
        same(*runs.both(**variant(loss, "corrected KL", 2, delta=1.04 if loss == "gspo" else 1.2)))

    @pytest.mark.parametrize("loss", ["dapo", "cispo", "sapo"])
    def test_the_level_of_the_ratio_is_a_setting_of_its_own(self, runs: Runs, loss: str) -> None:
        setting = {"importance_sampling_level": "sequence"}
        ours, trl = runs.both(**variant(loss, "corrected KL", 2, **setting))
        assert relative(trl.change, runs.trl(**variant(loss, "corrected KL", 2)).change) > DIFFERENT
        same(ours, trl)

    def test_gspo_is_grpo_with_the_ratio_of_the_sequence(self, runs: Runs) -> None:
        settings = {**LOSSES["gspo"], "num_iterations": 2}
        named = runs.ours(loss_type="gspo", **settings)
        level = runs.ours(loss_type="grpo", importance_sampling_level="sequence", **settings)
        assert torch.equal(named.change, level.change)

    @pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "bnpo"])  # for which see the last class
    def test_accumulation_over_micro_batches_changes_neither(self, runs: Runs, loss: str) -> None:
        split = {"per_device_train_batch_size": BATCH // 2, "gradient_accumulation_steps": 2}
        ours, trl = runs.both(**variant(loss, "KL", 2, **split))
        same(ours, trl)
        assert relative(ours.change, runs.ours(**variant(loss, "KL", 2)).change) <= EQUAL

    def test_the_norm_before_clipping_is_logged_alike(self, runs: Runs) -> None:
        ours, trl = runs.both(**variant("dapo", "KL", 2, max_grad_norm=0.1))
        norms = [[entry["grad_norm"] for entry in trace.metrics] for trace in (ours, trl)]
        assert norms[0] == pytest.approx(norms[1], rel=EQUAL)
        assert min(norms[1]) > 0.2  # each step was clipped


class TestPasses:
    """Whatever passes ours splits a batch into, it gives what TRL's one micro-batch gives."""

    @pytest.mark.parametrize("loss", list(LOSSES))
    @pytest.mark.parametrize(
        "passes",
        [
            {"token_budget": 40},  # a group each, or a part of one
            {"rollout_backend": "generate"},  # padded
            {"rollout_backend": "generate", "per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
        ],
        ids=["small packs", "padded", "padded, four of them"],
    )
    def test_the_split_changes_nothing(self, runs: Runs, passes: dict[str, Any], loss: str) -> None:
        settings = variant(loss, "corrected KL", 2)
        trl = runs.trl(**settings)
        same(runs.ours(**{**settings, **passes}), trl)

    def test_activations_that_are_computed_again_change_nothing(self, runs: Runs) -> None:
        settings = variant("gspo", "corrected KL", 2)
        trl = runs.trl(**settings)
        same(runs.ours(**settings, gradient_checkpointing=True), trl)

    @pytest.mark.parametrize("loss", list(LOSSES))
    def test_with_one_update_the_trainer_and_the_sampler_are_the_same_old_policy(self, runs: Runs, loss: str) -> None:
        settings = variant(loss, "corrected KL", 1)
        trl = runs.trl(**settings)
        same(runs.ours(**settings, old_logprobs="trainer"), trl)


class TestRewards:
    def test_weighted_rewards_that_leave_out_completions_give_the_same_advantages(self, runs: Runs) -> None:
        ours, trl = runs.both(rewards=(closeness, length), reward_weights=[0.3, 2.0], num_iterations=2)
        assert relative(trl.change, runs.trl(num_iterations=2).change) > DIFFERENT
        same(ours, trl)

    def test_a_completion_that_nothing_scored_gets_no_advantage(self, runs: Runs) -> None:
        ours, trl = runs.both(rewards=(length,), num_iterations=2)
        unscored = [a for step in trl.advantages for (_, text), a in step.items() if len(text) == LENGTH - 1]
        assert len(unscored) > 1
        assert set(unscored) == {0.0}
        same(ours, trl)

    def test_a_single_scored_completion_teaches_nothing(self, runs: Runs) -> None:
        ours, trl = runs.both(rewards=(alone,))
        for trace in (ours, trl):
            assert {a for step in trace.advantages for a in step.values()} == {0.0}
            assert not trace.change.any()

    def test_steps_without_advantages_still_move_the_weights_by_momentum(self, runs: Runs) -> None:
        ours, trl = runs.both(rewards=(at_first,))
        for trace in (ours, trl):
            assert trace.gradients[0].any()
            assert not any(gradient.any() for gradient in trace.gradients[1:])
            assert relative(trace.weights[-1], trace.weights[1]) > DIFFERENT
        same_weights(ours, trl)


class TestMetrics:
    """With a KL, since ours takes means over the completions that go through the policy: with it, all of them."""

    NAMES = ("loss", "grad_norm", "learning_rate", "kl", "entropy", "num_tokens", "reward", "reward_std")
    MORE = (
        "frac_reward_zero_std",
        *(f"clip_ratio/{name}_mean" for name in ("low", "high", "region")),
        *(f"completions/{name}_length" for name in ("mean", "min", "max")),
        *(f"completions/{name}_terminated_length" for name in ("mean", "min", "max")),
        "completions/clipped_ratio",
        "rewards/closeness/mean",
        "rewards/closeness/std",
    )

    @pytest.mark.parametrize("name", [*NAMES, *MORE])
    def test_a_number_of_trls_name_is_trls_number(self, runs: Runs, name: str) -> None:
        ours, trl = runs.both(**variant("dapo", "corrected KL", 2))
        logged = [
            (mine[name], theirs[name])
            for mine, theirs in zip(ours.metrics, trl.metrics, strict=True)
            if name in theirs  # TRL logs what a rollout gave with its first update only
        ]
        assert logged
        for mine, theirs in logged:
            assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-6)


class TestWhatOursLeavesOut:
    def test_without_a_kl_a_group_without_advantage_does_not_go_through_the_model(self, runs: Runs) -> None:
        ours, trl = runs.both(**variant("dapo", "no KL", 1))
        same_gradients(ours, trl)
        flat = {row["prompt"] for row in ROWS if row["flat"]}
        for step, tokens in zip(trl.advantages, ours.tokens, strict=True):
            prompts = {prompt for prompt, _ in step} - flat
            # A prompt goes in once, a completion without its last token: the end token, or that of a full length.
            texts = [min(len(text), LENGTH - 1) for prompt, text in step if prompt in prompts]
            assert tokens == sum(map(len, prompts)) + sum(texts)


class TestWhereTRLDiffersFromItself:
    """Where TRL's result depends on what is not part of the mathematics, ours keeps to the mathematics."""

    @pytest.mark.parametrize(
        ("loss", "setting"),
        [("bnpo", {}), ("dapo", {"top_entropy_quantile": 0.4})],
        ids=["the denominator of bnpo", "the threshold of the entropy"],
    )
    def test_trl_takes_it_of_a_micro_batch_and_ours_of_the_whole_batch(
        self, runs: Runs, loss: str, setting: dict[str, Any]
    ) -> None:
        split = {"per_device_train_batch_size": BATCH // 2, "gradient_accumulation_steps": 2}
        ours, trl = runs.both(**variant(loss, "no KL", 2, **setting, **split))
        whole = runs.trl(**variant(loss, "no KL", 2, **setting))
        assert relative(trl.change, whole.change) > DIFFERENT
        assert relative(ours.change, whole.change) <= EQUAL

    def test_equal_rewards_move_trls_weights_by_rounding_and_leave_ours(self, runs: Runs) -> None:
        settings = {"num_generations": 8, "adam_epsilon": 1e-8}
        ours, trl = runs.both(rewards=(equal,), **settings)
        largest = max(abs(a) for step in trl.advantages for a in step.values())
        assert 0 < largest < 1e-4
        assert trl.change.abs().max() > 0.9 * COMMON["learning_rate"]  # Adam makes full steps of any gradient
        assert {a for step in ours.advantages for a in step.values()} == {0.0}
        assert not ours.change.any()
