"""Seconds per step of MINI against the machine's matrix multiplication peak, and our Sampler against core KSampler."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from host import boot
from report import write

STEPS, ROUNDS = 10, 9
PEAK_SIZES = (512, 768, 1024, 2048)


def peak(dtype: torch.dtype) -> float:
    """The best rate of `a @ b` over some sizes, FLOP/s, measured for about half a second."""
    best = 0.0
    for size in PEAK_SIZES:
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        repeat = max(1, int(2e10 / (2 * size**3)))
        a @ b
        began = time.perf_counter()
        for _ in range(repeat):
            a @ b
        best = max(best, 2 * size**3 * repeat / (time.perf_counter() - began))
    return best


def seconds(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


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
        dit = model.model.diffusion_model
        streams = [torch.cat((s, s)).to(dit.dtype) for s in latent["samples"].unbind()]
        context = torch.cat((conds[1][0][0], conds[0][0][0])).to(dit.dtype)
        work = flops(dit, lambda: dit(streams, torch.full((2,), 500.0), context))
        # Every round holds all that is compared, so that what else the machine does falls on all of it.
        rounds = [(seconds(ours) / STEPS, seconds(core) / STEPS, peak(dit.dtype)) for _ in range(ROUNDS)]
    step = median([mine for mine, _, _ in rounds])
    top = median([best for _, _, best in rounds])
    share = median([work / mine / best for mine, _, best in rounds])
    ratio = median([mine / other for mine, other, _ in rounds])
    write(
        "sampler",
        [
            ("numbers", str(dit.dtype).removeprefix("torch."), ""),
            ("seconds per step, 4 s at 448 x 256, guided", f"{step:.3f} s", ""),
            ("work per step", f"{work / 1e9:.0f} GFLOP", ""),
            ("peak of matrix multiplication", f"{top / 1e9:.0f} GFLOP/s", ""),
            ("share of the peak", f"{share:.0%}", "40 %"),
            ("our Sampler / core KSampler", f"{ratio:.3f}", "1.02"),
        ],
        f"Medians over {ROUNDS} rounds; ratios are taken within a round. Sampler time is all that the node does, "
        "not the forward passes alone.",
    )


if __name__ == "__main__":
    main()
