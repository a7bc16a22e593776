"""Sound and picture through autoencoders of others: the host's own VAE, and objects that it passes as one."""

from __future__ import annotations

import pytest
import torch
import torchaudio.functional
from harness import Host
from torch import Tensor, nn

RATE, SECONDS = 48000, 1.5
# The left channel is silent but for a pulse, the right one for a later pulse: (start, end) in seconds.
PULSES = ((0.5, 0.7), (0.9, 1.1))
# As close as the stand-ins keep time: they hold the mean of a few samples.
EXACT = 0.004
KINDS = ("stable", "ace", "mmaudio", "wrapped", "bare")


class Blocks(nn.Module):
    """Stands for a network: a latent holds the means of short blocks of the sound, so that nothing moves in time."""

    channels, stride, depth, shape = 2, 2048, 64, (64,)

    def encode(self, wave: Tensor) -> Tensor:
        """Latents `[B, *shape, T]` of `[B, channels, samples]`."""
        batch, channels, samples = wave.shape
        # A convolution over stereo takes nothing else.
        assert channels == self.channels
        steps = samples // self.stride
        means = wave[..., : steps * self.stride].reshape(batch, channels, steps, self._parts, -1).mean(-1)
        return means.permute(0, 1, 3, 2).reshape(batch, *self.shape, steps)

    def decode(self, latent: Tensor) -> Tensor:
        """Sound `[B, channels, T * stride]` of latents."""
        means = latent.reshape(len(latent), self.channels, self._parts, -1).movedim(-1, 2)
        return means.flatten(2).repeat_interleave(self.stride // self._parts, dim=-1)

    @property
    def _parts(self) -> int:
        return self.depth // self.channels


class Oobleck(Blocks):
    """Stable Audio: 2048 samples at 44.1 kHz a step."""


class Dcae(Blocks):
    """ACE-Step: latents `[B, 8, 16, T]` of 4096 samples a step, the sound padded to whole steps."""

    stride, depth, shape = 4096, 128, (8, 16)

    def __init__(self, source_sample_rate: int) -> None:
        super().__init__()
        assert source_sample_rate == 44100

    def encode(self, wave: Tensor) -> Tensor:
        return super().encode(nn.functional.pad(wave, (0, -wave.shape[-1] % self.stride)))


class MMAudio(Blocks):
    """MMAudio: mono at 16 kHz inside, 44.1 kHz outside, latents `[B, 20, T]` of 512 samples at 16 kHz."""

    channels, stride, depth, shape = 1, 512, 16, (16,)

    def __init__(self, mode: str) -> None:
        super().__init__()
        assert mode == "16k"

    def encode(self, wave: Tensor) -> Tensor:
        mono = torchaudio.functional.resample(wave.mean(dim=1), 44100, 16000)[:, None]
        return nn.functional.pad(super().encode(mono), (0, 0, 0, 4))

    def decode(self, latent: Tensor) -> Tensor:
        return torchaudio.functional.resample(super().decode(latent[:, :16]), 16000, 44100)


class LTX(Blocks):
    """What both forms of LTX-2's audio VAE share: latents `[B, 8, T, 16]`, 25 a second of 16 kHz, out at 24 kHz."""

    stride, depth, shape = 640, 128, (8, 16)
    sample_rate, output_sample_rate, latents_per_second, latent_channels = 16000, 24000, 25.0, 8

    def latents(self, wave: Tensor, rate: int) -> Tensor:
        wave = torchaudio.functional.resample(wave, rate, self.sample_rate)
        if wave.shape[1] == 1:
            wave = wave.expand(-1, 2, -1)
        # The first of every four spectra belongs to the step before, so that sound of whole steps gives one more.
        steps = wave.shape[-1] // self.stride + 1
        wave = nn.functional.pad(wave, (0, steps * self.stride - wave.shape[-1]))
        return super().encode(wave).movedim(-1, 2)

    def decode(self, latents: Tensor) -> Tensor:
        wave = super().decode(latents.movedim(2, -1))[..., : (4 * latents.shape[2] - 3) * 160]
        return torchaudio.functional.resample(wave, self.sample_rate, self.output_sample_rate)


class Bare(LTX):
    """The object of hosts from 0.8 on: takes the host's AUDIO, gives `[B, channels, samples]`."""

    def encode(self, audio: dict) -> Tensor:
        return self.latents(audio["waveform"], audio["sample_rate"])


class Inner(LTX):
    """The model that later hosts put into their own VAE."""

    def encode(self, audio: Tensor, sample_rate: int = 44100) -> Tensor:
        return self.latents(audio, sample_rate)


@pytest.fixture
def made(host: Host, monkeypatch: pytest.MonkeyPatch):
    """Makes an audio VAE of a kind: the host's own code around a network of blocks."""
    import comfy.ldm.ace.vae.music_dcae_pipeline as ace
    import comfy.ldm.mmaudio.vae.autoencoder as mmaudio
    import comfy.sd

    monkeypatch.setattr(comfy.sd, "AudioOobleckVAE", Oobleck)
    monkeypatch.setattr(ace, "MusicDCAE", Dcae)
    monkeypatch.setattr(mmaudio, "AudioAutoencoder", MMAudio)
    keys = {
        "stable": "decoder.layers.1.layers.0.beta",
        "ace": "vocoder.backbone.channel_layers.0.0.bias",
        "mmaudio": "vocoder.activation_post.downsample.lowpass.filter",
    }

    def make(kind: str) -> object:
        if kind == "bare":
            return Bare()
        vae = comfy.sd.VAE(sd={keys.get(kind, keys["ace"]): torch.zeros(1)})
        if kind == "wrapped":
            vae.first_stage_model = Inner()
            vae.audio_sample_rate, vae.audio_sample_rate_output = 44100, vae.first_stage_model.output_sample_rate
        return vae

    return make


def pulses(channels: int = 2) -> dict:
    """The host's AUDIO with a pulse in each channel; mono holds both."""
    wave = torch.zeros(1, 2, round(RATE * SECONDS))
    for channel, (start, end) in enumerate(PULSES):
        wave[0, channel, round(start * RATE) : round(end * RATE)] = 0.5
    return {"waveform": wave if channels == 2 else wave.sum(1, keepdim=True), "sample_rate": RATE}


def edges(wave: Tensor, rate: int) -> tuple[float, float]:
    """When a channel `[samples]` first rises, and when it last falls, in seconds."""
    loud = (wave > 0.1).nonzero()
    return loud[0].item() / rate, (loud[-1].item() + 1) / rate


def encoded(host: Host, vae: object, audio: dict, like: dict | None = None) -> tuple[dict, str]:
    return host.call("KinetophoneEncodeAudio", audio=audio, audio_vae=vae, like=like)


def steps(latent: dict, kind: str) -> int:
    return latent["samples"].shape[2 if kind in ("wrapped", "bare") else -1]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_sound_comes_back_when_and_where_it_was(host: Host, made, kind: str, channels: int) -> None:
    vae = made(kind)
    latent, info = encoded(host, vae, pulses(channels))
    assert f"Resampled from 48000 to {16000 if kind == 'bare' else 44100} Hz" in info
    heard = host.call("KinetophoneDecodeAudio", latent=latent, audio_vae=vae)[0]
    rate = 24000 if kind in ("wrapped", "bare") else 44100
    wave = heard["waveform"][0]
    assert heard["sample_rate"] == rate and wave.shape[0] == (1 if kind == "mmaudio" else 2)
    assert SECONDS - 0.04 < wave.shape[1] / rate < SECONDS + 0.1
    whole = (PULSES[0][0], PULSES[1][1])
    for channel, wanted in zip(wave, PULSES if channels == len(wave) == 2 else (whole, whole), strict=False):
        assert edges(channel, rate) == pytest.approx(wanted, abs=EXACT)


@pytest.mark.parametrize("seconds", [0.8, 2.5])
@pytest.mark.parametrize("kind", KINDS)
def test_sound_is_cut_or_padded_to_the_length_of_another_latent(host: Host, made, kind: str, seconds: float) -> None:
    vae = made(kind)
    per_second = {"stable": 44100 / 2048, "ace": 44100 / 4096, "mmaudio": 31.25}.get(kind, 25.0)
    wanted = round(seconds * per_second)
    shape = {"stable": (64, wanted), "ace": (8, 16, wanted), "mmaudio": (20, wanted)}.get(kind, (8, wanted, 16))
    like = {"samples": torch.zeros(1, *shape), "type": "audio"}
    latent, info = encoded(host, vae, pulses(), like)
    assert latent["samples"].shape == like["samples"].shape
    lasts = wanted / per_second
    assert f"{'Cut' if seconds < SECONDS else 'Padded'} from 1.50 s to {lasts:.2f} s" in info
    heard = host.call("KinetophoneDecodeAudio", latent=latent, audio_vae=vae)[0]
    rate, wave = heard["sample_rate"], heard["waveform"][0]
    # LTX decodes three spectra less than its steps could hold.
    assert wave.shape[1] / rate == pytest.approx(lasts, abs=0.032)
    last = PULSES[kind == "mmaudio" and seconds > SECONDS][1]
    assert edges(wave[0], rate) == pytest.approx((PULSES[0][0], last), abs=EXACT)


def test_the_sound_of_a_joint_latent_gives_the_length(host: Host, made) -> None:
    import comfy.nested_tensor

    joint = comfy.nested_tensor.NestedTensor([torch.zeros(1, 128, 4, 2, 2), torch.zeros(1, 8, 30, 16)])
    for kind in ("bare", "wrapped"):
        assert steps(encoded(host, made(kind), pulses(), {"samples": joint})[0], kind) == 30


def test_a_batch_and_more_channels_than_the_model_has(host: Host, made) -> None:
    wave = pulses()["waveform"]
    several = {"waveform": torch.cat([wave, wave.roll(RATE // 4)]), "sample_rate": RATE}
    surround = {"waveform": torch.zeros(1, 6, RATE), "sample_rate": RATE}
    for kind in KINDS:
        vae = made(kind)
        heard = host.call("KinetophoneDecodeAudio", latent=encoded(host, vae, several)[0], audio_vae=vae)[0]
        starts = [edges(single[0], heard["sample_rate"])[0] for single in heard["waveform"]]
        assert starts == pytest.approx([0.5, 0.75], abs=EXACT)
        assert "first 2 of 6 channels" in encoded(host, vae, surround)[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_video_gets_its_sound_from_any_audio_vae(host: Host, made, loaded: tuple, kind: str) -> None:
    import comfy.nested_tensor

    vae = made(kind)
    sound = encoded(host, vae, pulses())[0]["samples"]
    joint = {"samples": comfy.nested_tensor.NestedTensor([torch.randn(1, 192, 5, 2, 2), sound])}
    video = host.call("KinetophoneDecode", latent=joint, video_vae=loaded[2], audio_vae=vae, fps=24.0)[0][0]
    track = video.clip.sound
    assert len(track.waveform) == (1 if kind == "mmaudio" else 2)
    assert track.waveform.shape[1] == round(33 / 24 * track.rate)
    assert edges(track.waveform[0], track.rate)[0] == pytest.approx(PULSES[0][0], abs=EXACT)


def test_latents_of_the_hosts_encoder_are_sound_whatever_their_shape(host: Host, made) -> None:
    """The host's own node gives ACE's latents, which look like pictures, without a word on what they are."""
    vae = made("ace")
    latent = {"samples": encoded(host, vae, pulses())[0]["samples"]}
    heard = host.call("KinetophoneDecodeAudio", latent=latent, audio_vae=vae)[0]
    assert edges(heard["waveform"][0, 0], 44100) == pytest.approx(PULSES[0], abs=EXACT)


def test_a_vae_that_does_not_tell_its_steps_still_cuts(host: Host, made) -> None:
    vae = made("stable")
    vae.downscale_ratio, vae.crop_input = None, False
    latent, info = encoded(host, vae, pulses(), {"samples": torch.zeros(1, 64, 20)})
    assert latent["samples"].shape[-1] == 20 and "Cut to 20 steps" in info
    with pytest.raises(ValueError, match="32 of the 90 steps"):
        encoded(host, vae, pulses(), {"samples": torch.zeros(1, 64, 90)})


def test_what_does_not_belong_together_is_refused(host: Host, made, loaded: tuple) -> None:
    picture, sound = torch.zeros(1, 192, 2, 2, 2), torch.zeros(1, 64, 9)
    with pytest.raises(ValueError, match=r"`like` .*64 channels.*8"):
        encoded(host, made("ace"), pulses(), {"samples": sound})
    with pytest.raises(ValueError, match="`like` has no sound"):
        encoded(host, loaded[3], pulses(), {"samples": picture})
    for vae in (made("ace"), made("bare")):
        with pytest.raises(ValueError, match=r"64 channels.*8"):
            host.call("KinetophoneDecodeAudio", latent={"samples": sound}, audio_vae=vae)
    for vae in (None, image_vae(), loaded[2]):
        with pytest.raises(ValueError, match="audio VAE is needed"):
            encoded(host, vae, pulses())
        with pytest.raises(ValueError, match="audio VAE is needed"):
            host.call("KinetophoneDecodeAudio", latent={"samples": sound}, audio_vae=vae)


def image_vae() -> object:
    """A VAE of the host that decodes single pictures."""
    import comfy.sd

    return comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)})


def test_a_picture_needs_a_video_vae(host: Host, made, loaded: tuple) -> None:
    latent = {"samples": torch.zeros(1, 192, 2, 2, 2)}
    video = host.call("CreateVideo", images=torch.rand(9, 64, 64, 3), fps=24.0, audio=None)[0]
    for vae in (None, image_vae(), made("stable"), made("bare"), loaded[3]):
        with pytest.raises(ValueError, match=r"video VAE is needed.*still images.*VAE Decode"):
            host.call("KinetophoneDecode", latent=latent, video_vae=vae, audio_vae=None, fps=24.0)
        with pytest.raises(ValueError, match=r"video VAE is needed.*still images.*VAE Encode"):
            host.call("KinetophoneEncodeVideo", video=video, video_vae=vae)


def test_video_vaes_of_the_host_make_and_take_videos(host: Host, loaded: tuple) -> None:
    import comfy.sd

    foreign = object.__new__(comfy.sd.VAE)
    foreign.__dict__.update(loaded[2].__dict__)
    video = host.call("CreateVideo", images=torch.rand(9, 64, 64, 3), fps=24.0, audio=None)[0]
    latents, shown = [], []
    for vae in (loaded[2], foreign):
        latents.append(host.call("KinetophoneEncodeVideo", video=video, video_vae=vae)[0])
        made = host.call("KinetophoneDecode", latent=latents[0], video_vae=vae, audio_vae=None, fps=24.0)[0][0]
        shown.append(torch.cat(list(made.clip.frames())).float())
    assert torch.allclose(latents[0]["samples"], latents[1]["samples"], atol=1e-4)
    assert shown[0].shape == (9, 64, 64, 3) and (shown[0] - shown[1]).abs().max() <= 1


# LTX-Video's autoencoder with few layers: 32 x 32 pixels a cell, 8 frames a step after the first.
LTX_VIDEO = {
    "dims": 3,
    "latent_channels": 128,
    "blocks": [["compress_all", 1], ["res_x_y", 1], ["compress_all", 1], ["res_x_y", 1], ["compress_all", 1]],
    "norm_layer": "pixel_norm",
    "patch_size": 4,
    "latent_log_var": "uniform",
}


@pytest.fixture
def ltx_video(host: Host, loaded: tuple) -> object:
    """The host's VAE around its own network for LTX-Video."""
    import comfy.model_patcher
    import comfy.sd
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import VideoVAE

    vae = object.__new__(comfy.sd.VAE)
    vae.__dict__.update(loaded[2].__dict__)
    vae.first_stage_model = VideoVAE(config=LTX_VIDEO).eval().requires_grad_(False)
    cpu = torch.device("cpu")
    vae.patcher = comfy.model_patcher.ModelPatcher(vae.first_stage_model, load_device=cpu, offload_device=cpu)
    return vae


@torch.inference_mode()
@pytest.mark.parametrize(("frames", "taken"), [(1, 1), (9, 9), (12, 9), (24, 17)])
def test_a_vae_of_the_host_takes_a_video_of_any_length(host: Host, ltx_video: object, frames: int, taken: int) -> None:
    images = torch.rand(frames, 64, 100, 3)
    video = host.call("CreateVideo", images=images, fps=25.0, audio=None)[0]
    latent, info = host.call("KinetophoneEncodeVideo", video=video, video_vae=ltx_video)
    assert latent["samples"].shape == (1, 128, (taken - 1) // 8 + 1, 2, 3)
    assert "Size: 100 x 64 cropped to 96 x 64" in info
    assert (f"cut from {frames} to {taken} frames" in info) == (frames != taken)


def test_a_video_too_small_for_a_vae_is_refused(host: Host, ltx_video: object) -> None:
    video = host.call("CreateVideo", images=torch.rand(9, 20, 64, 3), fps=24.0, audio=None)[0]
    with pytest.raises(ValueError, match=r"64 x 20 .*32 x 32"):
        host.call("KinetophoneEncodeVideo", video=video, video_vae=ltx_video)


@torch.inference_mode()
def test_a_vae_of_the_host_decodes_a_video_once(host: Host, ltx_video: object, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, calls = ltx_video.decode, []
    monkeypatch.setattr(ltx_video, "decode", lambda latent: calls.append(latent) or decode(latent))
    latent = {"samples": torch.randn(1, 128, 2, 2, 2)}
    video = host.call("KinetophoneDecode", latent=latent, video_vae=ltx_video, audio_vae=None, fps=24.0)[0][0]
    assert not calls
    first, again = (torch.cat(list(video.clip.frames())) for _ in range(2))
    part = torch.cat(list(video.clip.frames(2, 4)))
    assert first.shape == (9, 64, 64, 3) and first.equal(again) and first[2:4].equal(part)
    assert len(calls) == 1


@pytest.mark.parametrize(("fps", "told"), [(24000 / 1001, "23.976"), (30000 / 1001, "29.97"), (30.0, "30")])
def test_frame_rates_are_told_exactly_enough(host: Host, loaded: tuple, fps: float, told: str) -> None:
    video = host.call("CreateVideo", images=torch.rand(9, 64, 64, 3), fps=fps, audio=None)[0]
    info = host.call("KinetophoneEncodeVideo", video=video, video_vae=loaded[2])[1]
    assert f"Frame rate: {told} to 24 frames a second" in info
