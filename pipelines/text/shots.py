"""From the encoded captions of shots to one context in which each holds for its time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..types import Shot, TextContext


def shots_in_time(contexts: Sequence[TextContext], shots: Sequence[Shot]) -> TextContext:
    """Join one context a shot. The first also holds before its start, the last after its end: no moment is without."""
    timed = []
    for index, (context, shot) in enumerate(zip(contexts, shots, strict=True)):
        after = shots[index + 1] if index + 1 < len(shots) else None
        start = shot.start if index else -math.inf
        end, fall = (after.start, after.blend) if after else (math.inf, 0.0)
        timed.append(context.during(start, end, shot.blend, fall))
    return TextContext.in_turn(*timed)
