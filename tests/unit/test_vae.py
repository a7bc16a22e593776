from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kinetophone.pipelines.model.config import DEBUG
from kinetophone.pipelines.vae.audio import AudioAutoencoder
from kinetophone.pipelines.vae.linear import LinearCodec
from kinetophone.pipelines.vae.mel import inverse_spectrum, log_mel, mel_filters, spectrum
from kinetophone.pipelines.vae.motion import halfway
from kinetophone.pipelines.vae.video import VideoAutoencoder


def smooth_video(frames: int, height: int = 64, width: int = 96) -> torch.Tensor:
    """A moving gradient in -1..1."""
    t, y, x = (torch.linspace(0, 1, n) for n in (frames, height, width))
    waves = torch.sin(3 * x[None, None] + 2 * y[None, :, None] + 2 * t[:, None, None])
    return torch.stack((waves, 0.9 * waves, 0.8 * waves))[None]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_streamed_decode_equals_whole_decode_exactly(networks, steps: int) -> None:
    vae: VideoAutoencoder = networks["video"]
    latent = torch.randn(1, DEBUG.video.channels, steps, 2, 4, generator=torch.Generator().manual_seed(2))
    whole = vae.decode(latent)
    assert whole.shape == (1, 3, DEBUG.grid.frames(steps), 64, 128)
    assert torch.equal(torch.cat(list(vae.decode_frames(latent)), dim=2), whole)
    assert torch.allclose(vae.reconstruct(latent), whole, atol=1e-5)


def test_decoder_is_causal_and_can_start_anywhere(networks) -> None:
    vae: VideoAutoencoder = networks["video"]
    latent = torch.randn(1, DEBUG.video.channels, 6, 2, 2)
    changed = latent.clone()
    changed[:, :, 4:] += 1
    first, second = vae.decode(latent), vae.decode(changed)
    border = DEBUG.grid.step_frames(4)[0]
    assert torch.equal(first[:, :, :border], second[:, :, :border])
    assert not torch.equal(first[:, :, border:], second[:, :, border:])
    assert torch.equal(
        torch.cat(list(vae.decode_frames(latent, 3)), dim=2), first[:, :, DEBUG.grid.step_frames(3)[0] :]
    )


def test_smooth_pictures_survive_the_codec() -> None:
    vae = VideoAutoencoder(DEBUG.video, DEBUG.grid)
    vae.decoder.reset_parameters()
    video = smooth_video(17)
    made = vae.decode(vae.encode(video))
    assert float((made - video).detach().square().mean()) < 2e-3


def test_encoding_is_differentiable_both_ways(networks) -> None:
    video = smooth_video(9).requires_grad_()
    networks["video"].decode(networks["video"].encode(video)).square().sum().backward()
    assert video.grad is not None and video.grad.any()


def test_what_moves_is_found_half_way() -> None:
    texture = torch.rand(1, 3, 32, 80, generator=torch.Generator().manual_seed(0)) * 2 - 1
    earlier, middle, later = (texture[..., start : start + 64] for start in (0, 3, 6))
    inside = (..., slice(8, -8))
    along = (halfway(earlier, later) - middle)[inside].square().mean()
    assert float(along) < 0.05 * float(((earlier + later) / 2 - middle)[inside].square().mean())
    assert torch.allclose(halfway(middle, middle), middle, atol=0.02)


def test_what_matches_nowhere_is_averaged() -> None:
    flash, dark = torch.ones(1, 3, 16, 16), -torch.ones(1, 3, 16, 16)
    assert torch.allclose(halfway(flash, dark), torch.zeros(1, 3, 16, 16), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 3, 8, 64, 64), "8 k \\+ 1"), ((1, 3, 9, 60, 64), "multiples of 32"), ((1, 3, 64), "takes")],
)
def test_pixels_off_the_grid_are_refused(networks, shape: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        networks["video"].encode(torch.zeros(shape))


def test_bad_latents_are_refused(networks) -> None:
    with pytest.raises(ValueError, match="NaN"):
        networks["video"].decode(torch.full((1, DEBUG.video.channels, 1, 2, 2), float("nan")))
    with pytest.raises(ValueError, match="192, steps"):
        networks["video"].decode(torch.zeros(1, 16, 1, 2, 2))
    with pytest.raises(ValueError, match="NaN"):
        networks["audio"].decode(torch.full((1, 64, 3), float("inf")))
    with pytest.raises(ValueError, match="mono"):
        networks["audio"].encode(torch.zeros(1, 2, 4000))


def test_spectrum_is_inverted_exactly() -> None:
    wave = torch.randn(2, 256 * 40)
    again = inverse_spectrum(spectrum(wave, 1024, 256), 256)
    assert torch.allclose(again[:, 1024:-1024], wave[:, 1024:-1024], atol=1e-4)


def test_mel_frames_are_centred_on_their_hop() -> None:
    wave = torch.zeros(1, 256 * 20)
    wave[0, 256 * 10 + 128] = 1
    mel = log_mel(wave, mel_filters(80, 1024, 24000), 256)
    assert int(mel.mean(1).argmax()) == 10


def test_a_click_stays_in_place_and_a_tone_keeps_its_pitch() -> None:
    audio = AudioAutoencoder(DEBUG.audio, DEBUG.grid).eval()
    audio.vocoder.reset_parameters()
    time = torch.arange(24000) / 24000
    click = torch.zeros(1, 1, 24000)
    click[..., 12000:12040] = torch.linspace(0.9, 0, 40)
    heard = audio.decode(audio.encode(click))[0, 0]
    assert abs(int(heard.abs().argmax()) - 12000) < 24 * 6
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * time)[None, None]
    power = torch.fft.rfft(audio.decode(audio.encode(tone))[0, 0, 4000:20000]).abs()
    assert float(power.argmax()) * 24000 / 16000 == pytest.approx(440, rel=0.06)


def test_silence_stays_silent() -> None:
    audio = AudioAutoencoder(DEBUG.audio, DEBUG.grid).eval()
    audio.vocoder.reset_parameters()
    assert float(audio.decode(audio.encode(torch.zeros(1, 1, 6000))).detach().abs().max()) < 5e-3


def test_fitted_codec_beats_the_cosine_basis_on_its_own_data() -> None:
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(4000, 6, generator=generator) @ torch.randn(6, 64, generator=generator) + 3
    codec = LinearCodec((4, 16), 6)
    before = (codec.decode(codec.encode(mixed)) - mixed).square().mean()
    codec.fit(mixed)
    assert float((codec.decode(codec.encode(mixed)) - mixed).square().mean()) < 1e-4 < float(before)
    assert float(codec.encode(mixed).square().mean()) == pytest.approx(1, rel=0.1)


def test_buffers_follow_what_they_work_on() -> None:
    """A host that offloads layers moves no buffers: they stay behind when every weight is elsewhere."""
    audio = AudioAutoencoder(DEBUG.audio, DEBUG.grid)
    for layer in audio.modules():
        for name, weight in list(layer.named_parameters(recurse=False)):
            setattr(layer, name, torch.nn.Parameter(weight.to("meta")))
    latent = audio.encode(torch.zeros(1, 1, 5000, device="meta"))
    assert audio.vocoder.log_magnitude(audio.decode_mel(latent)).device.type == "meta"


def test_an_extended_codec_keeps_its_channels_and_loses_less() -> None:
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(4000, 10, generator=generator) @ torch.randn(10, 64, generator=generator) + 3
    narrow, wide = LinearCodec((4, 16), 4), LinearCodec((4, 16), 10)
    narrow.fit(mixed)
    wide.extend(narrow, mixed)
    coefficients = wide.encode(mixed)
    assert torch.equal(coefficients[:, :4], narrow.encode(mixed))
    assert float((wide.decode(coefficients) - mixed).square().mean()) < 1e-4
    padded = torch.cat((coefficients[:, :4], torch.zeros(len(mixed), 6)), dim=1)
    assert torch.allclose(wide.decode(padded), narrow.decode(coefficients[:, :4]), atol=1e-5)
    # Finer channels are weaker, and not all of one size: scaling goes on as it began.
    deviations = coefficients.std(0)
    assert deviations.diff().max() < 0.05 and float(deviations[-1]) < float(deviations[4])


@pytest.fixture(scope="module")
def learned() -> tuple[VideoAutoencoder, AudioAutoencoder]:
    """The autoencoders of BASE, at the size of DEBUG."""
    torch.manual_seed(0)
    video = VideoAutoencoder(replace(DEBUG.video, encoder="causal", depth=2), DEBUG.grid)
    return video, AudioAutoencoder(replace(DEBUG.audio, encoder="causal", depth=2), DEBUG.grid)


def test_learned_encoders_are_causal(learned) -> None:
    video, changed = smooth_video(33), smooth_video(33)
    changed[:, :, 17:] += 0.5
    first, second = (learned[0].encode(v) for v in (video, changed))
    assert torch.allclose(first[:, :, :3], second[:, :, :3], atol=1e-6) and not torch.allclose(
        first[:, :, 3], second[:, :, 3]
    )
    wave = torch.randn(1, 1, 1536 * 6)
    later = wave.clone()
    later[..., 1536 * 4 :] = 0
    first, second = (learned[1].encode(w) for w in (wave, later))
    # The spectrogram's window reaches over one border.
    assert torch.allclose(first[..., :3], second[..., :3], atol=1e-5) and not torch.allclose(
        first[..., 5], second[..., 5]
    )


def test_learned_autoencoders_stream_and_have_unit_power(learned) -> None:
    latent = learned[0].encode(smooth_video(25))
    assert float(latent.detach().square().mean(1).min()) > 0.9
    assert torch.equal(torch.cat(list(learned[0].decode_frames(latent)), 2), learned[0].decode(latent))


def test_learned_encoders_learn(learned) -> None:
    video, audio = learned
    target, mel = smooth_video(17), audio.mel(torch.randn(1, 1, 1536 * 4))
    for network, loss in (
        (video, lambda: (video.decode_base(video.encode(target)) - video.base(target[:, :, ::2])).square().mean()),
        (audio, lambda: (audio.decode_mel(audio.encode(wave)) - mel).square().mean()),
    ):
        wave = torch.randn(1, 1, 1536 * 4)
        mel = audio.mel(wave)
        optimizer = torch.optim.AdamW(network.codec.parameters(), lr=3e-3)
        before = float(loss().detach())
        for _ in range(40):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        assert float(loss().detach()) < 0.5 * before
