"""Pictures to start from and to end with, clips that go on, and parts that are made anew."""

from __future__ import annotations

import pytest
import torch
from harness import Host
from test_codec import ltx_video  # noqa: F401
from torch import Tensor

TINY = {"aspect": "custom", "width": 128, "height": 64, "seconds": 1.0, "batch": 1}


def picture(red: float, width: int = 128, height: int = 64) -> Tensor:
    """An image `[1, H, W, 3]`, darker to the right."""
    image = torch.linspace(0.9, 0.1, width).expand(1, height, -1)[..., None].repeat(1, 1, 1, 3)
    image[..., 0] = red
    return image


def sampled(host: Host, loaded: tuple, latent: dict, seed: int = 3) -> list[Tensor]:
    """Both streams of a latent after two steps of the random model."""
    conds = host.call("KinetophoneTextEncode", clip=loaded[1], prompt="a red ball", negative="")
    guider = host.call("CFGGuider", model=loaded[0], positive=conds[0], negative=conds[1], cfg=2.0)[0]
    sigmas = host.call("KinetophoneSchedule", steps=2, shift=1.5, denoise=1.0)[0]
    made = host.call(
        "KinetophoneSampler", guider=guider, sigmas=sigmas, latent=latent, seed=seed, sampler_name="euler_ancestral"
    )
    return list(made[0]["samples"].unbind())


@torch.inference_mode()
def test_a_video_begins_and_ends_with_the_pictures_that_are_given(host: Host, loaded: tuple) -> None:
    empty = host.call("KinetophoneEmptyLatent", **TINY)[0]
    first, last = picture(0.9), picture(0.2, 256, 64)
    given, info = host.call("KinetophoneImageToVideo", latent=empty, video_vae=loaded[2], first=first, last=last)
    assert "the first and the last picture" in info and "last picture: 256 x 64 scaled and cropped to 128 x 64" in info
    video, audio = sampled(host, loaded, given)
    assert not empty["samples"].unbind()[0].any() and audio.std() > 0.1
    for at, image in ((0, first), (-1, last[:, :, 64:192])):
        encoded = host.call("VAEEncode", pixels=image.expand(9, -1, -1, -1), vae=loaded[2])[0]["samples"]
        # Pictures are scaled in whole grey levels.
        assert torch.allclose(video[:, :, at], encoded[:, :, at], atol=0.1)
    assert video[:, :, 1:-1].std() > 0.1


@torch.inference_mode()
def test_each_video_of_a_batch_has_its_own_picture(host: Host, loaded: tuple) -> None:
    empty = host.call("KinetophoneEmptyLatent", **{**TINY, "batch": 2})[0]
    both = torch.cat((picture(0.9), picture(0.1)))
    given = host.call("KinetophoneImageToVideo", latent=empty, video_vae=loaded[2], first=both)[0]
    one, other = given["samples"].unbind()[0][:, :, 0]
    assert (one - other).abs().max() > 0.1
    alone = host.call("KinetophoneImageToVideo", latent=empty, video_vae=loaded[2], first=both[1:])[0]
    assert torch.equal(alone["samples"].unbind()[0][0, :, 0], other)
    three = torch.cat((both, both[:1]))
    with pytest.raises(ValueError, match=r"batch of 3 images, and the latent one of 2.*one for each"):
        host.call("KinetophoneImageToVideo", latent=empty, video_vae=loaded[2], first=three)


@torch.inference_mode()
def test_a_clip_goes_on_and_stays_as_it_was(host: Host, loaded: tuple) -> None:
    clip = sampled(host, loaded, host.call("KinetophoneEmptyLatent", **TINY)[0], 1)
    joint = host.call("KinetophoneConcatAV", video={"samples": clip[0]}, audio={"samples": clip[1]})[0]
    longer, info = host.call("KinetophoneExtend", latent={**joint, "batch_index": [4]}, seconds=0.5)
    assert "1.04 s are kept, 0.67 s are made: 1.71 s in all" in info and longer["batch_index"] == [4]
    wanted = host.call("KinetophoneEmptyLatent", **{**TINY, "seconds": 1.7})[0]["samples"].unbind()
    made = sampled(host, loaded, longer)
    for before, after, empty in zip(clip, made, wanted, strict=True):
        assert after.shape == empty.shape and torch.allclose(after[:, :, : before.shape[2]], before, atol=1e-5)
        assert after[:, :, before.shape[2] :].std() > 0.1
    assert (
        "may lose" not in info
        and "5.04 s may lose its thread" in host.call("KinetophoneExtend", latent=joint, seconds=4.0)[1]
    )
    # What was kept before is no reason to keep what comes after it.
    whole = {**joint, "noise_mask": torch.zeros(1, 1, *clip[0].shape[2:])}
    again = host.call("KinetophoneExtend", latent=whole, seconds=0.5)[0]["noise_mask"].unbind()
    assert all(torch.equal(one, two) for one, two in zip(again, longer["noise_mask"].unbind(), strict=True))


@torch.inference_mode()
@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("picture and sound", "picture from 0.38 to 0.71 s and sound from 0.38 to 0.70 s"),
        ("picture", "picture from 0.38 to 0.71 s"),
        ("sound", "sound from 0.45 to 0.64 s"),
    ],
)
def test_a_part_is_made_anew_and_the_rest_is_kept(host: Host, loaded: tuple, what: str, told: str) -> None:
    clip = sampled(host, loaded, host.call("KinetophoneEmptyLatent", **TINY)[0], 1)
    joint = host.call("KinetophoneConcatAV", video={"samples": clip[0]}, audio={"samples": clip[1]})[0]
    anew, info = host.call("KinetophoneRetake", latent=joint, start=0.45, end=0.65, what=what)
    assert info == f"Made anew: {told}. The rest is kept."
    made = sampled(host, loaded, anew)
    for name, before, after, mask in zip(("picture", "sound"), clip, made, anew["noise_mask"].unbind(), strict=True):
        changed = (before - after).abs().amax(1, keepdim=True) > 1e-4
        assert torch.equal(changed, mask > 0) and mask.any() == (name in what)


@torch.inference_mode()
def test_other_models_are_timed_by_their_autoencoder(host: Host, ltx_video: object) -> None:  # noqa: F811
    """LTX-2: eight frames a step of picture, and sound of two more dimensions."""
    joint = host.call("KinetophoneConcatAV", video={"samples": torch.randn(1, 128, 4, 2, 3)},
                      audio={"samples": torch.randn(1, 8, 25, 16)})[0]  # fmt: skip
    with pytest.raises(ValueError, match=r"another model.*Connect its video VAE"):
        host.call("KinetophoneExtend", latent=joint, seconds=1.0)
    of = {"video_vae": ltx_video, "fps": 25.0}
    longer, info = host.call("KinetophoneExtend", latent=joint, seconds=0.5, **of)
    assert [part.shape[2] for part in longer["samples"].unbind()] == [6, 41] and "1.00 s are kept" in info
    anew, info = host.call("KinetophoneRetake", latent=joint, start=0.3, end=0.7, what="picture and sound", **of)
    picture_mask, sound_mask = anew["noise_mask"].unbind()
    assert picture_mask[0, 0, :, 0, 0].tolist() == [0, 0, 1, 0] and sound_mask.shape == (1, 1, 25, 16)
    assert sound_mask[0, 0, :, 0].nonzero().flatten().tolist() == list(range(9, 17))
    given = host.call("KinetophoneImageToVideo", latent=joint, video_vae=ltx_video, first=picture(0.5, 96))[0]
    assert given["noise_mask"].unbind()[0][0, 0, :, 0, 0].tolist() == [0, 1, 1, 1]
    alone = host.call("KinetophoneRetake", latent={"samples": torch.randn(1, 128, 4, 2, 3)}, start=0.0, end=0.1,
                      what="picture", **of)[0]  # fmt: skip
    assert alone["noise_mask"][0, 0, :, 0, 0].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("node", "inputs", "message"),
    [
        ("ImageToVideo", {}, "no picture to start from or to end with.*first, last, or both"),
        ("ImageToVideo", {"first": picture(0.5), "seconds": 0.04}, "has 1 step, and all would be given"),
        ("Retake", {"start": 2.0, "end": 3.0}, r"from 2 to 3 s is not one of this clip, which lasts 1\.04 s"),
        ("Retake", {"start": 0.5, "end": 0.5}, "an end after that"),
        ("Retake", {"what": "sound", "alone": True}, "no sound to make anew"),
    ],
)
def test_what_cannot_be_is_a_clear_error(host: Host, loaded: tuple, node: str, inputs: dict, message: str) -> None:
    seconds, alone = inputs.pop("seconds", 1.0), inputs.pop("alone", False)
    latent = host.call("KinetophoneEmptyLatent", **{**TINY, "seconds": seconds})[0]
    if alone:
        latent = host.call("KinetophoneSeparateAV", latent=latent)[0]
    more = {"video_vae": loaded[2]} if node == "ImageToVideo" else {"start": 0.1, "end": 0.4, "what": "picture"}
    with pytest.raises(ValueError, match=message):
        host.call(f"Kinetophone{node}", **{"latent": latent, **more, **inputs})
