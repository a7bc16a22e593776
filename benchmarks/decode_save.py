"""20 s of 1080p from latents to a file: our Decode and Save against the host's VAEDecode, CreateVideo and SaveVideo.

The host's way holds every frame as float32 several times over (more than 22 GB at this size), so both are also run on a
shorter clip, and the host's memory is scaled by the number of frames.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path

import torch
from report import Peak, write

from kinetophone.pipelines.model.config import MINI

FULL_FRAMES, SHORT_FRAMES = 481, 25
WIDTH, HEIGHT = 1920, 1088
CHANNELS = MINI.video.channels


def latents(frames: int) -> dict:
    """Smooth random latents: noise would make files and encoding times that no video has."""
    generator = torch.Generator().manual_seed(0)
    steps = (frames - 1) // 8 + 1
    coarse = torch.randn(1, CHANNELS, steps, 5, 8, generator=generator)
    shape = (steps, HEIGHT // 32, WIDTH // 32)
    video = torch.nn.functional.interpolate(coarse, shape, mode="trilinear") * 0.5
    audio = torch.randn(1, 64, -(-frames * 1000 // 1536), generator=generator) * 0.3
    return {"video": video, "audio": audio}


def measure(way: str, frames: int, queue: multiprocessing.Queue) -> None:
    """One run in a process of its own: wall seconds and memory above the idle process with the model loaded."""
    from host import boot

    host = boot()
    _, _, video_vae, audio_vae = host.call("KinetophoneLoader", card="mini", precision="auto")
    made = latents(frames)
    nested = host.call("KinetophoneConcatAV", video={"samples": made["video"]}, audio={"samples": made["audio"]})[0]
    # Warm up: the first kernels and the encoder's tables are not what is measured.
    warm = host.call(
        "KinetophoneDecode", latent={"samples": torch.zeros(1, CHANNELS, 2, 8, 8)}, video_vae=video_vae, fps=24.0
    )
    warm[0][0].save_to(str(Path(tempfile.mkdtemp()) / "warm.mp4"))
    out = Path(tempfile.mkdtemp()) / "out.mp4"
    with torch.inference_mode(), Peak() as peak:
        began = time.perf_counter()
        parts = WAYS[way](host, nested, made, video_vae, audio_vae, out)
        seconds = time.perf_counter() - began
    queue.put({"seconds": seconds, "megabytes": peak.megabytes, **(parts or {})})


def ours(host, nested, made, video_vae, audio_vae, out: Path) -> None:
    video = host.call("KinetophoneDecode", latent=nested, video_vae=video_vae, audio_vae=audio_vae, fps=24.0)[0][0]
    video.save_to(str(out))


def hosts(host, nested, made, video_vae, audio_vae, out: Path) -> None:
    images = host.call("VAEDecode", samples={"samples": made["video"]}, vae=video_vae)[0]
    audio = host.call("VAEDecodeAudio", samples={"samples": made["audio"]}, vae=audio_vae)[0]
    host.call("CreateVideo", images=images, fps=24.0, audio=audio)[0].save_to(str(out))


def apart(host, nested, made, video_vae, audio_vae, out: Path) -> dict:
    """Decoder and encoder alone, one after the other, on a few frames that are decoded once."""
    video = host.call("KinetophoneDecode", latent=nested, video_vae=video_vae, audio_vae=audio_vae, fps=24.0)[0][0]
    began = time.perf_counter()
    kept = []
    for chunk in video.clip.frames():
        kept = [*kept, chunk][-8:]
    decoder = time.perf_counter() - began
    return {"decoder": decoder, "encoder": encoder_alone(host, video.clip, torch.cat(kept), out)}


def encoder_alone(host, clip, frames: torch.Tensor, out: Path) -> float:
    """The codec on ready frames: the same number, repeated back and forth."""
    order = [*range(len(frames)), *range(len(frames) - 1, -1, -1)]

    def source(start: int, stop: int):
        for index in range(start, stop):
            yield frames[order[index % len(order)]][None]

    module = host.pack("pipelines.clip.clip")
    ready = module.Clip(clip.shape, source, module.silent)
    began = time.perf_counter()
    host.pack("pipelines.host.media").StreamVideo(ready).save_to(str(out))
    return time.perf_counter() - began


WAYS = {"ours": ours, "host": hosts, "apart": apart}


def run(way: str, frames: int) -> dict:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=measure, args=(way, frames, queue))
    process.start()
    result = queue.get()
    process.join()
    print(way, frames, json.dumps(result), flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=FULL_FRAMES)
    parser.add_argument("--short", type=int, default=SHORT_FRAMES)
    options = parser.parse_args()
    full, alone = run("ours", options.frames), run("apart", options.frames)
    short, core = run("ours", options.short), run("host", options.short)
    scale = options.frames / options.short
    size = f"{WIDTH} x {HEIGHT}"
    write(
        "decode_save",
        [
            (f"ours, {options.frames} frames of {size}: memory above idle", f"{full['megabytes']:.0f} MB", "500 MB"),
            ("ours: wall time", f"{full['seconds']:.1f} s", ""),
            ("decoder alone + encoder alone", f"{alone['decoder']:.1f} + {alone['encoder']:.1f} s", ""),
            ("ours / (decoder + encoder)", f"{full['seconds'] / (alone['decoder'] + alone['encoder']):.2f}", "1.20"),
            (f"host's way, {options.short} frames: memory above idle", f"{core['megabytes']:.0f} MB", ""),
            (f"host's way, scaled to {options.frames} frames", f"{core['megabytes'] * scale / 1000:.1f} GB", ""),
            (f"wall time, {options.short} frames, ours / host's way", f"{short['seconds'] / core['seconds']:.2f}", ""),
        ],
        f"The host's way is scaled by {scale:.1f}, the ratio of frames: its memory is proportional to them.",
    )


if __name__ == "__main__":
    main()
