"""AdamW with an fp32 master for parameters in half precision.

At the learning rates of RL an update is smaller than the spacing of bf16 numbers around a weight, so adding it
in bf16 loses most updates. The master holds the weights, the gradients and the moments in fp32; the model gets
rounded copies. For fp32 parameters the master is the parameter itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class MasterAdamW:
    """AdamW (arXiv 1711.05101) whose state is in fp32, whatever the parameters are in.

    Args:
        parameters: those that require a gradient are trained. Biases and norms (fewer than two dimensions) get
            no weight decay, as in transformers' trainer.
        lr, betas, eps, weight_decay: as in :class:`torch.optim.AdamW`.
        half: cast the parameters to this type, after the masters were taken from them in full precision.

    Attributes:
        inner: the torch optimizer over the masters; learning-rate schedulers attach to it.
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
    ) -> None:
        self._params = [p for p in parameters if p.requires_grad]
        if not self._params:
            raise ValueError("the model has no parameter that requires a gradient")
        if half is None:
            self._masters = [p if p.dtype == torch.float32 else p.detach().float() for p in self._params]
        else:
            self._masters = [p.detach().float() for p in self._params]
            for param in self._params:
                param.data = param.data.to(half)
        decayed = [m for m in self._masters if m.ndim >= 2]
        plain = [m for m in self._masters if m.ndim < 2]
        groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
        fused = all(m.device.type == "cuda" for m in self._masters)
        self.inner = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas, eps=eps, fused=fused)

    def accumulate(self) -> None:
        """Move the gradients of one micro-batch into the fp32 sums; call it after each backward pass."""
        for param, master in zip(self._params, self._masters, strict=True):
            if param is master or param.grad is None:
                continue
            if master.grad is None:
                master.grad = param.grad.float()
            else:
                master.grad += param.grad
            param.grad = None

    def clip(self, max_norm: float) -> Tensor:
        """Scale the gradients to a global norm of at most `max_norm` (0: leave them); returns the norm before."""
        return torch.nn.utils.clip_grad_norm_(self._masters, max_norm if max_norm > 0 else float("inf"))

    @torch.no_grad()
    def step(self) -> None:
        """Update the masters, round them into the parameters, forget the gradients."""
        self.inner.step()
        for param, master in zip(self._params, self._masters, strict=True):
            if param is not master:
                param.copy_(master)
        self.zero_grad()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for tensor in (*self._params, *self._masters):
            tensor.grad = None

    def state_dict(self) -> dict[str, object]:
        """Moments and masters; masters that are the parameters themselves are saved with the model."""
        own = [m for p, m in zip(self._params, self._masters, strict=True) if p is not m]
        return {"inner": self.inner.state_dict(), "masters": own}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, object]) -> None:
        """Take back what :meth:`state_dict` gave; the parameters follow their masters."""
        self.inner.load_state_dict(state["inner"])  # type: ignore[arg-type]
        own = [(p, m) for p, m in zip(self._params, self._masters, strict=True) if p is not m]
        saved: list[Tensor] = state["masters"]  # type: ignore[assignment]
        for (param, master), value in zip(own, saved, strict=True):
            master.copy_(value)
            param.copy_(master)
