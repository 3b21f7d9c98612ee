"""One update is the gradient of the whole batch, however it is split; the old policy stays still."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from grpo_engine.batching import micro_batches
from grpo_engine.logprobs import scorer_of
from grpo_engine.objective import LOSSES, Objective
from grpo_engine.optim import MasterAdamW
from grpo_engine.packing import bins, groups_of, pack
from grpo_engine.processes import Processes
from grpo_engine.rollout import GenerateSampler, Rollouts
from grpo_engine.sampling import uniforms
from grpo_engine.update import Totals, Update
from tests.grpo_engine.families import exact_norms, gradient, relative

PROMPTS = [[3, 4, 5], [6, 7, 8, 9, 10, 11], [12]]
GROUP, LENGTH = 4, 6
COUNT = len(PROMPTS) * GROUP
ADVANTAGES = torch.linspace(-1.5, 1.3, COUNT)
LAYOUTS = [("packed", 10_000), ("packed", 20), ("packed", 1), ("padded", COUNT), ("padded", 5), ("padded", 1)]
SPLITS = pytest.mark.parametrize("layout", LAYOUTS, ids=str)


class Spy(MasterAdamW):
    """Remembers the gradient that it is about to apply."""

    def clip(self, max_norm: float) -> Tensor:
        self.gradient = torch.cat([g.flatten().clone() for g in self.gradients(fill=True)])
        return super().clip(max_norm)


class Case:
    """A policy with its rollouts, ready to update."""

    def __init__(self, model: Any, sampling: Any, *, reference: Any = None, lr: float = 1e-3) -> None:
        self.sampling = dataclasses.replace(sampling, eos_ids=(1, 5, 9))
        self.model, self.rollouts = model, self.sample(model)
        self.scorer = scorer_of(model, self.sampling)
        self.reference = None if reference is None else scorer_of(reference.requires_grad_(False), self.sampling)
        self.optimizer = Spy(model.parameters(), lr=lr)
        self.processes = Processes(Accelerator(cpu=True))
        self.advantages = ADVANTAGES

    def sample(self, model: Any) -> Rollouts:
        sampler = GenerateSampler(model, self.sampling, 0)
        return sampler(PROMPTS, group=GROUP, chance=uniforms(0, COUNT, LENGTH))

    @property
    def lengths(self) -> Tensor:
        return torch.tensor([len(c) for c in self.rollouts.completion_ids])

    def update(
        self,
        *,
        layout: tuple[str, int] = ("packed", 20),
        kept: Tensor | None = None,
        dropped: Tensor | None = None,
        old_from_sampler: bool = False,
        quantile: float = 1.0,
        reverse: bool = False,
        loss: str = "dapo",
        **objective: Any,
    ) -> Update:
        """`kept` are in the denominator; `dropped` are too, and have no pass all the same."""
        kept = torch.ones(COUNT, dtype=torch.bool) if kept is None else kept
        passed = kept if dropped is None else kept & ~dropped
        kind, size = layout
        if kind == "packed":
            groups = groups_of(self.rollouts.prompt_ids, self.rollouts.completion_ids, passed.tolist())
            batches = [pack(part, sampled=self.rollouts.logprobs) for part in bins(groups, size)]
        else:
            batches = [*micro_batches(self.rollouts, size, group=GROUP, pad_id=0, kept=passed.tolist())]
        return Update(
            self.scorer,
            self.reference,
            batches=batches[::-1] if reverse else batches,
            advantages=self.advantages,
            totals=Totals(completions=COUNT, tokens=int((self.lengths * kept).sum())),
            objective=Objective(LOSSES[loss], max_length=LENGTH, use_bias_correction_kl=False, **objective),
            old_from_sampler=old_from_sampler,
            entropy_quantile=quantile,
            processes=self.processes,
        )

    def epoch(self, update: Update) -> dict[str, Any]:
        return update.epoch(self.optimizer, max_grad_norm=1.0)

    def once(self, **settings: Any) -> tuple[dict[str, Any], Tensor]:
        """The metrics and the gradient of a first update."""
        metrics = self.epoch(self.update(**settings))
        return metrics, self.optimizer.gradient


@pytest.fixture
def case(new_model: Callable[..., Any], sampling: Any) -> Callable[..., Case]:
    return lambda **changes: Case(new_model(initializer_range=0.1), sampling, **changes)


@pytest.fixture
def exact(new_model: Callable[..., Any], sampling: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Case]:
    """Cases that compute in fp64 throughout; some advantages are 0, and the reference is another policy."""
    exact_norms(monkeypatch)

    def make(**changes: Any) -> Case:
        model, reference = (new_model(seed, initializer_range=0.1).double() for seed in (0, 1))
        made = Case(model, sampling, reference=reference, **changes)
        made.advantages = ADVANTAGES.double().clone()
        made.advantages[GROUP : GROUP + 5] = 0.0  # a whole group, and one of the next
        return made

    return make


def completion_logprobs(model: Any, rollouts: Rollouts) -> list[Tensor]:
    """The log-probabilities of each completion's tokens, one sequence at a time."""
    scored = []
    for i, answer in enumerate(rollouts.completion_ids):
        prompt = rollouts.prompt_ids[i // GROUP]
        logp = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        scored.append(logp[range(len(prompt) - 1, len(prompt) + len(answer) - 1), answer])
    return scored


# The gradient


@SPLITS
def test_the_gradient_of_the_first_update_is_the_plain_policy_gradient(
    case: Callable[..., Case], new_model: Callable[..., Any], layout: tuple[str, int]
) -> None:
    ours, twin = case(), new_model(initializer_range=0.1)
    metrics, found = ours.once(layout=layout)
    scored = completion_logprobs(twin, ours.rollouts)
    tokens = sum(map(len, scored))
    expected = gradient(twin, -sum(a * s.sum() for a, s in zip(ADVANTAGES, scored, strict=True)) / tokens)
    assert relative(found, expected) < 1e-5
    assert metrics["grad_norm"] == pytest.approx(float(expected.norm()), rel=1e-5)


def settings_of(loss: str) -> dict[str, Any]:
    """With a KL, a mask of low entropy, and a ratio that leaves 1."""
    return {"loss": loss, "beta": 0.3, "epsilon_high": 5.0 if loss == "cispo" else 0.2, "quantile": 0.6}


@pytest.mark.parametrize("old_from_sampler", [True, False], ids=["sampler", "trainer"])
@pytest.mark.parametrize("loss", list(LOSSES))
def test_neither_the_split_nor_the_order_of_the_passes_changes_gradient_or_logged_numbers(
    exact: Callable[..., Case], loss: str, old_from_sampler: bool
) -> None:
    settings = {**settings_of(loss), "old_from_sampler": old_from_sampler}
    expected, whole = exact().once(layout=LAYOUTS[0], **settings)
    for layout, reverse in [(LAYOUTS[1], False), *((layout, True) for layout in LAYOUTS[1:])]:
        metrics, found = exact().once(layout=layout, reverse=reverse, **settings)
        assert relative(found, whole) <= 1e-10, (layout, reverse)
        assert metrics == {k: pytest.approx(v, rel=1e-5, abs=1e-6) for k, v in expected.items()}  # fp32 sums


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("layout", [("packed", 20), ("padded", 5)], ids=str)
def test_completions_without_advantage_can_be_left_out_after_the_denominator_is_fixed(
    exact: Callable[..., Case], loss: str, layout: tuple[str, int]
) -> None:
    settings = {**settings_of(loss), "beta": 0.0, "quantile": 1.0, "layout": layout}
    runs = [exact(), exact()]
    expected, everything = runs[0].once(**settings)
    metrics, found = runs[1].once(dropped=runs[1].advantages == 0, **settings)
    assert relative(found, everything) <= 1e-10
    assert metrics["loss"] == pytest.approx(expected["loss"], abs=1e-6)


@SPLITS
@pytest.mark.parametrize("loss", ["grpo", "dapo", "bnpo", "dr_grpo"])
def test_the_first_loss_is_minus_the_weighted_mean_advantage(
    case: Callable[..., Case], loss: str, layout: tuple[str, int]
) -> None:
    run = case()
    lengths = run.lengths
    assert len(lengths.unique()) > 2
    each = {
        "grpo": torch.full((COUNT,), 1 / COUNT),
        "dapo": lengths / lengths.sum(),
        "bnpo": lengths / lengths.sum(),
        "dr_grpo": lengths / (COUNT * LENGTH),
    }[loss]
    assert run.once(layout=layout, loss=loss)[0]["loss"] == pytest.approx(-float((each * ADVANTAGES).sum()), abs=1e-6)


# The old policy


def test_before_the_first_step_no_ratio_is_clipped_and_the_sampler_agrees(case: Callable[..., Case]) -> None:
    for from_sampler in (False, True):
        metrics, _ = case().once(old_from_sampler=from_sampler)
        assert metrics["clip_ratio"] == 0.0
        name = "sampling/sampling_logp_difference"
        assert metrics[f"{name}/max"] < 1e-5
        assert metrics[f"{name}/mean"] <= metrics[f"{name}/p99.9"] <= metrics[f"{name}/max"]


def test_sampler_and_trainer_as_the_old_policy_give_the_same_first_gradient(case: Callable[..., Case]) -> None:
    one, other = (case().once(old_from_sampler=flag)[1] for flag in (False, True))
    assert relative(one, other) < 1e-5  # the fp32 noise of two forward passes


def test_a_sampler_with_stale_weights_shows_in_the_difference(
    case: Callable[..., Case], new_model: Callable[..., Any]
) -> None:
    run = case()
    stale = new_model(1, initializer_range=0.1)
    run.rollouts = run.sample(stale)
    with torch.no_grad():
        now, then = (torch.cat(completion_logprobs(m, run.rollouts)) for m in (run.model, stale))
    metrics = run.epoch(run.update())
    assert metrics["clip_ratio"] == 0.0  # the old policy is the trainer's own
    difference = (now - then).abs()
    name = "sampling/sampling_logp_difference"
    assert metrics[f"{name}/mean"] == pytest.approx(difference.mean().item(), rel=1e-4)
    assert metrics[f"{name}/max"] == pytest.approx(difference.max().item(), rel=1e-4)
    below = difference.sort().values[int(0.999 * (len(difference) - 1))]
    assert metrics[f"{name}/p99.9"] == pytest.approx(below.item(), rel=1e-4)


@pytest.mark.parametrize("cap", [1.5, None])
def test_the_correction_against_the_sampler_is_the_capped_ratio(
    case: Callable[..., Case], new_model: Callable[..., Any], cap: float | None
) -> None:
    run, twin = case(), new_model(initializer_range=0.1)
    shift = torch.linspace(-1.0, 1.0, run.rollouts.logprobs.numel()).view_as(run.rollouts.logprobs)
    run.rollouts = dataclasses.replace(run.rollouts, logprobs=run.rollouts.logprobs + shift)
    _, found = run.once(rollout_is_cap=cap)
    scored = completion_logprobs(twin, run.rollouts)
    total = torch.zeros(())
    for a, s, sampled in zip(ADVANTAGES, scored, run.rollouts.logprobs, strict=True):
        ratio = (s.detach() - sampled[: len(s)]).exp()
        total = total - a * (s * (ratio if cap is None else ratio.clamp(max=cap))).sum()
    expected = gradient(twin, total / int(run.lengths.sum()))
    assert relative(found, expected) < 1e-5
    assert relative(case().once()[1], expected) > 0.1  # the shift matters


def test_with_the_sampler_as_the_old_policy_the_cap_truncates_the_ratio(
    case: Callable[..., Case], new_model: Callable[..., Any]
) -> None:
    run, twin, cap = case(), new_model(initializer_range=0.1), 1.5
    shift = torch.linspace(-1.0, 1.0, run.rollouts.logprobs.numel()).view_as(run.rollouts.logprobs)
    run.rollouts = dataclasses.replace(run.rollouts, logprobs=run.rollouts.logprobs + shift)
    _, found = run.once(old_from_sampler=True, rollout_is_cap=cap)
    total = torch.zeros(())
    for a, s, sampled in zip(ADVANTAGES, completion_logprobs(twin, run.rollouts), run.rollouts.logprobs, strict=True):
        ratio = (s - sampled[: len(s)]).exp()
        ratio = ratio * (cap / ratio.detach()).clamp(max=1.0)
        total = total - torch.minimum(ratio * a, ratio.clamp(0.8, 1.2) * a).sum()
    assert relative(found, gradient(twin, total / int(run.lengths.sum()))) < 1e-5


def test_the_second_epoch_compares_with_the_policy_that_sampled(case: Callable[..., Case]) -> None:
    run = case(lr=3e-2)
    update = run.update()
    with torch.no_grad():
        old = completion_logprobs(run.model, run.rollouts)
    for epoch in range(3):
        with torch.no_grad():
            ratios = [(new - o).exp() for new, o in zip(completion_logprobs(run.model, run.rollouts), old, strict=True)]
        clipped = sum(int(((r > 1.2) if a > 0 else (r < 0.8)).sum()) for r, a in zip(ratios, ADVANTAGES, strict=True))
        surrogate = sum(
            torch.minimum(r * a, r.clamp(0.8, 1.2) * a).sum() for r, a in zip(ratios, ADVANTAGES, strict=True)
        )
        tokens = sum(map(len, ratios))
        metrics = run.epoch(update)
        assert metrics["clip_ratio"] == pytest.approx(clipped / tokens)
        assert metrics["clip_ratio"] == metrics["clip_ratio/low_mean"] + metrics["clip_ratio/high_mean"]
        assert metrics["loss"] == pytest.approx(-float(surrogate) / tokens, rel=1e-4, abs=1e-6)
        assert (metrics["clip_ratio"] > 0) == (epoch > 0)
        assert ("sampling/sampling_logp_difference/mean" in metrics) == (epoch == 0)


# The reference


def test_the_kl_is_that_to_the_reference_and_its_gradient_pulls_towards_it(
    case: Callable[..., Case], new_model: Callable[..., Any]
) -> None:
    beta = 0.5
    run, plain = case(reference=new_model(1, initializer_range=0.1)), case()
    twin, reference = new_model(initializer_range=0.1), new_model(1, initializer_range=0.1)
    metrics, with_kl = run.once(beta=beta)
    plain_metrics, without = plain.once()
    logp = torch.cat(completion_logprobs(twin, run.rollouts))
    with torch.no_grad():
        d = torch.cat(completion_logprobs(reference, run.rollouts)) - logp
    d = d + logp.detach() - logp  # the gradient goes through the policy alone
    kl = (d.exp() - d - 1).mean()
    assert metrics["kl"] == pytest.approx(kl.item(), rel=1e-4)
    assert metrics["loss"] == pytest.approx(plain_metrics["loss"] + beta * kl.item(), rel=1e-4)
    assert relative(with_kl - without, gradient(twin, beta * kl)) < 1e-3


def test_the_reference_is_asked_once_for_all_epochs_and_never_changes(
    case: Callable[..., Case], new_model: Callable[..., Any], weights: Callable[..., Tensor]
) -> None:
    reference = new_model(1, initializer_range=0.1)
    run, before = case(reference=reference), weights(reference).clone()
    asked = []
    reference.register_forward_pre_hook(lambda *_: asked.append(1))
    reference.model.register_forward_pre_hook(lambda *_: asked.append(1))
    update = run.update(beta=0.1)
    for _ in range(3):
        run.epoch(update)
    assert len(asked) == len(update._passes) > 1
    assert torch.equal(weights(reference), before)


def test_without_a_reference_no_kl_is_reported(case: Callable[..., Case]) -> None:
    assert "kl" not in case().once()[0]


# What is left out


@pytest.mark.parametrize("layout", [("packed", 20), ("padded", 5)], ids=str)
def test_a_completion_that_is_left_out_gives_no_gradient_and_is_in_no_mean(
    case: Callable[..., Case], layout: tuple[str, int]
) -> None:
    run = case()
    kept = run.rollouts.finished
    assert 0 < int(kept.sum()) < COUNT
    metrics, found = run.once(layout=layout, kept=kept)
    twin = case()
    scored = completion_logprobs(twin.model, twin.rollouts)
    parts = [a * s.sum() for a, s, k in zip(ADVANTAGES, scored, kept.tolist(), strict=True) if k]
    tokens = int(run.lengths[kept].sum())
    assert relative(found, gradient(twin.model, -sum(parts) / tokens)) < 1e-5
    assert 0 < metrics["entropy"] <= torch.tensor(float(run.sampling.vocab_size)).log().item()


def test_a_batch_in_which_everything_is_left_out_changes_no_weight(
    case: Callable[..., Case], weights: Callable[..., Tensor]
) -> None:
    run = case()
    before = weights(run.model).clone()
    metrics, _ = run.once(kept=torch.zeros(COUNT, dtype=torch.bool))
    assert torch.equal(weights(run.model), before)
    assert metrics["loss"] == 0.0
    assert metrics["grad_norm"] == 0.0
    assert metrics["entropy"] is None


def entropies_of(run: Case) -> list[Tensor]:
    found = []
    with torch.no_grad():
        for i, answer in enumerate(run.rollouts.completion_ids):
            prompt = run.rollouts.prompt_ids[i // GROUP]
            p = run.model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].softmax(-1)
            found.append(-(p * p.log()).sum(-1))
    return found


def test_the_entropy_is_the_mean_over_the_completion_tokens(case: Callable[..., Case]) -> None:
    run = case()
    expected = torch.cat(entropies_of(run)).mean().item()
    assert run.once()[0]["entropy"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("layout", [("packed", 20), ("padded", 5)], ids=str)
def test_only_the_tokens_of_highest_entropy_of_all_passes_are_trained(
    case: Callable[..., Case], new_model: Callable[..., Any], layout: tuple[str, int]
) -> None:
    run, twin = case(), new_model(initializer_range=0.1)
    entropies = entropies_of(run)
    threshold = torch.cat(entropies).quantile(1 - 0.4)
    masks = [e >= threshold for e in entropies]
    tokens = int(run.lengths.sum())
    assert 0.35 < sum(int(m.sum()) for m in masks) / tokens < 0.45
    scored = completion_logprobs(twin, run.rollouts)
    loss = -sum((a * s * m).sum() for a, s, m in zip(ADVANTAGES, scored, masks, strict=True)) / tokens
    assert relative(run.once(layout=layout, quantile=0.4)[1], gradient(twin, loss)) < 1e-5
