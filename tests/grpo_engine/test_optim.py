"""AdamW that trains half-precision weights as if they were whole."""

from __future__ import annotations

import gc
import io
import math
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from grpo_engine import adamw_bf16, optim
from grpo_engine.adamw_bf16 import AdamWBf16Moments
from grpo_engine.optim import MasterAdamW, optimizer_named

LR = 1e-6
HALF = {"half": torch.bfloat16}
BF16_MOMENTS = {"moments": torch.bfloat16}
OPTIONS: list[dict[str, Any]] = [
    {},
    HALF,
    {"optim": "adamw_torch"},
    BF16_MOMENTS,
    {**HALF, **BF16_MOMENTS},
    {"offload": True},
    {**HALF, **BF16_MOMENTS, "offload": True},
]


def small_net(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.LayerNorm(32), nn.Linear(32, 8)).to(dtype)


def backward(param: nn.Parameter, grad: Tensor) -> None:
    """A backward pass that gives `grad`, rounded to the parameter's type."""
    (param * grad.to(param.dtype)).sum().backward()


def drift(net: nn.Module, step: int) -> None:
    """The backward pass of one step: the same direction with noise, as a training signal has it."""
    generator = torch.Generator().manual_seed(step)
    steady = torch.Generator().manual_seed(1000)
    for p in net.parameters():
        backward(p, torch.randn(p.shape, generator=steady) + 0.5 * torch.randn(p.shape, generator=generator))


def flat(tensors: Any) -> Tensor:
    return torch.cat([t.detach().float().flatten() for t in tensors])


def masters(optimizer: MasterAdamW) -> Tensor:
    return flat(w.master for w in optimizer._weights)


def moments(optimizer: MasterAdamW, key: str) -> list[Tensor]:
    return [optimizer.inner.state[w.master][key] for w in optimizer._weights]


def saved(optimizer: MasterAdamW) -> dict[str, Any]:
    """The state by way of a file, as a checkpoint reads it."""
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


# Precision


def learn(model: Any, optimizer: Any, read: Callable[[], Tensor]) -> Tensor:
    """How far 100 steps on one batch of text move what `read` gives."""
    ids = torch.randint(0, model.config.vocab_size, (16, 24), generator=torch.Generator().manual_seed(3))
    before = read().clone()
    for _ in range(100):
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return read() - before


def test_a_bf16_policy_with_masters_moves_like_fp32_and_without_them_hardly(new_model: Callable[..., Any]) -> None:
    cosine = nn.functional.cosine_similarity
    whole = new_model()
    full = learn(whole, MasterAdamW(whole.parameters(), lr=LR), lambda: flat(whole.parameters()))

    for options in (HALF, {**HALF, **BF16_MOMENTS}, {**HALF, "offload": True}):
        half = new_model()
        with_master = MasterAdamW(half.parameters(), lr=LR, **options)
        assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
        kept = learn(half, with_master, partial(masters, with_master))
        assert cosine(kept, full, dim=0) >= 0.99, options
        assert kept.norm() == pytest.approx(full.norm().item(), rel=0.02), options

    bare = new_model().bfloat16()
    without = torch.optim.AdamW(bare.parameters(), lr=LR, weight_decay=0.0)
    lost = learn(bare, without, lambda: flat(bare.parameters()))
    assert cosine(lost, full, dim=0) < 0.5


@pytest.mark.parametrize("offload", [False, True])
def test_the_weights_are_the_masters_rounded(offload: bool) -> None:
    net = small_net()
    optimizer = MasterAdamW(net.parameters(), lr=1e-2, half=torch.bfloat16, offload=offload)
    before = masters(optimizer).clone()
    drift(net, 0)
    optimizer.step()
    assert not torch.equal(masters(optimizer), before)
    for p, weight in zip(net.parameters(), optimizer._weights, strict=True):
        assert weight.master.dtype == torch.float32
        assert torch.equal(p, weight.master.bfloat16())


def test_masters_are_taken_before_the_weights_are_rounded() -> None:
    net = small_net()
    original = flat(net.parameters())
    optimizer = MasterAdamW(net.parameters(), lr=1e-2, half=torch.bfloat16)
    assert torch.equal(masters(optimizer), original)
    assert not torch.equal(flat(net.parameters()), original)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_step_and_a_restore_write_into_the_storage_that_a_captured_graph_reads(options: dict[str, Any]) -> None:
    net = small_net()
    optimizer = MasterAdamW(net.parameters(), lr=1e-2, **options)
    addresses = [p.data_ptr() for p in net.parameters()]
    before = flat(net.parameters())
    drift(net, 0)
    optimizer.step()
    assert not torch.equal(flat(net.parameters()), before)
    optimizer.load_state_dict(saved(optimizer))
    assert [p.data_ptr() for p in net.parameters()] == addresses


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "how"), [("adamw_torch_fused", {"fused": True}), ("adamw_torch", {})])
def test_full_precision_weights_are_their_own_masters_and_step_as_torchs_adamw(
    dtype: torch.dtype, name: str, how: dict[str, Any]
) -> None:
    ours, theirs = small_net(dtype), small_net(dtype)
    settings: dict[str, Any] = {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-6}
    optimizer = MasterAdamW(ours.parameters(), optim=name, **settings)
    reference = torch.optim.AdamW(theirs.parameters(), weight_decay=0.0, **how, **settings)
    for step in range(5):
        drift(ours, step)
        optimizer.step()
        drift(theirs, step)
        reference.step()
        reference.zero_grad()
    assert [w.master for w in optimizer._weights] == list(ours.parameters())
    assert torch.equal(flat(ours.parameters()), flat(theirs.parameters()))


# Gradients


@pytest.mark.parametrize("offload", [False, True])
def test_micro_batches_add_up_in_fp32(offload: bool) -> None:
    param = nn.Parameter(torch.zeros(2, 2, dtype=torch.bfloat16))
    optimizer = MasterAdamW([param], lr=1.0, offload=offload)
    values = [1.0] + [2.0**-9] * 256  # in bf16, 1 + 2^-9 is 1 again
    for value in values:
        backward(param, torch.full((2, 2), value))
        assert param.grad is None
    assert float(optimizer.clip(0)) == pytest.approx(math.sqrt(4) * sum(values))


def test_a_gradient_is_moved_into_the_sum_while_the_backward_pass_goes_on() -> None:
    net = small_net(torch.bfloat16)
    optimizer = MasterAdamW(net.parameters(), lr=1e-2)
    held: list[bool] = []
    x = torch.randn(4, 16).bfloat16().requires_grad_()
    x.register_hook(lambda _: held.extend(p.grad is not None for p in net[1:].parameters()))
    net(x).sum().backward()
    assert held == [False] * 4  # those of the norm and of the last layer were there, and are gone
    assert len(optimizer.gradients()) == 6


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_sum_is_that_of_all_backward_passes_also_under_gradient_checkpointing(
    dtype: torch.dtype, checkpointing: bool, new_model: Callable[..., Any]
) -> None:
    plain, model = new_model().to(dtype).train(), new_model().to(dtype).train()
    if checkpointing:
        renamed = getattr(model, "activation_checkpointing_enable", None)  # in transformers 5.23
        (renamed or model.gradient_checkpointing_enable)({"use_reentrant": False})
    optimizer = MasterAdamW(model.parameters(), lr=1e-2)
    expected = [torch.zeros(p.shape) for p in plain.parameters()]
    for seed in range(3):
        ids = torch.randint(0, 26, (2, 8), generator=torch.Generator().manual_seed(seed))
        model(input_ids=ids, labels=ids).loss.backward()
        loss = plain(input_ids=ids, labels=ids).loss
        for total, grad in zip(expected, torch.autograd.grad(loss, list(plain.parameters())), strict=True):
            total += grad
    assert flat(expected).norm() > 0
    for gradient, total in zip(optimizer.gradients(), expected, strict=True):
        assert gradient.dtype == torch.float32
        torch.testing.assert_close(gradient, total, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("options", [{}, HALF, {"offload": True}], ids=str)
def test_a_sum_is_added_to_in_place_while_autograd_adds_to_it_too(options: dict[str, Any]) -> None:
    param = nn.Parameter(torch.ones(2, 3))
    optimizer = MasterAdamW([param], lr=1e-2, **options)
    total = optimizer.gradient_sum(param)
    assert total.dtype == torch.float32
    assert torch.equal(total, torch.zeros(2, 3))
    backward(param, torch.full((2, 3), 2.0))
    fine = 1 + 2.0**-12  # lost if it went through bf16
    total += fine
    backward(param, torch.full((2, 3), 4.0))
    assert torch.equal(optimizer.gradient_sum(param), torch.full((2, 3), 6.0 + fine))
    assert torch.equal(optimizer.gradients()[0], torch.full((2, 3), 6.0 + fine))


def test_the_sum_of_an_unknown_parameter_is_refused() -> None:
    optimizer = MasterAdamW([nn.Parameter(torch.ones(2, 3))], lr=1e-2)
    with pytest.raises(KeyError):
        optimizer.gradient_sum(nn.Parameter(torch.ones(2, 3)))


@pytest.mark.parametrize("options", [{}, HALF, {"offload": True}], ids=str)
def test_processes_get_lists_of_the_same_length_to_reduce_in_place(options: dict[str, Any]) -> None:
    params = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    optimizer = MasterAdamW(params, lr=1.0, **options)
    backward(params[1], torch.ones(2))
    assert len(optimizer.gradients()) == 1
    sums = optimizer.gradients(fill=True)
    assert [s.tolist() for s in sums] == [[0, 0], [1, 1], [0, 0]]
    assert {s.dtype for s in sums} == {torch.float32}
    sums[0] += 1  # what another process had
    optimizer.step()
    moved = [[-1.0, -1.0], [-1.0, -1.0], [0.0, 0.0]]  # the first step of Adam has the size lr
    torch.testing.assert_close(torch.stack([p.detach().float() for p in params]), torch.tensor(moved))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_parameter_without_a_gradient_is_left_alone_and_an_old_gradient_is_forgotten(options: dict[str, Any]) -> None:
    params = [nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
    optimizer = MasterAdamW(params, lr=0.25, weight_decay=0.5, **options)
    backward(params[0], torch.ones(2, 2))
    optimizer.step()
    assert optimizer.gradients() == []
    assert [w.master.grad for w in optimizer._weights] == [None, None]  # nothing is held until the next step
    first = params[0].detach().clone()
    assert not torch.equal(first, torch.ones_like(first))
    backward(params[1], torch.ones(2, 2))
    optimizer.step()
    assert torch.equal(params[0], first)
    assert torch.equal(params[1], first)  # the same first step
    backward(params[0], torch.ones(2, 2))
    optimizer.zero_grad()
    optimizer.step()
    assert torch.equal(params[0], first)


@pytest.mark.parametrize("options", [{}, HALF, {"offload": True}], ids=str)
def test_clipping_scales_all_gradients_alike_and_returns_the_norm_before(options: dict[str, Any]) -> None:
    net = small_net()
    optimizer = MasterAdamW(net.parameters(), lr=1e-2, **options)
    drift(net, 0)
    before = flat(optimizer.gradients()).clone()
    norm = optimizer.clip(0.5)
    assert norm.item() == pytest.approx(before.norm().item())
    torch.testing.assert_close(flat(optimizer.gradients()), before * 0.5 / before.norm(), rtol=1e-4, atol=1e-7)


def test_clipping_does_to_the_bit_what_torch_does() -> None:
    ours, theirs = small_net(), small_net()
    optimizer = MasterAdamW(ours.parameters(), lr=1e-2)
    for net in (ours, theirs):
        drift(net, 0)
        for p in net.parameters():
            p.grad *= 1e-5  # so small that it matters what torch adds to the norm
    limit = 1e-4
    assert torch.equal(optimizer.clip(limit), nn.utils.clip_grad_norm_(theirs.parameters(), limit))
    assert torch.equal(flat(optimizer.gradients()), flat(p.grad for p in theirs.parameters()))


@pytest.mark.parametrize("limit", [0.0, 1e9])
def test_a_gradient_below_the_limit_or_without_one_stays_as_it_is(limit: float) -> None:
    net = small_net()
    optimizer = MasterAdamW(net.parameters(), lr=1e-2)
    drift(net, 0)
    before = flat(optimizer.gradients()).clone()
    optimizer.clip(limit)
    assert torch.equal(flat(optimizer.gradients()), before)


def test_an_optimizer_that_is_gone_takes_no_gradients() -> None:
    param = nn.Parameter(torch.zeros(2, dtype=torch.bfloat16))
    optimizer = MasterAdamW([param], lr=1.0)
    del optimizer
    gc.collect()
    backward(param, torch.ones(2))
    assert param.grad is not None


# What is trained, and how


def test_weight_decay_shrinks_matrices_and_leaves_biases_and_norms() -> None:
    for options in OPTIONS:
        net = small_net()
        optimizer = MasterAdamW(net.parameters(), lr=0.1, weight_decay=0.5, **options)
        before = {name: p.detach().clone() for name, p in net.named_parameters()}
        for p in net.parameters():
            backward(p, torch.zeros_like(p))
        optimizer.step()
        for name, p in net.named_parameters():
            expected = before[name] * (1 - 0.1 * 0.5) if p.ndim >= 2 else before[name]
            spacing = 2.0**-7 if p.dtype == torch.bfloat16 else 1e-6
            torch.testing.assert_close(p.detach(), expected, msg=f"{name}, {options}", rtol=spacing, atol=0)


def test_frozen_parameters_are_left_alone_and_a_model_without_others_is_refused() -> None:
    net = small_net()
    net[0].requires_grad_(False)
    frozen = net[0].weight.detach().clone()
    optimizer = MasterAdamW(net.parameters(), lr=0.1, weight_decay=0.5)
    for p in net[1:].parameters():
        backward(p, torch.ones_like(p))
    optimizer.step()
    assert torch.equal(net[0].weight, frozen)
    with pytest.raises(ValueError, match="no parameter that requires a gradient"):
        MasterAdamW(net.requires_grad_(False).parameters(), lr=0.1)


@pytest.mark.parametrize("options", [{}, BF16_MOMENTS, {"offload": True}], ids=str)
def test_a_schedule_attaches_to_the_inner_optimizer(options: dict[str, Any]) -> None:
    net = small_net()
    optimizer = MasterAdamW(net.parameters(), lr=1.0, **options)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer.inner, lambda step: 1 / (1 + step))
    before = net[0].weight.detach().clone()
    sizes = []
    for _ in range(2):
        for p in net.parameters():
            backward(p, torch.ones_like(p))
        optimizer.step()
        schedule.step()
        sizes.append((net[0].weight.detach() - before).abs().mean().item())
        before = net[0].weight.detach().clone()
    assert sizes == pytest.approx([1.0, 0.5], rel=1e-2)  # a constant gradient moves each weight by lr


@pytest.mark.parametrize("name", ["adamw_torch_fused", "adamw_torch"])
def test_offloaded_masters_and_moments_lie_in_host_memory_and_step_alike(name: str) -> None:
    here, there = small_net(), small_net()
    stay = MasterAdamW(here.parameters(), lr=1e-2, half=torch.bfloat16, optim=name)
    away = MasterAdamW(there.parameters(), lr=1e-2, half=torch.bfloat16, optim=name, offload=True)
    for step in range(3):
        for net, optimizer in ((here, stay), (there, away)):
            drift(net, step)
            optimizer.step()
    assert {t.device.type for w in away._weights for t in (w.master, *moments(away, "exp_avg"))} == {"cpu"}
    assert torch.equal(masters(stay), masters(away))
    assert torch.equal(flat(here.parameters()), flat(there.parameters()))


# Moments in bf16


def total_update(make: Callable[..., torch.optim.Optimizer], *, steps: int = 300) -> Tensor:
    """How far the last 50 steps move 2,000 weights, whose gradients became 30 times smaller after 50 steps."""
    generator = torch.Generator().manual_seed(0)
    size = 10 ** (4 * torch.rand(2000, generator=generator) - 5)
    param = nn.Parameter(torch.zeros(2000))
    optimizer = make([param], lr=1e-3, betas=(0.9, 0.999), eps=1e-12, weight_decay=0.0)
    for step in range(steps):
        scale = 1.0 if step < 50 else 1 / 30
        param.grad = scale * size * (0.3 + torch.randn(2000, generator=generator))
        if step == steps - 50:
            before = param.detach().clone()
        optimizer.step()
    return param.detach() - before


def off(update: Tensor, reference: Tensor) -> float:
    return float((update - reference).norm() / reference.norm())


def test_bf16_moments_move_the_weights_as_fp32_ones_where_plain_rounding_stalls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference = total_update(torch.optim.AdamW)
    assert off(total_update(AdamWBf16Moments), reference) < 0.02
    # To the nearest: √v should have shrunk to √0.999^250 = 88 % of what it was, and stays.
    monkeypatch.setattr(adamw_bf16, "_dithered", lambda value, step: value)
    assert off(total_update(AdamWBf16Moments), reference) > 0.08


def test_a_slow_first_moment_reaches_a_constant_gradient() -> None:
    param = nn.Parameter(torch.zeros(3))
    optimizer = AdamWBf16Moments([param], lr=1e-3, betas=(0.99, 0.999), eps=1e-8)
    for _ in range(500):
        param.grad = torch.tensor([1.0, -0.7, 0.003])
        optimizer.step()
    expected = (1 - 0.99**500) * param.grad  # to the nearest it stops where 0.01 (g - m) < 2^-9 m: at 0.8 g
    torch.testing.assert_close(optimizer.state[param]["exp_avg"].float(), expected, rtol=0.01, atol=0)


def test_rounding_is_right_on_average_and_exact_where_it_can_be() -> None:
    value = torch.tensor([1 + 2.0**-10, -1 - 2.0**-10, 1 + 3 * 2.0**-9, 3.0, 0.0, -0.5])
    rounded = torch.stack([adamw_bf16._dithered(value.clone(), step) for step in range(1, 1001)])
    assert torch.equal(rounded, rounded.bfloat16().float())
    assert torch.equal(rounded[:, 3:], value[3:].expand(1000, 3))
    # Golden multiples miss a share of n by at most about log(n) of n: here by less than 1 % of the spacing 2^-7.
    torch.testing.assert_close(rounded.mean(0), value, rtol=0, atol=0.01 * 2.0**-7)


def test_the_moments_are_in_bf16_and_the_same_run_gives_the_same_weights() -> None:
    runs = []
    for _ in range(2):
        net = small_net()
        optimizer = MasterAdamW(net.parameters(), lr=1e-2, moments=torch.bfloat16)
        for step in range(3):
            drift(net, step)
            optimizer.step()
        kept = (*moments(optimizer, "exp_avg"), *moments(optimizer, "exp_avg_sq"))
        assert {m.dtype for m in kept} == {torch.bfloat16}
        runs.append(flat(net.parameters()))
    assert torch.equal(*runs)


@pytest.mark.parametrize("shape", [(5, 4), (3, 2, 4), (20,)])
def test_a_large_tensor_is_updated_in_pieces_to_the_same_end(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    update = adamw_bf16._adamw

    def seen(param: Tensor, *args: Any, **kwargs: Any) -> None:
        sizes.append(param.numel())
        update(param, *args, **kwargs)

    monkeypatch.setattr(adamw_bf16, "_adamw", seen)
    ends = []
    row = math.prod(shape[1:])
    for piece in (adamw_bf16._PIECE, 8, 1):
        monkeypatch.setattr(adamw_bf16, "_PIECE", piece)
        param = nn.Parameter(torch.ones(shape))
        optimizer = MasterAdamW([param], lr=1e-2, moments=torch.bfloat16)
        sizes.clear()
        for step in range(3):
            backward(param, torch.randn(shape, generator=torch.Generator().manual_seed(step)))
            optimizer.step()
        assert sum(sizes) == 3 * param.numel()
        assert max(sizes) <= max(piece, row)  # at least a row at once
        ends.append(flat([param]))
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


def test_scalars_are_trained_too() -> None:
    for options in OPTIONS:
        param = nn.Parameter(torch.tensor(1.0))
        optimizer = MasterAdamW([param], lr=0.25, **options)
        backward(param, torch.tensor(2.0))
        optimizer.step()
        assert param.item() == pytest.approx(0.75, rel=1e-2), options


# Checkpoints


def run(net: nn.Module, optimizer: MasterAdamW, steps: range) -> None:
    for step in steps:
        drift(net, step)
        optimizer.step()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_restored_optimizer_goes_on_as_if_it_had_not_stopped(options: dict[str, Any]) -> None:
    undisturbed = small_net()
    straight = MasterAdamW(undisturbed.parameters(), lr=1e-3, **options)
    run(undisturbed, straight, range(3))
    weights = {name: value.clone() for name, value in undisturbed.state_dict().items()}
    state = saved(straight)
    run(undisturbed, straight, range(3, 6))

    resumed = small_net()
    optimizer = MasterAdamW(resumed.parameters(), lr=1e-3, **options)
    resumed.load_state_dict(weights)
    optimizer.load_state_dict(state)
    run(resumed, optimizer, range(3, 6))
    assert torch.equal(masters(optimizer), masters(straight))
    assert torch.equal(flat(resumed.parameters()), flat(undisturbed.parameters()))


@pytest.mark.parametrize("then", OPTIONS, ids=str)
@pytest.mark.parametrize("now", OPTIONS, ids=str)
def test_a_state_is_converted_to_the_options_of_the_run_that_loads_it(
    now: dict[str, Any], then: dict[str, Any]
) -> None:
    net, resumed = small_net(), small_net()
    old = MasterAdamW(net.parameters(), lr=1e-3, betas=(0.5, 0.9), **then)
    run(net, old, range(3))
    optimizer = MasterAdamW(resumed.parameters(), lr=7.0, **now)
    fused = optimizer.inner.param_groups[0].get("fused")
    resumed.load_state_dict(net.state_dict())
    optimizer.load_state_dict(saved(old))

    assert optimizer.inner.param_groups[0].get("fused") == fused or "moments" in now
    assert optimizer.inner.param_groups[0]["lr"] == 1e-3
    assert optimizer.inner.param_groups[0]["betas"] == (0.5, 0.9)
    wanted = now.get("moments", torch.float32)
    for key in ("exp_avg", "exp_avg_sq"):
        for ours, theirs in zip(moments(optimizer, key), moments(old, key), strict=True):
            assert ours.dtype == wanted
            assert torch.equal(ours, theirs.to(wanted))
    before = masters(old)
    masters_saved = "half" in then or "offload" in then
    start = before if masters_saved or "half" not in now else before.bfloat16().float()  # as the model was loaded
    assert torch.equal(masters(optimizer), start)
    run(net, old, range(3, 4))
    run(resumed, optimizer, range(3, 4))
    assert off(masters(optimizer) - start, masters(old) - before) < 0.02


@pytest.mark.parametrize("now", [{}, HALF, {"offload": True}], ids=str)
def test_the_weights_follow_the_masters_that_were_loaded(now: dict[str, Any]) -> None:
    net, resumed = small_net(), small_net()
    old = MasterAdamW(net.parameters(), lr=1e-2, **HALF)
    run(net, old, range(3))
    optimizer = MasterAdamW(resumed.parameters(), lr=1e-2, **now)
    optimizer.load_state_dict(saved(old))
    expected = masters(old).bfloat16().float() if now == HALF else masters(old)
    assert torch.equal(flat(resumed.parameters()), expected)


def test_a_state_of_another_optimizer_or_of_other_parameters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    net = small_net()
    ours = MasterAdamW(net.parameters(), lr=1e-3)
    eight = MasterAdamW(net.parameters(), lr=1e-3, optim="adamw_8bit")
    with pytest.raises(ValueError, match="state of AdamW8bit, this run has AdamW: resume with"):
        ours.load_state_dict(saved(eight))
    fewer = MasterAdamW(net[0].parameters(), lr=1e-3)
    with pytest.raises(ValueError, match=r"\[1, 1\] trained parameters .* not \[2, 4\]"):
        ours.load_state_dict(saved(fewer))


def test_a_master_of_another_shape_is_refused_before_anything_changes() -> None:
    wide = MasterAdamW([nn.Parameter(torch.ones(2, 3))], lr=1e-3, half=torch.bfloat16)
    narrow = MasterAdamW([nn.Parameter(torch.ones(2, 1))], lr=1.0, half=torch.bfloat16)
    with pytest.raises(ValueError, match=r"parameter 0: saved \(2, 1\), here \(2, 3\)"):
        wide.load_state_dict(saved(narrow))
    assert wide.inner.param_groups[0]["lr"] == 1e-3


# Names


class StandIn(torch.optim.SGD):
    """Takes the arguments that bitsandbytes' AdamW classes take from us, and records them."""

    def __init__(self, params: Any, lr: float, betas: Any, eps: float, weight_decay: float = 1e-2) -> None:
        super().__init__(params, lr=lr)
        self.got = {"lr": lr, "betas": betas, "eps": eps}


def stand_in(monkeypatch: pytest.MonkeyPatch) -> dict[str, type]:
    """A module in the place of bitsandbytes; returns its optimizers by name."""
    names = ("AdamW8bit", "PagedAdamW8bit", "PagedAdamW32bit")
    classes: dict[str, type] = {name: type(name, (StandIn,), {}) for name in names}
    module = ModuleType("bitsandbytes.optim")
    vars(module).update(classes)
    monkeypatch.setitem(sys.modules, "bitsandbytes", ModuleType("bitsandbytes"))
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", module)
    return classes


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("adamw_bnb_8bit", "AdamW8bit"),
        ("adamw_8bit", "AdamW8bit"),
        ("paged_adamw_8bit", "PagedAdamW8bit"),
        ("paged_adamw_32bit", "PagedAdamW32bit"),
    ],
)
def test_eight_bits_and_paging_come_from_bitsandbytes_over_the_masters(
    name: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = stand_in(monkeypatch)
    net = small_net()
    settings: dict[str, Any] = {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-6}
    optimizer = MasterAdamW(net.parameters(), weight_decay=0.5, half=torch.bfloat16, optim=name, **settings)
    inner: Any = optimizer.inner
    assert type(inner) is classes[wanted]
    assert inner.got == settings
    assert [g["weight_decay"] for g in inner.param_groups] == [0.5, 0.0]
    assert {p.dtype for g in inner.param_groups for p in g["params"]} == {torch.float32}
    param, weight = net[2].bias, optimizer._weights[-1]
    before = weight.master.clone()
    backward(param, torch.ones(8))
    optimizer.step()  # that of plain descent
    torch.testing.assert_close(weight.master, before - 0.1)
    assert torch.equal(param, weight.master.bfloat16())


@pytest.mark.parametrize("name", ["adamw_bnb_8bit", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit"])
def test_without_bitsandbytes_the_error_names_the_setting_and_what_else_saves_memory(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # python's way to say: not installed
    monkeypatch.delitem(sys.modules, "bitsandbytes.optim", raising=False)
    with pytest.raises(ImportError) as error:
        MasterAdamW(small_net().parameters(), lr=1e-3, optim=name)
    for part in (f"optim='{name}'", "pip install bitsandbytes", "'adamw_torch'", "optim_moments", "offload_optimizer"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("adamw_tourch", "adamw_torch"), ("paged_adam_8bit", "paged_adamw_8bit"), ("sgd", "")]
)
def test_an_unknown_name_is_refused_with_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"optim='{wrong}' is unknown; the nearest is '{nearest}"):
        MasterAdamW(small_net().parameters(), lr=1e-3, optim=wrong)


def test_options_that_exclude_each_other_are_refused_before_the_weights_are_touched() -> None:
    net = small_net()
    for options, complaint in (
        ({"optim": "paged_adamw_8bit", "offload": True}, "offload needs 'adamw_torch'"),
        ({"optim": "paged_adamw_8bit", "moments": torch.bfloat16}, "a format of its own"),
        ({"moments": torch.float16}, "not in torch.float16"),
    ):
        with pytest.raises(ValueError, match=complaint):
            MasterAdamW(net.parameters(), lr=1e-3, half=torch.bfloat16, **options)
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_every_name_of_transformers_that_we_have_means_an_optimizer_there_too() -> None:
    training_args = pytest.importorskip("transformers.training_args")
    assert set(optim.OPTIMIZERS) <= {name.value for name in training_args.OptimizerNames}
    for name in optim.OPTIMIZERS:
        assert optimizer_named(name) is optim.OPTIMIZERS[name]
