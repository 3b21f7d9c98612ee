"""Mistakes that other trainers shipped, each looked for in a step of ours, with either way to sample.

Where it can be told, a test also shows what the mistake would have given, so that it can not pass by chance.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import GPT2LMHeadModel

from grpo_engine import GRPOTrainer
from grpo_engine.batching import TokenBatch
from grpo_engine.collect import Collector
from grpo_engine.logprobs import FusedScorer, Scored
from grpo_engine.optim import MasterAdamW
from grpo_engine.rollout import GenerateSampler, Rollouts, SlotSampler
from grpo_engine.update import Update
from tests.grpo_engine.conftest import absolute_config
from tests.grpo_engine.families import gradient, relative

Make = Callable[..., GRPOTrainer]
GROUP, LENGTH, EOS = 4, 6, 1
DIFFERENCE = "sampling/sampling_logp_difference"
SPLIT: dict[str, dict[str, Any]] = {
    "slots": {"token_budget": 20},
    "generate": {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
}
"""Settings under which a step takes several passes."""
DATA = [{"prompt": "1" * n + "=", "letter": "abcd"[n % 4]} for n in (1, 12, 3, 7)]  # prompts of many lengths

backends = pytest.mark.parametrize("backend", list(SPLIT))


@dataclass
class Seen:
    """What happened in a run, one entry per rollout or optimizer step (`scored`: per pass)."""

    rollouts: list[Rollouts] = field(default_factory=list)
    batches: list[list[TokenBatch]] = field(default_factory=list)
    advantages: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Watches all trainers of the test."""
    seen = Seen()
    sample, begin, clip, score = Collector._sample, Update.__init__, MasterAdamW.clip, FusedScorer.backward

    def _sample(self: Any, *args: Any) -> Rollouts:
        seen.rollouts.append(sample(self, *args))
        return seen.rollouts[-1]

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        seen.batches.append([*kwargs["batches"]])
        seen.advantages.append(kwargs["advantages"])
        begin(self, *args, **kwargs)

    def _clip(self: Any, max_norm: float) -> Tensor:
        seen.gradients.append(torch.cat([g.flatten().clone() for g in self.gradients(fill=True)]))
        return clip(self, max_norm)

    def backward(self: Any, *args: Any, **kwargs: Any) -> tuple[Scored, Tensor]:
        scored, loss = score(self, *args, **kwargs)
        seen.scored.append(scored)
        seen.losses.append(float(loss))
        return scored, loss

    monkeypatch.setattr(Collector, "_sample", _sample)
    monkeypatch.setattr(Update, "__init__", __init__)
    monkeypatch.setattr(MasterAdamW, "clip", _clip)
    monkeypatch.setattr(FusedScorer, "backward", backward)
    return seen


@pytest.fixture
def policy(new_model: Callable[..., Any]) -> Callable[..., Any]:
    """Makes policies whose tokens are far from equally likely."""
    return lambda **changes: new_model(**{"initializer_range": 0.1, **changes})


def ranked(completions: Any, **columns: Any) -> list[float]:
    """Another reward for each completion of a group, so that no advantage is 0."""
    return [float(2**i) for i in range(GROUP)] * (len(completions) // GROUP)


def step(trainer: Make, model: Any, backend: str, **settings: Any) -> dict[str, Any]:
    """One training step that takes several passes; its log."""
    run = trainer(
        model=model,
        **{
            "rewards": ranked,
            "data": DATA,
            "max_steps": 1,
            "rollout_backend": backend,
            **SPLIT[backend],
            **settings,
        },
    )
    row: dict[str, Any] = run.train().log_history[-1]
    return row


def alone(model: Any, rollouts: Rollouts, temperature: float = 1.0) -> list[Tensor]:
    """The log-probabilities of each completion, one sequence at a time, by the model's own forward pass."""
    scored = []
    for i, completion in enumerate(rollouts.completion_ids):
        prompt = rollouts.prompt_ids[i // GROUP]
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        scored.append((logits / temperature).log_softmax(-1)[range(len(completion)), completion])
    return scored


def policy_loss(scored: list[Tensor], advantages: Tensor, denominator: float) -> Tensor:
    """The first update's, by DAPO."""
    return -torch.stack([a * s.sum() for a, s in zip(advantages, scored, strict=True)]).sum() / denominator


def trained_tokens(batches: list[TokenBatch]) -> dict[int, list[int]]:
    """Which tokens of which completions are trained."""
    return {
        row: batch.targets[batch.sequence == i].tolist()
        for batch in batches
        for i, row in enumerate(batch.rows.tolist())
    }


# The loss.


@backends
def test_the_loss_is_not_divided_per_micro_batch(
    trainer: Make, seen: Seen, policy: Callable[..., Any], backend: str
) -> None:  # per rank: test_distributed
    step(trainer, policy(), backend)
    (rollouts,), (batches,), (advantages,) = seen.rollouts, seen.batches, seen.advantages
    counts = [len(batch.targets) for batch in batches]
    assert len(set(counts)) > 1
    scored = alone(twin := policy(), rollouts)
    assert relative(seen.gradients[0], gradient(twin, policy_loss(scored, advantages, sum(counts)))) < 1e-5
    wrong = torch.stack(
        [
            policy_loss([scored[i] for i in b.rows.tolist()], advantages[b.rows], n * len(counts))
            for b, n in zip(batches, counts, strict=True)
        ]
    )
    scored = alone(twin, rollouts)
    assert wrong.sum().item() != pytest.approx(policy_loss(scored, advantages, sum(counts)).item(), rel=1e-2)


@backends
def test_neither_prompt_nor_padding_tokens_are_in_the_denominator(
    trainer: Make, seen: Seen, policy: Callable[..., Any], backend: str
) -> None:
    row = step(trainer, policy(), backend)
    (rollouts,), (advantages,) = seen.rollouts, seen.advantages
    lengths = torch.tensor([len(c) for c in rollouts.completion_ids])
    prompts = torch.tensor([len(p) for p in rollouts.prompt_ids]).repeat_interleave(GROUP)
    assert len(prompts.unique()) == len(DATA)
    total = float((lengths * advantages).sum())
    assert row["loss"] == pytest.approx(-total / int(lengths.sum()), abs=1e-6)
    for wrong in ((lengths + prompts).sum(), len(lengths) * lengths.max(), len(lengths) * (lengths + prompts).max()):
        assert abs(row["loss"] + total / int(wrong)) > 1e-3


@backends
def test_the_kl_has_the_sign_that_pulls_towards_the_reference(
    trainer: Make, seen: Seen, policy: Callable[..., Any], backend: str
) -> None:
    beta = 0.3
    run = trainer(
        model=policy(),
        rewards=lambda completions, **_: [0.0] * len(completions),  # nothing but the KL moves the weights
        data=DATA,
        beta=beta,
        use_bias_correction_kl=False,
        rollout_backend=backend,
        max_steps=1,
        **SPLIT[backend],
    )
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in run.model.parameters():  # away from the reference, which is the starting point
            p += 0.05 * torch.randn(p.shape, generator=generator)
    twin, reference = copy.deepcopy(run.model), policy()
    row = run.train().log_history[0]
    logp = torch.cat(alone(twin, seen.rollouts[0]))
    with torch.no_grad():
        ref = torch.cat(alone(reference, seen.rollouts[0]))
    kl = ((ref - logp).exp() - (ref - logp) - 1).mean()
    assert row["kl"] == pytest.approx(kl.item(), rel=1e-4)
    assert kl.item() > 0.01
    expected = gradient(twin, beta * kl)
    assert relative(seen.gradients[0], expected) < 1e-4
    assert relative(-seen.gradients[0], expected) > 1  # the wrong sign


@backends
def test_the_loss_of_all_micro_batches_is_logged_not_that_of_the_last(
    trainer: Make, seen: Seen, policy: Callable[..., Any], backend: str
) -> None:
    row = step(trainer, policy(), backend, loss_type="grpo", scale_rewards="none")
    each = [
        -float(seen.advantages[0][batch.rows].sum()) / (GROUP * len(DATA)) for batch in seen.batches[0]
    ]  # at ratio 1 the loss of a completion is minus its advantage
    assert len(each) > 1
    assert seen.losses == pytest.approx(each, abs=1e-5)
    assert row["loss"] == pytest.approx(sum(each), abs=1e-5)
    ungrouped = step(trainer, policy(), backend, loss_type="dapo")
    assert ungrouped["loss"] == pytest.approx(sum(seen.losses[len(each) :]), abs=1e-6)
    assert abs(ungrouped["loss"] - seen.losses[-1]) > 1e-3


# Tokens and masks.


@backends
def test_the_end_token_is_trained_though_it_is_the_pad_token(
    trainer: Make, seen: Seen, policy: Callable[..., Any], tokenizer: Any, backend: str
) -> None:
    try:
        for pad in ("<pad>", "<eos>"):
            tokenizer.pad_token = pad
            step(trainer, policy(), backend)
    finally:
        tokenizer.pad_token = "<pad>"
    for rollouts, batches in zip(seen.rollouts, seen.batches, strict=True):
        tokens = trained_tokens(batches)
        assert [tokens[i] for i in range(len(tokens))] == rollouts.completion_ids
        assert 0 < sum(ids[-1] == EOS for ids in rollouts.completion_ids) < len(tokens)
    assert seen.rollouts[0].completion_ids == seen.rollouts[1].completion_ids
    assert relative(seen.gradients[1], seen.gradients[0]) < 1e-6


@backends
def test_completions_are_not_decoded_and_tokenised_again(
    trainer: Make, seen: Seen, policy: Callable[..., Any], tokenizer: Any, backend: str
) -> None:
    step(trainer, policy(), backend)
    (rollouts,), (batches,) = seen.rollouts, seen.batches
    tokens = trained_tokens(batches)
    assert [tokens[i] for i in range(len(tokens))] == rollouts.completion_ids
    texts = tokenizer.batch_decode(rollouts.completion_ids, skip_special_tokens=True)
    again = [tokenizer(text).input_ids for text in texts]
    without_end = [ids[:-1] if ids[-1] == EOS else ids for ids in rollouts.completion_ids]
    assert again != without_end  # a special token inside of a completion is lost


@backends
def test_groups_are_not_rebuilt_from_the_text_of_the_prompt(trainer: Make, seen: Seen, backend: str) -> None:
    data = [{"prompt": "1+1=", "letter": letter} for letter in "abcd"]  # one prompt in four rows

    def reward(completions: Any, letter: list[str], **_: Any) -> list[float]:
        return [100.0 * "abcd".index(x) + r for x, r in zip(letter, ranked(completions), strict=True)]

    settings = {"rewards": reward, "data": data, "rollout_backend": backend, "scale_rewards": "none", "max_steps": 1}
    trainer(**settings).train()
    within = torch.tensor(ranked([0] * GROUP))
    expected = (within - within.mean()).repeat(len(data))  # one group would have the difference of the rows in it
    torch.testing.assert_close(seen.advantages[0].float(), expected, rtol=1e-4, atol=1e-4)


@backends
def test_padding_does_not_shift_position_ids(trainer: Make, seen: Seen, tokenizer: Any, backend: str) -> None:
    def absolute() -> Any:
        """With rotary positions alone, shifting all of them would change nothing."""
        torch.manual_seed(0)
        config = absolute_config(
            tokenizer,
            attn_pdrop=0.0,
            embd_pdrop=0.0,
            resid_pdrop=0.0,
        )
        return GPT2LMHeadModel(config)

    row = step(trainer, absolute(), backend)
    assert row[f"{DIFFERENCE}/max"] < 1e-4
    (rollouts,), (advantages,) = seen.rollouts, seen.advantages
    scored = alone(twin := absolute(), rollouts)
    for logprobs, sampled in zip(scored, rollouts.logprobs, strict=True):
        torch.testing.assert_close(sampled[: len(logprobs)], logprobs.detach(), rtol=1e-4, atol=1e-4)
    expected = gradient(twin, policy_loss(scored, advantages, sum(map(len, scored))))
    assert relative(seen.gradients[0], expected) < 1e-4


@backends
def test_rows_of_the_vocabulary_beyond_the_tokenizer_are_neither_sampled_nor_trained(
    trainer: Make, seen: Seen, policy: Callable[..., Any], tokenizer: Any, backend: str
) -> None:
    known = len(tokenizer)
    model, twin = (policy(vocab_size=known + 38, tie_word_embeddings=False) for _ in range(2))
    with torch.no_grad():
        for one in (model, twin):
            one.lm_head.weight[known:] *= 20  # likely, were they possible
    row = step(trainer, model, backend, max_grad_norm=0.0)
    (rollouts,) = seen.rollouts
    assert max(token for ids in rollouts.completion_ids for token in ids) < known
    assert row[f"{DIFFERENCE}/max"] < 1e-5
    assert torch.equal(model.lm_head.weight[known:], twin.lm_head.weight[known:])
    assert not torch.equal(model.lm_head.weight[:known], twin.lm_head.weight[:known])
    with torch.no_grad():
        over_all_rows = alone(twin, rollouts)
    assert float(rollouts.logprobs.sum() - torch.cat(over_all_rows).sum()) > 1


# The sampler and the trainer.


@backends
@pytest.mark.parametrize("temperature", [0.6, 1.3])
def test_the_temperature_of_sampling_is_that_of_scoring(
    trainer: Make, seen: Seen, policy: Callable[..., Any], backend: str, temperature: float
) -> None:
    row = step(trainer, policy(), backend, temperature=temperature)
    assert row[f"{DIFFERENCE}/max"] <= 1e-5
    (rollouts,), (advantages,) = seen.rollouts, seen.advantages
    scored = alone(twin := policy(), rollouts, temperature)
    expected = gradient(twin, policy_loss(scored, advantages, sum(map(len, scored))))
    assert relative(seen.gradients[0], expected) < 1e-5
    with torch.no_grad():
        plain = torch.cat(alone(twin, rollouts))
    assert float((plain - torch.cat(scored).detach()).abs().max()) > 0.1  # scored at temperature 1


@backends
@pytest.mark.parametrize("truncation", [{"top_p": 0.7}, {"top_k": 5}, {"min_p": 0.3}], ids=str)
def test_the_truncation_of_sampling_is_that_of_scoring(
    trainer: Make, seen: Seen, policy: Callable[..., Any], backend: str, truncation: dict[str, Any]
) -> None:
    row = step(trainer, policy(), backend, **truncation)
    assert row[f"{DIFFERENCE}/max"] <= 1e-5
    with torch.no_grad():
        whole = torch.cat(alone(policy(), seen.rollouts[0]))
    sampled = torch.cat(
        [s[: len(c)] for s, c in zip(seen.rollouts[0].logprobs, seen.rollouts[0].completion_ids, strict=True)]
    )
    assert float((sampled - whole).mean()) > 0.05  # scored over the whole vocabulary
    assert (sampled > whole).all()


@backends
def test_log_probabilities_of_a_policy_in_bf16_are_not_rounded_to_bf16(
    trainer: Make, seen: Seen, policy: Callable[..., Any], backend: str
) -> None:
    row = step(trainer, policy(), backend, bf16=True)
    assert row[f"{DIFFERENCE}/mean"] < 0.02
    sampled = seen.rollouts[0].logprobs
    for logprobs in (sampled[sampled != 0], torch.cat([s.logprobs for s in seen.scored])):
        assert logprobs.dtype == torch.float32
        assert (logprobs.bfloat16().float() != logprobs).float().mean() > 0.9


@backends
def test_every_rollout_is_drawn_with_the_weights_of_its_moment(
    trainer: Make, seen: Seen, policy: Callable[..., Any], backend: str
) -> None:
    run = trainer(model=policy(), data=DATA, rewards=ranked, rollout_backend=backend, max_steps=4, learning_rate=3e-2)
    for row in run.train().log_history:
        assert row[f"{DIFFERENCE}/max"] < 1e-4
    with torch.no_grad():
        stale = torch.cat(alone(policy(), seen.rollouts[-1]))
    last = seen.rollouts[-1]
    sampled = torch.cat([s[: len(c)] for s, c in zip(last.logprobs, last.completion_ids, strict=True)])
    assert float((sampled - stale).abs().mean()) > 0.05


@backends
def test_a_sampler_of_stale_weights_is_warned_of(
    trainer: Make, policy: Callable[..., Any], capsys: pytest.CaptureFixture[str], backend: str
) -> None:
    settings = {"data": DATA, "rewards": ranked, "rollout_backend": backend, "max_steps": 1, "disable_tqdm": False}
    warning = "sampler and trainer differ by"
    trainer(model=policy(), **settings).train()
    assert warning not in capsys.readouterr().out
    run = trainer(model=policy(), **settings)
    other = policy(seed=1)
    sampling = run._collector._sampler
    stale = (
        SlotSampler(other, run._policy.sampling)
        if backend == "slots"
        else GenerateSampler(other, run._policy.sampling, 0)
    )
    assert type(sampling) is type(stale)
    run._collector._sampler = stale
    row = run.train().log_history[0]
    assert row[f"{DIFFERENCE}/mean"] > 0.05
    assert warning in " ".join(capsys.readouterr().out.split())


@backends
def test_a_failure_in_a_rollout_stops_the_run(trainer: Make, policy: Callable[..., Any], backend: str) -> None:
    run = trainer(model=policy(), data=DATA, rewards=ranked, rollout_backend=backend, max_steps=3)

    def broken(module: Any, *_: Any) -> None:
        if run.state.global_step == 1 and not module.training:
            raise RuntimeError("weights could not be taken over")

    run.model.model.register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="weights could not be taken over"):
        run.train()
    assert run.state.global_step == 1


@backends
def test_dropout_is_off_in_rollouts(seen: Seen, trainer: Make, tokenizer: Any, backend: str) -> None:
    config = absolute_config(
        tokenizer,
        attn_pdrop=0.0,  # the own attention refuses it
        embd_pdrop=0.5,
        resid_pdrop=0.5,
    )
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config)
    twin = copy.deepcopy(model).eval()
    step(trainer, model, backend)
    assert model.training  # and on in the passes of the loss
    (rollouts,) = seen.rollouts
    with torch.no_grad():
        scored = alone(twin, rollouts)
        dropped = alone(copy.deepcopy(twin).train(), rollouts)
    for logprobs, sampled in zip(scored, rollouts.logprobs, strict=True):
        torch.testing.assert_close(sampled[: len(logprobs)], logprobs, rtol=1e-4, atol=1e-4)
    assert float((torch.cat(dropped) - torch.cat(scored)).abs().mean()) > 0.1


# Going on.


@backends
def test_a_resumed_run_does_not_repeat_a_batch(
    trainer: Make, seen: Seen, rows: Any, tmp_path: Path, backend: str
) -> None:
    settings = {"rollout_backend": backend, "max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    whole = trainer(output_dir=str(tmp_path / "whole"), **settings)
    whole.train()
    shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "resumed" / "checkpoint-2")
    resumed = trainer(output_dir=str(tmp_path / "resumed"), **settings)
    resumed.train(resume_from_checkpoint=True)
    assert len(seen.rollouts) == 4 + 2
    prompts = [[tuple(p) for p in rollouts.prompt_ids] for rollouts in seen.rollouts]
    assert len({p for step in prompts[:4] for p in step}) == len(rows)  # one epoch: each prompt once
    assert prompts[4:] == prompts[2:4]
    assert [r.completion_ids for r in seen.rollouts[4:]] == [r.completion_ids for r in seen.rollouts[2:4]]
    lines = (tmp_path / "resumed" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [3, 4]
