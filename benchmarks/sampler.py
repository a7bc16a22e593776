"""Seconds per step of MINI against the machine's matrix multiplication peak, and our Sampler against core KSampler."""

from __future__ import annotations

import time

import torch
from host import boot
from report import write

STEPS, ROUNDS = 8, 5
PEAK_SIZES = (512, 768, 1024, 2048)


def peak(dtype: torch.dtype) -> float:
    """The best rate of `a @ b` over some sizes, FLOP/s."""
    best = 0.0
    for size in PEAK_SIZES:
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        repeat = max(1, int(2e10 / (2 * size**3)))
        for _ in range(3):
            began = time.perf_counter()
            for _ in range(repeat):
                a @ b
            best = max(best, 2 * size**3 * repeat / (time.perf_counter() - began))
    return best


def flops(dit: torch.nn.Module, call) -> int:
    """Multiply-adds of one forward pass, times two, counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def main() -> None:
    host = boot()
    with torch.inference_mode():
        model, clip, _, _ = host.call("KinetophoneLoader", card="mini", precision="auto")
        conds = host.call("KinetophoneTextEncode", clip=clip, prompt="a red ball bounces on grass", negative="")
        latent = host.call("KinetophoneEmptyLatent", aspect="landscape", width=448, height=256, seconds=4.0, batch=1)[0]
        guider = host.call(
            "KinetophoneGuidance",
            model=model,
            positive=conds[0],
            negative=conds[1],
            picture=3.0,
            sound=3.0,
            coupling=1.0,
        )[0]
        sigmas = host.call("KinetophoneSchedule", steps=STEPS, shift=1.5, denoise=1.0)[0]
        shifted = host.call("ModelSamplingSD3", model=model, shift=1.5)[0]

        def ours() -> None:
            host.call("KinetophoneSampler", guider=guider, sigmas=sigmas, latent=latent, seed=1, sampler_name="euler")

        def core() -> None:
            host.call(
                "KSampler", model=shifted, seed=1, steps=STEPS, cfg=3.0, sampler_name="euler", scheduler="simple",
                positive=conds[0], negative=conds[1], latent_image=latent, denoise=1.0,
            )  # fmt: skip

        ours(), core()
        times: dict[str, list[float]] = {"ours": [], "core": []}
        for _ in range(ROUNDS):
            for name, way in (("ours", ours), ("core", core)):
                began = time.perf_counter()
                way()
                times[name].append(time.perf_counter() - began)
        dit = model.model.diffusion_model
        streams = [torch.cat((s, s)).to(dit.dtype) for s in latent["samples"].unbind()]
        context = torch.cat((conds[1][0][0], conds[0][0][0])).to(dit.dtype)
        total = flops(dit, lambda: dit(streams, torch.full((2,), 500.0), context))
        top = peak(dit.dtype)
    step = min(times["ours"]) / STEPS
    rate = total / step
    write(
        "sampler",
        [
            ("numbers", str(dit.dtype).removeprefix("torch."), ""),
            ("seconds per step, 4 s at 448 x 256, guided", f"{step:.3f} s", ""),
            ("work per step", f"{total / 1e9:.0f} GFLOP", ""),
            ("rate of the sampler", f"{rate / 1e9:.0f} GFLOP/s", ""),
            ("peak of matrix multiplication, same run", f"{top / 1e9:.0f} GFLOP/s", ""),
            ("share of the peak", f"{rate / top:.0%}", "40 %"),
            ("our Sampler / core KSampler, best of rounds", f"{min(times['ours']) / min(times['core']):.3f}", "1.02"),
        ],
        "Sampler time includes everything that the node does, not the forward passes alone.",
    )


if __name__ == "__main__":
    main()
