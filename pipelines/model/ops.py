"""The one seam through which attention, linear, norm and convolution layers pass.

Without a host these are torch's own; inside ComfyUI `pipelines.host` passes the host's classes, so that its kernels,
weight casting and offloading work on every layer of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AttentionFn = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], Tensor]

# So many queries at once keep their scores in the cache (benchmarks/sampler).
QUERIES = 256


def attention(q_BHLD: Tensor, k_BHLD: Tensor, v_BHLD: Tensor, bias: Tensor | None = None) -> Tensor:
    """Softmax attention `[B, H, L, D]`; `bias` is added to the scores and broadcasts to `[B, H, L, L]`.

    On CPU in bfloat16 explicit products, of some queries at a time, beat the fused kernel for wide heads.
    """
    if q_BHLD.device.type != "cpu" or q_BHLD.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(q_BHLD, k_BHLD, v_BHLD, attn_mask=bias)
    length, parts = q_BHLD.shape[2], []
    k_BHDL = k_BHLD.transpose(-1, -2)
    if bias is not None:
        bias = bias.expand(*bias.shape[:-2], length, -1)
    for first in range(0, length, QUERIES):
        scores = (q_BHLD[:, :, first : first + QUERIES] * q_BHLD.shape[-1] ** -0.5) @ k_BHDL
        if bias is not None:
            scores = scores + bias[..., first : first + QUERIES, :]
        parts.append(scores.softmax(-1) @ v_BHLD)
    return torch.cat(parts, dim=2)


def quick_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor | None:
    """RMS norm over the last dimension where torch's own is slow, else None.

    On CPU in bfloat16 torch decomposes it into passes over float32 copies; the length of each row and one product cost
    a third of that (benchmarks/sampler). The length is rounded to bfloat16, as the result is.
    """
    if x.device.type != "cpu" or x.dtype != torch.bfloat16 or torch.is_grad_enabled():
        return None
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True).float()
    scaled = x * (length.square() / x.shape[-1] + eps).rsqrt().to(x.dtype)
    return scaled if weight is None else scaled * weight.to(x.dtype)


class RMSNorm(nn.RMSNorm):
    """torch's, with the quick way."""

    def forward(self, x: Tensor) -> Tensor:
        quick = quick_norm(x, self.weight, self.eps)
        return super().forward(x) if quick is None else quick


def cast_like(parameter: Tensor, x: Tensor) -> Tensor:
    """A raw parameter in the dtype and on the device of `x`."""
    return parameter.to(dtype=x.dtype, device=x.device)


@dataclass(frozen=True)
class Ops:
    """Layer classes and the two functions that models use instead of naming torch's."""

    Linear: type[nn.Module] = nn.Linear
    Embedding: type[nn.Module] = nn.Embedding
    RMSNorm: type[nn.Module] = RMSNorm
    LayerNorm: type[nn.Module] = nn.LayerNorm
    Conv1d: type[nn.Module] = nn.Conv1d
    Conv2d: type[nn.Module] = nn.Conv2d
    Conv3d: type[nn.Module] = nn.Conv3d
    attention: AttentionFn = attention
    cast: Callable[[Tensor, Tensor], Tensor] = cast_like


TORCH = Ops()


def best_cpu_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, else float32.

    Without such units bfloat16 is slower than float32 (pytorch#118499), and float16 is slower everywhere on CPU.
    """
    cpu = torch.cpu
    native = any(getattr(cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return torch.bfloat16 if native and torch.backends.mkldnn.is_available() else torch.float32
