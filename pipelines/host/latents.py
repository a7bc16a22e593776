"""Joint latents in the host's forms: nested, packed, or one stream alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.nested_tensor
import torch
from torch import Tensor

from ..clock import CUSTOM
from ..generate import empty_latent
from ..model.config import MINI, Config
from ..types import AVLatent
from ..weights.card import DEFAULT_CARD, length_notes, read_card

Latent = dict[str, Any]
# The entry of a LATENT that says what it was encoded from. Samplers, the host's too, give on what they do not know.
ORIGIN = "kinetophone_origin"


@dataclass(frozen=True)
class Origin:
    """How the clips were made that a latent was encoded from, and the files behind them."""

    parents: tuple[Mapping[str, Any], ...] = ()
    sources: tuple[Path, ...] = ()

    def of(self, lineage: Mapping[str, Any]) -> dict[str, Any]:
        """The lineage of what was decoded from such a latent."""
        return {**lineage, "parents": list(self.parents)} if self.parents else dict(lineage)


def origin_of(*latents: Latent) -> Origin:
    """What latents were encoded from; nothing for those that were made from noise."""
    # Parts of one latent that are joined again have one origin.
    origins = list({id(latent[ORIGIN]): latent[ORIGIN] for latent in latents if ORIGIN in latent}.values())
    parents = tuple(parent for origin in origins for parent in origin.parents)
    return Origin(parents, tuple(dict.fromkeys(source for origin in origins for source in origin.sources)))


def _with_origin(latent: Latent, origin: Origin) -> Latent:
    return {**latent, ORIGIN: origin} if origin.parents else latent


def requested_size(aspect: str, width: int, height: int) -> tuple[int, int]:
    """Pixels of an aspect preset; `custom` takes width and height. Raises ValueError for an unknown preset."""
    return (width, height) if aspect == CUSTOM else MINI.grid.size_of(aspect)


def empty(width: int, height: int, seconds: float, batch: int = 1, config: Config = MINI) -> tuple[Latent, str]:
    """A blank joint latent on the grid, and the text that says what was asked, what was made, and why.

    It warns of lengths that the model was not trained on where that is the built-in one.
    """
    plan = config.grid.plan(width, height, seconds)
    shape = plan.shape
    made = (
        f"{shape.width} x {shape.height}, {shape.frames} frames at {shape.fps} a second = "
        f"{float(shape.seconds):.2f} s, sound at {config.grid.sample_rate} Hz."
    )
    trained = length_notes(float(shape.seconds), read_card(DEFAULT_CARD).seconds) if config is MINI else []
    return nested(empty_latent(config, shape, batch)), "\n".join((made, *plan.notes, *trained))


def nested(latent: AVLatent) -> Latent:
    """The host's LATENT of a joint latent; one stream alone stays a plain tensor."""
    streams = latent.streams
    return {"samples": comfy.nested_tensor.NestedTensor(streams) if len(streams) > 1 else streams[0]}


def streams_of(latent: Latent) -> AVLatent:
    """Both streams of the host's LATENT. Raises ValueError for what is neither picture nor sound."""
    samples = latent["samples"]
    parts = samples.unbind() if samples.is_nested else [samples]
    video = next((part for part in parts if part.ndim == 5), None)
    audio = next((part for part in parts if part.ndim < 5), None)
    if len(parts) == 1 and video is None and parts[0].ndim == 4 and latent.get("type") != "audio":
        raise ValueError(
            f"This latent is a still image {list(parts[0].shape)}; expected video [B, C, T, H, W], sound [B, C, T'], "
            "or both. Use Empty Picture and Sound, or a node that makes video latents."
        )
    if len(parts) == 1 and video is None and parts[0].ndim == 3 and parts[0].shape[1] == 1:
        raise ValueError(
            "This latent is packed: picture and sound are one row of numbers, as some versions of ComfyUI return the "
            "denoised output of a sampler. Connect the sampler's other output, or put Separate Picture and Sound in "
            "between, with the latent that was sampled as `like`."
        )
    return AVLatent(video, audio)


def sound_in(latent: Latent) -> Tensor | None:
    """The sound of a latent that was connected as sound; only that tells four dimensions from a still image."""
    return streams_of({**latent, "type": "audio"}).audio


def concatenate(video: Latent, audio: Latent) -> Latent:
    """One joint latent of two; masks are joined too, and a stream without one is generated whole.

    What else comes with them is carried on; where both have the same entry, that of the sound. Raises ValueError where
    one is missing, or their lengths differ.
    """
    picture, sound = streams_of(video).video, sound_in(audio)
    if picture is None or sound is None:
        raise ValueError(
            "Join Picture and Sound needs a picture latent and a sound latent; "
            f"{'the first has no picture' if picture is None else 'the second has no sound'}."
        )
    _check_lengths(picture, sound)
    rest = {**_rest(video), **_rest(audio)}
    joined = masked(rest, AVLatent(picture, sound), masks_of(video)[0], masks_of(audio)[1])
    return _with_origin(joined, origin_of(video, audio))


def kept(latent: Latent) -> Latent:
    """The latent with a mask that keeps all of it: what is generated beside it follows it."""
    return {**latent, "noise_mask": torch.zeros_like(ones(latent["samples"]))}


def masks_of(latent: Latent) -> tuple[Tensor | None, Tensor | None]:
    """The masks of picture and sound, 1 = made; None for what is made whole, or is not there."""
    mask = latent.get("noise_mask")
    if mask is not None and mask.is_nested:
        parts = mask.unbind()
        return parts[0], parts[-1]
    # One mask alone on a joint latent is of its picture, as the host has it.
    joint, video = latent["samples"].is_nested, streams_of({**latent, "type": "audio"}).video
    return (mask, None) if joint or video is not None else (None, mask)


def masked(latent: Latent, streams: AVLatent, picture: Tensor | None, sound: Tensor | None) -> Latent:
    """The latent with these streams and masks; a stream without a mask is made whole."""
    made = {key: value for key, value in latent.items() if key != "noise_mask"} | nested(streams)
    if picture is None and sound is None:
        return made
    pairs = [(mask, of) for mask, of in ((picture, streams.video), (sound, streams.audio)) if of is not None]
    masks = [ones(of) if mask is None else mask for mask, of in pairs]
    return {**made, "noise_mask": comfy.nested_tensor.NestedTensor(masks) if len(masks) > 1 else masks[0]}


def ones(stream: Tensor) -> Tensor:
    """A mask by which all of a stream `[B, C, ...]` is made `[B, 1, ...]`."""
    return torch.ones(stream.shape[0], 1, *stream.shape[2:])


def is_ours(streams: AVLatent, config: Config = MINI) -> bool:
    """Whether latents have the channels of the built-in model."""
    dit = config.dit
    picture = streams.video is None or streams.video.shape[1] == dit.video_channels
    sound = streams.audio is None or (streams.audio.ndim == 3 and streams.audio.shape[1] == dit.audio_channels)
    return picture and sound


def separate(latent: Latent, like: Latent | None = None) -> tuple[Latent, Latent]:
    """Picture and sound of a joint latent, with all that comes with it; `like` gives the shapes of a packed one."""
    if like is not None:
        latent = {**latent, "samples": unpacked(latent["samples"], like["samples"])}
    both = streams_of(latent)
    if both.video is None or both.audio is None:
        raise ValueError("This latent holds only one stream. Separate Picture and Sound takes a joint latent of both.")
    rest = _rest(latent)
    parts: list[Latent] = [{**rest, "samples": both.video}, {**rest, "samples": both.audio, "type": "audio"}]
    mask = latent.get("noise_mask")
    if mask is not None:
        for part, stream in zip(parts, mask.unbind() if mask.is_nested else [mask], strict=False):
            part["noise_mask"] = stream
    return parts[0], parts[1]


def unpacked(samples: Tensor, like: Tensor) -> Tensor:
    """Packed `[B, 1, N]` samples in the form of `like`; anything else as it is."""
    if samples.is_nested or not like.is_nested or samples.ndim != 3 or samples.shape[1] != 1:
        return samples
    shapes = [part.shape[1:] for part in like.unbind()]
    sizes = [shape.numel() for shape in shapes]
    if sum(sizes) != samples.shape[-1]:
        raise ValueError(f"The packed latent has {samples.shape[-1]} values; its shape needs {sum(sizes)}.")
    pieces = samples[:, 0].split(sizes, dim=1)
    return comfy.nested_tensor.NestedTensor([p.reshape(-1, *s) for p, s in zip(pieces, shapes, strict=True)])


def _check_lengths(picture: Tensor, sound: Tensor, config: Config = MINI) -> None:
    """Refuses latents of our family whose lengths differ by more than rounding; the grid of others is not known."""
    if not is_ours(AVLatent(picture, sound), config):
        return
    grid = config.grid
    lasting, heard = grid.shape(*picture.shape[2:]).seconds, sound.shape[-1] / grid.audio_rate
    if abs(lasting - heard) > grid.temporal / grid.fps + 1 / grid.audio_rate:
        raise ValueError(
            f"The picture lasts {float(lasting):.2f} s and the sound {float(heard):.2f} s; they must be equally "
            "long. Give Encode Audio a latent of the picture's length as `like`, or make both with Empty Picture and "
            "Sound of the same seconds."
        )


def _rest(latent: Latent) -> Latent:
    """What belongs to neither stream."""
    return {key: value for key, value in latent.items() if key not in ("samples", "noise_mask", "type")}
