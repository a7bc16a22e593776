"""Speech in a real graph: said at its time, kept by the sampler, mixed into the file at full quality."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from harness import Failed, Host
from test_nodes import graph, link, saved

BOARD = '0-2 a red ball bounces | ANNA@0.5: "Look, it jumps!"'


def dialogue(board: str = BOARD, voices: str = "") -> dict:
    inputs = {"screenplay": link("board"), "voices": voices, "pace": 1.0, "hurry": True, "seed": 0}
    mix = {
        "video": link("decode"), "audio": link("speak"), "own_level": -60.0, "added_level": 0.0, "start": 0.0,
        "fade_in": 0.0, "fade_out": 0.0, "loudness": "as it is", "channels": "as they are", "rate": "as it is",
    }  # fmt: skip
    return {
        **graph(latent={"seconds": 2.0}, sampler={"latent": link("joined")}, save={"video": link("mix")}),
        "board": {"class_type": "KinetophoneStoryboard", "inputs": {"storyboard": board, "blend": 0.0}},
        "speak": {"class_type": "KinetophoneSpeak", "inputs": inputs},
        "sound": {
            "class_type": "KinetophoneEncodeAudio",
            "inputs": {"audio": link("speak"), "audio_vae": link("load", 3), "like": link("latent"), "keep": True},
        },
        "joined": {"class_type": "KinetophoneConcatAV", "inputs": {"video": link("latent"), "audio": link("sound")}},
        "mix": {"class_type": "KinetophoneMixSound", "inputs": mix},
    }


def test_a_line_is_heard_in_the_file_at_its_time(host: Host, base: Path) -> None:
    outputs = host.run(dialogue())
    assert "ANNA (woman): Look, it jumps!" in outputs["speak"]["text"][0]
    with av.open(str(saved(base, outputs)[0])) as container:
        stream = container.streams.audio[0]
        assert stream.rate == 24_000
        wave = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)[0]
    first = np.flatnonzero(np.abs(wave) > 0.1 * np.abs(wave).max())[0] / 24_000
    assert first == pytest.approx(0.5, abs=0.06)
    assert np.abs(wave[: int(0.45 * 24_000)]).max() < 0.02


def test_kept_sound_is_what_was_given_and_the_picture_is_made(host: Host, loaded: tuple) -> None:
    model, clip, _, audio_vae = loaded
    latent = host.call("KinetophoneEmptyLatent", aspect="custom", width=128, height=64, seconds=1.0, batch=1)[0]
    tone = torch.sin(torch.arange(24_000) * 0.2)[None, None] * 0.3
    sound = host.call(
        "KinetophoneEncodeAudio", audio={"waveform": tone, "sample_rate": 24_000}, audio_vae=audio_vae, like=latent,
        keep=True,
    )[0]  # fmt: skip
    joined = host.call("KinetophoneConcatAV", video=latent, audio=sound)[0]
    positive = host.call("CLIPTextEncode", clip=clip, text="a red ball")[0]
    made = host.call(
        "KSampler", model=model, seed=1, steps=2, cfg=1.0, sampler_name="euler", scheduler="simple", positive=positive,
        negative=positive, latent_image=joined, denoise=1.0,
    )[0]["samples"].unbind()  # fmt: skip
    assert torch.allclose(made[1], sound["samples"], atol=1e-4)
    assert made[0].std() > 0.1


def test_word_times_come_with_it_and_mistakes_are_named(host: Host) -> None:
    board = host.call("KinetophoneStoryboard", storyboard=BOARD, blend=0.0)[0]
    audio, timing, _ = host.call("KinetophoneSpeak", screenplay=board, voices="", pace=1.0, hurry=True, seed=0)
    assert audio["waveform"].shape == (1, 1, 48_000)
    words = json.loads(timing)["lines"][0]["words"]
    assert [word["text"] for word in words] == ["Look", "it", "jumps"]
    assert words[0]["start"] == pytest.approx(0.5, abs=0.04)
    with pytest.raises(Failed, match="Line 1 of the voices"):
        host.run(dialogue(voices="ANNA is a woman"))
    with pytest.raises(Failed, match="Nobody speaks"):
        host.run(dialogue("0-2 a red ball bounces"))
