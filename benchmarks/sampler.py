"""Seconds per step of MINI against the machine's matrix multiplication peak, and our Sampler against core KSampler."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from host import boot
from report import write

STEPS, ROUNDS = 10, 10
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
        quick = host.call("KinetophoneTurbo", model=model, strength=1.0)[0]
        guider, single = (
            host.call(
                "KinetophoneGuidance", model=patched, positive=conds[0], negative=conds[1], picture=scale, sound=scale,
                coupling=1.0,
            )[0]
            for patched, scale in ((model, 3.0), (quick, 1.0))
        )  # fmt: skip
        sigmas = host.call("KinetophoneSchedule", steps=STEPS, shift=1.5, denoise=1.0)[0]
        shifted = host.call("ModelSamplingSD3", model=model, shift=1.5)[0]

        def ours(by: object = guider) -> None:
            host.call("KinetophoneSampler", guider=by, sigmas=sigmas, latent=latent, seed=1, sampler_name="euler")

        def core() -> None:
            host.call(
                "KSampler", model=shifted, seed=1, steps=STEPS, cfg=3.0, sampler_name="euler", scheduler="simple",
                positive=conds[0], negative=conds[1], latent_image=latent, denoise=1.0,
            )  # fmt: skip

        ours(), core(), ours(single)
        dit = model.model.diffusion_model
        streams = [torch.cat((s, s)).to(dit.dtype) for s in latent["samples"].unbind()]
        context = torch.cat((conds[1][0][0], conds[0][0][0])).to(dit.dtype)
        work = flops(dit, lambda: dit(streams, torch.full((2,), 500.0), context))
        # Every round holds all that is compared, in both directions by turns, so that what else the machine does, and
        # what ran just before, falls on all of it.
        rounds = []
        for index in range(ROUNDS):
            calls = {"ours": ours, "core": core, "turbo": lambda: ours(single)}
            order = list(calls)[:: 1 if index % 2 else -1]
            rounds.append({name: seconds(calls[name]) for name in order} | {"peak": peak(dit.dtype)})
    step = median([r["ours"] / STEPS for r in rounds])
    top = median([r["peak"] for r in rounds])
    share = median([work / (r["ours"] / STEPS) / r["peak"] for r in rounds])
    ratio = median([r["ours"] / r["core"] for r in rounds])
    turbo = median([r["turbo"] / (2 * r["ours"]) for r in rounds])
    write(
        "sampler",
        [
            ("numbers", str(dit.dtype).removeprefix("torch."), ""),
            ("seconds per step, 4 s at 448 x 256, guided", f"{step:.3f} s", ""),
            ("work per step", f"{work / 1e9:.0f} GFLOP", ""),
            ("peak of matrix multiplication", f"{top / 1e9:.0f} GFLOP/s", ""),
            ("share of the peak", f"{share:.0%}", "40 %"),
            ("our Sampler / core KSampler", f"{ratio:.3f}", "1.02"),
            ("10 steps with Turbo / 20 guided steps", f"{turbo:.2f}", ""),
        ],
        f"Medians over {ROUNDS} rounds; ratios are taken within a round. Sampler time is all that the node does, "
        "not the forward passes alone.",
    )


if __name__ == "__main__":
    main()
