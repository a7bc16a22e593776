"""Each of our nodes in a real graph, and the files that come out."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from conftest import CARD
from harness import Failed, Host, Rejected

TINY = {"aspect": "custom", "width": 128, "height": 64, "seconds": 1.0, "batch": 1}


def link(node: str, output: int = 0) -> list:
    return [node, output]


def graph(**changes: dict) -> dict:
    """Load, encode, sample, decode and save; `changes` replaces inputs by node name."""
    nodes = {
        "load": ("KinetophoneLoader", {"card": CARD, "precision": "fp32"}),
        "text": ("KinetophoneTextEncode", {"clip": link("load", 1), "prompt": "a red ball bounces", "negative": ""}),
        "latent": ("KinetophoneEmptyLatent", dict(TINY)),
        "schedule": ("KinetophoneSchedule", {"steps": 3, "shift": 1.5, "denoise": 1.0}),
        "guidance": (
            "KinetophoneGuidance",
            {"model": link("load"), "positive": link("text"), "negative": link("text", 1), "picture": 3.0, "sound": 2.0,
             "coupling": 1.0},
        ),
        "sampler": (
            "KinetophoneSampler",
            {"guider": link("guidance"), "sigmas": link("schedule"), "latent": link("latent"), "seed": 1,
             "sampler_name": "euler"},
        ),
        "decode": (
            "KinetophoneDecode",
            {"latent": link("sampler"), "video_vae": link("load", 2), "audio_vae": link("load", 3), "fps": 24.0},
        ),
        "save": (
            "KinetophoneSave",
            {"video": link("decode"), "filename_prefix": "test/clip", "format": "mp4-h264", "quality": "standard"},
        ),
    }  # fmt: skip
    return {n: {"class_type": kind, "inputs": {**inputs, **changes.get(n, {})}} for n, (kind, inputs) in nodes.items()}


def saved(base: Path, outputs: dict, node: str = "save") -> list[Path]:
    return [base / "output" / item["subfolder"] / item["filename"] for item in outputs[node]["images"]]


def test_the_whole_flow_makes_a_file_that_restores_its_workflow(host: Host, base: Path) -> None:
    workflow = {"nodes": [], "links": [], "version": 0.4}
    path = saved(base, host.run(graph(), workflow))[0]
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.codec_context.width, video.codec_context.height, video.frames) == (128, 64, 25)
        assert video.average_rate == Fraction(24)
        assert json.loads(container.metadata["workflow"]) == workflow
        assert json.loads(container.metadata["prompt"])["load"]["class_type"] == "KinetophoneLoader"
        assert json.loads(container.metadata["kinetophone"])["model"] == "kinetophone"
    assert path.read_bytes().find(b"moov") < path.read_bytes().find(b"mdat")


@pytest.mark.parametrize("name", ["mp4-hevc", "mp4-av1", "webm-av1"])
def test_every_format_is_saved(host: Host, base: Path, name: str) -> None:
    assert saved(base, host.run(graph(save={"format": name})))[0].stat().st_size > 500


def test_a_batch_becomes_several_files(host: Host, base: Path) -> None:
    paths = saved(base, host.run(graph(latent={"batch": 2}, save={"filename_prefix": "test/batch"})))
    assert len(paths) == 2 and paths[0].read_bytes() != paths[1].read_bytes()


def test_the_hosts_save_node_streams_our_video(host: Host, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(video: object) -> None:
        raise AssertionError("asked for all frames at once")

    monkeypatch.setattr(host.pack("pipelines.host.media").StreamVideo, "get_components", whole)
    prompt = graph(sampler={"seed": 77})
    prompt["save"] = {
        "class_type": "SaveVideo",
        "inputs": {"video": link("decode"), "filename_prefix": "test/core", "format": "auto", "codec": "auto"},
    }
    path = saved(base, host.run(prompt, {"nodes": []}))[0]
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 25 and "workflow" in container.metadata


def test_our_save_node_takes_the_hosts_videos(host: Host, base: Path) -> None:
    prompt = graph(save={"video": link("create"), "filename_prefix": "test/foreign"})
    prompt["parts"] = {"class_type": "GetVideoComponents", "inputs": {"video": link("decode")}}
    prompt["create"] = {
        "class_type": "CreateVideo", "inputs": {"images": link("parts"), "fps": 24.0, "audio": link("parts", 1)}
    }  # fmt: skip
    path = saved(base, host.run(prompt))[0]
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 25 and container.streams.audio[0].rate == 24000


def test_the_sampler_equals_the_hosts_own(host: Host, loaded: tuple) -> None:
    with torch.inference_mode():
        conds = host.call("KinetophoneTextEncode", clip=loaded[1], prompt="a red ball", negative="blue")
        latent = host.call("KinetophoneEmptyLatent", **TINY)[0]
        guider = host.call(
            "KinetophoneGuidance",
            model=loaded[0],
            positive=conds[0],
            negative=conds[1],
            picture=3.0,
            sound=3.0,
            coupling=1.0,
        )[0]
        plain = host.call("CFGGuider", model=loaded[0], positive=conds[0], negative=conds[1], cfg=3.0)[0]
        sigmas = host.call("KinetophoneSchedule", steps=4, shift=1.5, denoise=1.0)[0]
        ours = host.call(
            "KinetophoneSampler", guider=guider, sigmas=sigmas, latent=latent, seed=9, sampler_name="euler"
        )
        mixed = host.call(
            "KinetophoneSampler", guider=plain, sigmas=sigmas, latent=latent, seed=9, sampler_name="euler"
        )
        core = host.call(
            "SamplerCustomAdvanced", noise=host.call("RandomNoise", noise_seed=9)[0], guider=plain,
            sampler=host.call("KSamplerSelect", sampler_name="euler")[0], sigmas=sigmas, latent_image=latent,
        )  # fmt: skip
    for one, two, three in zip(*(result[0]["samples"].unbind() for result in (ours, mixed, core)), strict=True):
        assert torch.equal(two, three)
        assert torch.equal(one, three)


@torch.inference_mode()
@pytest.mark.parametrize(("node", "inputs"), [("RescaleCFG", {"multiplier": 0.7}), ("CFGZeroStar", {}), ("Mahiro", {})])
def test_nodes_that_change_guidance_work_under_ours(host: Host, loaded: tuple, node: str, inputs: dict) -> None:
    conds = host.call("KinetophoneTextEncode", clip=loaded[1], prompt="a red ball", negative="blue")
    prompts = {"positive": conds[0], "negative": conds[1]}
    sigmas = host.call("KinetophoneSchedule", steps=2, shift=1.5, denoise=1.0)[0]
    joint = host.call("KinetophoneEmptyLatent", **TINY)[0]
    picture, sound = host.call("KinetophoneSeparateAV", latent=joint)
    changed = host.call(node, model=loaded[0], **inputs)[0]

    def sampled(guider: object, latent: dict) -> torch.Tensor:
        made = host.call(
            "KinetophoneSampler", guider=guider, sigmas=sigmas, latent=latent, seed=9, sampler_name="euler"
        )[0]["samples"]
        return torch.cat([part.flatten() for part in (made.unbind() if made.is_nested else [made])])

    def ours(model: object, picture: float, sound: float, coupling: float = 1.0) -> object:
        return host.call(
            "KinetophoneGuidance", model=model, **prompts, picture=picture, sound=sound, coupling=coupling
        )[0]

    core = host.call("CFGGuider", model=changed, **prompts, cfg=3.0)[0]
    cases = [(picture, ours(changed, 3, 5, 2)), (joint, ours(changed, 3, 3)), (sound, ours(changed, 5, 3, 2))]
    # RescaleCFG takes pictures alone, under any guider.
    for latent, guider in cases[:1] if node == "RescaleCFG" else cases:
        made = sampled(guider, latent)
        assert made.equal(sampled(core, latent)) and not made.equal(sampled(ours(loaded[0], 3, 3), latent))


@torch.inference_mode()
def test_still_images_follow_the_scale_of_the_picture(host: Host, loaded: tuple) -> None:
    """ACE-Step's sound has as many dimensions, and follows the scale of the sound."""
    import comfy.latent_formats

    guider = host.call(
        "KinetophoneGuidance", model=loaded[0].clone(), positive=[], negative=[], picture=4.0, sound=2.0, coupling=1.0
    )[0]
    told = {}
    base = type(guider).__mro__[1]
    for kind, shape in (("SD15", (1, 4, 8, 8)), ("ACEAudio", (1, 8, 16, 9)), ("LTXV", (1, 8, 13, 16))):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loaded[0].model, "latent_format", getattr(comfy.latent_formats, kind)())
            patch.setattr(base, "inner_sample", lambda self, *args, kind=kind, **rest: told.update({kind: self.cfg}))
            guider.inner_sample(torch.zeros(shape))
    assert told == {"SD15": 4.0, "ACEAudio": 2.0, "LTXV": 2.0}


@torch.inference_mode()
def test_the_sampler_keeps_all_that_comes_with_a_latent(host: Host, loaded: tuple) -> None:
    conds = host.call("KinetophoneTextEncode", clip=loaded[1], prompt="a red ball", negative="")
    guider = host.call("CFGGuider", model=loaded[0], positive=conds[0], negative=conds[1], cfg=1.0)[0]
    sigmas = host.call("KinetophoneSchedule", steps=1, shift=1.5, denoise=1.0)[0]
    empty = host.call("KinetophoneEmptyLatent", **TINY)[0]
    latent = host.call("SetLatentNoiseMask", samples={**empty, "batch_index": [2]}, mask=torch.zeros(1, 64, 128))[0]
    ours = host.call("KinetophoneSampler", guider=guider, sigmas=sigmas, latent=latent, seed=9, sampler_name="euler")[0]
    core = host.call(
        "SamplerCustomAdvanced", noise=host.call("RandomNoise", noise_seed=9)[0], guider=guider,
        sampler=host.call("KSamplerSelect", sampler_name="euler")[0], sigmas=sigmas, latent_image=latent,
    )[0]  # fmt: skip
    for name in ("noise_mask", "batch_index"):
        assert ours[name] is core[name] is latent[name]
    assert all(one.equal(two) for one, two in zip(ours["samples"].unbind(), core["samples"].unbind(), strict=True))


def test_each_scale_moves_its_own_stream(host: Host, loaded: tuple) -> None:
    def sample(picture: float, sound: float, coupling: float, steps: int = 1) -> list[torch.Tensor]:
        with torch.inference_mode():
            conds = host.call("KinetophoneTextEncode", clip=loaded[1], prompt="a red ball", negative="blue")
            guider = host.call(
                "KinetophoneGuidance", model=loaded[0], positive=conds[0], negative=conds[1], picture=picture,
                sound=sound, coupling=coupling,
            )[0]  # fmt: skip
            latent = host.call("KinetophoneEmptyLatent", **TINY)[0]
            sigmas = host.call("KinetophoneSchedule", steps=steps, shift=1.0, denoise=1.0)[0]
            made = host.call(
                "KinetophoneSampler", guider=guider, sigmas=sigmas, latent=latent, seed=9, sampler_name="euler"
            )
        return list(made[0]["samples"].unbind())

    base = sample(3, 3, 1)
    picture, sound, coupled = sample(6, 3, 1), sample(3, 6, 1), sample(3, 3, 2)
    assert not torch.allclose(base[0], picture[0]) and torch.allclose(base[1], picture[1], atol=1e-5)
    assert torch.allclose(base[0], sound[0], atol=1e-5) and not torch.allclose(base[1], sound[1])
    assert not torch.allclose(base[0], coupled[0]) and not torch.allclose(base[1], coupled[1])
    assert sample(1, 1, 1)[0].isfinite().all()


def test_snapping_is_never_silent(host: Host) -> None:
    info = host.call("KinetophoneEmptyLatent", aspect="custom", width=200, height=100, seconds=1.5, batch=1)[1]
    assert "asked 200 x 100, made 192 x 128" in info and "asked 1.50 s (36 frames), made 1.71 s (41 frames)" in info
    shown = host.run({
        "1": {"class_type": "KinetophoneEmptyLatent", "inputs": {**TINY, "width": 192, "seconds": 1.5}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": link("1", 1)}},
    })  # fmt: skip
    assert "1.71 s" in shown["1"]["text"][0] and "1.71 s" in shown["2"]["text"][0]


@pytest.mark.parametrize(("seconds", "told"), [(0.5, True), (1.0, False), (4.0, False), (6.0, True)])
def test_lengths_that_the_model_was_not_trained_on_are_told(host: Host, seconds: float, told: bool) -> None:
    info = host.call("KinetophoneEmptyLatent", **{**TINY, "seconds": seconds})[1]
    assert ("the model was trained on 1 to 4.1 s" in info) == told


def test_unknown_words_are_listed_on_the_node(host: Host) -> None:
    shown = host.run(graph(text={"prompt": "a (ruby:1.2) zebra"}))["text"]["text"][0]
    assert shown == "Read as known words: ruby as red.\nLeft out, the model does not know: zebra."


def test_sound_is_encoded_from_anything_and_says_so(host: Host, loaded: tuple) -> None:
    stereo = {"waveform": torch.randn(1, 2, 44100), "sample_rate": 44100}
    like = host.call("KinetophoneEmptyLatent", **{**TINY, "seconds": 2.0})[0]
    latent, info = host.call("KinetophoneEncodeAudio", audio=stereo, audio_vae=loaded[3], like=like)
    assert latent["samples"].shape == like["samples"].unbind()[1].shape
    for word in ("2 channels", "44100 to 24000 Hz", "Padded from 1.00 s"):
        assert word in info
    heard = host.call("KinetophoneDecodeAudio", latent=latent, audio_vae=loaded[3])[0]
    assert heard["sample_rate"] == 24000 and heard["waveform"].shape[:2] == (1, 1)


def test_video_is_encoded_from_anything_and_says_so(host: Host, loaded: tuple, base: Path) -> None:
    images = torch.rand(30, 90, 130, 3)
    video = host.call("CreateVideo", images=images, fps=30.0, audio=None)[0]
    latent, info = host.call("KinetophoneEncodeVideo", video=video, video_vae=loaded[2])
    assert latent["samples"].shape == (1, 192, 3, 2, 4)
    assert "130 x 90 scaled to 128 x 64" in info and "30 to 24" in info and "17 frames" in info


def test_encoding_equals_the_hosts_encoder_on_the_grid(host: Host, loaded: tuple) -> None:
    images = (torch.rand(17, 64, 128, 3) * 255).round() / 255
    video = host.call("CreateVideo", images=images, fps=24.0, audio=None)[0]
    ours = host.call("KinetophoneEncodeVideo", video=video, video_vae=loaded[2])[0]["samples"]
    with torch.inference_mode():
        core = host.call("VAEEncode", pixels=images, vae=loaded[2])[0]["samples"]
    assert torch.allclose(ours, core, atol=1e-4)


def test_joining_and_separating_are_inverse_and_carry_masks(host: Host) -> None:
    video, audio = {"samples": torch.randn(1, 192, 2, 2, 2)}, {"samples": torch.randn(1, 64, 9)}
    video["noise_mask"] = torch.zeros(1, 1, 2, 2, 2)
    joint = host.call("KinetophoneConcatAV", video=video, audio=audio)[0]
    apart = host.call("KinetophoneSeparateAV", latent=joint)
    assert torch.equal(apart[0]["samples"], video["samples"]) and torch.equal(apart[1]["samples"], audio["samples"])
    assert not apart[0]["noise_mask"].any() and apart[1]["noise_mask"].all()
    assert host.call("KinetophoneConcatAV", video=joint, audio=joint)[0]["samples"].is_nested


@pytest.mark.parametrize("shape", [(8, 13, 16), (32, 2, 13)])
def test_sound_that_looks_like_a_picture_is_separated_and_joined(host: Host, shape: tuple[int, ...]) -> None:
    """LTX-2's and MiniMax's sound has four dimensions."""
    import comfy.nested_tensor

    streams = [torch.randn(2, 128, 3, 2, 4), torch.randn(2, *shape)]
    joint = {"samples": comfy.nested_tensor.NestedTensor(streams), "batch_index": [3, 4], "sample_rate": 24000}
    video, audio = host.call("KinetophoneSeparateAV", latent=joint)
    assert audio["type"] == "audio" and "type" not in video
    for sound in (audio, {"samples": audio["samples"]}):
        again = host.call("KinetophoneConcatAV", video=video, audio=sound)[0]
        assert all(one.equal(two) for one, two in zip(again["samples"].unbind(), streams, strict=True))
        assert again.keys() == joint.keys() and again["batch_index"] == [3, 4] and again["sample_rate"] == 24000


@torch.inference_mode()
def test_the_mask_of_a_picture_leaves_the_sound_alone(host: Host, loaded: tuple) -> None:
    empty = host.call("KinetophoneEmptyLatent", **TINY)[0]
    masked = host.call("SetLatentNoiseMask", samples=empty, mask=torch.zeros(1, 64, 128))[0]
    assert "noise_mask" not in host.call("KinetophoneConcatAV", video=empty, audio=masked)[0]
    joint = host.call("KinetophoneConcatAV", video=masked, audio=masked)[0]
    picture, sound = joint["noise_mask"].unbind()
    assert not picture.any() and sound.all() and sound.shape[2:] == empty["samples"].unbind()[1].shape[2:]
    conds = host.call("KinetophoneTextEncode", clip=loaded[1], prompt="a red ball", negative="")
    guider = host.call("CFGGuider", model=loaded[0], positive=conds[0], negative=conds[1], cfg=1.0)[0]
    sigmas = host.call("KinetophoneSchedule", steps=1, shift=1.5, denoise=1.0)[0]
    made = host.call("KinetophoneSampler", guider=guider, sigmas=sigmas, latent=joint, seed=9, sampler_name="euler")[0]
    kept, new = made["samples"].unbind()
    assert kept.abs().max() < 1e-5 < new.std()


def test_lengths_that_differ_by_more_than_rounding_are_not_joined(host: Host, loaded: tuple) -> None:
    def parts(seconds: float) -> tuple:
        return host.call(
            "KinetophoneSeparateAV", latent=host.call("KinetophoneEmptyLatent", **{**TINY, "seconds": seconds})[0]
        )

    (picture, short), (longer, long) = parts(0.5), parts(3.0)
    with pytest.raises(ValueError, match=r"picture lasts 0\.71 s and the sound 3\.07 s.*`like`.*same seconds"):
        host.call("KinetophoneConcatAV", video=picture, audio=long)
    with pytest.raises(ValueError, match=r"picture lasts 3\.04 s and the sound 0\.77 s"):
        host.call("KinetophoneConcatAV", video=longer, audio=short)
    # The picture of a video is cut to whole steps, an empty latent is rounded up, and sound can be of any length.
    for seconds in (1.0, 1.1, 1.3, 1.37, 2.0):
        images = torch.rand(round(seconds * 24), 64, 128, 3)
        video = host.call("CreateVideo", images=images, fps=24.0, audio=None)[0]
        shown = host.call("KinetophoneEncodeVideo", video=video, video_vae=loaded[2])[0]
        heard = {"waveform": torch.randn(1, 1, round(seconds * 24000)), "sample_rate": 24000}
        for sound in (parts(seconds)[1], host.call("KinetophoneEncodeAudio", audio=heard, audio_vae=loaded[3])[0]):
            assert host.call("KinetophoneConcatAV", video=shown, audio=sound)[0]["samples"].is_nested
    other = {"samples": torch.zeros(1, 128, 2, 2, 2)}
    assert host.call("KinetophoneConcatAV", video=other, audio=long)[0]["samples"].is_nested


def test_packed_latents_are_unpacked(host: Host) -> None:
    like = host.call("KinetophoneEmptyLatent", **TINY)[0]
    streams = [torch.randn(s.shape) for s in like["samples"].unbind()]
    packed = {"samples": torch.cat([s.reshape(1, 1, -1) for s in streams], dim=-1)}
    apart = host.call("KinetophoneSeparateAV", latent=packed, like=like)
    assert all(torch.equal(a["samples"], s) for a, s in zip(apart, streams, strict=True))
    with pytest.raises(ValueError, match="packed"):
        host.call("KinetophoneSeparateAV", latent=packed)


@pytest.mark.parametrize(
    ("node", "inputs", "message"),
    [
        ("KinetophoneConcatAV", {"video": {"samples": torch.zeros(1, 64, 3)}, "audio": {"samples": torch.zeros(1, 64, 3)}},  # noqa: E501
         "no picture"),
        ("KinetophoneSeparateAV", {"latent": {"samples": torch.zeros(1, 192, 2, 2, 2)}}, "only one stream"),
        ("KinetophoneSeparateAV", {"latent": {"samples": torch.zeros(1, 4, 8, 8)}}, "still image"),
        ("KinetophoneTextEncode", {"clip": None, "prompt": "", "negative": ""}, "no text encoder"),
        ("KinetophoneLoader", {"card": "maxi", "precision": "auto"}, "There is no model 'maxi'"),
        ("KinetophoneLoader", {"card": "../secret.safetensors", "precision": "auto"}, "There is no model"),
        ("KinetophoneLoader", {"card": CARD, "precision": "fp8"}, "precision must be one of"),
        ("KinetophoneEmptyLatent", {**TINY, "aspect": "cinema"}, "Unknown aspect"),
        ("KinetophoneEmptyLatent", {**TINY, "width": 10**7}, "between 1 and"),
        ("KinetophoneEmptyLatent", {**TINY, "seconds": 0.0}, "more than 0"),
        ("KinetophoneSchedule", {"steps": 0, "shift": 1.0, "denoise": 1.0}, "at least 1 step"),
    ],
)  # fmt: skip
def test_bad_input_is_a_clear_error(host: Host, node: str, inputs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        host.call(node, **inputs)


def test_bad_latents_are_refused_before_decoding(host: Host, loaded: tuple) -> None:
    def decode(samples: torch.Tensor) -> object:
        return host.call(
            "KinetophoneDecode", latent={"samples": samples}, video_vae=loaded[2], audio_vae=None, fps=24.0
        )

    with pytest.raises(ValueError, match="NaN or infinity"):
        decode(torch.full((1, 192, 2, 2, 2), float("nan")))
    with pytest.raises(ValueError, match=r"\[B, 192, steps"):
        decode(torch.zeros(1, 16, 2, 2, 2))
    with pytest.raises(ValueError, match="no picture"):
        decode(torch.zeros(1, 64, 9))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format": "avi"}, "avi"), ({"quality": "best"}, "best"), ({"filename_prefix": "../../escape"}, "output folder")],
)
def test_bad_save_settings_name_the_value(host: Host, base: Path, change: dict, message: str) -> None:
    # Newer hosts refuse unknown choices before running, older ones leave it to the node.
    with pytest.raises((Failed, Rejected)) as caught:
        host.run(graph(save=change))
    details = getattr(caught.value, "details", None) or caught.value.args
    assert message in str(details)
    assert not (base.parent / "escape_00001_.mp4").exists()


def test_interrupt_while_saving_leaves_no_file(host: Host, base: Path) -> None:
    import comfy.model_management as management

    folder = base / "output" / "stopped"

    def stop(value: int, total: int) -> None:
        if total == 49 and value == 7:
            management.interrupt_current_processing()

    host.on_progress = stop
    try:
        with pytest.raises(Failed) as caught:
            host.run(graph(latent={"seconds": 2.0}, save={"filename_prefix": "stopped/clip"}))
    finally:
        host.on_progress = None
    assert caught.value.kind == "execution_interrupted"
    assert list(folder.iterdir()) == []
    assert host.progress[-1][0] == 7


def test_saving_reports_time_left(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    monkeypatch.setattr(host.server, "send_progress_text", lambda text, node: texts.append((text, node)), raising=False)
    monkeypatch.setattr(host.pack("pipelines.host.progress"), "INTERVAL", 0.0)
    host.run(graph(save={"filename_prefix": "test/progress"}))
    assert any("frame 3 of 25" in text and "left" in text and node == "save" for text, node in texts)


def test_video_is_lazy_and_trims_without_decoding(host: Host, loaded: tuple) -> None:
    latent = {"samples": torch.randn(1, 192, 40, 2, 2)}
    video = host.call("KinetophoneDecode", latent=latent, video_vae=loaded[2], audio_vae=None, fps=24.0)[0][0]
    assert video.get_frame_count() == 313 and video.get_dimensions() == (64, 64)
    part = video.as_trimmed(2.0, 1.0)
    assert part.get_duration() == 1.0 and part.get_components().images.shape == (24, 64, 64, 3)
    assert video.as_trimmed(13.0, 5.0, True) is None
    whole = video.get_components()
    assert torch.equal(whole.images[48:72], part.get_components().images)


@pytest.mark.parametrize(
    ("sampler", "given"), [("euler", False), ("euler_ancestral", False), ("euler", True), ("euler_ancestral", True)]
)
def test_the_host_makes_the_picture_that_the_command_line_makes(
    host: Host, base: Path, sampler: str, given: bool
) -> None:
    from kinetophone.pipelines.generate import Pictures, Request, generate
    from kinetophone.pipelines.sampling.guidance import Guidance
    from kinetophone.pipelines.weights.load import load_models

    with torch.inference_mode():
        model, clip, video_vae, audio_vae = host.call("KinetophoneLoader", card=CARD, precision="auto")
        conds = host.call("KinetophoneTextEncode", clip=clip, prompt="a red ball bounces", negative="")
        guider = host.call(
            "KinetophoneGuidance",
            model=model,
            positive=conds[0],
            negative=conds[1],
            picture=3.0,
            sound=2.0,
            coupling=1.0,
        )[0]
        sigmas = host.call("KinetophoneSchedule", steps=3, shift=1.5, denoise=1.0)[0]
        latent = host.call("KinetophoneEmptyLatent", **TINY)[0]
        first, last = torch.randint(0, 256, (2, 1, 64, 128, 3), generator=torch.Generator().manual_seed(2)).byte()
        if given:
            images = {"first": first / 255, "last": last / 255}
            latent = host.call("KinetophoneImageToVideo", latent=latent, video_vae=video_vae, **images)[0]
        made = host.call(
            "KinetophoneSampler", guider=guider, sigmas=sigmas, latent=latent, seed=1, sampler_name=sampler
        )
        video = host.call("KinetophoneDecode", latent=made[0], video_vae=video_vae, audio_vae=audio_vae, fps=24.0)[0][0]
    request = Request("a red ball bounces", 128, 64, 1.0, seed=1, steps=3, guidance=Guidance(3.0, 2.0), sampler=sampler)
    models = load_models(base / "models" / "kinetophone" / CARD)
    pictures = Pictures(first, last) if given else None
    made = [generate(replace(request, seed=seed), models, None, pictures) for seed in (1, 2)]
    ours, other, theirs = (torch.cat(list(clip.frames())).float() for clip in (*made, video.clip))
    assert (ours - theirs).abs().mean() < 3 < (ours - other).abs().mean()
    assert torch.allclose(made[0].sound.waveform, video.clip.sound.waveform, atol=0.1)


@pytest.fixture(scope="module")
def mini(host: Host) -> tuple:
    """The built-in model: MODEL, CLIP and both VAEs."""
    return host.call("KinetophoneLoader", card="mini", precision="fp32")


def turbo_guider(host: Host, mini: tuple, scale: float) -> object:
    model = host.call("KinetophoneTurbo", model=mini[0], strength=1.0)[0]
    conds = host.call("KinetophoneTextEncode", clip=mini[1], prompt="a red ball bounces", negative="")
    return host.call(
        "KinetophoneGuidance", model=model, positive=conds[0], negative=conds[1], picture=scale, sound=1.0, coupling=1.0
    )[0]


@torch.inference_mode()
def test_turbo_makes_what_the_command_line_makes_in_one_pass_a_step(host: Host, mini: tuple) -> None:
    from kinetophone.pipelines.generate import Request, sample
    from kinetophone.pipelines.sampling.guidance import Guidance
    from kinetophone.pipelines.weights.card import read_card
    from kinetophone.pipelines.weights.load import load_models

    guider = turbo_guider(host, mini, 1.0)
    rows: list[int] = []
    transformer = mini[0].model.diffusion_model
    hook = transformer.register_forward_pre_hook(lambda module, arguments: rows.append(len(arguments[1])))
    sigmas = host.call("KinetophoneSchedule", steps=4, shift=1.5, denoise=1.0)[0]
    latent = host.call("KinetophoneEmptyLatent", **TINY)[0]
    made = host.call("KinetophoneSampler", guider=guider, sigmas=sigmas, latent=latent, seed=1, sampler_name="euler")
    hook.remove()
    assert rows == [1] * 4
    request = Request("a red ball bounces", 128, 64, 1.0, seed=1, steps=4, guidance=Guidance(1.0, 1.0), sampler="euler")
    expected = {}
    for turbo in (None, read_card("mini").turbo_path):
        models = load_models("mini", turbo=turbo)
        models.dit.float(), models.text.float()
        expected[turbo is None] = sample(request, models, request.plan(models.config).shape).video
    found = made[0]["samples"].unbind()[0]
    near, far = ((found - other).abs().mean() for other in (expected[False], expected[True]))
    assert near < 0.02 and far > 5 * near


def test_turbo_is_not_guided_twice_and_leaves_other_models_alone(host: Host, mini: tuple, loaded: tuple) -> None:
    with pytest.raises(ValueError, match="set picture and sound of Guidance to 1"):
        turbo_guider(host, mini, 3.0)
    with pytest.raises(ValueError, match="no turbo adapter"):
        host.call("KinetophoneTurbo", model=loaded[0], strength=1.0)
    turbo = host.call("KinetophoneTurbo", model=mini[0], strength=1.0)[0]
    with pytest.raises(ValueError, match="has its turbo adapter already"):
        host.call("KinetophoneTurbo", model=turbo, strength=1.0)
