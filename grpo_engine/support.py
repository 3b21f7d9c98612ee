"""Which models the own attention and the fused head serve, said before the first step.

A model is refused by what its configuration says (a window that would be crossed, soft-capping, other kinds of
layers), and then by what it does: a probe compares the model's own forward pass with the packed one and with
decoding over slots, on a few tokens. What is refused runs with `rollout_backend="generate"`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from grpo_engine.attention import cache_for, own_attention
from grpo_engine.packing import Group, pack, pack_prompts
from grpo_engine.trunk import after_head, dropout_off, hidden_states, plain_head, trunk

_REMEDY = "set rollout_backend='generate', which serves every model"
_POSITIONS_BY_LENGTH = ("dynamic", "longrope")  # rotary angles that depend on the longest sequence of a batch
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}  # relative; half precision rounds far more
_HALF_TOLERANCE = 0.05
_PROBE_LENGTH = 11  # tokens of the longest sequence of the probe


class UnsupportedModel(ValueError):
    """The own rollouts and packed training can not run this model; the message says why and what can."""


def refusal(model: Any) -> str | None:
    """Why a model can not use the own attention, or None if its configuration names nothing against it."""
    config = trunk(model).config
    if not getattr(trunk(model), "_supports_attention_backend", False):
        return "its attention can not be exchanged in transformers"
    if getattr(config, "attn_logit_softcapping", None):
        return f"it soft-caps attention (attn_logit_softcapping = {config.attn_logit_softcapping})"
    kinds = set(getattr(config, "layer_types", None) or []) - {"full_attention", "sliding_attention"}
    if kinds:
        return f"it has layers of the kind {sorted(kinds)[0]!r}"
    rope = getattr(config, "rope_parameters", None) or {}
    for kind in (rope, *rope.values()):  # one for all layers, or one for each kind of layer
        if isinstance(kind, dict) and kind.get("rope_type") in _POSITIONS_BY_LENGTH:
            return f"its rotary positions depend on the longest sequence of a batch (rope_type {kind['rope_type']!r})"
    window = sliding_window(model)
    if window is not None and window < _PROBE_LENGTH:
        return f"its sliding window has only {window} tokens"
    for name in ("attention_dropout", "attn_pdrop"):
        if getattr(config, name, 0.0):
            return f"it has attention dropout ({name} = {getattr(config, name)}); set disable_dropout=True"
    if not plain_head(model, after_head(model)):
        return "its logits are not hidden states times one matrix (a bias, soft-capping, scaling or an adapter)"
    return None


def sliding_window(model: Any) -> int | None:
    """Tokens that the model's sliding window sees; None without one."""
    config = trunk(model).config
    kinds = getattr(config, "layer_types", None)
    window: int | None = getattr(config, "sliding_window", None)
    if not getattr(config, "use_sliding_window", True) or (kinds is not None and "sliding_attention" not in kinds):
        return None
    return window


def check_supported(model: Any) -> None:
    """Refuse a model that the own attention would run wrong.

    Raises:
        UnsupportedModel: with the reason and the setting that serves the model.
    """
    reason = refusal(model) or _probed(model)
    if reason is not None:
        raise UnsupportedModel(f"{type(model).__name__} can not use the own rollouts: {reason}; {_REMEDY}")


def check_positions(model: Any, longest: int) -> str | None:
    """Refuse sequences longer than a table of learned positions; say so of rotary ones, which go on without one.

    Args:
        longest: tokens of the longest prompt and the longest completion together.

    Returns:
        What to tell the user, or None.

    Raises:
        ValueError: the model has no position for the last tokens.
    """
    config = trunk(model).config
    most = getattr(config, "max_position_embeddings", None)
    if most is None or longest <= most:
        return None
    text = f"prompt and completion have up to {longest} tokens, the model's positions end at {most}"
    if getattr(config, "rope_parameters", None) is None:
        raise ValueError(f"{text}; lower max_completion_length or max_prompt_length")
    return f"{text}: it was not trained for more"


def check_window(model: Any, longest: int) -> None:
    """Refuse sequences that a sliding window would cut.

    Args:
        longest: tokens of the longest prompt and the longest completion together.

    Raises:
        UnsupportedModel: the window is shorter.
    """
    window = sliding_window(model)
    if window is not None and window < longest:
        raise UnsupportedModel(
            f"{type(model).__name__} can not use the own rollouts: its sliding window of {window} tokens is shorter "
            f"than prompt and completion ({longest} tokens); shorten max_completion_length or {_REMEDY}"
        )


def _probed(model: Any) -> str | None:
    try:
        error = probe(model)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as failure:
        return f"a forward pass with it failed ({type(failure).__name__}: {failure})"
    limit = _TOLERANCE.get(model.dtype, _HALF_TOLERANCE)
    return None if error <= limit else f"ours differ from its own hidden states by {error:.1e} (at most {limit:.0e})"


@torch.no_grad()
def probe(model: Any) -> float:
    """The largest relative difference between the model's own hidden states and ours, packed and decoded."""
    vocab = model.get_output_embeddings().weight.shape[0]
    prompt, first, second = ([(7 * i + start) % vocab for i in range(n)] for n, start in ((5, 1), (4, 2), (6, 3)))
    device = model.get_output_embeddings().weight.device
    with dropout_off(model):
        own = [_own(model, [*prompt, *c])[len(prompt) - 1 : -1] for c in (first, second)]
        with own_attention(model):
            sampled = torch.zeros(2, len(second), device=device)
            batch = pack([Group(prompt, (0, 1), (first, second))], sampled=sampled)
            packed = hidden_states(model, **batch.inputs)[0, batch.states]
            decoded = _decoded(model, prompt, second)
    return max(_difference(torch.cat(own), packed), _difference(own[1], decoded))


def _own(model: Any, ids: list[int]) -> Tensor:
    return hidden_states(model, input_ids=torch.tensor([ids], device=model.device))[0]


def _decoded(model: Any, prompt: list[int], completion: list[int]) -> Tensor:
    """(T, H) the states that predict the completion, one token at a time through the second of two slots."""
    weight = model.get_output_embeddings().weight
    cache = cache_for(model, slots=2, length=len(prompt) + len(completion))
    inputs, ends = pack_prompts([prompt], [0], cache, weight.device)
    states = [hidden_states(model, **inputs)[0, ends]]
    slots = torch.arange(2, device=weight.device)
    cache.copy(slots[:1], slots[1:], len(prompt))
    for i, token in enumerate(completion[:-1]):
        positions = torch.full_like(slots, len(prompt) + i)
        ids = torch.full_like(slots, token)[:, None]
        layout = cache.step(slots, positions, cache.length)
        hidden = hidden_states(model, input_ids=ids, position_ids=positions[:, None], layout=layout)
        states.append(hidden[1:, 0])
    return torch.cat(states)


def _difference(expected: Tensor, found: Tensor) -> float:
    """Relative, over all states; infinite if one is not finite."""
    error = (expected.double() - found.double()).norm() / expected.double().norm()
    return float(error) if torch.isfinite(error) else float("inf")
