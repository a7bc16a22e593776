"""Our model, text encoder and autoencoders under the host's own nodes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from harness import Host
from safetensors.torch import save_file
from weights import write_checkpoint

from kinetophone.pipelines.model.config import DEBUG
from kinetophone.pipelines.weights.checkpoint import read_checkpoint
from kinetophone.pipelines.weights.load import build_audio, build_video

SIZE = {"aspect": "custom", "width": 128, "height": 64, "seconds": 1.0, "batch": 1}


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def conds(host: Host, loaded: tuple) -> tuple:
    clip = loaded[1]
    return tuple(host.call("CLIPTextEncode", clip=clip, text=text)[0] for text in ("a red ball bounces", ""))


@pytest.fixture(scope="module")
def timed(host: Host, loaded: tuple) -> tuple:
    board = "0-0.5 a red ball bounces on grass\n0.5-1 a blue cube rolls on sand"
    screenplay = host.call("KinetophoneStoryboard", storyboard=board, blend=0.0)[0]
    return host.call("KinetophoneTextEncode", clip=loaded[1], prompt="", negative="", screenplay=screenplay)[:2]


@pytest.fixture
def latent(host: Host) -> dict:
    return host.call("KinetophoneEmptyLatent", **SIZE)[0]


def ksampler(host: Host, model: object, conds: tuple, latent: dict, **more: object) -> list[torch.Tensor]:
    settings = {
        "seed": 5,
        "steps": 4,
        "cfg": 3.0,
        "sampler_name": "euler",
        "scheduler": "simple",
        "denoise": 1.0,
        **more,
    }
    samples = host.call("KSampler", model=model, positive=conds[0], negative=conds[1], latent_image=latent, **settings)[
        0
    ]["samples"]
    return list(samples.unbind()) if samples.is_nested else [samples]


def advanced(host: Host, model: object, conds: tuple, latent: dict, noise: object, denoise: float = 1.0) -> tuple:
    guider = host.call("CFGGuider", model=model, positive=conds[0], negative=conds[1], cfg=3.0)[0]
    sampler = host.call("KSamplerSelect", sampler_name="euler")[0]
    sigmas = host.call("BasicScheduler", model=model, scheduler="simple", steps=4, denoise=denoise)[0]
    return host.call(
        "SamplerCustomAdvanced", noise=noise, guider=guider, sampler=sampler, sigmas=sigmas, latent_image=latent
    )


def guided(host: Host, model: object, conds: tuple, latent: dict, coupling: float) -> list[torch.Tensor]:
    guider = host.call(
        "KinetophoneGuidance", model=model, positive=conds[0], negative=conds[1], picture=3.0, sound=3.0,
        coupling=coupling,
    )[0]  # fmt: skip
    sigmas = host.call("KinetophoneSchedule", steps=2, shift=1.5, denoise=1.0)[0]
    made = host.call("KinetophoneSampler", guider=guider, sigmas=sigmas, latent=latent, seed=1, sampler_name="euler")
    return list(made[0]["samples"].unbind())


def test_objects_are_the_hosts_own_classes(loaded: tuple) -> None:
    import comfy.model_patcher
    import comfy.sd

    model, clip, video, audio = loaded
    assert isinstance(model, comfy.model_patcher.ModelPatcher)
    assert isinstance(clip, comfy.sd.CLIP)
    assert isinstance(video, comfy.sd.VAE) and isinstance(audio, comfy.sd.VAE)


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m", "heun", "uni_pc", "res_multistep"])
def test_ksampler_makes_picture_and_sound(host: Host, loaded, conds, latent, sampler: str) -> None:
    video, audio = ksampler(host, loaded[0], conds, latent, sampler_name=sampler)
    assert video.shape == (1, 192, 4, 2, 4) and audio.shape == (1, 64, 17)
    assert video.isfinite().all() and audio.isfinite().all() and video.std() > 0.01


def test_an_ancestral_sampler_adds_noise_that_the_run_did_not_begin_with(host: Host, loaded, conds, latent) -> None:
    seen: list[torch.Tensor] = []
    transformer = loaded[0].model.diffusion_model
    hook = transformer.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0][0][:1].flatten()))
    ksampler(host, loaded[0], conds, latent, sampler_name="euler_ancestral")
    hook.remove()
    alike = torch.corrcoef(torch.stack(seen[:2]).float())[0, 1]
    assert 0.1 < alike < 0.9


def test_the_same_seed_gives_the_same_and_batches_differ(host: Host, loaded, conds, latent) -> None:
    first, again = (ksampler(host, loaded[0], conds, latent)[0] for _ in range(2))
    assert torch.equal(first, again)
    two = host.call("KinetophoneEmptyLatent", **{**SIZE, "batch": 2})[0]
    pair = ksampler(host, loaded[0], conds, two)[0]
    assert len(pair) == 2 and not torch.allclose(pair[0], pair[1], atol=1e-2)


def test_picture_alone_and_sound_alone_are_sampled_too(host: Host, loaded, conds, latent) -> None:
    picture, sound = host.call("KinetophoneSeparateAV", latent=latent)
    assert ksampler(host, loaded[0], conds, picture)[0].shape == (1, 192, 4, 2, 4)
    assert ksampler(host, loaded[0], conds, sound)[0].shape == (1, 64, 17)


def test_advanced_sampler_equals_ksampler(host: Host, loaded, conds, latent) -> None:
    noise = host.call("RandomNoise", noise_seed=5)[0]
    made = advanced(host, loaded[0], conds, latent, noise)[0]["samples"].unbind()
    for one, other in zip(made, ksampler(host, loaded[0], conds, latent), strict=True):
        assert torch.equal(one, other)


def test_disabled_noise_keeps_a_given_latent_as_the_start(host: Host, loaded, conds, latent) -> None:
    start = {"samples": type(latent["samples"])([torch.randn(s.shape) for s in latent["samples"].unbind()])}
    made = advanced(host, loaded[0], conds, start, host.call("DisableNoise")[0], 0.5)[0]["samples"].unbind()
    assert made[0].isfinite().all()
    other = {"samples": type(latent["samples"])([s + 1 for s in start["samples"].unbind()])}
    again = advanced(host, loaded[0], conds, other, host.call("DisableNoise")[0], 0.5)[0]["samples"].unbind()
    assert not torch.allclose(made[0], again[0])


@pytest.mark.parametrize("which", ["video", "audio", "first step"])
def test_masked_regions_are_kept(host: Host, loaded, conds, latent, which: str) -> None:
    streams = [torch.randn(s.shape) for s in latent["samples"].unbind()]
    masks = [torch.ones(1, 1, *s.shape[2:]) for s in streams]
    if which == "first step":
        masks[0][:, :, 0] = 0
    else:
        masks[0 if which == "video" else 1].zero_()
    nested = type(latent["samples"])
    made = ksampler(host, loaded[0], conds, {"samples": nested(streams), "noise_mask": nested(masks)})
    for one, given, mask in zip(made, streams, masks, strict=True):
        kept = (mask == 0).expand_as(given)
        assert torch.allclose(one[kept], given[kept], atol=1e-5)
        if (~kept).any():
            assert not torch.allclose(one[~kept], given[~kept], atol=0.1)


def test_a_mask_of_the_picture_alone_is_enough(host: Host, loaded, conds, latent) -> None:
    streams = [torch.randn(s.shape) for s in latent["samples"].unbind()]
    mask = torch.ones(1, 1, 4, 2, 4)
    mask[:, :, 0] = 0
    given = {"samples": type(latent["samples"])(streams), "noise_mask": mask}
    made = ksampler(host, loaded[0], conds, given)
    assert torch.allclose(made[0][:, :, 0], streams[0][:, :, 0], atol=1e-5)


def test_kept_tokens_run_at_noise_level_zero(host: Host, loaded, conds, latent) -> None:
    seen = []
    transformer = loaded[0].model.diffusion_model
    original = type(transformer).__mro__[1].forward

    def spy(self, video, audio, sigma_video, sigma_audio, *rest):
        seen.append((sigma_video, sigma_audio))
        return original(self, video, audio, sigma_video, sigma_audio, *rest)

    streams = [torch.randn(s.shape) for s in latent["samples"].unbind()]
    masks = [torch.ones(1, 1, *s.shape[2:]) for s in streams]
    masks[0][:, :, 0] = 0
    nested = type(latent["samples"])
    type(transformer).__mro__[1].forward = spy
    try:
        ksampler(host, loaded[0], conds, {"samples": nested(streams), "noise_mask": nested(masks)})
    finally:
        type(transformer).__mro__[1].forward = original
    assert (seen[0][0][:, 0] == 0).all() and (seen[0][0][:, 1:] > 0.9).all() and (seen[0][1] > 0.9).all()


@pytest.mark.parametrize("soft", [1.0, 0.5, 0.1, 0.0])
def test_a_soft_mask_leaves_no_noise(host: Host, loaded, conds, latent, monkeypatch, soft: float) -> None:
    """A model that knows the clean latents gives them back, however much of them is kept."""
    clean = [torch.randn(s.shape) for s in latent["samples"].unbind()]
    transformer = loaded[0].model.diffusion_model
    monkeypatch.setattr(
        transformer, "predict", lambda video, *rest: [c.expand(len(video), *c.shape[1:]) for c in clean]
    )
    nested = type(latent["samples"])
    masks = nested([torch.full((1, 1, *s.shape[2:]), soft) for s in clean])
    made = ksampler(host, loaded[0], conds, {"samples": nested(clean), "noise_mask": masks})
    for one, given in zip(made, clean, strict=True):
        assert torch.allclose(one, given, atol=1e-3)


def test_model_sampling_changes_the_result_and_does_not_leak(host: Host, loaded, conds, latent) -> None:
    before = ksampler(host, loaded[0], conds, latent)[0]
    shifted = host.call("ModelSamplingSD3", model=loaded[0], shift=8.0)[0]
    assert not torch.allclose(before, ksampler(host, shifted, conds, latent)[0])
    assert torch.equal(before, ksampler(host, loaded[0], conds, latent)[0])


def test_lora_loads_by_the_hosts_names_and_unloads_exactly(host: Host, loaded, conds, latent, base: Path) -> None:
    layer = loaded[0].model.diffusion_model.layers[0].qkv.weight
    pair = {
        "diffusion_model.layers.0.qkv.lora_A.weight": torch.randn(4, layer.shape[1]),
        "diffusion_model.layers.0.qkv.lora_B.weight": torch.randn(layer.shape[0], 4),
    }
    folder = base / "models" / "loras"
    folder.mkdir(exist_ok=True)
    save_file(pair, folder / "test.safetensors")
    before = ksampler(host, loaded[0], conds, latent)[0]
    patched = host.call("LoraLoaderModelOnly", model=loaded[0], lora_name="test.safetensors", strength_model=1.0)[0]
    assert not torch.allclose(before, ksampler(host, patched, conds, latent)[0])
    assert torch.equal(before, ksampler(host, loaded[0], conds, latent)[0])


@pytest.mark.parametrize("cells", [2, 1])
def test_a_model_saved_by_the_host_is_loaded_by_the_host(host: Host, conds, latent, base: Path, cells: int) -> None:
    """Whatever it takes as a token."""
    config = replace(DEBUG, dit=replace(DEBUG.dit, patch=cells))
    write_checkpoint(base / "models" / "kinetophone" / "made.safetensors", config, seed=cells)
    model = host.call("KinetophoneLoader", card="made.safetensors", precision="fp32")[0]
    state = model.model.state_dict_for_saving()
    (base / "models" / "diffusion_models").mkdir(exist_ok=True)
    save_file(
        {k: v.contiguous().clone() for k, v in state.items()}, base / "models" / "diffusion_models" / "own.safetensors"
    )
    again = host.call("UNETLoader", unet_name="own.safetensors", weight_dtype="default")[0]
    assert type(again.model).__name__ == "KinetophoneModel" and again.model.diffusion_model.config.patch == cells
    for one, other in zip(ksampler(host, again, conds, latent), ksampler(host, model, conds, latent), strict=True):
        assert torch.allclose(one, other, atol=0.05)


def test_previews_are_small_pictures(host: Host, loaded, conds, latent, monkeypatch) -> None:
    import comfy.cli_args
    import latent_preview

    monkeypatch.setattr(latent_preview.args, "preview_method", comfy.cli_args.LatentPreviewMethod.Latent2RGB)
    host.progress.clear()
    ksampler(host, loaded[0], conds, latent)
    previews = [preview for _, _, preview in host.progress if preview is not None]
    assert len(previews) == 4
    assert previews[-1][1].size == (32, 16)


def test_a_stream_alone_has_previews_after_a_joint_run(host: Host, loaded, conds, latent, monkeypatch) -> None:
    import comfy.cli_args
    import latent_preview

    monkeypatch.setattr(latent_preview.args, "preview_method", comfy.cli_args.LatentPreviewMethod.Latent2RGB)
    ksampler(host, loaded[0], conds, latent)
    for stream in host.call("KinetophoneSeparateAV", latent=latent):
        host.progress.clear()
        ksampler(host, loaded[0], conds, stream)
        assert len([preview for _, _, preview in host.progress if preview is not None]) == 4


def test_progress_is_reported_for_every_step(host: Host, loaded, conds, latent) -> None:
    host.progress.clear()
    ksampler(host, loaded[0], conds, latent)
    assert [(value, total) for value, total, _ in host.progress] == [(n, 4) for n in range(1, 5)]


def test_interrupt_stops_in_the_middle(host: Host, loaded, conds, latent) -> None:
    import comfy.model_management as management

    def stop(value: int, total: int) -> None:
        if value == 2:
            management.interrupt_current_processing()

    host.on_progress = stop
    try:
        with pytest.raises(management.InterruptProcessingException):
            ksampler(host, loaded[0], conds, latent, steps=50)
    finally:
        host.on_progress = None
        management.interrupt_current_processing(False)
    assert host.progress[-1][0] < 10


def test_weights_in_a_prompt_change_it(host: Host, loaded, conds) -> None:
    clip = loaded[1]
    plain = host.call("CLIPTextEncode", clip=clip, text="a red ball bounces")[0][0][0]
    strong = host.call("CLIPTextEncode", clip=clip, text="a (red:1.5) ball bounces")[0][0][0]
    assert torch.equal(plain, conds[0][0][0])
    assert torch.allclose(strong[:, 2], 1.5 * plain[:, 2]) and torch.equal(strong[:, 3], plain[:, 3])


def test_decoding_whole_and_in_tiles(host: Host, loaded, conds, latent) -> None:
    video = loaded[2]
    made = ksampler(host, loaded[0], conds, latent)
    samples = {"samples": type(latent["samples"])(made)}
    whole = host.call("VAEDecode", samples=samples, vae=video)[0]
    assert whole.shape == (25, 64, 128, 3) and whole.min() >= 0 and whole.max() <= 1
    tiled = host.call(
        "VAEDecodeTiled", samples=samples, vae=video, tile_size=512, overlap=64, temporal_size=64, temporal_overlap=8
    )[0]
    assert torch.allclose(whole, tiled, atol=1e-4)
    small = host.call(
        "VAEDecodeTiled", samples=samples, vae=video, tile_size=64, overlap=32, temporal_size=64, temporal_overlap=8
    )[0]
    assert small.shape == whole.shape and (small - whole).abs().mean() < 0.1


def test_encoding_whole_and_in_tiles(host: Host, loaded) -> None:
    pixels = torch.rand(25, 64, 128, 3)
    whole = host.call("VAEEncode", pixels=pixels, vae=loaded[2])[0]["samples"]
    assert whole.shape == (1, 192, 4, 2, 4)
    tiled = host.call(
        "VAEEncodeTiled", pixels=pixels, vae=loaded[2], tile_size=512, overlap=64, temporal_size=64, temporal_overlap=8
    )[0]["samples"]
    assert torch.allclose(whole, tiled, atol=1e-4)
    assert host.call("VAEEncode", pixels=torch.rand(30, 64, 128, 3), vae=loaded[2])[0]["samples"].shape[2] == 4


def test_sound_through_the_hosts_nodes_keeps_its_speed(host: Host, loaded) -> None:
    time = torch.arange(44100) / 44100
    tone = {"waveform": 0.3 * torch.sin(2 * math.pi * 440 * time)[None, None], "sample_rate": 44100}
    samples = host.call("VAEEncodeAudio", audio=tone, vae=loaded[3])[0]
    assert samples["samples"].shape == (1, 64, 16)
    heard = host.call("VAEDecodeAudio", samples=samples, vae=loaded[3])[0]
    assert heard["waveform"].shape[-1] / heard["sample_rate"] == pytest.approx(16 * 1536 / 24000, rel=1e-3)


@pytest.mark.parametrize("stream", ["video", "audio"])
def test_interrupt_stops_decoding(host: Host, loaded, latent, stream: str) -> None:
    import comfy.model_management as management

    picture, sound = (s["samples"] for s in host.call("KinetophoneSeparateAV", latent=latent))
    management.interrupt_current_processing()
    try:
        with pytest.raises(management.InterruptProcessingException):
            if stream == "video":
                host.call("VAEDecode", samples={"samples": picture}, vae=loaded[2])
            else:
                host.call("KinetophoneDecodeAudio", latent={"samples": sound}, audio_vae=loaded[3])
    finally:
        management.interrupt_current_processing(False)


def test_the_hosts_layers_decode_what_torchs_do(host: Host, loaded, base: Path) -> None:
    checkpoint = read_checkpoint(base / "models" / "kinetophone" / "debug.safetensors")
    picture, sound = torch.randn(1, 192, 3, 2, 4), torch.randn(1, 64, 9)
    assert torch.equal(loaded[2].first_stage_model.decode(picture), build_video(checkpoint).decode(picture))
    assert torch.equal(loaded[3].first_stage_model.decode(sound), build_audio(checkpoint).decode(sound))


def test_every_layer_of_the_autoencoders_is_the_hosts(loaded) -> None:
    """So that it can be cast and offloaded."""
    for vae in loaded[2:]:
        layers = [m for m in vae.first_stage_model.modules() if dict(m.named_parameters(recurse=False))]
        assert layers and all(hasattr(layer, "comfy_cast_weights") for layer in layers)


@pytest.mark.parametrize("flag", ["fp8_e4m3fn_unet", "fp8_e5m2_unet", "bf16_unet", "fp32_unet"])
def test_every_type_that_the_host_may_be_told_to_keep_weights_in(
    host: Host, conds, latent, base: Path, monkeypatch, flag: str
) -> None:
    import comfy.model_management as management

    monkeypatch.setattr(management.args, flag, True)
    checkpoint = read_checkpoint(base / "models" / "kinetophone" / "debug.safetensors")
    model = host.pack("pipelines.host.loader").make_model(checkpoint, management.unet_dtype())
    assert all(part.isfinite().all() for part in ksampler(host, model, conds, latent))


def test_a_nan_latent_fails_with_a_clear_message(host: Host, loaded, latent) -> None:
    with pytest.raises(ValueError, match="NaN"):
        host.call("VAEDecode", samples={"samples": torch.full((1, 192, 1, 2, 2), float("nan"))}, vae=loaded[2])


def test_every_weight_is_cast_by_the_hosts_layers(host: Host, loaded, conds, latent) -> None:
    """What low memory does: weights keep their stored type and place, and are cast as their layer runs."""
    transformer = host.call("KinetophoneLoader", card="debug.safetensors", precision="fp32")[0].model.diffusion_model
    streams = [torch.randn(s.shape) for s in latent["samples"].unbind()]
    arguments = (streams, torch.tensor([500.0]), conds[0][0][0])
    before = transformer(*arguments)
    transformer.half()
    for module in transformer.modules():
        if hasattr(module, "comfy_cast_weights"):
            module.comfy_cast_weights = True
    for one, other in zip(before, transformer(*arguments), strict=True):
        assert other.dtype == torch.float32 and torch.allclose(one, other, atol=0.05)


def test_time_and_coupling_hold_with_a_kernel_that_ignores_masks(host: Host, loaded, conds, timed, latent) -> None:
    calls = []

    def deaf(kernel, q, k, v, heads, mask=None, **more):
        calls.append(mask)
        return kernel(q, k, v, heads, mask=None, **more)

    model = loaded[0].clone()
    model.model_options["transformer_options"]["optimized_attention_override"] = deaf
    for used, coupling in ((conds, 1.0), (timed, 1.0), (conds, 3.0)):
        own, other = (guided(host, m, used, latent, coupling) for m in (loaded[0], model))
        for one, two in zip(own, other, strict=True):
            assert torch.allclose(one, two, atol=1e-3)
    assert calls


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_memory_of_timed_text_and_coupling_is_reckoned(host: Host, conds, timed, monkeypatch, precision: str) -> None:
    latent = host.call("KinetophoneEmptyLatent", **{**SIZE, "seconds": 8.0, "batch": 2})[0]
    model = host.call("KinetophoneLoader", card="debug.safetensors", precision=precision)[0]
    outer, inner = type(model.model), type(model.model.diffusion_model).__mro__[1]
    reckon, bias, reckoned, made = outer.memory_required, inner._bias, [], [0]

    def spy_reckon(self, shape, cond_shapes=None):
        reckoned.append(reckon(self, shape, cond_shapes))
        return reckoned[-1]

    def spy_bias(self, *rest):
        offsets = bias(self, *rest)
        made.append(0 if offsets is None else offsets.nbytes)
        return offsets

    monkeypatch.setattr(outer, "memory_required", spy_reckon)
    monkeypatch.setattr(inner, "_bias", spy_bias)

    def needed(used: tuple, coupling: float) -> tuple[float, int]:
        """Bytes that the host is told of before sampling, and those of the largest offsets."""
        reckoned.clear()
        made[:] = [0]
        guided(host, model, used, latent, coupling)
        return reckoned[1], max(made)

    plain, none = needed(conds, 1.0)
    assert none == 0
    for used, coupling in ((timed, 1.0), (conds, 3.0), (timed, 3.0)):
        told, offsets = needed(used, coupling)
        assert 0 < offsets <= told - plain < 4 * offsets


def test_memory_of_sound_alone_is_that_of_its_tokens(loaded) -> None:
    model = loaded[0].model
    dit = model.diffusion_model.config
    sound = model.memory_required([2, dit.audio_channels, 1000])
    assert sound == model.memory_required([2, dit.video_channels, 1000 * dit.patch**2, 1, 1])


def test_unloading_and_loading_again_changes_nothing(host: Host, loaded, conds, latent) -> None:
    import comfy.model_management as management

    before = ksampler(host, loaded[0], conds, latent)[0]
    management.unload_all_models()
    assert torch.equal(before, ksampler(host, loaded[0], conds, latent)[0])
