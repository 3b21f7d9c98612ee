"""Memory and time by hand for Qwen2.5-0.5B, which is never loaded, and counted on a model of a few thousand numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from grpo_engine import memory as mem
from grpo_engine.plan import (
    EFFICIENCY,
    HEADROOM,
    Plan,
    Rates,
    decode_seconds,
    make_plan,
    measure_rates,
    rollout_seconds,
    seconds_of,
    training_flops,
)
from grpo_engine.sampling import Sampling, draw

GIB = 2**30
CPU, CUDA = torch.device("cpu"), torch.device("cuda")  # no test touches a GPU: its memory is given
LAYERS, HIDDEN, INNER, HEADS, KV_HEADS, HEAD_DIM, VOCAB = 24, 896, 4864, 14, 2, 64, 151_936
MATRICES = LAYERS * (2 * HIDDEN * HIDDEN + 2 * HIDDEN * KV_HEADS * HEAD_DIM + 3 * HIDDEN * INNER)
VECTORS = LAYERS * (HIDDEN + 2 * KV_HEADS * HEAD_DIM + 2 * HIDDEN) + HIDDEN  # biases of q, k, v; norms
EMBEDDING = VOCAB * HIDDEN  # also the head
NUMBERS = MATRICES + VECTORS + EMBEDDING
STEP = {"prompt_lengths": [100, 128], "completions": 512, "group": 8, "max_completion_length": 512}


@pytest.fixture(scope="module")
def qwen() -> Any:
    """Qwen2.5-0.5B in bf16 without its memory."""
    with torch.device("meta"):
        config = Qwen2Config(
            vocab_size=VOCAB,
            hidden_size=HIDDEN,
            intermediate_size=INNER,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            tie_word_embeddings=True,
        )
        return Qwen2ForCausalLM(config).to(torch.bfloat16)


def small(dtype: torch.dtype = torch.float32, *, checkpointing: bool = False) -> Any:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    model = Qwen2ForCausalLM(config).to(dtype).train()
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    return model


def plan(model: Any, gib: float, device: torch.device = CUDA, **changes: Any) -> Plan:
    """The plan of the step above on a device with so much memory, all of it free, beside 1 TiB of host memory."""
    memory = mem.Memory(int(gib * GIB), int(gib * GIB))
    return make_plan(model, **{"device": device, "memory": memory, "host_free": 2**40, **STEP, **changes})


def bytes_of(made: Plan) -> dict[str, int]:
    return {x.part: x.bytes for x in made.lines}


def settings(made: Plan) -> set[str]:
    """Names of the settings that the remedies change."""
    return {text.split("=")[0] for text in made.remedy}


# Sizes


def test_the_sizes_of_a_model_are_read_without_its_memory(qwen: Any) -> None:
    size = mem.size_of(qwen)
    assert (size.layers, size.hidden, size.intermediate, size.vocab) == (LAYERS, HIDDEN, INNER, VOCAB)
    assert (size.heads, size.kv_heads, size.head_dim) == (HEADS, KV_HEADS, HEAD_DIM)
    assert size.trained == size.halved == NUMBERS == 494_032_768
    assert size.matrices == size.trained_matrices == MATRICES
    assert size.largest == EMBEDDING
    assert 0 <= size.bytes - 2 * NUMBERS < 1024  # the tied head once; the rotary frequencies are a buffer


def test_a_frozen_parameter_has_no_master_gradient_or_moments() -> None:
    model = small(torch.bfloat16).requires_grad_(False)
    weight = model.model.layers[0].mlp.up_proj.weight.requires_grad_(True)
    size = mem.size_of(model)
    assert size.trained == size.halved == size.largest == size.trained_matrices == weight.numel()
    assert size.matrices > size.trained_matrices
    assert mem.master_bytes(size, offload=False) == 4 * weight.numel()


def test_full_precision_is_its_own_master_unless_the_host_holds_it() -> None:
    size = mem.size_of(small(torch.float32))
    assert mem.master_bytes(size, offload=False) == 0
    assert mem.master_bytes(size, offload=True) == 4 * size.trained


@pytest.mark.parametrize(
    ("optim", "moments", "each"),
    [
        ("adamw_torch", "float32", 4),
        ("adamw_torch_fused", "bfloat16", 2),
        ("paged_adamw_32bit", "float32", 4),
        ("adamw_bnb_8bit", "float32", 1 + 4 / 256),
        ("paged_adamw_8bit", "float32", 1 + 4 / 256),
    ],
)
def test_there_are_two_moments_of_the_size_that_the_optimizer_keeps(optim: str, moments: str, each: float) -> None:
    assert mem.moment_bytes(2**20, optim=optim, moments=moments) == 2 * each * 2**20


def test_a_slot_holds_the_keys_and_values_of_the_longest_sequence(qwen: Any) -> None:
    assert mem.kv_token_bytes(mem.size_of(qwen)) == 2 * 24 * 2 * 64 * 2 == 12_288
    assert bytes_of(plan(qwen, 139, CPU, slots=10))["KV cache"] == 10 * 12_288 * (128 + 512)
    odd = {"prompt_lengths": [1], "max_completion_length": 512, "slots": 10}
    assert bytes_of(plan(qwen, 139, CPU, **odd))["KV cache"] == 10 * 12_288 * 513
    assert bytes_of(plan(qwen, 139, CUDA, **odd))["KV cache"] == 10 * 12_288 * 640  # rounded up to 128


@pytest.mark.parametrize(("top_p", "top_k", "least"), [(1.0, 0, 0.6), (1.0, 50, 0.6), (0.9, 0, 0.8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_draw_takes_no_more_than_the_copies_of_logits_that_are_planned(
    top_p: float, top_k: int, least: float, dtype: torch.dtype
) -> None:
    rows, vocab = 16, 8192
    hidden, weight, chance = torch.ones(rows, 4, dtype=dtype), torch.rand(vocab, 4).to(dtype), torch.rand(rows)
    sampling = Sampling(vocab_size=vocab, eos_ids=(), temperature=0.7, top_p=top_p, top_k=top_k)
    with torch.no_grad(), mem._LiveBytes([hidden, weight, chance]) as count:
        draw(hidden @ weight.T, chance, sampling)
    planned = rows * mem.logits_bytes(vocab, top_p=top_p)
    assert least * planned <= count.peak <= planned


# Activations, counted


def bytes_per_token(model: Any, rows: int, length: int) -> float:
    ids = torch.zeros(rows, length, dtype=torch.long)
    tensors = [*model.parameters(), *model.buffers()]
    return mem.saved_bytes_per_token(
        lambda: model.model(input_ids=ids, use_cache=False).last_hidden_state, rows * length, tensors
    )


def profiled_peak(model: Any, rows: int, length: int) -> int:
    """Bytes at the peak of a whole pass, all gradients with it, as torch's allocator told its profiler."""
    ids = torch.zeros(rows, length, dtype=torch.long)
    for param in model.parameters():
        param.grad = torch.zeros_like(param)  # the sums are there before the pass
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
        hidden.backward(torch.ones_like(hidden))
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_small_pass_tells_the_peak_of_a_large_one_within_a_quarter(dtype: torch.dtype, checkpointing: bool) -> None:
    model = small(dtype, checkpointing=checkpointing)
    rows, length = 16, 64
    predicted = bytes_per_token(model, 4, 16) * rows * length
    assert predicted == pytest.approx(profiled_peak(model, rows, length), rel=0.25)


def test_checkpointing_is_seen_by_the_count() -> None:
    kept, recomputed = (bytes_per_token(small(checkpointing=c), 4, 16) for c in (False, True))
    assert recomputed < kept / 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_typical_bytes_are_those_of_a_qwen2(dtype: torch.dtype, checkpointing: bool) -> None:
    model = small(dtype, checkpointing=checkpointing)
    typical = mem.typical_bytes_per_token(mem.size_of(model), checkpointing=checkpointing)
    assert typical == pytest.approx(bytes_per_token(model, 4, 16), rel=0.1)


def test_counting_leaves_no_gradient_and_does_not_count_the_parameters() -> None:
    model = small()
    first, second = bytes_per_token(model, 2, 16), bytes_per_token(model, 8, 16)
    assert all(p.grad is None for p in model.parameters())
    assert second == pytest.approx(first, rel=0.05)  # nothing that does not grow with the tokens


def test_a_pass_without_gradient_takes_what_is_planned_for_reading_prompts() -> None:
    model, ids = small(), torch.zeros(4, 32, dtype=torch.long)
    with torch.no_grad(), mem._LiveBytes([*model.parameters(), *model.buffers()]) as count:
        model.model(input_ids=ids, use_cache=False)
    assert ids.numel() * mem.prefill_token_bytes(mem.size_of(model)) == pytest.approx(count.peak, rel=0.1)


def test_storages_that_ended_do_not_count() -> None:
    known = torch.ones(100)
    with mem._LiveBytes([known]) as count:
        kept = torch.ones(10) + 1  # two of 40 bytes, the first of which ends
        view = known[:50]
    assert (count.peak, count.live) == (80, 40)
    del kept, view
    assert count.live == 0


# Choices


@pytest.mark.parametrize(
    ("free", "wanted", "number", "fits"),
    [
        (100 + 64 * 10, 64, 64, True),  # all
        (10_000, 64, 64, True),  # never more than wanted
        (10_000, 61, 61, True),  # also where those are not whole groups
        (100 + 63 * 10, 64, 56, True),  # whole groups
        (100 + 8 * 10, 64, 8, True),
        (100 + 7 * 10, 64, 7, True),  # less than a group
        (110, 64, 1, True),
        (109, 64, 1, False),  # one completion is the least
        (0, 64, 1, False),
    ],
)
def test_slots_are_whole_groups_that_fit_and_never_none(free: int, wanted: int, number: int, fits: bool) -> None:
    assert mem.choose_slots(free, 10, 100, wanted, group=8) == (number, fits)


@pytest.mark.parametrize(
    ("free", "longest", "wanted", "number", "fits"),
    [
        (100 + 2 * 16_384, 640, 16_384, 16_384, True),
        (1_000_000, 640, 16_384, 16_384, True),  # never more than wanted
        (100 + 2 * 16_383, 640, 16_384, 16_384 - 256, True),  # a round number below
        (100 + 2 * 640, 640, 16_384, 640, True),
        (99 + 2 * 640, 640, 16_384, 640, False),  # one sequence is the least
        (0, 640, 16_384, 640, False),
        (1_000_000, 640, 600, 640, True),
    ],
)
def test_a_pass_takes_what_fits_and_at_least_a_sequence(
    free: int, longest: int, wanted: int, number: int, fits: bool
) -> None:
    assert mem.choose_token_budget(free, 2.0, 100, longest, wanted) == (number, fits)


def test_memory_of_the_host_is_known() -> None:
    total, free = mem.device_memory(CPU)
    assert 0 < free <= total


# The plan


def test_every_part_of_the_plan_is_the_formula(qwen: Any) -> None:
    made = plan(qwen, 139, saved_bytes_per_token=1000.0, token_budget=2048, beta=0.1)
    buffers = mem.size_of(qwen).bytes - 2 * NUMBERS
    assert bytes_of(made) == {
        "weights": 2 * NUMBERS + buffers,
        "reference": 2 * NUMBERS + buffers,
        "masters": 4 * NUMBERS,
        "moments": 8 * NUMBERS,
        "gradients": 4 * NUMBERS + 2 * EMBEDDING,
        "KV cache": 512 * 640 * 12_288,
        "prefill": 64 * 128 * 2 * (3 * INNER + 4 * HIDDEN),
        "decoding": 512 * VOCAB * 4 * mem.DRAW_COPIES,
        # a chunk of logits comes with the tokens, and that chunk's part of the head's gradient
        "training pass": 2048 * (1000 + 2 * HIDDEN * 2) + 2**27 * 4 * 3 + 4 * EMBEDDING,
    }
    sizes = bytes_of(made)
    both = sum(sizes[part] for part in ("weights", "reference", "masters", "moments", "KV cache"))
    assert made.peak == {
        "rollout": both + sizes["prefill"] + sizes["decoding"],
        "training": both + sizes["gradients"] + sizes["training pass"] + sizes["decoding"],  # graphs keep their logits
        "host": 0,
    }


def test_an_offloaded_optimizer_counts_for_the_host_but_for_its_gradients(qwen: Any) -> None:
    here, there = plan(qwen, 139, token_budget=640), plan(qwen, 139, token_budget=640, offload_optimizer=True)
    assert there.peak["host"] == 12 * NUMBERS
    assert here.peak["training"] - there.peak["training"] == 12 * NUMBERS
    on_cpu = plan(qwen, 139, CPU, offload_optimizer=True)
    assert on_cpu.peak["host"] == 0  # there the host is the device


def test_an_offloaded_optimizer_must_fit_the_host(qwen: Any) -> None:
    assert plan(qwen, 139, offload_optimizer=True, host_free=12 * NUMBERS).fits
    short = plan(qwen, 139, offload_optimizer=True, host_free=12 * NUMBERS - 1)
    assert not short.fits
    assert short.remedy[0] == "offload_optimizer=False"


def test_a_large_device_takes_the_whole_rollout_and_useful_passes(qwen: Any) -> None:
    made = plan(qwen, 139)
    assert (made.slots, made.token_budget, made.fits, made.remedy) == (512, 8_192, True, ())


def test_a_pass_is_not_larger_than_the_step(qwen: Any) -> None:
    assert plan(qwen, 139, completions=8).token_budget == 128 + 8 * 512


@pytest.mark.parametrize("gib", [10, 11, 12.5, 14, 16, 20, 24, 32, 40])
def test_whatever_fits_at_its_least_fits_as_chosen(qwen: Any, gib: float) -> None:
    chosen, least = plan(qwen, gib), plan(qwen, gib, slots=1, token_budget=640)
    assert chosen.fits == least.fits
    assert chosen.slots >= 1
    assert chosen.token_budget >= 640


def test_more_memory_never_means_fewer_slots_or_tokens(qwen: Any) -> None:
    made = [plan(qwen, gib) for gib in (11, 12.5, 16, 24, 40, 139)]
    for numbers in ([p.slots for p in made], [p.token_budget for p in made]):
        assert numbers == sorted(numbers)
        assert len(set(numbers)) > 2


def test_a_short_pass_has_a_chunk_of_its_own_logits_alone(qwen: Any) -> None:
    made = plan(qwen, 139, saved_bytes_per_token=0.0, token_budget=640)
    assert 640 * VOCAB < 2**27
    assert bytes_of(made)["training pass"] == 640 * (2 * HIDDEN * 2 + VOCAB * 4 * 3) + 4 * EMBEDDING


def test_what_is_asked_for_is_taken(qwen: Any) -> None:
    made = plan(qwen, 139, slots=24, token_budget=1000)
    assert (made.slots, made.token_budget) == (24, 1000)
    assert plan(qwen, 139, slots=4096).slots == 512  # a rollout has no more sequences


def test_a_share_of_the_free_memory_stays_unplanned_and_what_is_there_counts_in_full() -> None:
    model = small(torch.bfloat16)
    size = mem.size_of(model)
    memory = mem.Memory(GIB, GIB // 2)
    made = make_plan(model, device=CPU, memory=memory, host_free=0, **STEP)
    resident = size.bytes + 4 * size.trained  # weights and masters are allocated before the first step
    assert made.available["rollout"] == made.available["training"] == resident + int((1 - HEADROOM) * memory.free)
    later = make_plan(model, device=CPU, memory=memory, host_free=0, resident=1000, **STEP)
    assert later.available["rollout"] == 1000 + int((1 - HEADROOM) * memory.free)


def test_masters_that_the_host_holds_already_count_as_available_there(qwen: Any) -> None:
    model, asked = small(torch.bfloat16), {"offload_optimizer": True, "host_free": 1000}
    assert plan(model, 1, **asked).available["host"] == 1000 + 4 * mem.size_of(model).trained
    assert plan(qwen, 1, **asked).available["host"] == 1000


def test_a_model_that_is_not_loaded_holds_nothing(qwen: Any) -> None:
    assert plan(qwen, 100).available["training"] == int((1 - HEADROOM) * 100 * GIB)


def test_an_unknown_setting_is_refused(qwen: Any) -> None:
    with pytest.raises(TypeError, match="tokenbudget"):
        plan(qwen, 139, tokenbudget=1)


# Remedies


def test_remedies_come_in_the_order_of_what_they_save(qwen: Any) -> None:
    made = plan(qwen, 8, beta=0.1)
    assert not made.fits
    assert made.remedy[-1] == "a smaller model"
    saved = [r.saves for r in made.remedies]
    assert saved == sorted(saved, reverse=True)
    assert {"offload_optimizer", "optim", "optim_moments", "gradient_checkpointing", "beta"} < settings(made)
    by_name = {r.setting: r.saves for r in made.remedies}
    assert by_name["offload_optimizer=True"] == 12 * NUMBERS
    assert by_name["optim_moments='bfloat16'"] == 4 * NUMBERS
    assert by_name["beta=0"] == bytes_of(made)["reference"]


def test_the_largest_part_is_what_the_first_remedy_changes(qwen: Any) -> None:
    assert plan(qwen, 14, slots=512, max_completion_length=1024).remedy[0].startswith("rollout_slots=")
    assert plan(qwen, 24, token_budget=100_000).remedy[0].startswith("token_budget=")
    assert plan(qwen, 8).remedy[0] == "offload_optimizer=True"
    long = plan(qwen, 16, max_completion_length=32_768)
    assert {x.split("=")[0] for x in long.remedy[:2]} == {"gradient_checkpointing", "max_completion_length"}


def test_a_proposed_number_fits(qwen: Any) -> None:
    slots = plan(qwen, 14, slots=512, max_completion_length=1024).remedy[0]
    assert plan(qwen, 14, slots=int(slots.split("=")[1]), max_completion_length=1024).fits
    tokens = plan(qwen, 24, token_budget=100_000).remedy[0]
    assert plan(qwen, 24, token_budget=int(tokens.split("=")[1])).fits


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("offload_optimizer=True", {"offload_optimizer": True}),
        ("optim='paged_adamw_8bit'", {"optim": "paged_adamw_8bit"}),
        ("optim_moments='bfloat16'", {"optim_moments": "bfloat16"}),
        ("gradient_checkpointing=True", {"gradient_checkpointing": True}),
        ("beta=0", {"beta": 0.0}),
        ("max_completion_length=256", {"max_completion_length": 256, "token_budget": 384}),
    ],
)
def test_a_remedy_saves_what_it_says(qwen: Any, text: str, changes: dict[str, Any]) -> None:
    asked = {"beta": 0.1, "slots": 1}
    before = plan(qwen, 8, **asked)  # a pass is one sequence of 640 tokens
    promised = next(r.saves for r in before.remedies if r.setting == text)
    after = plan(qwen, 8, **{**asked, "token_budget": 640, **changes})
    assert before.peak["training"] - after.peak["training"] == promised > 0


def test_what_is_set_already_is_not_proposed(qwen: Any) -> None:
    made = plan(qwen, 3, offload_optimizer=True, gradient_checkpointing=True, optim_moments="bfloat16")
    assert not made.fits
    assert settings(made) == {"max_completion_length", "a smaller model"}


def test_checkpointing_lowers_a_measured_number_as_it_lowers_the_typical_one(qwen: Any) -> None:
    size = mem.size_of(qwen)
    work = mem.Workload(**STEP, saved_bytes_per_token=2 * mem.typical_bytes_per_token(size, checkpointing=False))
    lowered = mem.checkpointed(size, work)
    assert lowered.saved_bytes_per_token == pytest.approx(2 * mem.typical_bytes_per_token(size, checkpointing=True))
    assert mem.checkpointed(size, lowered) is lowered


def test_the_cpu_is_not_told_to_offload(qwen: Any) -> None:
    made = plan(qwen, 4, CPU)
    assert "optim_moments" in settings(made)
    assert not settings(made) & {"offload_optimizer", "optim"}


# What is said


def test_the_line_names_the_parts_in_gib(qwen: Any) -> None:
    made = plan(qwen, 139, saved_bytes_per_token=1000.0, rates=Rates(1e15, 4e12))
    optimizer = (16 * NUMBERS + 2 * EMBEDDING) / GIB
    line = made.line()
    assert line.startswith(f"memory: {made.peak['training'] / GIB:.0f} of 139 GiB (weights 0.9, ")
    assert f"optimizer {optimizer:.1f}, KV 3.8 in 512 slots, training " in line
    assert "at 8,192 tokens a pass); about " in line
    assert line.endswith(" s a step")


def test_a_line_without_rates_has_no_time_and_few_slots_are_said(qwen: Any) -> None:
    made = plan(qwen, 16)
    assert made.seconds is None
    assert "a step" not in made.line()
    assert f" in {made.slots} of 512 slots" in made.line()


def test_a_line_that_does_not_fit_says_how_much_is_missing_and_what_to_set(qwen: Any) -> None:
    made = plan(qwen, 8)
    assert f"{made.excess / 2**20:,.0f} MiB short" in made.line()
    assert f"{made.remedy[0]} (saves {made.remedies[0].saves / 2**20:,.0f} MiB)" in made.line()


def test_a_small_run_is_told_in_mib() -> None:
    assert " MiB (weights 0." in make_plan(small(), device=CPU, **{**STEP, "completions": 8}).line()


def test_the_table_has_a_row_for_each_part(qwen: Any) -> None:
    made = plan(qwen, 139)
    assert made.__rich__().row_count == len(made.lines)
    assert [text.split()[0] for text in str(made).split("\n")[1:]] == [x.part.split()[0] for x in made.lines]


# Time


@pytest.fixture
def work() -> mem.Workload:
    return mem.Workload(prompt_lengths=[100], completions=16, group=8, max_completion_length=50)


def test_training_takes_six_operations_per_number_and_token(qwen: Any, work: mem.Workload) -> None:
    tokens = 2 * 100 + 16 * 50  # a prompt is read once per group
    pairs = 2 * 100**2 / 2 + 16 * (100 * 50 + 50**2 / 2)
    attention = 4 * LAYERS * HEADS * HEAD_DIM * pairs
    head = 16 * 50 * EMBEDDING
    assert training_flops(mem.size_of(qwen), work) == pytest.approx(6 * tokens * MATRICES + 6 * head + 3.5 * attention)


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"gradient_checkpointing": True}, "trunk"),
        ({"beta": 0.1}, "forward"),
        ({"scored_first": True}, "forward"),
    ],
)
def test_checkpointing_computes_the_trunk_again_and_a_reference_the_whole_pass(
    qwen: Any, work: mem.Workload, changes: dict[str, Any], more: str
) -> None:
    size = mem.size_of(qwen)
    pairs = 2 * 100**2 / 2 + 16 * (100 * 50 + 50**2 / 2)
    trunk = 2 * (2 * 100 + 16 * 50) * MATRICES + 4 * LAYERS * HEADS * HEAD_DIM * pairs
    added = training_flops(size, replace(work, **changes)) - training_flops(size, work)
    assert added == pytest.approx(trunk if more == "trunk" else trunk + 2 * 16 * 50 * EMBEDDING)


def test_frozen_matrices_need_no_gradient_of_their_own(work: mem.Workload) -> None:
    model = small()
    full, frozen = mem.size_of(model), mem.size_of(model.requires_grad_(False))
    saved = training_flops(full, work) - training_flops(frozen, work)
    assert saved == pytest.approx(2 * (2 * 100 + 16 * 50) * full.matrices)


def test_decoding_reads_the_weights_once_and_the_cache_of_every_row(qwen: Any) -> None:
    size, rates = mem.size_of(qwen), Rates(flops=math.inf, bandwidth=1e12)
    read = 2 * (MATRICES + EMBEDDING) + 64 * 300 * 12_288
    assert decode_seconds(size, 64, 300, rates) == pytest.approx(read / 1e12 / EFFICIENCY)
    bound = decode_seconds(size, 64, 0, Rates(flops=1e12, bandwidth=math.inf))
    assert bound == pytest.approx(64 * 2 * (MATRICES + EMBEDDING) / 1e12 / EFFICIENCY)


def test_half_the_slots_take_twice_the_steps(qwen: Any, work: mem.Workload) -> None:
    size, rates = mem.size_of(qwen), Rates(flops=math.inf, bandwidth=math.inf)  # nothing but overhead
    for slots, turns in ((32, 1), (16, 1), (8, 2)):
        assert rollout_seconds(size, work, slots=slots, rates=rates, overhead=0.01) == pytest.approx(turns * 50 * 0.01)


def test_the_step_is_the_sum_of_rollout_training_and_update(qwen: Any) -> None:
    made = plan(qwen, 139, rates=Rates(1e15, 4e12))
    seconds = {x.part: x.seconds for x in made.lines if x.seconds is not None}
    assert set(seconds) == {"decoding", "training pass", "moments"}
    assert made.seconds == pytest.approx(sum(seconds.values()))
    moved = NUMBERS * (2 * 4 + 2 * 8 + 4 + 2)  # master and moments both ways, gradient, weight
    assert seconds["moments"] == pytest.approx(moved / 4e12)


def test_an_offloaded_update_is_as_fast_as_the_host(qwen: Any) -> None:
    rates = Rates(1e15, 4e12)
    assert plan(qwen, 139, rates=rates, offload_optimizer=True).seconds is None  # not known
    slow, fast = (plan(qwen, 139, rates=rates, offload_optimizer=True, host_bandwidth=b) for b in (1e10, 2e10))
    assert (slow.seconds or 0) - (fast.seconds or 0) == pytest.approx(30 * NUMBERS / 2e10)


def test_shorter_completions_and_known_overhead_change_the_time(qwen: Any) -> None:
    rates = Rates(1e15, 4e12)
    usual, shorter, slow = (
        plan(qwen, 139, rates=rates, **changes).seconds or 0
        for changes in ({}, {"mean_completion_length": 256}, {"forward_seconds": 0.1})
    )
    assert shorter < usual < slow


def test_rates_are_measured_and_the_first_call_warms_up() -> None:
    rates = measure_rates(CPU, torch.float32)
    assert 1e8 < rates.flops < 1e15
    assert 1e8 < rates.bandwidth < 1e14
    calls: list[int] = []
    assert seconds_of(lambda: calls.append(0), CPU) < 1
    assert len(calls) == 4
