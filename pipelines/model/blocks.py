"""The transformer block over the joint sequence of video and audio tokens.

L = all tokens, video first; a `Stream` knows which slice of L is its own and how strongly to modulate it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .config import DiTConfig
from .layers import SwiGLU, merge_heads, split_heads
from .ops import Ops
from .rope import rotate

MODULATIONS = 6


@dataclass(frozen=True)
class Stream:
    """Tokens of one modality: how many, and their modulation `[B, n, 6, width]`, each row for `repeat` tokens."""

    tokens: int
    modulation: Tensor
    repeat: int

    def rows(self, table: Tensor) -> tuple[Tensor, ...]:
        """Six modulations `[B, 1 or tokens, width]` of the layer whose offsets are `table [6, width]`."""
        values = self.modulation + table
        if values.shape[1] > 1 and self.repeat > 1:
            values = values.repeat_interleave(self.repeat, dim=1)
        return values.unbind(2)


@dataclass(frozen=True)
class Sequence:
    """What all blocks share in one forward: streams, rotary angles, text tokens, and who may see whom."""

    streams: tuple[Stream, ...]
    cos: Tensor
    sin: Tensor
    text: Tensor
    bias: Tensor | None


class Block(nn.Module):
    """Pre-norm attention and feed-forward, modulated by the noise level of each token (adaLN-single, 2310.00426).

    Queries are video and audio tokens; keys are these and the text tokens, which have no position.
    """

    def __init__(self, config: DiTConfig, text_width: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        width, head = config.width, config.width // config.heads
        self.heads, self.ops = config.heads, ops
        self.norm_attention = ops.RMSNorm(width, eps=1e-6, elementwise_affine=False, **factory)
        self.norm_feed = ops.RMSNorm(width, eps=1e-6, elementwise_affine=False, **factory)
        self.norm_q = ops.RMSNorm(head, eps=1e-6, **factory)
        self.norm_k = ops.RMSNorm(head, eps=1e-6, **factory)
        self.qkv = ops.Linear(width, 3 * width, bias=False, **factory)
        self.text_kv = ops.Linear(text_width, 2 * width, bias=False, **factory)
        self.out = ops.Linear(width, width, bias=False, **factory)
        self.feed = SwiGLU(width, config.hidden, ops, **factory)
        self.table = nn.Parameter(torch.zeros(MODULATIONS, width, **factory))

    def forward(self, x: Tensor, sequence: Sequence) -> Tensor:
        table = self.ops.cast(self.table, x)
        rows = [stream.rows(table) for stream in sequence.streams]
        lengths = [stream.tokens for stream in sequence.streams]
        h = _modulate(self.norm_attention(x), lengths, [(r[0], r[1]) for r in rows])
        x = _add_gated(x, self._attend(h, sequence), lengths, [r[2] for r in rows])
        h = _modulate(self.norm_feed(x), lengths, [(r[3], r[4]) for r in rows])
        return _add_gated(x, self.feed(h), lengths, [r[5] for r in rows])

    def _attend(self, h: Tensor, sequence: Sequence) -> Tensor:
        q_BHLD, k_BHLD, v_BHLD = (split_heads(part, self.heads) for part in self.qkv(h).chunk(3, dim=-1))
        text_k_BHMD, text_v_BHMD = (split_heads(p, self.heads) for p in self.text_kv(sequence.text).chunk(2, dim=-1))
        q_BHLD = rotate(self.norm_q(q_BHLD), sequence.cos, sequence.sin)
        k_BHLD = rotate(self.norm_k(k_BHLD), sequence.cos, sequence.sin)
        k_BHSD = torch.cat((self.norm_k(text_k_BHMD), k_BHLD), dim=2)
        v_BHSD = torch.cat((text_v_BHMD, v_BHLD), dim=2)
        return self.out(merge_heads(self.ops.attention(q_BHLD, k_BHSD, v_BHSD, sequence.bias)))


BlockWrapper = Callable[[int, Block, Tensor, Sequence], Tensor]


def _modulate(x: Tensor, lengths: list[int], rows: list[tuple[Tensor, Tensor]]) -> Tensor:
    parts = [
        torch.addcmul(shift, part, scale + 1) for part, (shift, scale) in zip(x.split(lengths, 1), rows, strict=True)
    ]
    return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def _add_gated(x: Tensor, update: Tensor, lengths: list[int], gates: list[Tensor]) -> Tensor:
    pairs = zip(x.split(lengths, 1), update.split(lengths, 1), gates, strict=True)
    parts = [torch.addcmul(part, gate, change) for part, change, gate in pairs]
    return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
