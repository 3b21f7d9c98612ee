"""Bytes: what a step keeps in memory, what a token adds to it, and how much of it fits.

Everything is arithmetic on a few sizes of the model, but for the activations: those are counted on a small pass.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import psutil  # type: ignore[import-untyped]
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

DRAW_COPIES, RANKED_COPIES = 4, 9
"""fp32 copies of the logits at the peak of :func:`grpo_engine.sampling.draw`: the model's, those divided by the
temperature, the masses, one on its way; top-p adds a sort, whose places take 8 bytes. A test counts them."""
CHUNK_COPIES = 3
"""fp32 copies of a chunk of logits in the head's pass: logits, probabilities, gradient."""
ROUNDING = 256
"""A token budget is a multiple of this where it can be: rounder numbers for the eye and for the kernels."""


@dataclass(frozen=True)
class ModelSize:
    """The sizes of a causal language model that memory and time depend on; numbers are counts unless said.

    Attributes:
        layers, hidden, intermediate, heads, kv_heads, head_dim, vocab: of its configuration.
        itemsize: bytes of a number.
        bytes: of all parameters and buffers, shared ones once.
        trained: numbers that are trained.
        halved: those of them that are kept in half precision, and so have an fp32 master.
        largest: numbers of the largest trained parameter.
        matrices, trained_matrices: numbers in matrices between embedding and head, each used once a token (of a
            mixture of experts all count, so its time is estimated too long).
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    itemsize: int
    bytes: int
    trained: int
    halved: int
    largest: int
    matrices: int
    trained_matrices: int


def size_of(model: Any) -> ModelSize:
    """The sizes of a transformers model, on any device (the meta device too)."""
    config = model.config.get_text_config()
    params = list(model.parameters())
    trained = [p for p in params if p.requires_grad]
    ends = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    matrices = [p for p in params if p.ndim >= 2 and id(p) not in ends]
    return ModelSize(
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        intermediate=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        heads=config.num_attention_heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or config.num_attention_heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        vocab=model.get_output_embeddings().weight.shape[0],
        itemsize=model.get_input_embeddings().weight.element_size(),
        bytes=sum(t.numel() * t.element_size() for t in (*params, *model.buffers())),
        trained=sum(p.numel() for p in trained),
        halved=sum(p.numel() for p in trained if p.element_size() < 4),
        largest=max((p.numel() for p in trained), default=0),
        matrices=sum(p.numel() for p in matrices),
        trained_matrices=sum(p.numel() for p in matrices if p.requires_grad),
    )


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What one step of one process works on, and the settings that decide its memory.

    Attributes:
        prompt_lengths: tokens of the data set's prompts.
        completions: of this process in a rollout; a multiple of `group`.
        group: completions per prompt.
        max_completion_length: tokens.
        mean_completion_length: what the time is estimated for; the longest for None.
        num_iterations: updates per rollout.
        scored_first: whether each update needs a forward pass of its own before it (`top_entropy_quantile`).
        beta: with any but 0 there is a reference model.
        top_p: below 1 the draw sorts.
        optim, optim_moments, offload_optimizer, gradient_checkpointing: as in the configuration.
        slots: sequences decoded at once; None chooses.
        token_budget: tokens of a training pass; None chooses.
        saved_bytes_per_token: from :func:`saved_bytes_per_token`; None takes
            :func:`typical_bytes_per_token`.
    """

    prompt_lengths: Sequence[int]
    completions: int
    group: int
    max_completion_length: int
    mean_completion_length: float | None = None
    num_iterations: int = 1
    scored_first: bool = False
    beta: float = 0.0
    top_p: float = 1.0
    optim: str = "adamw_torch_fused"
    optim_moments: str = "float32"
    offload_optimizer: bool = False
    gradient_checkpointing: bool = False
    slots: int | None = None
    token_budget: int | None = None
    saved_bytes_per_token: float | None = None

    @property
    def prompts(self) -> int:
        return self.completions // self.group

    @property
    def longest(self) -> int:
        return max(self.prompt_lengths) + self.max_completion_length

    @property
    def prompt(self) -> float:
        """The mean prompt."""
        return sum(self.prompt_lengths) / len(self.prompt_lengths)

    @property
    def completion(self) -> float:
        """The mean completion."""
        return self.mean_completion_length or self.max_completion_length

    @property
    def tokens(self) -> float:
        """Tokens that training reads, each prompt once."""
        return self.prompts * self.prompt + self.completions * self.completion

    @property
    def most_tokens(self) -> int:
        return self.prompts * max(self.prompt_lengths) + self.completions * self.max_completion_length


def master_bytes(size: ModelSize, *, offload: bool) -> int:
    """fp32 masters: 4 * the numbers in half precision; of all that are trained where the host holds them."""
    return 4 * (size.trained if offload else size.halved)


def moment_bytes(trained: int, *, optim: str, moments: str) -> int:
    """Both Adam moments: 2 * (4 | 2 in bf16 | 1 in 8 bits) * trained.

    The 8-bit ones of bitsandbytes have an fp32 scale for each block of 256 numbers (arXiv 2110.02861 has blocks
    of 2048). Paged moments count as on the device: they leave it only when it is short of memory.

    >>> moment_bytes(1024, optim="adamw_torch", moments="bfloat16")
    4096
    """
    if "8bit" in optim:
        return 2 * (trained + 4 * -(-trained // 256))
    return 2 * trained * (2 if moments == "bfloat16" else 4)


def gradient_bytes(size: ModelSize) -> int:
    """fp32 gradient sums, and the one gradient that is on its way to its sum: 4 * trained + itemsize * largest."""
    return 4 * size.trained + size.itemsize * size.largest


def kv_token_bytes(size: ModelSize) -> int:
    """Keys and values of a token: 2 * layers * kv_heads * head_dim * itemsize."""
    return 2 * size.layers * size.kv_heads * size.head_dim * size.itemsize


def logits_bytes(vocab: int, *, top_p: float) -> int:
    """Logits of one slot and the copies that the draw makes: 4 * vocab * copies."""
    return 4 * vocab * (DRAW_COPIES if top_p >= 1 else RANKED_COPIES)


def chunk_bytes(elements: int) -> int:
    """A chunk of logits in the head's pass: 4 * elements * copies."""
    return 4 * elements * CHUNK_COPIES


def prefill_token_bytes(size: ModelSize) -> int:
    """A prompt token in a pass without gradient, at its peak in the MLP: itemsize * (3 intermediate + 4 hidden)."""
    return size.itemsize * (3 * size.intermediate + 4 * size.hidden)


def typical_bytes_per_token(size: ModelSize, *, checkpointing: bool) -> float:
    """What :func:`saved_bytes_per_token` finds for models built like Qwen2 and Llama, where it can not be run.

    A layer saves 8 h + itemsize * (4 h + 4 m + 2 q + 2 k) + 4 heads: the two norms work in fp32, the matrices
    save what they read (h hidden, m intermediate, q and k the widths of queries and keys), attention its
    log-sums. The gradients of one MLP, itemsize * (h + 2 m), come on top. With checkpointing a layer keeps its
    input alone, and one layer at a time has the rest.
    """
    h, m, q, k = size.hidden, size.intermediate, size.heads * size.head_dim, size.kv_heads * size.head_dim
    layer = 8 * h + size.itemsize * (4 * h + 4 * m + 2 * q + 2 * k) + 4 * size.heads
    flying = size.itemsize * (h + 2 * m)
    kept = size.itemsize * h * size.layers + layer if checkpointing else layer * size.layers
    return float(kept + flying)


def pass_bytes_per_token(size: ModelSize, work: Workload) -> float:
    """A token of a training pass: what the trunk holds, the state that the head reads, and that state's gradient."""
    saved = work.saved_bytes_per_token
    if saved is None:
        saved = typical_bytes_per_token(size, checkpointing=work.gradient_checkpointing)
    return saved + 2 * size.hidden * size.itemsize


def checkpointed(size: ModelSize, work: Workload) -> Workload:
    """The same work with gradient checkpointing; what was measured without it shrinks as the typical bytes do."""
    saved = work.saved_bytes_per_token
    if work.gradient_checkpointing:
        return work
    if saved is not None:
        with_it, without = (typical_bytes_per_token(size, checkpointing=c) for c in (True, False))
        saved = saved * with_it / without
    return replace(work, gradient_checkpointing=True, saved_bytes_per_token=saved)


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of the storages that operations make, from the operation to the storage's end.

    Args:
        known: tensors whose storages do not count.

    Attributes:
        live, peak: bytes now, and the most at any time.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: int = 0
        self.peak: int = 0
        self._known = [t.untyped_storage() for t in known]  # kept, so that no other storage takes their identity
        self._seen: dict[int, object] = {s._cdata: s for s in self._known}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._seen:
            self.live += size
            self.peak = max(self.peak, self.live)
            self._seen[key] = weakref.ref(storage, partial(self._end, key, size))

    def _end(self, key: int, size: int, _: object) -> None:
        self.live -= size
        del self._seen[key]


def saved_bytes_per_token(run: Callable[[], Tensor], tokens: int, parameters: Iterable[Tensor]) -> float:
    """Bytes that a token holds at the peak of a training pass, counted on a small one.

    They are what the forward pass saves for the backward pass, the gradients on their way through it, and with
    checkpointing the layer that is computed again. Only gradients of vectors (norms, biases) are asked for, so
    those of the matrices, which do not grow with the tokens, are never made; no gradient is left at a parameter.
    What a kernel takes and gives back inside of itself is not seen.

    Args:
        run: a forward pass; returns the trunk's hidden states. Its sequences should be as long as in training if
            the attention stores scores; otherwise any will do. If it needs a context (`own_attention`), the whole
            call must be in it: checkpointing runs the layers again after `run` has returned.
        tokens: of the pass, at least 1; a few hundred are enough.
        parameters: parameters and buffers of the model.
    """
    known = list(parameters)
    trained = [p for p in known if p.requires_grad]
    asked = [p for p in trained if p.ndim < 2] or trained
    count = _LiveBytes(known)
    with torch.enable_grad(), count:
        hidden = run()
        torch.autograd.grad(hidden, asked, grad_outputs=torch.ones_like(hidden), allow_unused=True)
    return count.peak / tokens


class Memory(NamedTuple):
    """Bytes of a device: all it has, and what can still be taken."""

    total: int
    free: int


def device_memory(device: torch.device) -> Memory:
    """Memory of a CUDA device, with what torch's allocator holds unused as free; else of the host."""
    if device.type != "cuda":
        host = psutil.virtual_memory()
        return Memory(host.total, host.available)
    free, total = torch.cuda.mem_get_info(device)
    return Memory(total, free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


class Choice(NamedTuple):
    """A number that was chosen, and whether the memory holds it."""

    number: int
    fits: bool


def choose_slots(free_bytes: int, per_slot: int, fixed: int, wanted: int, group: int) -> Choice:
    """As many slots as fit, at most `wanted` and at least 1; whole groups if one fits: a prompt is read once then.

    >>> choose_slots(1_000, 10, 100, wanted=128, group=8)
    Choice(number=88, fits=True)
    """
    number = min(wanted, max(1, (free_bytes - fixed) // per_slot))
    if group < number < wanted:
        number -= number % group
    return Choice(number, fixed + number * per_slot <= free_bytes)


def choose_token_budget(
    free_bytes: int, per_token: float, fixed: int, longest_sequence: int, wanted_max: int
) -> Choice:
    """As many tokens a pass as fit, at most `wanted_max`, and at least one sequence, which can not be split.

    >>> choose_token_budget(1_000_000, 100.0, 200_000, longest_sequence=640, wanted_max=16_384)
    Choice(number=7936, fits=True)
    """
    number = min(wanted_max, int((free_bytes - fixed) / per_token))
    if number < wanted_max:
        number -= number % ROUNDING
    number = max(number, longest_sequence)
    return Choice(number, fixed + number * per_token <= free_bytes)
