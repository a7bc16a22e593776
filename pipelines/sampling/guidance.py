"""Guidance with a scale of its own for picture, sound and their coupling.

Classifier-free guidance (arXiv 2207.12598) per stream; the coupling scale moves away from the prediction in which the
streams do not see each other (LTX-2, arXiv 2601.03233).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..types import AVLatent


@dataclass(frozen=True)
class Guidance:
    """Scales; 1 switches a part off and saves its forward pass."""

    video: float = 3.0
    audio: float = 3.0
    coupling: float = 1.0

    @property
    def needs_negative(self) -> bool:
        return self.video != 1 or self.audio != 1

    @property
    def needs_uncoupled(self) -> bool:
        return self.coupling != 1

    def combine(self, cond: AVLatent, uncond: AVLatent | None, uncoupled: AVLatent | None) -> AVLatent:
        """Guided clean prediction of both streams."""
        return AVLatent(
            self.combine_stream(cond.video, uncond and uncond.video, uncoupled and uncoupled.video, self.video),
            self.combine_stream(cond.audio, uncond and uncond.audio, uncoupled and uncoupled.audio, self.audio),
        )

    def combine_stream(
        self, cond: Tensor | None, uncond: Tensor | None, uncoupled: Tensor | None, scale: float
    ) -> Tensor | None:
        """Guided prediction of one stream: `cond + (scale - 1)(cond - uncond) + (coupling - 1)(cond - uncoupled)`."""
        if cond is None:
            return None
        result = cond
        if uncond is not None:
            result = result + (scale - 1) * (cond - uncond)
        if uncoupled is not None:
            result = result + (self.coupling - 1) * (cond - uncoupled)
        return result
