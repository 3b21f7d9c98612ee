"""AdamW that trains half-precision weights as if they were whole."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from grpo_engine.optim import MasterAdamW

LR = 1e-6


def small_net(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.LayerNorm(32), nn.Linear(32, 8)).to(dtype)


def drift(net: nn.Module, step: int) -> None:
    """The gradient of one step: the same direction with noise, as a training signal has it."""
    generator = torch.Generator().manual_seed(step)
    steady = torch.Generator().manual_seed(1000)
    for p in net.parameters():
        g = torch.randn(p.shape, generator=steady) + 0.5 * torch.randn(p.shape, generator=generator)
        p.grad = g.to(p.dtype)


def moved(net: nn.Module, optimizer: Any, read: Callable[[], Tensor]) -> Tensor:
    """How far 100 steps move what `read` gives."""
    before = read().clone()
    for step in range(100):
        drift(net, step)
        if isinstance(optimizer, MasterAdamW):
            optimizer.accumulate()
            optimizer.clip(0)
        optimizer.step()
    return read() - before


def masters(optimizer: MasterAdamW) -> Tensor:
    return torch.cat([m.detach().flatten() for m in optimizer._masters])


def test_bf16_weights_with_a_master_move_like_fp32_and_without_one_hardly(
    weights: Callable[[nn.Module], Tensor],
) -> None:
    whole = small_net()
    whole_optimizer = MasterAdamW(whole.parameters(), lr=LR)
    full = moved(whole, whole_optimizer, lambda: weights(whole))

    half = small_net()
    with_master = MasterAdamW(half.parameters(), lr=LR, half=torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    kept = moved(half, with_master, lambda: masters(with_master))

    bare = small_net(torch.bfloat16)
    lost = moved(bare, torch.optim.AdamW(bare.parameters(), lr=LR), lambda: weights(bare))

    cosine = nn.functional.cosine_similarity
    assert cosine(kept, full, dim=0) >= 0.99
    assert kept.norm() == pytest.approx(full.norm().item(), rel=0.02)
    assert cosine(lost, full, dim=0) < 0.5
    assert (lost != 0).float().mean() < 0.1


def test_the_weights_are_the_masters_rounded() -> None:
    net = small_net()
    optimizer = MasterAdamW(net.parameters(), lr=1e-2, half=torch.bfloat16)
    drift(net, 0)
    optimizer.accumulate()
    optimizer.step()
    for p, m in zip(net.parameters(), optimizer._masters, strict=True):
        assert m.dtype == torch.float32
        assert torch.equal(p, m.bfloat16())


def test_masters_are_taken_before_the_weights_are_rounded() -> None:
    net = small_net()
    original = [p.detach().clone() for p in net.parameters()]
    optimizer = MasterAdamW(net.parameters(), lr=1e-2, half=torch.bfloat16)
    for m, o in zip(optimizer._masters, original, strict=True):
        assert torch.equal(m, o)


def test_fp32_weights_are_their_own_masters_and_step_as_torchs_adamw() -> None:
    ours, theirs = small_net(), small_net()
    optimizer = MasterAdamW(ours.parameters(), lr=1e-2, betas=(0.8, 0.95), eps=1e-6)
    reference = torch.optim.AdamW(theirs.parameters(), lr=1e-2, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.0)
    for step in range(5):
        for net, opt in ((ours, optimizer), (theirs, reference)):
            drift(net, step)
            opt.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


def test_micro_batches_add_up_in_fp32() -> None:
    param = nn.Parameter(torch.zeros(2, 2, dtype=torch.bfloat16))
    optimizer = MasterAdamW([param], lr=1.0)
    values = [1.0] + [2.0**-9] * 256  # in bf16, 1 + 2^-9 is 1 again
    for value in values:
        param.grad = torch.full_like(param, value)
        optimizer.accumulate()
        assert param.grad is None
    assert float(optimizer.clip(0)) == pytest.approx(math.sqrt(4) * sum(values))


def test_clipping_scales_all_gradients_alike_and_returns_the_norm_before() -> None:
    net = small_net()
    optimizer = MasterAdamW(net.parameters(), lr=1e-2)
    drift(net, 0)
    before = torch.cat([p.grad.flatten() for p in net.parameters()])
    norm = optimizer.clip(0.5)
    after = torch.cat([p.grad.flatten() for p in net.parameters()])
    assert norm.item() == pytest.approx(before.norm().item())
    torch.testing.assert_close(after, before * 0.5 / before.norm(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("limit", [0.0, 1e9])
def test_a_gradient_below_the_limit_or_without_one_stays_as_it_is(limit: float) -> None:
    net = small_net()
    optimizer = MasterAdamW(net.parameters(), lr=1e-2)
    drift(net, 0)
    before = [p.grad.clone() for p in net.parameters()]
    optimizer.clip(limit)
    for p, b in zip(net.parameters(), before, strict=True):
        assert torch.equal(p.grad, b)


def test_weight_decay_shrinks_matrices_and_leaves_biases_and_norms() -> None:
    net = small_net()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = MasterAdamW(net.parameters(), lr=0.1, weight_decay=0.5)
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in net.named_parameters():
        expected = before[name] * (1 - 0.1 * 0.5) if p.ndim >= 2 else before[name]
        torch.testing.assert_close(p.detach(), expected, msg=name)


@pytest.mark.parametrize("half", [None, torch.bfloat16])
def test_a_restored_optimizer_goes_on_as_if_it_had_not_stopped(half: torch.dtype | None) -> None:
    def run(net: nn.Module, optimizer: MasterAdamW, steps: range) -> None:
        for step in steps:
            drift(net, step)
            optimizer.accumulate()
            optimizer.step()

    undisturbed = small_net()
    straight = MasterAdamW(undisturbed.parameters(), lr=1e-3, half=half)
    run(undisturbed, straight, range(3))
    weights = {name: value.clone() for name, value in undisturbed.state_dict().items()}
    saved = copy.deepcopy(straight.state_dict())
    run(undisturbed, straight, range(3, 6))

    resumed = small_net()
    optimizer = MasterAdamW(resumed.parameters(), lr=1e-3, half=half)
    resumed.load_state_dict(weights)
    optimizer.load_state_dict(saved)
    run(resumed, optimizer, range(3, 6))
    assert torch.equal(masters(optimizer), masters(straight))
    for a, b in zip(resumed.parameters(), undisturbed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_frozen_parameters_are_left_alone_and_a_model_without_others_is_refused() -> None:
    net = small_net()
    net[0].requires_grad_(False)
    frozen = net[0].weight.detach().clone()
    optimizer = MasterAdamW(net.parameters(), lr=0.1, weight_decay=0.5)
    for p in net[1:].parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert torch.equal(net[0].weight, frozen)
    with pytest.raises(ValueError, match="no parameter that requires a gradient"):
        MasterAdamW(net.requires_grad_(False).parameters(), lr=0.1)


def test_a_schedule_attaches_to_the_inner_optimizer() -> None:
    net = small_net()
    optimizer = MasterAdamW(net.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer.inner, lambda step: 1 / (1 + step))
    before = net[0].weight.detach().clone()
    sizes = []
    for _ in range(2):
        for p in net.parameters():
            p.grad = torch.ones_like(p)
        optimizer.step()
        schedule.step()
        sizes.append((net[0].weight.detach() - before).abs().mean().item())
        before = net[0].weight.detach().clone()
    assert sizes == pytest.approx([1.0, 0.5], rel=1e-3)  # a constant gradient moves each weight by lr
