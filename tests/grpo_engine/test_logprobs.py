"""Scored log-probabilities, entropies and gradients are those of the plain formula, however they are computed."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    HyperCLOVAXConfig,
    HyperCLOVAXForCausalLM,
)

from grpo_engine import logprobs as module
from grpo_engine.batching import TokenBatch, micro_batches
from grpo_engine.logprobs import FusedScorer, PlainScorer, Scored, Scorer, scorer_of
from grpo_engine.packing import groups_of, pack
from grpo_engine.rollout import GenerateSampler, Rollouts, SlotSampler
from grpo_engine.sampling import Sampling, sampling_logits, uniforms
from tests.grpo_engine.families import VOCAB, exact_norms, make

GROUP = 2
PROMPTS = [[3, 4, 5], [6, 7, 8, 9, 10, 11], [12]]
COMPLETIONS = [[13, 14, 15, 1], [2, 1], [9, 8, 7, 6, 5, 4, 3], [1], [21, 0, 22, 1], [20, 20, 20]]
TOKENS = sum(map(len, COMPLETIONS))
KNOWN = 30  # tokens of the tokenizer; the head has VOCAB rows
EXACT = 1e-9  # relative, in fp64
TRUNCATIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "top_p": {"top_p": 0.8},
    "top_k": {"top_k": 5},
    "min_p": {"min_p": 0.2},
    "all three": {"top_k": 12, "top_p": 0.9, "min_p": 0.1},
}
KINDS: dict[str, tuple[Any, bool]] = {
    "fused, packed": (FusedScorer, True),
    "fused, padded": (FusedScorer, False),
    "plain, padded": (PlainScorer, False),
}
every_kind = pytest.mark.parametrize("kind", list(KINDS))
every_family = pytest.mark.parametrize("family", ["qwen2", "llama"], ids=["tied", "untied"])


@pytest.fixture
def fp64(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes policies that compute in fp64 throughout."""
    exact_norms(monkeypatch)
    return lambda family="qwen2", **changes: make(family, dtype=torch.float64, **changes)


def batch_of(packed: bool, dtype: torch.dtype = torch.float64, pad: int = 0) -> TokenBatch:
    """All completions in one pass."""
    logprobs = torch.zeros(len(COMPLETIONS), max(map(len, COMPLETIONS)), dtype=dtype)
    if packed:
        return pack(groups_of(PROMPTS, COMPLETIONS, [True] * len(COMPLETIONS)), sampled=logprobs)
    rollouts = Rollouts(PROMPTS, COMPLETIONS, logprobs, torch.ones(len(COMPLETIONS), dtype=torch.bool))
    (batch,) = micro_batches(rollouts, len(COMPLETIONS), group=GROUP, pad_id=pad)
    return batch


def allowed(logits: Sequence[float], sampling: Sampling) -> set[int]:
    """Which tokens may be drawn, read off the definitions: top-k, of these top-p, of these min-p."""

    def probabilities(kept: list[int]) -> dict[int, float]:
        total = sum(math.exp(logits[i] / sampling.temperature) for i in kept)
        return {i: math.exp(logits[i] / sampling.temperature) / total for i in kept}

    kept = sorted(range(sampling.vocab_size), key=lambda i: -logits[i])
    kept = kept[: sampling.top_k or None]
    nucleus, mass = [], 0.0
    for token, probability in probabilities(kept).items():
        if mass < sampling.top_p:
            nucleus.append(token)
        mass += probability
    chances = probabilities(nucleus)
    return {i for i, p in chances.items() if p >= (sampling.min_p or 0.0) * max(chances.values())}


def plain(model: Any, batch: TokenBatch, sampling: Sampling) -> Scored:
    """The definition, one sequence at a time, nothing padded, with gradient; the order is the batch's."""
    logprobs, entropies = [], []
    for row in batch.rows.tolist():
        prompt, completion = PROMPTS[row // GROUP], COMPLETIONS[row]
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        for raw, token in zip(logits, completion, strict=True):
            kept = sorted(allowed(raw.tolist(), sampling) | {token})
            logp = (raw[kept] / sampling.temperature).log_softmax(-1)
            logprobs.append(logp[kept.index(token)])
            entropies.append(-(logp.exp() * logp).sum())
    return Scored(torch.stack(logprobs), torch.stack(entropies).detach())


def zeros_for(dtype: torch.dtype | None = None) -> Callable[[Any], Tensor]:
    """Where the gradients of weights are summed: at the weights themselves."""

    def sums(param: Any) -> Tensor:
        if param.grad is None:
            param.grad = torch.zeros_like(param, dtype=dtype)
        grad: Tensor = param.grad
        return grad

    return sums


def gradients(model: Any) -> dict[str, Tensor]:
    return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}


def assert_same_gradients(found: dict[str, Tensor], expected: dict[str, Tensor], limit: float = EXACT) -> None:
    """Of every weight, relative to its own gradient; one that is 0 but for rounding, relative to all of them."""
    total = float(torch.stack([g.norm() for g in expected.values()]).norm())
    assert total > 0
    for name, theirs in expected.items():
        scale = max(float(theirs.norm()), 1e-6 * total)
        assert float((found[name] - theirs).norm()) <= limit * scale, name


def per_token(batch: TokenBatch) -> module.TokenLoss:
    """A loss of each token alone, not linear in its log-probability."""
    coefficients = torch.linspace(-1, 1.5, len(batch.targets), dtype=torch.float64)

    def loss(logprobs: Tensor, tokens: slice) -> Tensor:
        return coefficients[tokens] * (0.3 * logprobs).exp()

    return loss


def coupled(batch: TokenBatch) -> module.TokenLoss:
    """A loss that sees whole completions: the geometric mean of their probabilities."""
    coefficients = torch.linspace(-1, 1.5, len(batch.lengths), dtype=torch.float64)

    def loss(logprobs: Tensor, tokens: slice) -> Tensor:
        assert tokens == slice(0, len(batch.targets))
        sums = logprobs.new_zeros(len(batch.lengths)).index_add(0, batch.sequence, logprobs)
        return ((sums / batch.lengths).exp() * coefficients)[batch.sequence]

    return loss


LOSSES = {False: per_token, True: coupled}


def both(
    kind: str, model: Any, twin: Any, sampling: Sampling, whole: bool
) -> tuple[tuple[Scored, Tensor, dict[str, Tensor]], tuple[Scored, Tensor, dict[str, Tensor]]]:
    """Scores, loss and gradients by a scorer and by the definition."""
    make_scorer, packed = KINDS[kind]
    batch = batch_of(packed)
    loss = LOSSES[whole](batch)
    scored, total = make_scorer(model, sampling).backward(batch, loss, whole=whole, sums=zeros_for())
    expected = plain(twin, batch, sampling)
    value = loss(expected.logprobs, slice(0, TOKENS)).sum()
    value.backward()
    detached = Scored(expected.logprobs.detach(), expected.entropies)
    return (scored, total, gradients(model)), (detached, value.detach(), gradients(twin))


def assert_same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found[0].logprobs, expected[0].logprobs, rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(found[0].entropies, expected[0].entropies, rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(found[1], expected[1], rtol=EXACT, atol=EXACT)
    assert_same_gradients(found[2], expected[2])


# Equal to the definition


@every_kind
@pytest.mark.parametrize("truncation", list(TRUNCATIONS))
@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.3])
def test_scores_loss_and_every_gradient_are_those_of_autograd_on_the_full_log_softmax(
    fp64: Callable[..., Any], kind: str, temperature: float, truncation: str
) -> None:
    sampling = Sampling(VOCAB, (1,), temperature=temperature, **TRUNCATIONS[truncation])
    assert_same(*both(kind, fp64(), fp64(), sampling, whole=False))


@every_kind
@every_family
@pytest.mark.parametrize("whole", [False, True], ids=["per token", "coupled"])
@pytest.mark.parametrize("rows", [1, 4, 1000])
def test_neither_the_chunks_nor_a_loss_that_couples_tokens_nor_tied_weights_change_them(
    fp64: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, kind: str, family: str, whole: bool, rows: int
) -> None:
    monkeypatch.setattr(module, "CHUNK", rows * VOCAB)
    sampling = Sampling(VOCAB, (1,), temperature=0.7)
    assert_same(*both(kind, fp64(family), fp64(family), sampling, whole))


@every_kind
@every_family
def test_rows_of_the_head_beyond_the_tokenizer_are_neither_scored_nor_trained(
    fp64: Callable[..., Any], kind: str, family: str
) -> None:
    model, twin = fp64(family), fp64(family)
    with torch.no_grad():
        for one in (model, twin):
            one.get_output_embeddings().weight[KNOWN:] *= 20  # likely, were they possible
    found, expected = both(kind, model, twin, Sampling(KNOWN, (1,)), whole=False)
    assert_same(found, expected)
    head = model.get_output_embeddings().weight
    assert (head.grad[KNOWN:] == 0).all()
    assert (head.grad[:KNOWN] != 0).any(1).all()
    with torch.no_grad():
        everything = plain(model, batch_of(False), Sampling(VOCAB, (1,)))
    assert (found[0].logprobs.sum() - everything.logprobs.sum()).abs() > 1  # what counting them would give


@every_kind
@every_family
@pytest.mark.parametrize("whole", [False, True], ids=["per token", "coupled"])
def test_a_frozen_head_gets_no_gradient_and_changes_none(
    fp64: Callable[..., Any], kind: str, family: str, whole: bool
) -> None:
    model, twin = fp64(family), fp64(family)
    for one in (model, twin):
        one.get_output_embeddings().weight.requires_grad_(False)
    assert_same(*both(kind, model, twin, Sampling(VOCAB, (1,)), whole))
    assert model.get_output_embeddings().weight.grad is None


@every_kind
def test_a_frozen_trunk_leaves_the_gradient_of_the_head_alone(fp64: Callable[..., Any], kind: str) -> None:
    model, twin = fp64("llama"), fp64("llama")
    for one in (model, twin):
        one.requires_grad_(False)
        one.get_output_embeddings().weight.requires_grad_(True)
    assert_same(*both(kind, model, twin, Sampling(VOCAB, (1,)), whole=False))


@every_kind
def test_gradients_of_several_passes_add_up(fp64: Callable[..., Any], kind: str) -> None:
    model, twin = fp64(), fp64()
    make_scorer, packed = KINDS[kind]
    batch = batch_of(packed)
    for _ in range(2):
        make_scorer(model, Sampling(VOCAB, (1,))).backward(batch, per_token(batch), whole=False, sums=zeros_for())
    (2 * per_token(batch)(plain(twin, batch, Sampling(VOCAB, (1,))).logprobs, slice(0, TOKENS))).sum().backward()
    assert_same_gradients(gradients(model), gradients(twin))


@every_kind
def test_scores_without_gradient_are_those_with_it_and_leave_no_gradient(model: Any, sampling: Any, kind: str) -> None:
    make_scorer, packed = KINDS[kind]
    batch = batch_of(packed, torch.float32)
    scorer: Scorer = make_scorer(model, sampling)
    silent = scorer.score(batch)
    assert all(p.grad is None for p in model.parameters())
    loud, _ = scorer.backward(batch, lambda logprobs, tokens: logprobs, whole=False, sums=zeros_for())
    for quiet, other in ((silent.logprobs, loud.logprobs), (silent.entropies, loud.entropies)):
        assert torch.equal(quiet, other)
        assert not quiet.requires_grad
        assert not other.requires_grad


def test_the_loss_is_called_once_for_each_chunk_or_once_for_all_tokens(
    model: Any, sampling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 4 * sampling.vocab_size)
    batch = batch_of(True, torch.float32)
    for whole in (False, True):
        seen: list[int] = []

        def loss(logprobs: Tensor, tokens: slice, seen: list[int] = seen) -> Tensor:
            seen.extend(range(tokens.start, tokens.stop))
            assert len(logprobs) == tokens.stop - tokens.start <= (TOKENS if whole else 4)  # noqa: B023
            return logprobs

        FusedScorer(model, sampling).backward(batch, loss, whole=whole, sums=zeros_for())
        assert seen == [*range(TOKENS)]


def test_no_more_logits_are_in_flight_than_a_chunk_holds(
    model: Any, sampling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = module.sampling_logits

    def counted(logits: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        sizes.append(len(logits))
        return real(logits, *args, **kwargs)

    monkeypatch.setattr(module, "sampling_logits", counted)
    monkeypatch.setattr(module, "CHUNK", 4 * sampling.vocab_size)
    for kind, (make_scorer, packed) in KINDS.items():
        sizes.clear()
        batch = batch_of(packed, torch.float32)
        make_scorer(model, sampling).backward(batch, lambda logprobs, t: logprobs, whole=False, sums=zeros_for())
        assert max(sizes) == 4, kind
        assert sum(sizes) in (TOKENS, 2 * TOKENS), kind  # the plain one computes its chunks again


# Padding and positions


@pytest.mark.parametrize("pad", [0, 1, 17])
def test_neither_padding_nor_absolute_positions_move_a_score(absolute: Any, sampling: Any, pad: int) -> None:
    batch = batch_of(False, torch.float32, pad)
    for scorer in (FusedScorer(absolute, sampling), PlainScorer(absolute, sampling)):
        expected = plain(absolute, batch, sampling).logprobs.detach()
        torch.testing.assert_close(scorer.score(batch).logprobs, expected, rtol=1e-5, atol=1e-5)


# Sampled and scored alike


@pytest.mark.parametrize("backend", ["slots", "generate"])
@pytest.mark.parametrize("truncation", list(TRUNCATIONS))
@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.3])
def test_the_log_probability_of_the_sampler_is_that_of_the_trainer(
    new_model: Callable[..., Any], sampling: Any, temperature: float, truncation: str, backend: str
) -> None:
    model = new_model(initializer_range=0.3)  # distributions that are far from flat
    sampling = dataclasses.replace(sampling, temperature=temperature, **TRUNCATIONS[truncation])
    sampler = SlotSampler(model, sampling) if backend == "slots" else GenerateSampler(model, sampling, 0)
    rollouts = sampler(PROMPTS, group=4, chance=uniforms(0, 12, 7))
    kept = [True] * 12
    passes = [
        pack(groups_of(rollouts.prompt_ids, rollouts.completion_ids, kept), sampled=rollouts.logprobs),
        *micro_batches(rollouts, 5, group=4, pad_id=0),
    ]
    for one in passes:
        scored = FusedScorer(model, sampling).score(one).logprobs
        torch.testing.assert_close(scored, one.sampled, rtol=0, atol=1e-5)


# The distribution


@pytest.mark.parametrize("truncation", list(TRUNCATIONS))
def test_truncation_keeps_the_tokens_of_its_definition_and_gives_them_all_the_mass(truncation: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(40, 30, generator=generator, dtype=torch.float64) * 2
    sampling = Sampling(vocab_size=26, eos_ids=(1,), temperature=0.8, **TRUNCATIONS[truncation])
    logp = sampling_logits(logits, sampling).log_softmax(-1)
    for row, raw in zip(logp, np.asarray(logits).tolist(), strict=True):
        assert set(row.isfinite().nonzero()[:, 0].tolist()) == allowed(raw, sampling)
    torch.testing.assert_close(logp.exp().sum(-1), torch.ones(40, dtype=torch.float64))


def test_the_likeliest_token_survives_every_truncation() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0]])
    for strict in ({"top_p": 1e-6}, {"top_k": 1}, {"min_p": 1.0}):
        kept = sampling_logits(logits, Sampling(vocab_size=3, eos_ids=(0,), **strict))
        assert kept.isfinite().tolist() == [[False, True, False]]


def test_a_token_that_was_sampled_can_be_scored_even_if_rounding_moved_it_out_of_the_nucleus() -> None:
    sampling = Sampling(vocab_size=3, eos_ids=(0,), top_k=1)
    logits = torch.tensor([[2.0, 1.0, 0.0]], requires_grad=True)
    logp = sampling_logits(logits, sampling, keep=torch.tensor([1])).log_softmax(-1)[0, 1]
    assert logp.item() == pytest.approx(1 - math.log(math.e**2 + math.e))
    logp.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("kind", [FusedScorer, PlainScorer])
def test_the_entropy_is_that_of_the_distribution_that_is_sampled_from(kind: Any) -> None:
    logits = torch.tensor([[0.0] * 8, [5.0, 1.0, 0.0, -2.0, 0.0, 0.0, 0.0, 0.0]])
    head = Fixed(torch.eye(2), logits.T)
    sampling = Sampling(vocab_size=8, eos_ids=(0,), temperature=0.5)
    p = (logits[1] / 0.5).softmax(-1)
    expected = torch.tensor([math.log(8), -(p * p.log()).sum().item()])
    batch = head.batch([3, 0])
    torch.testing.assert_close(kind(head, sampling).score(batch).entropies, expected)
    few = dataclasses.replace(sampling, vocab_size=4)
    assert kind(head, few).score(batch).entropies[0].item() == pytest.approx(math.log(4))
    one = dataclasses.replace(sampling, top_k=1)
    assert kind(head, one).score(batch).entropies[1].item() == pytest.approx(0.0, abs=1e-6)


# Half precision


class Fixed(nn.Module):
    """A policy whose hidden states are given: (n, H) states under a (V, H) head."""

    def __init__(self, states: Tensor, head: Tensor) -> None:
        super().__init__()
        self.states = nn.Parameter(states.clone())
        self.head = nn.Linear(head.shape[1], head.shape[0], bias=False)
        self.head.weight = nn.Parameter(head.clone())
        self.config = SimpleNamespace()

    def get_output_embeddings(self) -> nn.Linear:
        return self.head

    def get_decoder(self) -> Callable[..., Any]:
        return lambda use_cache: SimpleNamespace(last_hidden_state=self.states[None])

    def forward(self, **_: Any) -> Any:
        return SimpleNamespace(logits=self.head(self.states)[None])

    def batch(self, targets: Sequence[int]) -> TokenBatch:
        n = len(targets)
        return TokenBatch(
            rows=torch.tensor([0]),
            inputs={},
            states=torch.arange(n),
            targets=torch.tensor(targets),
            sequence=torch.zeros(n, dtype=torch.long),
            lengths=torch.tensor([n]),
            sampled=torch.zeros(n),
        )


@pytest.mark.parametrize("kind", [FusedScorer, PlainScorer])
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_scored_in_fp32(kind: Any, half: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    states, head = torch.randn(6, 16, generator=generator).to(half), torch.randn(26, 16, generator=generator).to(half)
    policy, targets = Fixed(states, head), [*range(6)]
    got = kind(policy, Sampling(vocab_size=26, eos_ids=(1,), temperature=0.9)).score(policy.batch(targets))
    logits = states @ head.T
    expected, rounded = ((x / 0.9).log_softmax(-1)[range(6), targets] for x in (logits.float(), logits))
    assert got.logprobs.dtype == got.entropies.dtype == torch.float32
    torch.testing.assert_close(got.logprobs, expected, rtol=1e-6, atol=1e-6)
    assert float((rounded.float() - expected).abs().max()) > 1e-4  # what it would be without


def test_logits_in_fp64_stay_in_fp64(fp64: Callable[..., Any]) -> None:
    for make_scorer, packed in KINDS.values():
        got = make_scorer(fp64(), Sampling(VOCAB, (1,))).score(batch_of(packed))
        assert got.logprobs.dtype == got.entropies.dtype == torch.float64


def test_the_gradient_of_a_half_precision_head_is_summed_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    n, hidden, vocab = 2048, 4, 8
    generator = torch.Generator().manual_seed(0)
    states = (1 + 0.1 * torch.randn(n, hidden, generator=generator)).bfloat16()
    policy = Fixed(states, 0.1 * torch.randn(vocab, hidden, generator=generator).bfloat16())
    monkeypatch.setattr(module, "CHUNK", vocab)  # a row at a time, all of nearly the same gradient
    total = torch.zeros(vocab, hidden)
    batch = policy.batch([3] * n)
    FusedScorer(policy, Sampling(vocab, (1,))).backward(
        batch, lambda logprobs, tokens: logprobs, whole=False, sums=lambda weight: total
    )
    logits = states.double() @ policy.head.weight.detach().double().T
    each = (torch.eye(vocab, dtype=torch.float64)[3] - logits.softmax(-1))[:, :, None] * states.double()[:, None]
    expected, rounded = each.sum(0), torch.zeros(vocab, hidden, dtype=torch.bfloat16)
    for one in each:
        rounded += one.bfloat16()
    error, error_in_half = (float((x.double() - expected).norm() / expected.norm()) for x in (total, rounded))
    assert error < 2**-8  # each product is rounded once
    assert error_in_half > 20 * error
    assert policy.head.weight.grad is None  # nothing is summed at the weight itself


# Which scorer


def test_a_head_that_is_one_matrix_is_fused_and_others_are_not(new_model: Callable[..., Any], sampling: Any) -> None:
    model = new_model()
    assert isinstance(scorer_of(model, sampling), FusedScorer)
    model.config.final_logit_softcapping = 2.0  # a name in the configuration that the model does not act on
    assert isinstance(scorer_of(model, sampling), FusedScorer)
    biased = new_model(tie_word_embeddings=False)
    biased.lm_head = nn.Linear(32, sampling.vocab_size)
    assert isinstance(scorer_of(biased, sampling), PlainScorer)


AFTER_THE_HEAD: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "Gemma 2 caps": (Gemma2Config, Gemma2ForCausalLM, {"final_logit_softcapping": 2.0, "head_dim": 8}),
    "Granite divides": (GraniteConfig, GraniteForCausalLM, {"logits_scaling": 4.0}),
    "HyperCLOVA X multiplies by it": (HyperCLOVAXConfig, HyperCLOVAXForCausalLM, {"logits_scaling": 0.25}),
    "Cohere multiplies": (CohereConfig, CohereForCausalLM, {"logit_scale": 0.25}),
}


@pytest.mark.parametrize("name", list(AFTER_THE_HEAD))
def test_what_a_model_does_to_its_logits_after_the_head_is_in_scores_and_gradients(name: str) -> None:
    config, make_model, changes = AFTER_THE_HEAD[name]
    shape = {
        "vocab_size": VOCAB,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "initializer_range": 0.7,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }
    torch.manual_seed(0)
    model = make_model(config(**shape, **changes)).eval()
    twin = copy.deepcopy(model)
    sampling, batch = Sampling(VOCAB, (1,)), batch_of(False, torch.float32)
    scored, _ = scorer_of(model, sampling).backward(batch, per_token(batch), whole=False, sums=zeros_for())
    expected = plain(twin, batch, sampling).logprobs
    torch.testing.assert_close(scored.logprobs, expected.detach(), rtol=1e-5, atol=1e-5)
    per_token(batch)(expected, slice(0, TOKENS)).sum().backward()
    assert_same_gradients(gradients(model), gradients(twin), limit=1e-4)
