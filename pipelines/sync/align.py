"""Put a clip's sound where its picture is: moved to the sample, or stretched with its pitch kept. Lazy like a stage."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import torch
import torch.nn.functional as F

from ..clip.clip import Clip, Sound

# Beyond these, speech is no longer understood.
SLOWEST, FASTEST = 0.5, 2.0
BLOCK = 16_384


def aligned(clip: Clip, offset: float, stretch: float = 1.0) -> Clip:
    """The clip with its sound `offset` seconds earlier (later where it is negative), after stretching it.

    What then lies before the picture is cut off, what is missing is silence; rate and channels stay as they are.
    Raises ValueError for a stretch out of range.
    """
    if not SLOWEST <= stretch <= FASTEST:
        raise ValueError(f"Sound can be stretched by {SLOWEST:g} to {FASTEST:g} (1 = as it is); got {stretch:g}.")

    def voice() -> Sound | None:
        # What was recorded after the picture's end may belong into it.
        sound = clip.voice()
        if sound is None:
            return None
        longer = sound if stretch == 1 else stretched(sound, stretch)
        return longer.moved(-offset)

    return replace(clip, voice=voice)


def stretched(sound: Sound, ratio: float) -> Sound:
    """The sound `ratio` times as long at the same pitch, by FFmpeg's overlap-add filter `atempo`."""
    channels, samples = sound.waveform.shape
    layout = av.AudioLayout("mono" if channels == 1 else "stereo" if channels == 2 else f"{channels}c").name
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=sound.rate, format="fltp", layout=layout)
    tempo = graph.add("atempo", f"{1 / ratio:.9f}")
    planar, sink = graph.add("aformat", "sample_fmts=fltp"), graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(planar)
    planar.link_to(sink)
    graph.configure()
    parts: list[np.ndarray] = []
    for start in [*range(0, samples, BLOCK), None]:
        frame = None
        if start is not None:
            part = np.ascontiguousarray(sound.waveform[:, start : start + BLOCK].numpy())
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = sound.rate, start
        graph.push(frame)
        parts += _ready(graph)
    made = torch.from_numpy(np.concatenate(parts, axis=1)) if parts else torch.zeros(channels, 0)
    # The filter ends on its own windows; the length that was asked for is exact.
    return Sound(F.pad(made, (0, round(samples * ratio) - made.shape[1])), sound.rate)


def _ready(graph: av.filter.Graph) -> list[np.ndarray]:
    frames = []
    while True:
        try:
            frames.append(graph.pull().to_ndarray())
        except (av.error.BlockingIOError, av.error.EOFError):
            return frames
