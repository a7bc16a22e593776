"""A small bidirectional transformer from the words of a prompt to the text context."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..model.config import TextConfig
from ..model.layers import SwiGLU, merge_heads, split_heads
from ..model.ops import TORCH, Ops
from ..types import TextContext


class TextBlock(nn.Module):
    """Pre-norm self-attention and feed-forward over `[B, L, width]`."""

    def __init__(self, config: TextConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.heads, self.ops = config.heads, ops
        self.norm_attention = ops.RMSNorm(config.width, eps=1e-6, **factory)
        self.norm_feed = ops.RMSNorm(config.width, eps=1e-6, **factory)
        self.qkv = ops.Linear(config.width, 3 * config.width, bias=False, **factory)
        self.out = ops.Linear(config.width, config.width, bias=False, **factory)
        self.feed = SwiGLU(config.width, 3 * config.width, ops, **factory)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q_BHLD, k_BHLD, v_BHLD = (split_heads(p, self.heads) for p in self.qkv(self.norm_attention(x)).chunk(3, -1))
        x = x + self.out(merge_heads(self.ops.attention(q_BHLD, k_BHLD, v_BHLD, bias)))
        return x + self.feed(self.norm_feed(x))


class TextEncoder(nn.Module):
    """Numbers of words `[B, L]` from `Tokenizer` to a context `[B, L, width]`."""

    def __init__(
        self,
        config: TextConfig,
        ops: Ops = TORCH,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        factory: dict[str, Any] = {"dtype": dtype, "device": device}
        self.config, self.ops = config, ops
        self.words = ops.Embedding(config.words, config.width, **factory)
        self.positions = nn.Parameter(torch.zeros(config.tokens, config.width, **factory))
        self.layers = nn.ModuleList(TextBlock(config, ops, **factory) for _ in range(config.depth))
        self.norm = ops.RMSNorm(config.width, eps=1e-6, **factory)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Initialise for training."""
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                nn.init.ones_(parameter)
            elif name in ("words.weight", "positions"):
                nn.init.normal_(parameter, std=0.5, generator=generator)
            else:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5, generator=generator)

    def forward(self, ids: Tensor) -> TextContext:
        mask = ids != 0
        x = self.words(ids)
        x = x + self.ops.cast(self.positions, x)[: x.shape[1]]
        # Every row keeps at least the start mark, so no softmax is over nothing.
        bias = torch.zeros(mask.shape, dtype=x.dtype, device=x.device).masked_fill(~mask, -torch.inf)[:, None, None]
        for layer in self.layers:
            x = layer(x, bias)
        return TextContext(self.norm(x) * mask[..., None], mask)
