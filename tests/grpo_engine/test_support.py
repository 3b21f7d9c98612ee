"""What the own attention would run wrong is refused before the first step, with the reason and the remedy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from grpo_engine import attention
from grpo_engine.attention import PackedLayout, SlotLayout
from grpo_engine.support import UnsupportedModel, check_supported, check_window, probe, refusal, sliding_window
from tests.grpo_engine.families import FAMILIES, SHAPE, make

REMEDY = "rollout_backend='generate'"

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft calls it


def other(name: str, **changes: Any) -> Any:
    """A tiny policy of any family of transformers."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}TextConfig", None) or getattr(transformers, f"{name}Config")
    return getattr(transformers, f"{name}ForCausalLM")(config(**{**SHAPE, **changes})).eval()


def gpt2(**changes: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=40, n_embd=32, n_layer=2, n_head=4, n_positions=64, **changes)
    return transformers.GPT2LMHeadModel(config).eval()


def message_of(model: Any) -> str:
    with pytest.raises(UnsupportedModel) as refused:
        check_supported(model)
    text = str(refused.value)
    assert text.startswith(f"{type(model).__name__} can not use the own rollouts: ")
    assert REMEDY in text
    return text


# Served


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_four_families_are_served_in_every_precision(family: str, dtype: torch.dtype) -> None:
    check_supported(make(family, dtype=dtype))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_probe_finds_rounding_alone(family: str) -> None:
    assert 0 < probe(make(family)) < 1e-5
    assert probe(make(family, dtype=torch.float64)) < 1e-6  # the norms of transformers round to fp32


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Qwen3Moe", {"head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}),
        ("Phi3", {}),
        ("Olmo2", {}),
        ("Gemma3", {"head_dim": 8, "sliding_window": 32, "final_logit_softcapping": None}),
        ("Llama", {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}),
    ],
    ids=["qwen3 moe", "phi3", "olmo2", "gemma3", "llama with linear rope"],
)
def test_families_that_behave_like_them_are_served(name: str, changes: dict[str, Any]) -> None:
    check_supported(other(name, **changes))


def test_gpt2_is_served_without_its_attention_dropout() -> None:
    check_supported(gpt2(attn_pdrop=0.0))


# Refused by the configuration


def test_gpt2_is_refused_for_its_attention_dropout_with_the_argument_that_turns_it_off() -> None:
    text = message_of(gpt2())
    assert "attn_pdrop = 0.1" in text
    assert "disable_dropout=True" in text


def test_gemma2_is_refused() -> None:
    assert "soft-caps" in message_of(other("Gemma2", head_dim=8))


def test_soft_capped_attention_is_refused_by_its_name() -> None:
    text = message_of(other("Gemma2", head_dim=8, final_logit_softcapping=None))
    assert "attn_logit_softcapping = 50.0" in text


@pytest.mark.parametrize(("name", "changes"), [("Cohere", {}), ("Granite", {"logits_scaling": 8.0})], ids=str)
def test_scaled_logits_are_refused(name: str, changes: dict[str, Any]) -> None:
    assert "scaling" in message_of(other(name, **changes))


def test_a_head_with_a_bias_is_refused() -> None:
    model = make("llama")
    model.set_output_embeddings(nn.Linear(32, 40, bias=True))
    assert "a bias" in message_of(model)


def test_a_head_under_an_adapter_is_refused() -> None:
    peft = pytest.importorskip("peft")
    model = peft.get_peft_model(make("llama"), peft.LoraConfig(target_modules=["lm_head"], r=2))
    assert "an adapter" in message_of(model)


def test_adapters_below_the_head_are_served() -> None:
    peft = pytest.importorskip("peft")
    model = peft.get_peft_model(make("llama"), peft.LoraConfig(target_modules=["q_proj", "v_proj"], r=2))
    for name, weight in model.named_parameters():
        if "lora_B" in name:  # zero at the start, which would hide the adapter
            nn.init.normal_(weight)
    check_supported(model.eval())


def test_attention_dropout_is_refused_with_the_argument_that_turns_it_off() -> None:
    text = message_of(make("qwen2", attention_dropout=0.1))
    assert "attention_dropout = 0.1" in text
    assert "disable_dropout=True" in text


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
        {
            "rope_type": "longrope",
            "factor": 2.0,
            "rope_theta": 1e4,
            "short_factor": [1.0] * 4,
            "long_factor": [2.0] * 4,
            "original_max_position_embeddings": 32,
        },
    ],
    ids=["dynamic", "longrope"],
)
def test_rotary_positions_that_depend_on_the_batch_are_refused(rope: dict[str, Any]) -> None:
    assert repr(rope["rope_type"]) in message_of(make("llama", rope_parameters=rope))


def test_rotary_positions_of_one_kind_of_layer_alone_are_refused_too() -> None:
    rope = {kind: {"rope_type": "default", "rope_theta": 1e4} for kind in ("full_attention", "sliding_attention")}
    rope["full_attention"] = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    assert "'dynamic'" in message_of(other("Gemma3", head_dim=8, rope_parameters=rope))


def test_attention_that_transformers_can_not_exchange_is_refused() -> None:
    text = message_of(other("Bloom", n_layer=2, n_head=4))
    assert "can not be exchanged" in text


def test_layers_of_another_kind_are_refused_by_their_name() -> None:
    model = make("qwen3")
    model.config.layer_types = ["full_attention", "chunked_attention"]
    assert "'chunked_attention'" in message_of(model)


# Windows


def test_a_window_that_sequences_cross_is_refused_with_both_lengths() -> None:
    model = make("mistral", sliding_window=16)
    check_window(model, 16)
    with pytest.raises(UnsupportedModel) as refused:
        check_window(model, 17)
    for part in ("16 tokens", "17 tokens", "max_completion_length", REMEDY):
        assert part in str(refused.value)


def test_a_window_as_long_as_the_sequence_hides_nothing() -> None:
    ids = torch.randint(2, 40, (1, 16), generator=torch.Generator().manual_seed(0))
    free, bound, cut = (make("mistral", sliding_window=window)(ids).logits for window in (None, 16, 15))
    assert torch.equal(free, bound)
    assert not torch.allclose(free, cut)


def test_a_window_shorter_than_the_probe_is_refused_by_the_probe_too() -> None:
    message_of(make("mistral", sliding_window=4))


@pytest.mark.parametrize(
    ("family", "changes", "window"),
    [
        ("mistral", {"sliding_window": 16}, 16),
        ("mistral", {"sliding_window": None}, None),
        ("qwen2", {"sliding_window": 16}, None),  # use_sliding_window is off
        ("qwen2", {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 1}, 16),
        ("qwen2", {"sliding_window": 16, "use_sliding_window": True, "max_window_layers": 2}, None),  # no such layer
        ("qwen3", {"sliding_window": 16}, None),
        ("llama", {}, None),
    ],
    ids=str,
)
def test_only_a_window_in_use_counts(family: str, changes: dict[str, Any], window: int | None) -> None:
    model = make(family, **changes)
    assert sliding_window(model) == window
    check_supported(model)
    if window is None:
        check_window(model, 10**6)
    else:
        with pytest.raises(UnsupportedModel):
            check_window(model, 10**6)


# Refused by the probe


def test_attention_with_sinks_is_caught_by_the_probe() -> None:
    model = other("GptOss", head_dim=8, num_local_experts=2, num_experts_per_tok=1)
    assert refusal(model) is None
    assert "hidden states" in message_of(model)


def test_attention_of_another_shape_is_caught_by_the_probe() -> None:
    changes = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
    experts = {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1}
    model = other("DeepseekV3", **changes, **experts, num_key_value_heads=4, moe_intermediate_size=16)
    assert refusal(model) is None
    assert "a forward pass with it failed" in message_of(model)


def lying(out: Tensor) -> Tensor:
    return out.roll(1, dims=2)  # each head's output goes to the next


@pytest.mark.parametrize("layout", [PackedLayout, SlotLayout], ids=["packed", "decoding"])
@pytest.mark.parametrize("family", FAMILIES)
def test_attention_that_lies_is_caught_in_packs_and_in_decoding(
    family: str, layout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = layout.attend
    monkeypatch.setattr(layout, "attend", lambda *inputs: lying(honest(*inputs)))
    assert "hidden states" in message_of(make(family, initializer_range=0.02))  # also in a policy as it is born


def test_a_completion_that_saw_its_sibling_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = PackedLayout._dense

    def leaking(self: PackedLayout, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> Tensor:
        if self.keys is not None:
            k = k.clone()
            k[-2] = k[-1]
        return honest(self, q, k, v, scale)

    monkeypatch.setattr(PackedLayout, "_dense", leaking)
    message_of(make("llama"))


def test_a_model_that_ignores_the_exchange_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "NAME", "sdpa")  # its own attention runs, and sees the pack as one sequence
    message_of(make("llama"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_whose_states_are_not_finite_is_refused(value: float) -> None:
    model = make("llama")
    with torch.no_grad():
        model.model.norm.weight.fill_(value)
    message_of(model)


# The probe leaves no trace


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("broken", [False, True], ids=["served", "refused"])
def test_the_probe_leaves_mode_attention_gradients_and_random_state(
    training: bool, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make("qwen2").train(training)
    if broken:
        monkeypatch.setattr(SlotLayout, "attend", lambda *inputs: 1 / 0)
    own, random = model.config._attn_implementation, torch.get_rng_state()
    weights = [weight.detach().clone() for weight in model.parameters()]
    try:
        check_supported(model)
        assert not broken
    except (UnsupportedModel, ZeroDivisionError):
        assert broken
    assert model.training is training
    assert model.config._attn_implementation == own
    assert torch.equal(torch.get_rng_state(), random)
    for weight, before in zip(model.parameters(), weights, strict=True):
        assert weight.grad is None
        assert weight.requires_grad
        assert torch.equal(weight, before)


def test_the_probe_does_not_look_at_dropout() -> None:
    model = gpt2(attn_pdrop=0.0, resid_pdrop=0.9)
    check_supported(model.train())
