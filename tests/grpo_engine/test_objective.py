"""The loss per token and its weights: numbers by hand, an oracle of plain loops, and TRL's own code."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from grpo_engine import GRPOConfig
from grpo_engine.objective import (
    KL_ESTIMATORS,
    LOSSES,
    Objective,
    clipped,
    importance_ratio,
    k1,
    k2,
    k3,
    rollout_correction,
    token_losses,
    top_entropy_threshold,
)

LENGTHS = (5, 1, 3, 2, 5, 4)
STARTS = np.cumsum((0, *LENGTHS))
MAX_LENGTH = 8
KINDS = tuple(LOSSES)
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "kl": {"beta": 0.04},
    "kl without the ratio": {"beta": 0.04, "use_bias_correction_kl": False},
    "k1": {"beta": 0.1, "kl": k1},
    "k2": {"beta": 0.1, "kl": k2},
    "delta": {"delta": 1.6, "beta": 0.04},
    "delta below the clip": {"delta": 1.1},
    "capped": {"rollout_is_cap": 1.5, "beta": 0.04},
    "by sequence": {"importance_sampling_level": "sequence", "beta": 0.04},
}


def objective_of(kind: str, **changes: Any) -> Objective:
    high = 1.7 if LOSSES[kind].absolute_cap else 0.28
    return replace(Objective(LOSSES[kind], MAX_LENGTH, epsilon_low=0.2, epsilon_high=high), **changes)


class Batch:
    """Six completions in fp64, one of a single token, whose ratios lie between e^-3 and e^3."""

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)

        def draw() -> torch.Tensor:
            return torch.randn(sum(LENGTHS), generator=generator, dtype=torch.float64)

        self.old = draw() - 5
        shift = draw() * 0.3
        far = torch.tensor([3.0, -3.0, 1.0, -3.0, 3.0, -3.0, 1.0], dtype=torch.float64)
        shift[[3, 4, 5, 10, 12, 14, 17]] = far  # under every sign of the advantage
        self.logprobs = (self.old + shift).requires_grad_()
        self.reference = self.old + 0.4 * draw()
        self.sampled = self.old + 0.6 * draw()
        self.entropies = draw().abs()
        self.lengths = torch.tensor(LENGTHS, dtype=torch.float64)
        self.sequence = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS))
        self.advantage = torch.tensor([1.0, -1.0, 0.5, 0.0, -2.0, 1.5], dtype=torch.float64)[self.sequence]
        self.entropy_mask: torch.Tensor | None = None
        self.correction: torch.Tensor | None = None

    def masked_and_corrected(self) -> Batch:
        self.entropy_mask = self.entropies >= top_entropy_threshold(self.entropies, 0.5)
        self.correction = rollout_correction(self.old, self.sampled, 1.5)
        return self


def loss_of(batch: Batch, objective: Objective, completions: slice = slice(None)) -> torch.Tensor:
    """The share that some completions have in the loss of the whole batch, as a pass of their own."""
    rows = range(len(LENGTHS))[completions]
    t = slice(int(STARTS[rows.start]), int(STARTS[rows.stop]))
    sequence, lengths = batch.sequence[t] - rows.start, batch.lengths[completions]
    losses = token_losses(
        objective,
        batch.logprobs[t],
        old=batch.old[t],
        advantage=batch.advantage[t],
        sequence=sequence,
        lengths=lengths,
        reference=batch.reference[t],
        entropy_mask=None if batch.entropy_mask is None else batch.entropy_mask[t],
        correction=None if batch.correction is None else batch.correction[t],
    )
    weights = objective.loss.weights(
        sequence, lengths, completions=len(LENGTHS), tokens=sum(LENGTHS), max_length=MAX_LENGTH
    )
    return (losses * weights).sum()


def oracle(batch: Batch, kind: str, objective: Objective, x: list[float]) -> float:
    """The loss at log-probabilities `x`, token by token, as the papers write it."""
    old, reference, frozen = batch.old.tolist(), batch.reference.tolist(), batch.logprobs.tolist()
    total = 0.0
    for i, length in enumerate(LENGTHS):
        tokens = range(STARTS[i], STARTS[i] + length)
        for t in tokens:
            by_sequence = kind == "gspo" or objective.importance_sampling_level == "sequence"
            span = tokens if by_sequence else [t]
            a = batch.advantage[t].item()

            def ratio(at: list[float], span: Any = span) -> float:
                r, now = (math.exp(sum(z[u] - old[u] for u in span) / len(span)) for z in (at, frozen))
                cap = objective.rollout_is_cap
                if cap is not None and objective.loss.absolute_cap:
                    cap = max(cap, objective.epsilon_high)
                return r if cap is None or batch.correction is not None else r * min(1, cap / now)

            r, high = ratio(x), objective.epsilon_high
            if kind == "cispo":
                term = -min(ratio(frozen), high) * a * x[t]
            elif kind == "sapo":
                tau = objective.sapo_temperature_pos if a > 0 else objective.sapo_temperature_neg
                term = -a * 4 / tau / (1 + math.exp(-tau * (r - 1)))
            else:
                inside = min(max(r, 1 - objective.epsilon_low), 1 + high)
                term = -min(min(r, objective.delta or math.inf) * a, inside * a)
            if batch.entropy_mask is not None:
                term *= float(batch.entropy_mask[t])
            if batch.correction is not None:
                term *= min(math.exp(old[t] - batch.sampled[t].item()), 1.5)
            d = reference[t] - x[t]
            kl = {k1: -d, k2: d * d / 2, k3: math.exp(d) - d - 1}[objective.kl]
            kl *= r if objective.use_bias_correction_kl else 1.0
            if kind in ("grpo", "gspo", "sapo"):
                weight = 1 / len(LENGTHS) / length
            else:
                weight = 1 / len(LENGTHS) / MAX_LENGTH if kind == "dr_grpo" else 1 / sum(LENGTHS)
            total += weight * (term + objective.beta * kl)
    return total


@pytest.mark.parametrize("extras", [False, True], ids=["bare", "masked and corrected"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_and_its_gradient_are_those_of_the_definition(kind: str, variant: str, extras: bool) -> None:
    batch, objective = Batch(), objective_of(kind, **VARIANTS[variant])
    if extras:
        batch.masked_and_corrected()
    loss = loss_of(batch, objective)
    loss.backward()
    x, step = batch.logprobs.tolist(), 1e-6
    assert loss.item() == pytest.approx(oracle(batch, kind, objective, x), rel=1e-12)
    for t in range(len(x)):
        up, down = ([v + s * (u == t) for u, v in enumerate(x)] for s in (step, -step))
        slope = (oracle(batch, kind, objective, up) - oracle(batch, kind, objective, down)) / (2 * step)
        assert batch.logprobs.grad[t].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_the_worked_example_of_a_probability_that_rose_from_one_half() -> None:
    ratio, objective = torch.tensor([0.7 / 0.5]), objective_of("grpo", epsilon_high=0.2)
    up, down = (clipped(ratio, torch.tensor([a]), ratio, objective).item() for a in (1.0, -1.0))
    assert (up, down) == pytest.approx((-(1 + 0.2), 0.7 / 0.5))


def test_the_ratio_of_a_sequence_is_the_geometric_mean_of_its_tokens_and_shared_by_them() -> None:
    ratio = torch.tensor([2.0, 8.0, 3.0], dtype=torch.float64)
    where = {"sequence": torch.tensor([0, 0, 1]), "lengths": torch.tensor([2, 1])}
    got = importance_ratio(objective_of("gspo"), ratio.log(), old=torch.zeros(3, dtype=torch.float64), **where)
    torch.testing.assert_close(got, torch.tensor([4.0, 4.0, 3.0], dtype=torch.float64))  # sqrt(2 * 8)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "gspo"])
def test_a_loss_that_does_not_couple_tokens_may_be_taken_in_any_slices(kind: str) -> None:
    batch, objective = Batch().masked_and_corrected(), objective_of(kind, beta=0.04)
    per_token = ("old", "advantage", "sequence", "reference", "entropy_mask", "correction")
    assert not objective.couples_tokens

    def losses(t: slice) -> torch.Tensor:
        named = {name: getattr(batch, name)[t] for name in per_token}
        return token_losses(objective, batch.logprobs[t], lengths=batch.lengths, **named)

    pieces = [losses(slice(a, a + 3)) for a in range(0, sum(LENGTHS), 3)]
    torch.testing.assert_close(torch.cat(pieces), losses(slice(None)), rtol=0, atol=0)


def test_tokens_are_coupled_by_gspo_and_by_the_sequence_level_of_any_loss() -> None:
    assert [kind for kind in KINDS if objective_of(kind).couples_tokens] == ["gspo"]
    assert all(objective_of(kind, importance_sampling_level="sequence").couples_tokens for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_split_into_passes_gives_the_loss_and_gradient_of_the_whole(kind: str) -> None:
    whole, split, objective = Batch(), Batch(), objective_of(kind, beta=0.04)
    expected = loss_of(whole, objective)
    expected.backward()
    parts = [loss_of(split, objective, rows) for rows in (slice(0, 1), slice(1, 3), slice(3, 6))]
    sum(parts).backward()
    assert sum(p.item() for p in parts) == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(split.logprobs.grad, whole.logprobs.grad, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_count_completion_tokens_only_and_add_up_over_passes(kind: str) -> None:
    lengths, sequence = torch.tensor([4, 1, 3]), torch.tensor([0, 0, 0, 0, 1, 2, 2, 2])
    sizes = {"completions": 4, "tokens": 8, "max_length": MAX_LENGTH}  # a fourth completion has no trained token
    weights = LOSSES[kind].weights(sequence, lengths, **sizes)
    of_each = {"grpo": 1 / 4, "gspo": 1 / 4, "sapo": 1 / 4}  # whatever its length
    of_token = {"dr_grpo": 1 / (4 * MAX_LENGTH)}
    expected = [of_each[kind] * n if kind in of_each else of_token.get(kind, 1 / 8) for n in (1 / 4, 1, 1 / 3)]
    torch.testing.assert_close(weights, torch.tensor(expected)[sequence])
    apart = [LOSSES[kind].weights(sequence[:4], lengths[:1], **sizes)]
    apart.append(LOSSES[kind].weights(sequence[4:] - 1, lengths[1:], **sizes))
    torch.testing.assert_close(torch.cat(apart), weights, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_without_tokens_has_a_loss_of_zero(kind: str) -> None:
    none, where = torch.zeros(0), {"sequence": torch.zeros(0, dtype=torch.long), "lengths": torch.zeros(0)}
    losses = token_losses(objective_of(kind), none, old=none, advantage=none, **where)
    weights = LOSSES[kind].weights(*where.values(), completions=2, tokens=0, max_length=4)
    assert (losses * weights).sum().item() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_update_is_the_plain_policy_gradient(kind: str) -> None:
    logprobs = torch.tensor([-0.3, -1.2], dtype=torch.float64, requires_grad=True)
    advantage = torch.tensor([1.75, -0.5], dtype=torch.float64)
    where = {"sequence": torch.tensor([0, 1]), "lengths": torch.tensor([1, 1])}
    losses = token_losses(objective_of(kind), logprobs, old=logprobs.detach(), advantage=advantage, **where)
    losses.sum().backward()
    torch.testing.assert_close(logprobs.grad, -advantage)


@pytest.mark.parametrize(
    ("ratio", "advantage", "low", "high"),
    [
        (1.1, 1.0, False, False),
        (1.5, 1.0, False, True),
        (1.5, -1.0, False, False),
        (0.9, -1.0, False, False),
        (0.5, -1.0, True, False),
        (0.5, 1.0, False, False),
        (1.5, 0.0, False, False),
        (1.25, 1.0, False, False),  # between the two epsilons
    ],
)
def test_the_clip_takes_the_gradient_exactly_where_the_step_would_go_too_far(
    ratio: float, advantage: float, low: bool, high: bool
) -> None:
    r, a, objective = torch.tensor([ratio], requires_grad=True), torch.tensor([advantage]), objective_of("grpo")
    clipped(r, a, r, objective).sum().backward()
    assert r.grad.item() == (0.0 if low or high else -advantage)
    assert [mask.item() for mask in objective.loss.clips(r, a, objective)] == [low, high]


def test_cispo_counts_capped_tokens_of_positive_advantage_and_sapo_none() -> None:
    r, a = torch.tensor([0.1, 1.8, 1.8, 1.6]), torch.tensor([-1.0, 1.0, -1.0, 1.0])
    low, high = LOSSES["cispo"].clips(r, a, objective_of("cispo"))
    assert (low.tolist(), high.tolist()) == ([False] * 4, [False, True, False, False])
    assert not torch.stack(LOSSES["sapo"].clips(r, a, objective_of("sapo"))).any()


def test_a_ratio_above_the_cap_weighs_its_gradient_by_the_cap() -> None:
    logprobs = torch.tensor([0.5, 3.0], dtype=torch.float64).log().requires_grad_()
    where = {"old": torch.zeros(2, dtype=torch.float64), "sequence": torch.arange(2), "lengths": torch.ones(2)}
    ratio = importance_ratio(objective_of("grpo", rollout_is_cap=2.0), logprobs, **where)
    torch.testing.assert_close(ratio, torch.tensor([0.5, 2.0], dtype=torch.float64))
    ratio.sum().backward()
    torch.testing.assert_close(logprobs.grad, torch.tensor([0.5, 2.0], dtype=torch.float64))


def test_the_rollout_cap_does_not_undercut_the_cap_of_cispo() -> None:
    where = {"old": torch.zeros(2), "sequence": torch.arange(2), "lengths": torch.ones(2)}
    objective = objective_of("cispo", rollout_is_cap=2.0, epsilon_high=5.0)
    ratio = importance_ratio(objective, torch.tensor([4.0, 6.0]).log(), **where)
    torch.testing.assert_close(ratio, torch.tensor([4.0, 5.0]))


def test_a_ratio_beyond_every_number_is_capped_with_a_finite_gradient() -> None:
    logprobs = torch.tensor([0.0], requires_grad=True)
    where = {"sequence": torch.tensor([0]), "lengths": torch.tensor([1])}
    objective = objective_of("grpo", rollout_is_cap=2.0)
    loss = token_losses(objective, logprobs, old=torch.tensor([-1e3]), advantage=torch.tensor([-1.0]), **where)
    loss.sum().backward()
    assert (loss.item(), logprobs.grad.item()) == (pytest.approx(2.0), pytest.approx(2.0))


def test_the_rollout_correction_is_a_truncated_constant() -> None:
    old = torch.tensor([0.5, 0.8, 0.1]).log().requires_grad_()
    correction = rollout_correction(old, torch.tensor([0.4, 0.2, 0.2]).log(), 2.0)
    torch.testing.assert_close(correction, torch.tensor([0.5 / 0.4, 2.0, 0.1 / 0.2]))
    assert not correction.requires_grad


def test_a_kl_without_a_reference_is_refused() -> None:
    one, where = torch.zeros(1), {"sequence": torch.tensor([0]), "lengths": torch.tensor([1])}
    with pytest.raises(ValueError, match=r"beta is 0\.04: the loss needs the reference's log-probabilities"):
        token_losses(objective_of("grpo", beta=0.04), one, old=one, advantage=one, **where)


LOGITS = torch.tensor([1.0, 0.3, -0.5, -1.5], dtype=torch.float64)
REFERENCE = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)


def exact_gradient(forward: bool) -> torch.Tensor:
    """Of KL(policy || reference), or of KL(reference || policy), by the logits."""
    logits = LOGITS.clone().requires_grad_()
    p = logits.softmax(0)
    kl = (p * (p / REFERENCE).log()).sum() if forward else (REFERENCE * (REFERENCE / p).log()).sum()
    kl.backward()
    return logits.grad


def expected_gradient(name: str, by_ratio: bool) -> torch.Tensor:
    """Of the estimate, over the policy's own tokens, which are constants once drawn."""
    logits = LOGITS.clone().requires_grad_()
    logprobs = logits.log_softmax(0)
    estimate = KL_ESTIMATORS[name](logprobs, REFERENCE.log())
    ratio = (logprobs - logprobs.detach()).exp() if by_ratio else 1.0
    (logprobs.detach().exp() * estimate * ratio).sum().backward()
    return logits.grad


@pytest.mark.parametrize("name", ["k1", "k3"])
def test_the_expected_estimate_over_the_policys_own_tokens_is_the_exact_kl(name: str) -> None:
    p = LOGITS.softmax(0)
    exact = (p * (p / REFERENCE).log()).sum()
    torch.testing.assert_close((p * KL_ESTIMATORS[name](p.log(), REFERENCE.log())).sum(), exact)


def test_k2_is_the_exact_kl_to_second_order() -> None:
    p = REFERENCE * (1 + 1e-4 * torch.tensor([4.0, -4.0, 4.0, -2.0], dtype=torch.float64))  # adds up to 1
    exact = (p * (p / REFERENCE).log()).sum().item()
    assert (p * k2(p.log(), REFERENCE.log())).sum().item() == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "by_ratio", "expected"),
    [
        ("k1", False, torch.zeros(4, dtype=torch.float64)),
        ("k2", False, exact_gradient(forward=True)),
        ("k3", False, exact_gradient(forward=False)),
        ("k1", True, exact_gradient(forward=True)),
        ("k3", True, exact_gradient(forward=True)),
    ],
)
def test_the_expected_gradient_of_an_estimate_is_the_documented_one(
    name: str, by_ratio: bool, expected: torch.Tensor
) -> None:
    torch.testing.assert_close(expected_gradient(name, by_ratio), expected, rtol=1e-10, atol=1e-12)


def test_k2_and_k3_are_zero_only_where_both_policies_agree_and_keep_their_digits() -> None:
    d = torch.linspace(-8, 8, 1001, dtype=torch.float64)
    for estimate in (k2, k3):
        assert (estimate(torch.zeros_like(d), d)[d.abs() > 1e-9] > 0).all()
        assert estimate(torch.zeros(1), torch.zeros(1)).item() == 0.0
    assert k3(torch.zeros(1), torch.tensor([1e-3])).item() == pytest.approx(1e-6 / 2 + 1e-9 / 6, rel=1e-3)


@pytest.mark.parametrize("quantile", [0.0, 0.2, 0.5, 0.77, 1.0])
def test_the_entropy_threshold_is_the_interpolated_quantile(quantile: float) -> None:
    entropies = torch.rand(101, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = np.quantile(entropies.numpy(), 1 - quantile)
    assert top_entropy_threshold(entropies, quantile).item() == pytest.approx(expected, rel=1e-12)


def test_ties_at_the_entropy_threshold_are_kept_and_no_tokens_have_none() -> None:
    entropies = torch.tensor([1.0, 2.0, 2.0, 2.0, 0.5])
    assert (entropies >= top_entropy_threshold(entropies, 0.2)).tolist() == [False, True, True, True, False]
    assert top_entropy_threshold(torch.zeros(0), 0.2).item() == math.inf


@pytest.mark.parametrize("kind", KINDS)
def test_the_objective_of_a_configuration_has_its_numbers(kind: str) -> None:
    named = {"beta": 0.1, "delta": 1.9, "importance_sampling_level": "sequence", "rollout_is_cap": 3.0}
    own = {"epsilon": 0.1, "epsilon_high": 4.0, "kl_estimator": "k2", "max_completion_length": 9}
    objective = Objective.of(GRPOConfig(loss_type=kind, **named, **own))
    assert objective == Objective(LOSSES[kind], 9, epsilon_low=0.1, epsilon_high=4.0, kl=k2, **named)
    plain = Objective.of(GRPOConfig(loss_type="grpo", epsilon=0.1))
    assert (plain.epsilon_low, plain.epsilon_high) == (0.1, 0.1)


def trl_loss(module: Any, batch: Batch, kind: str, objective: Objective) -> tuple[torch.Tensor, dict[str, list[float]]]:
    """TRL's own `_compute_loss` on our numbers, padded; the model is replaced by the log-probabilities."""

    def padded(flat: torch.Tensor) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(flat.split(LENGTHS), batch_first=True)

    mask, logprobs = padded(torch.ones_like(batch.old)), padded(batch.logprobs)
    ids = torch.zeros(mask.shape, dtype=torch.long)
    accelerator = SimpleNamespace(
        num_processes=1,
        gather=lambda x: x,
        reduce=lambda x, reduction: x,
        pad_across_processes=lambda x, dim, pad_index: x,
    )
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *a, **k: (logprobs, padded(batch.entropies), None),
        aux_loss_enabled=False,
        top_entropy_quantile=1.0 if batch.entropy_mask is None else 0.5,
        off_policy_mask_threshold=None,
        importance_sampling_level="sequence" if objective.couples_tokens else "token",
        beta=objective.beta,
        epsilon_low=objective.epsilon_low,
        epsilon_high=objective.epsilon_high,
        args=SimpleNamespace(
            use_bias_correction_kl=objective.use_bias_correction_kl,
            delta=objective.delta,
            steps_per_generation=1,
            sapo_temperature_pos=objective.sapo_temperature_pos,
            sapo_temperature_neg=objective.sapo_temperature_neg,
        ),
        loss_type="grpo" if kind == "gspo" else kind,
        use_vllm=batch.correction is not None,
        vllm_importance_sampling_correction=True,
        model=SimpleNamespace(training=True),
        current_gradient_accumulation_steps=1,
        max_completion_length=MAX_LENGTH,
        accelerator=accelerator,
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )
    trainer.get_high_entropy_mask = lambda *a: module.GRPOTrainer.get_high_entropy_mask(trainer, *a)
    first = torch.tensor(STARTS[:-1])
    inputs = {
        "prompt_ids": ids[:, :1],
        "prompt_mask": torch.ones_like(ids[:, :1]),
        "completion_ids": ids,
        "completion_mask": mask,
        "advantages": batch.advantage[first],
        "old_per_token_logps": padded(batch.old),
        "ref_per_token_logps": padded(batch.reference),
        "importance_sampling_ratio": None if batch.correction is None else padded(batch.correction),
        "num_items_in_batch": mask.sum(),
    }
    return module.GRPOTrainer._compute_loss(trainer, None, inputs), trainer._metrics["train"]


@pytest.mark.parametrize("extras", [False, True], ids=["bare", "masked and corrected"])
@pytest.mark.parametrize(
    "variant", ["plain", "kl", "kl without the ratio", "delta", "delta below the clip", "by sequence"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_its_gradient_and_its_clips_are_those_of_trl(kind: str, variant: str, extras: bool) -> None:
    module = pytest.importorskip("trl.trainer.grpo_trainer", reason="TRL is the peer; it is not installed")
    in_fp32 = {"sapo_temperature_neg": 1.0625}  # TRL holds it in fp32 whatever the log-probabilities are in
    ours, theirs, objective = Batch(), Batch(), objective_of(kind, **in_fp32, **VARIANTS[variant])
    if extras:
        ours.masked_and_corrected()
        theirs.masked_and_corrected()
    loss, (expected, metrics) = loss_of(ours, objective), trl_loss(module, theirs, kind, objective)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    torch.testing.assert_close(ours.logprobs.grad, theirs.logprobs.grad, rtol=1e-10, atol=1e-15)
    where = {name: getattr(ours, name) for name in ("old", "sequence", "lengths", "correction")}
    ratio = importance_ratio(objective, ours.logprobs, **where)
    for mask, side in zip(objective.loss.clips(ratio, ours.advantage, objective), ("low", "high"), strict=True):
        if objective.couples_tokens:  # TRL counts completions there
            mask = mask[torch.tensor(STARTS[:-1])]
        share = "cispo_clip_ratio" if kind == "cispo" and side == "high" else f"clip_ratio/{side}_mean"
        assert mask.double().mean().item() == pytest.approx(metrics.get(share, [0.0])[0])
