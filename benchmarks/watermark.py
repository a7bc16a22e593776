"""Invisible marks against what happens to videos and sounds: how often the payload comes back, and what they cost.

    python watermark.py FOLDER_OF_PHOTOGRAPHS          what the marks survive; half an hour
    python watermark.py FOLDER_OF_PHOTOGRAPHS cost     what they cost; a minute

Photographs are panned over for three seconds; clips of the world and made sounds come with them. The photographs of the
committed result are those in the package scikit-image 0.26 (its licence says whose they are).
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from report import ARGUMENTS, write
from torch import Tensor

from kinetophone.pipelines import world
from kinetophone.pipelines.clip.clip import Sound
from kinetophone.pipelines.clip.sound import resampled
from kinetophone.pipelines.marks.picture import SEEN, add, flattened, full_pattern, read_picture, tile_of, tile_side
from kinetophone.pipelines.marks.sound import marked_sound, read_sound

KEY, PAYLOAD = "benchmark", 0x0123456789AB
FRAMES, HEIGHT, WIDTH = 72, 540, 960
PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "rocket.jpg",
    "hubble_deep_field.jpg",
)
UNMARKED = 1000


def panned(path: Path) -> Tensor:
    """Frames `[T, H, W, 3]` of a slow pan over a photograph."""
    photo = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).float().permute(2, 0, 1)[None]
    factor = 1.25 * max(HEIGHT / photo.shape[2], WIDTH / photo.shape[3])
    photo = F.interpolate(photo, scale_factor=factor, mode="bicubic", antialias=True).clamp(0, 255)[0]
    spare = photo.shape[1] - HEIGHT, photo.shape[2] - WIDTH
    corners = [(int(spare[0] * t / FRAMES), int(spare[1] * (1 - t / FRAMES))) for t in range(FRAMES)]
    frames = [photo[:, top : top + HEIGHT, left : left + WIDTH] for top, left in corners]
    return torch.stack(frames).permute(0, 2, 3, 1).round().to(torch.uint8)


def rendered(seed: int) -> Tensor:
    """Frames of a clip of the world."""
    scenes = world.sample_scenes(1, seed=seed, seconds=FRAMES / 24)
    frames = world.render(scenes, world.simulate(scenes), torch.arange(FRAMES) / 24, HEIGHT // 2, WIDTH // 2)[0]
    return sized(frames.mul(255).permute(0, 2, 3, 1).round().to(torch.uint8), HEIGHT, WIDTH)


def sized(frames: Tensor, height: int, width: int) -> Tensor:
    planes = F.interpolate(frames.permute(0, 3, 1, 2).float(), (height, width), mode="bilinear", antialias=True)
    return planes.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def coded(frames: Tensor, codec: str = "libx264", crf: int = 23, fps: int = 24, **options: str) -> Tensor:
    """Through a codec and back."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2, "yuv420p"
        stream.options = {"crf": str(crf), **options}
        for frame in frames[:, : stream.height, : stream.width]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.contiguous().numpy(), format="rgb24")))
        container.mux(stream.encode(None))
    sizes.append(buffer.tell())
    buffer.seek(0)
    with av.open(buffer) as container:
        return torch.stack([torch.from_numpy(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)])


sizes: list[int] = []


def toned(frames: Tensor, contrast: float, brightness: float) -> Tensor:
    return ((frames.float() - 128) * contrast + 128 + brightness).round().clamp(0, 255).to(torch.uint8)


def turned(frames: Tensor, degrees: float) -> Tensor:
    """Rotated about the middle."""
    angle = math.radians(degrees)
    ratio = frames.shape[1] / frames.shape[2]
    matrix = torch.tensor(
        [[math.cos(angle), -math.sin(angle) * ratio, 0], [math.sin(angle) / ratio, math.cos(angle), 0]]
    )
    planes = frames.permute(0, 3, 1, 2).float()
    grid = F.affine_grid(matrix.expand(len(planes), 2, 3), list(planes.shape), align_corners=False)
    return F.grid_sample(planes, grid, align_corners=False).round().to(torch.uint8).permute(0, 2, 3, 1)


CROP = (slice(None), slice(41, 41 + 432), slice(93, 93 + 768))
PICTURE: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "H.264 crf 18": lambda x: coded(x, crf=18),
    "H.264 crf 23": coded,
    "H.264 crf 28": lambda x: coded(x, crf=28),
    "H.264 crf 32": lambda x: coded(x, crf=32),
    "HEVC crf 26": lambda x: coded(x, "libx265", 26, **{"x265-params": "log-level=none"}),
    "AV1 crf 35": lambda x: coded(x, "libsvtav1", 35, preset="8"),
    "half size, crf 23": lambda x: coded(sized(x, 270, 480)),
    "80 % crop, crf 23": lambda x: coded(x[CROP]),
    "80 % crop, back to full size, crf 23": lambda x: coded(sized(x[CROP], HEIGHT, WIDTH)),
    "brightness +20, contrast 0.8, crf 23": lambda x: coded(toned(x, 0.8, 20)),
    "24 to 30 frames a second, crf 23": lambda x: coded(x[(torch.arange(FRAMES * 5 // 4) * 0.8).long()], fps=30),
    "1 s cut out, crf 23": lambda x: coded(x[FRAMES // 3 : FRAMES * 2 // 3]),
    "phone: 90 % crop, 720p, every second frame, baseline, crf 30": lambda x: coded(
        sized(x[:, 27:513, 48:912], 720, 1280)[::2], crf=30, profile="baseline"
    ),
    "twice crf 26": lambda x: coded(coded(x, crf=26), crf=26),
    "third of the size, crf 23": lambda x: coded(sized(x, 180, 320)),
    "mirrored": lambda x: x.flip(2),
    "rotated by 2 degrees": lambda x: turned(x, 2),
    "stretched 10 % in width": lambda x: sized(x, HEIGHT, 1056),
}


def found(frames: Tensor) -> bool:
    shorter = min(frames.shape[1:3])
    own = tile_side(frames.shape[1], frames.shape[2]) * min(1.0, SEEN / shorter)
    return read_picture(torch.stack([flattened(frame) for frame in frames[::2]]).sum(0), own, KEY)[0] == PAYLOAD


def all_clips(folder: Path) -> list[Tensor]:
    """Pans over the photographs, and clips of the world, in memory as files are read."""
    clips = [*(panned(folder / name) for name in PHOTOGRAPHS), *(rendered(seed) for seed in (1, 2, 3, 4))]
    return [clip.contiguous() for clip in clips]


def cost(clips: list[Tensor]) -> list[tuple[str, str, str]]:
    """What the mark in the picture takes: fidelity, time and bytes."""
    pattern = full_pattern(tile_of(PAYLOAD, KEY), HEIGHT, WIDTH)
    took, errors, grown = [], [], []
    for frames in clips:
        # A frame at a time, each let go of before the next, as a stream does.
        began = time.perf_counter()
        for frame in frames:
            add(frame[None], pattern)
        took.append((time.perf_counter() - began) / len(frames) * 1000)
        marked = add(frames, pattern)
        errors.append(10 * math.log10(255**2 / (marked.float() - frames.float()).square().mean().item()))
        coded(frames)
        coded(marked)
        grown.append(sizes[-1] / sizes[-2])
    return [
        ("picture: lowest PSNR", f"{min(errors):.1f} dB", "42 dB"),
        ("picture: time a frame at 540p, median", f"{sorted(took)[len(took) // 2]:.1f} ms", "2 ms"),
        ("picture: file at crf 23, marked over plain, median", f"{sorted(grown)[len(grown) // 2]:.2f}", ""),
    ]


def pictures(clips: list[Tensor]) -> tuple[list[tuple[str, str, str]], list[Tensor]]:
    """Rows of the table, and the flattened sums of clips that are not marked."""
    pattern = full_pattern(tile_of(PAYLOAD, KEY), HEIGHT, WIDTH)
    survived = dict.fromkeys(PICTURE, 0)
    for frames in clips:
        marked = add(frames, pattern)
        for name, attack in PICTURE.items():
            survived[name] += found(attack(marked))
    rows = [(f"picture: {name}", f"{count} of {len(clips)}", "") for name, count in survived.items()]
    return rows, [torch.stack([flattened(frame) for frame in frames[::6]]).sum(0) for frames in clips]


def heard_through(sound: Sound, codec: str, bits: int, container: str, rate: int) -> Sound:
    """Through a codec and back."""
    sound, buffer = resampled(sound, rate), io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.bit_rate, stream.layout = bits, "mono"
        wave = sound.waveform[:1].numpy().astype(np.float32)
        for start in range(0, wave.shape[1], 1024):
            part = np.ascontiguousarray(wave[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    buffer.seek(0)
    resampler = av.AudioResampler(format="fltp", layout="mono")
    with av.open(buffer) as opened:
        heard = [out for frame in opened.decode(audio=0) for out in resampler.resample(frame)]
    return Sound(torch.from_numpy(np.concatenate([out.to_ndarray() for out in heard], 1)), heard[0].sample_rate)


SOUND: dict[str, Callable[[Sound], Sound]] = {
    "none": lambda s: s,
    "AAC 128 kbit/s": lambda s: heard_through(s, "aac", 128_000, "mp4", 48_000),
    "AAC 64 kbit/s": lambda s: heard_through(s, "aac", 64_000, "mp4", 48_000),
    "MP3 96 kbit/s": lambda s: heard_through(s, "libmp3lame", 96_000, "mp3", 44_100),
    "Opus 48 kbit/s": lambda s: heard_through(s, "libopus", 48_000, "ogg", 48_000),
    "Opus 16 kbit/s": lambda s: heard_through(s, "libopus", 16_000, "ogg", 48_000),
    "resampled to 22.05 kHz": lambda s: resampled(s, 22_050),
    "first 0.7 s cut off": lambda s: Sound(s.waveform[:, 33_600:], s.rate),
    "noise 30 dB below": lambda s: Sound(
        s.waveform + 0.0316 * s.waveform.std() * torch.randn(s.waveform.shape), s.rate
    ),
    "5 % faster": lambda s: Sound(resampled(s, round(s.rate / 1.05)).waveform, s.rate),
}


def sounds(seconds: float) -> dict[str, Sound]:
    """Sounds of many kinds at 48 kHz."""
    from kinetophone.pipelines.speech.voice import RATE, say

    rate, draw = 48_000, torch.Generator().manual_seed(1)
    time_ = torch.arange(round(seconds * rate)) / rate
    speech = say("The quick brown fox jumps over the lazy dog. Nobody told us that the train had left. " * 3, "woman")
    scenes = world.sample_scenes(4, seed=5, seconds=seconds)
    waves = world.synthesise(scenes, world.simulate(scenes), round(seconds * 24_000), 24_000)
    made = {
        "noise": 0.1 * torch.randn(1, len(time_), generator=draw),
        "one steady tone": 0.4 * torch.sin(2 * math.pi * 440 * time_)[None],
        "a steady chord": sum(0.1 * torch.sin(2 * math.pi * f * time_) for f in (220.0, 277.2, 329.6, 440.0))[None],
        "clean speech": resampled(Sound(speech.reshape(1, -1).float(), RATE), rate).waveform[:, : len(time_)],
    }
    made |= {f"world {i + 1}": resampled(Sound(waves[i : i + 1], 24_000), rate).waveform for i in range(4)}
    return {name: Sound(wave, rate) for name, wave in made.items()}


def hearing(seconds: float) -> list[tuple[str, str, str]]:
    made = sounds(seconds)
    survived: dict[str, list[str]] = {name: [] for name in SOUND}
    below = []
    for kind, sound in made.items():
        marked = marked_sound(sound, PAYLOAD, KEY)
        error = (marked.waveform - sound.waveform).square().mean() / sound.waveform.square().mean()
        below.append(-10 * math.log10(error))
        for name, attack in SOUND.items():
            if read_sound(attack(marked), KEY)[0] != PAYLOAD:
                survived[name].append(kind)
    rows = [(f"sound of {seconds:g} s: mark below the sound, least", f"{min(below):.1f} dB", "")]
    for name, lost in survived.items():
        note = f" (lost: {', '.join(lost)})" if lost else ""
        rows.append((f"sound of {seconds:g} s: {name}", f"{len(made) - len(lost)} of {len(made)}{note}", ""))
    return rows


def unmarked(flats: list[Tensor]) -> tuple[str, str, str]:
    """Clips without a mark, each looked at with keys that nothing was marked with."""
    hits = 0
    for number in range(UNMARKED):
        flat = flats[number % len(flats)]
        hits += read_picture(flat, tile_side(HEIGHT, WIDTH), f"key {number}")[0] is not None
    return f"picture: found in {UNMARKED} looks at unmarked clips, a key each", str(hits), "0"


def main() -> None:
    if len(ARGUMENTS) not in (1, 2) or ARGUMENTS[1:] not in ([], ["cost"]):
        raise SystemExit(__doc__)
    torch.manual_seed(0)
    clips = all_clips(Path(ARGUMENTS[0]))
    note = "Six photographs, panned over, and four clips of the world, 960 x 540, 3 s."
    if ARGUMENTS[1:]:
        write("watermark", cost(clips), note, part="cost")
        return
    rows, flats = pictures(clips)
    rows += [*hearing(4.0), *hearing(10.0), unmarked(flats)]
    write("watermark", rows, f"{note} A payload is 48 bits.")


if __name__ == "__main__":
    main()
