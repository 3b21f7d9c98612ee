"""AdamW whose moments are in bf16, rounded so that they do not stall."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

_GOLDEN = 0.6180339887498949
"""(√5 - 1) / 2: its multiples modulo 1 fill [0, 1) more evenly than those of any other number."""

_PIECE = 2**24
"""Elements of a tensor that are updated at once, so that the fp32 copies of bf16 moments stay at a few times 64 MiB."""


class AdamWBf16Moments(torch.optim.Optimizer):
    """AdamW that keeps both moments in bf16 and computes in fp32.

    Rounding to the nearest bf16 number would stop the second moment: a step changes it by up to 1 - beta2 = 0.1 %
    of itself, and the numbers are 0.4 to 0.8 % apart. So the rounding threshold moves, to frac(step * golden
    ratio): a change of a tenth of the spacing rounds up in one step of ten. It needs no random numbers, hence no
    state, and is the same in every process and after a restart. Stochastic rounding (arXiv 2010.06192) has the
    same mean with more noise.

    Args:
        params, lr, betas, eps, weight_decay: as in :class:`torch.optim.AdamW`; the state has its keys too.
    """

    def __init__(self, params: Any, *, lr: float, betas: tuple[float, float], eps: float, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update each parameter that has a gradient."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state[param]
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(param, dtype=torch.bfloat16)
                    state["exp_avg_sq"] = torch.zeros_like(param, dtype=torch.bfloat16)
                state["step"] += 1
                pieces = [(param, param.grad, state["exp_avg"], state["exp_avg_sq"])]
                if param.numel() > _PIECE:
                    rows = max(_PIECE * len(param) // param.numel(), 1)
                    pieces = list(zip(*(t.split(rows) for t in pieces[0]), strict=True))
                for piece in pieces:
                    _adamw(*piece, step=int(state["step"]), group=group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back a state, of this class or of torch's AdamW."""
        super().load_state_dict({**state_dict, "state": {}})  # torch would cast the moments to fp32 on the way
        params = [p for group in self.param_groups for p in group["params"]]
        for index, saved in state_dict["state"].items():
            param = params[index]
            moments = {k: saved[k].to(param.device, torch.bfloat16) for k in ("exp_avg", "exp_avg_sq")}
            self.state[param] = {"step": saved["step"].cpu(), **moments}


def _adamw(param: Tensor, grad: Tensor, first: Tensor, second: Tensor, *, step: int, group: dict[str, Any]) -> None:
    """One update in place: p <- p (1 - lr * decay) - lr m̂ / (√v̂ + eps), arXiv 1711.05101."""
    beta1, beta2 = group["betas"]
    m = first.to(param.dtype).lerp_(grad, 1 - beta1)
    v = second.to(param.dtype).mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    param.mul_(1 - group["lr"] * group["weight_decay"])
    scale = v.sqrt().div_(math.sqrt(1 - beta2**step)).add_(group["eps"])
    param.addcdiv_(m, scale, value=-group["lr"] / (1 - beta1**step))
    first.copy_(_dithered(m, step))
    second.copy_(_dithered(v, step))


def _dithered(value: Tensor, step: int) -> Tensor:
    """The bf16 number below or above in magnitude: above if the fraction lost exceeds 1 - frac(step * golden ratio).

    A bf16 number is the upper half of an fp32 number, so the lower half is that fraction.
    """
    bits = value.float().view(torch.int32) + int(step * _GOLDEN % 1 * 65536)
    return bits.bitwise_and_(-65536).view(torch.float32)
