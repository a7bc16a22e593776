"""The host's layer classes and attention behind the one `Ops` seam."""

from __future__ import annotations

import functools
from typing import Any

import comfy.model_management
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor, nn

from ..model.ops import Ops, attention, quick_norm


class HostAttention:
    """Attention through the host's choice of kernel; our own on CPU, where it is faster for wide heads, and for a bias,
    which some of the host's kernels ignore without a word.

    `options` are the transformer options of the running forward pass: other packs override attention through them.
    """

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def __call__(self, q_BHLD: Tensor, k_BHLD: Tensor, v_BHLD: Tensor, bias: Tensor | None = None) -> Tensor:
        on_cpu = q_BHLD.device.type == "cpu" and "optimized_attention_override" not in self.options
        if on_cpu or bias is not None:
            return attention(q_BHLD, k_BHLD, v_BHLD, bias)
        return optimized_attention(
            q_BHLD, k_BHLD, v_BHLD, q_BHLD.shape[1], skip_reshape=True, skip_output_reshape=True,
            transformer_options=self.options,
        )  # fmt: skip


@functools.cache
def _norm_class(plain: type[nn.Module]) -> type[nn.Module]:
    """The host's RMS norm, with our quick way where nothing patches or moves the weight."""

    class RMSNorm(plain):
        def forward(self, x: Tensor) -> Tensor:
            patched = bool(getattr(self, "weight_function", ()))
            elsewhere = self.weight is not None and self.weight.device != x.device
            quick = None if patched or elsewhere else quick_norm(x, self.weight, self.eps)
            return super().forward(x) if quick is None else quick

    return RMSNorm


def host_ops(operations: Any, attend: HostAttention) -> Ops:
    """Our seam filled with a class of `comfy.ops`."""
    return Ops(
        operations.Linear, operations.Embedding, _norm_class(operations.RMSNorm), operations.LayerNorm,
        operations.Conv1d, operations.Conv2d, operations.Conv3d, attend, _cast,
    )  # fmt: skip


def _cast(parameter: Tensor, x: Tensor) -> Tensor:
    return comfy.model_management.cast_to(parameter, x.dtype, x.device)
