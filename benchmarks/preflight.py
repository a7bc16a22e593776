"""What Preflight estimates against what then happens, for the built-in model."""

from __future__ import annotations

import statistics
import time

import torch
from host import boot
from report import write

SIZES = ((448, 256, 2.0), (448, 256, 4.0), (256, 448, 4.0), (640, 384, 2.0))


def once(host, width: int, height: int, seconds: float) -> tuple[float, float]:
    """Seconds estimated, and seconds taken by sampling, decoding and saving."""
    model, clip, video_vae, audio_vae = host.call("KinetophoneLoader", card="mini", precision="auto")
    latent = host.call("KinetophoneEmptyLatent", aspect="custom", width=width, height=height, seconds=seconds, batch=1)[
        0
    ]
    prompt, negative = host.call("KinetophoneTextEncode", clip=clip, prompt="a red ball bounces", negative="")
    scales = {"picture": 3.0, "sound": 3.0, "coupling": 1.0}
    guider = host.call("KinetophoneGuidance", model=model, positive=prompt, negative=negative, **scales)[0]
    sigmas = host.call("KinetophoneSchedule", steps=20, shift=1.5, denoise=1.0)[0]
    estimated = host.call("KinetophonePreflight", latent=latent, guider=guider, sigmas=sigmas, video_vae=video_vae)[2]
    began = time.perf_counter()
    made = host.call("KinetophoneSampler", guider=guider, sigmas=sigmas, latent=latent, seed=1, sampler_name="euler")[0]
    video = host.call("KinetophoneDecode", latent=made, video_vae=video_vae, audio_vae=audio_vae, fps=24.0)[0][0]
    style, marks = ("mp4-h264", "standard"), ("none", "never")
    host.pack("pipelines.host.save").saved(video, "preflight", style, marks, {}, None)
    return estimated, time.perf_counter() - began


def main() -> None:
    host = boot()
    rows, away = [], []
    with torch.inference_mode():
        once(host, 256, 256, 1.0)
        for width, height, seconds in SIZES:
            estimated, taken = once(host, width, height, seconds)
            away.append(abs(estimated / taken - 1))
            rows.append(
                (f"{width} x {height}, {seconds:g} s: estimated, taken", f"{estimated:.1f} s, {taken:.1f} s", "")
            )
    rows.append(("away from what happened, largest", f"{max(away):.0%}", "25 %"))
    rows.append(("away from what happened, median", f"{statistics.median(away):.0%}", ""))
    write("preflight", rows)


if __name__ == "__main__":
    main()
