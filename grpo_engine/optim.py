"""AdamW with an fp32 master for parameters in half precision.

At the learning rates of RL an update is smaller than the spacing of bf16 numbers around a weight, so adding it
in bf16 loses most updates. The master holds the weights, the gradients and the moments in fp32; the model gets
rounded copies, written in place. For fp32 parameters the master is the parameter itself.

Bytes per bf16 parameter, its own 2 left out: master 4, gradient sum 4 from the first backward pass to the step,
moments 8 (4 in bf16, 2 in 8 bits). With offload only the gradient sum is on the device; the host holds
the rest and 4 for a copy of that sum.
"""

from __future__ import annotations

import difflib
import importlib
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from grpo_engine.adamw_bf16 import AdamWBf16Moments


def _fused(groups: list[dict[str, Any]], **settings: Any) -> torch.optim.Optimizer:
    """torch's AdamW in one kernel, on devices that have it: 3 to 5 times faster on CPU (torch 2.13, 2 cores)."""
    has_it = all(p.device.type in ("cpu", "cuda") for group in groups for p in group["params"])
    return torch.optim.AdamW(groups, fused=has_it or None, **settings)


def _bitsandbytes(groups: list[dict[str, Any]], *, name: str, **settings: Any) -> torch.optim.Optimizer:
    """The class of bitsandbytes behind the setting `name`; it holds the moments in 8 bits, or pages them out."""
    try:
        module = importlib.import_module("bitsandbytes.optim")
    except ImportError as error:
        raise ImportError(
            f"optim={name!r} needs bitsandbytes, which can not be imported ({error}): pip install bitsandbytes, or use "
            "optim='adamw_torch'; optim_moments='bfloat16' and offload_optimizer=True save memory without it"
        ) from error
    made: torch.optim.Optimizer = getattr(module, _BITSANDBYTES[name])(groups, **settings)
    return made


_BITSANDBYTES = {
    "adamw_bnb_8bit": "AdamW8bit",
    "adamw_8bit": "AdamW8bit",
    "paged_adamw_8bit": "PagedAdamW8bit",
    "paged_adamw_32bit": "PagedAdamW32bit",
}

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw_torch": torch.optim.AdamW,
    "adamw_torch_fused": _fused,
    **{name: partial(_bitsandbytes, name=name) for name in _BITSANDBYTES},
}
"""What makes the optimizer, by transformers' names of the setting `optim`: (groups, lr, betas, eps) -> optimizer."""


def optimizer_named(
    name: str, *, moments: torch.dtype = torch.float32, offload: bool = False
) -> Callable[..., torch.optim.Optimizer]:
    """What makes the optimizer that the setting `optim` names.

    Args:
        name: a key of :data:`OPTIMIZERS`.
        moments: float32 or bfloat16, the type of both Adam moments.
        offload: whether it is to step on the CPU.

    Raises:
        ValueError: an unknown name, or bf16 moments or offload with an optimizer of bitsandbytes.

    >>> optimizer_named("adamw_torch", moments=torch.bfloat16).__name__
    'AdamWBf16Moments'
    """
    if name not in OPTIMIZERS:
        nearest = difflib.get_close_matches(name, OPTIMIZERS, n=1, cutoff=0.0)[0]
        raise ValueError(f"optim={name!r} is unknown; the nearest is {nearest!r} (all: {', '.join(OPTIMIZERS)})")
    if offload and name in _BITSANDBYTES:
        raise ValueError(f"optim={name!r} steps on the GPU: offload needs 'adamw_torch' or 'adamw_torch_fused'")
    if moments not in (torch.float32, torch.bfloat16):
        raise ValueError(f"the moments are kept in torch.float32 or torch.bfloat16, not in {moments}")
    if moments == torch.float32:
        return OPTIMIZERS[name]
    if name in _BITSANDBYTES:
        raise ValueError(f"optim={name!r} has a format of its own for the moments: leave them at torch.float32")
    return AdamWBf16Moments


class _Weight:
    """One trained parameter, its master, and the sum of its gradients.

    Attributes:
        param: what the model computes with.
        master: what the optimizer updates; `param` itself if that is in full precision on the optimizer's device.
        total: the sum of the gradients, in the master's type on the parameter's device; None before the first.
    """

    def __init__(self, param: nn.Parameter, *, half: torch.dtype | None, offload: bool) -> None:
        wide = torch.promote_types(param.dtype, torch.float32)
        self.param = param
        self.master: Tensor = param
        self._total: Tensor | None = None
        self._host: Tensor | None = None
        if param.dtype == wide and half in (None, wide) and not offload:
            return
        self.master = param.detach().to("cpu" if offload else param.device, wide)
        if half is not None:
            param.data = param.data.to(half)
        if offload:  # moments never travel, so they need no pinned memory
            pin = torch.cuda.is_available()
            self.master = self.master.pin_memory() if pin else self.master
            self._host = torch.empty_like(self.master, pin_memory=pin)
        this = weakref.ref(self)  # the hook outlives this optimizer and must not collect for it then
        param.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
            lambda _: weight.collect() if (weight := this()) else None
        )

    @property
    def own(self) -> bool:
        """Whether the master is a tensor of its own."""
        return self.master is not self.param

    @property
    def total(self) -> Tensor | None:
        return self._total if self.own else self.param.grad

    @torch.no_grad()
    def add(self, grad: Tensor) -> None:
        """Add to the sum. The first gradient becomes the sum, without a copy if the types agree."""
        if self.total is not None:
            self.total.add_(grad)
        elif self.own:
            self._total = grad.to(self.master.dtype)
        else:
            self.param.grad = grad.to(self.master.dtype)

    def filled(self) -> Tensor:
        """The sum, zeros where there is none yet."""
        total = self.total
        if total is None:
            total = torch.zeros_like(self.param, dtype=self.master.dtype)
            self.add(total)
        return total

    def collect(self) -> None:
        """Move what autograd left at the parameter into the sum."""
        grad, self.param.grad = self.param.grad, None
        if grad is not None:
            self.add(grad)

    def hand_over(self) -> None:
        """Give the sum to the optimizer."""
        if self._host is not None and self._total is not None:
            self.master.grad, self._total = self._host.copy_(self._total), None
        elif self.own:
            self.master.grad = self._total

    def round(self) -> None:
        """Write the master into the parameter's own storage."""
        if self.own:
            # A pinned master crosses faster in fp32 than it is rounded on the host.
            self.param.copy_(self.master.to(self.param.device))

    def forget(self) -> None:
        self.master.grad = self._total = None


class MasterAdamW:
    """AdamW (arXiv 1711.05101) whose masters and gradient sums are in fp32, whatever the parameters are in.

    For a parameter with a master of its own each backward pass adds to the sum as the gradient arises and frees
    it, so there is never a second full set of gradients. Build it when the model is on its device.

    Args:
        parameters: those that require a gradient are trained. Biases and norms (fewer than two dimensions) get
            no weight decay, as in transformers' trainer.
        lr, betas, eps, weight_decay: as in :class:`torch.optim.AdamW`.
        half: cast the parameters to this type, after the masters were taken from them in full precision.
        optim: a key of :data:`OPTIMIZERS`.
        moments: the type of the Adam moments: float32, or bfloat16 (:class:`AdamWBf16Moments`).
        offload: masters and moments live in host memory and the step runs on the CPU. The gradient sums stay on
            the parameters' device until the step, where processes can reduce them.

    Attributes:
        inner: the torch optimizer over the masters; learning-rate schedulers attach to it.

    Raises:
        ValueError: nothing to train, an unknown `optim`, or options that exclude each other.
        ImportError: `optim` needs bitsandbytes, which is not installed.

    >>> weight = nn.Parameter(torch.ones(2, 2, dtype=torch.bfloat16))
    >>> optimizer = MasterAdamW([weight], lr=0.25)
    >>> (weight * 2).sum().backward()
    >>> weight.grad is None, optimizer.gradients()[0].dtype
    (True, torch.float32)
    >>> float(optimizer.clip(1.0))  # √(4 · 2²)
    4.0
    >>> optimizer.step()
    >>> weight.tolist()
    [[0.75, 0.75], [0.75, 0.75]]
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        half: torch.dtype | None = None,
        optim: str = "adamw_torch_fused",
        moments: torch.dtype = torch.float32,
        offload: bool = False,
    ) -> None:
        make = optimizer_named(optim, moments=moments, offload=offload)
        self._kind = _BITSANDBYTES.get(optim, "AdamW")  # optimizers of one kind read each other's state
        trained = [p for p in parameters if p.requires_grad]
        if not trained:
            raise ValueError("the model has no parameter that requires a gradient")
        self._weights = [_Weight(p, half=half, offload=offload) for p in trained]
        self._by_param = {w.param: w for w in self._weights}
        decayed = [w.master for w in self._weights if w.master.ndim >= 2]
        plain = [w.master for w in self._weights if w.master.ndim < 2]
        groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.inner = make([g for g in groups if g["params"]], lr=lr, betas=betas, eps=eps)

    @property
    def masters(self) -> list[Tensor]:
        """The masters; a parameter that needs none is its own."""
        return [weight.master for weight in self._weights]

    def gradient_sum(self, param: nn.Parameter) -> Tensor:
        """The sum of one parameter's gradients, zeros if it has none yet, for the caller to add to in place.

        It is fp32 and lies on the parameter's device. It is valid until the next step; autograd adds to it too.

        Raises:
            KeyError: `param` is not trained here.
        """
        return self._by_param[param].filled()

    def gradients(self, *, fill: bool = False) -> list[Tensor]:
        """The sums themselves, to be changed in place (reduced over processes, say).

        Args:
            fill: put zeros where a parameter got no gradient, so that all processes have the same list.
        """
        if fill:
            return [weight.filled() for weight in self._weights]
        return [weight.total for weight in self._weights if weight.total is not None]

    @torch.no_grad()
    def clip(self, max_norm: float) -> Tensor:
        """Scale the gradients to a global norm of at most `max_norm` (0: leave them); returns the norm before."""
        gradients = self.gradients()
        norm = torch.nn.utils.get_total_norm(gradients)
        if max_norm > 0:
            factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)  # torch.nn.utils.clip_grad_norm_ has the 1e-6 too
            for gradient in gradients:
                gradient.mul_(factor)
        return norm

    @torch.no_grad()
    def step(self) -> None:
        """Update the masters, round them into the parameters, forget the gradients."""
        for weight in self._weights:
            weight.hand_over()
        self.inner.step()
        for weight in self._weights:
            weight.round()
        self.zero_grad()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            weight.forget()

    def state_dict(self) -> dict[str, Any]:
        """Moments and masters; masters that are the parameters themselves are saved with the model."""
        masters = {i: w.master for i, w in enumerate(self._weights) if w.own}
        return {"kind": self._kind, "inner": self.inner.state_dict(), "masters": masters}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave, after the model's weights were loaded.

        The moments become those of this configuration: fp32 or bf16, on the device or the host. A parameter
        without a master takes the saved one; a master that was not saved starts from the parameter.

        Raises:
            ValueError: the state is of another kind of optimizer or of other parameters.
        """
        if "kind" not in state:
            raise ValueError(
                "the checkpoint is of an earlier version; start from its weights as a new run, model=FOLDER"
            )
        if state["kind"] != self._kind:
            raise ValueError(
                f"the checkpoint has the optimizer state of {state['kind']}, this run has {self._kind}: resume with "
                "the `optim` of the checkpoint, or start from its weights as a new run"
            )
        now, saved = self.inner.state_dict()["param_groups"], state["inner"]["param_groups"]
        sizes, saved_sizes = ([len(g["params"]) for g in groups] for groups in (now, saved))
        if sizes != saved_sizes:
            raise ValueError(f"the checkpoint has {saved_sizes} trained parameters (matrices, others), not {sizes}")
        masters = [state["masters"].get(i, weight.param) for i, weight in enumerate(self._weights)]
        for i, (weight, value) in enumerate(zip(self._weights, masters, strict=True)):
            if value.shape != weight.param.shape:
                raise ValueError(f"parameter {i}: saved {tuple(value.shape)}, here {tuple(weight.param.shape)}")
        how = [{k: g[k] for k in ("fused", "foreach", "capturable") if k in g} for g in now]  # ours, not the saved
        groups = [{**mine, **theirs, **keep} for mine, theirs, keep in zip(now, saved, how, strict=True)]
        self.inner.load_state_dict({**state["inner"], "param_groups": groups})
        for weight, value in zip(self._weights, masters, strict=True):
            weight.master.copy_(value)
            weight.round()
