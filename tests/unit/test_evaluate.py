from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch._subclasses.fake_tensor import FakeTensorMode
from weights import write_checkpoint

from kinetophone.pipelines import world
from kinetophone.pipelines.model.config import DEBUG
from kinetophone.pipelines.train import evaluate as evaluation
from kinetophone.pipelines.train.__main__ import main
from kinetophone.pipelines.train.checkpoint import load_averaged
from kinetophone.pipelines.train.config import RunConfig
from kinetophone.pipelines.train.data import Bucket, clip_scenes
from kinetophone.pipelines.train.detector import (
    ACTS,
    LANDED,
    Detector,
    Reading,
    Track,
    load_detector,
    region_flow,
    trace,
)
from kinetophone.pipelines.train.loop import train
from kinetophone.pipelines.train.measure import (
    STRAY,
    Clips,
    Meter,
    Tally,
    frechet,
    onset_times,
    peak_times,
    ring_pitch,
    voice_lag,
)
from kinetophone.pipelines.train.tasks import make_task
from kinetophone.pipelines.vae.audio import AudioAutoencoder
from kinetophone.pipelines.weights.adapter import base_of, save_adapter
from kinetophone.pipelines.weights.checkpoint import read_checkpoint
from kinetophone.pipelines.world.scene import BEACON

GRID = DEBUG.grid


def test_contacts_are_found_between_the_samples() -> None:
    t = torch.arange(25) / 12
    height = -(torch.sin(math.pi * (t - 0.13) / 0.6).abs()) * 0.2
    contacts = peak_times(height, 12, 0.025)
    wanted = torch.tensor([0.13, 0.73, 1.33])
    near = (contacts[:, None] - wanted).abs().amin(0)
    assert float(near.max()) < 0.03
    assert len(peak_times(torch.zeros(25), 12, 0.025)) == 0


def test_clicks_are_found_and_silence_has_none(networks) -> None:
    wave = torch.zeros(1, 1, 24000)
    for at in (0.25, 0.6):
        wave[..., int(at * 24000)] = 0.9
    audio: AudioAutoencoder = networks["audio"]
    onsets = onset_times(audio.mel(wave)[0], GRID.hop / GRID.sample_rate)
    assert len(onsets) == 2
    assert float((onsets - torch.tensor([0.25, 0.6])).abs().max()) < 0.025
    assert len(onset_times(audio.mel(torch.zeros(1, 1, 24000))[0], 0.01)) == 0


@pytest.mark.parametrize("hertz", [140.0, 440.0, 1900.0])
def test_the_pitch_of_a_ring_is_told(hertz: float) -> None:
    t = torch.arange(12000) / 24000
    wave = torch.cat((torch.zeros(2400), torch.sin(2 * math.pi * hertz * t) * torch.exp(-t / 0.1)))
    rung = ring_pitch(wave, torch.tensor([0.1]), 24000)
    assert abs(math.log2(rung / hertz)) < 0.05
    assert ring_pitch(torch.zeros(24000), torch.tensor([0.1]), 24000) is None


def test_a_mouth_that_follows_the_voice_is_told_from_one_that_comes_late() -> None:
    generator = torch.Generator().manual_seed(0)
    # Syllables of unequal length and gaps, so that no other lag fits as well.
    loud = torch.zeros(96)
    for begin, end in ((8, 14), (22, 26), (33, 44), (55, 58), (66, 80)):
        loud[begin:end] = 1
    wave = torch.randn(48000, generator=generator) * loud.repeat_interleave(500) * 0.3

    def lag(late: int) -> float:
        light = 0.01 * torch.randn(24, 8, 14, generator=generator)
        light[:, 3, 5] -= 0.5 * loud.roll(late)[::4]
        return voice_lag(light, wave, 12.0, 24000)

    assert abs(lag(0)) < 0.03
    assert lag(12) == pytest.approx(-0.25, abs=0.03)


def test_frechet_distance_is_zero_on_itself_and_grows_with_a_shift() -> None:
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(500, 6, generator=g), torch.randn(500, 6, generator=g)
    assert frechet(a, a) < 1e-6
    assert frechet(a, b + 2) == pytest.approx(24, rel=0.15)


class Oracle(Detector):
    """Says what the labels say, or always the first class: the tally must tell the two apart."""

    def __init__(self, scenes: world.Scenes, honest: bool) -> None:
        super().__init__(80)
        self.wanted, self.maps, self.honest = world.labels(scenes), scenes, honest

    def _hot(self, index: torch.Tensor, count: int) -> torch.Tensor:
        return torch.nn.functional.one_hot(index if self.honest else index * 0, count).float() * 20

    def see(self, frames: torch.Tensor) -> Reading:
        motion = world.simulate(self.maps)
        times = torch.arange(frames.shape[1]) / 12
        seen = world.object_map(self.maps, motion, times, 16, 28)
        slot = seen.clamp_min(0).flatten(1)
        cells = {}
        for name in ("colour", "shape"):
            value = getattr(self.maps, name).gather(1, slot).view_as(seen) + 1
            classes = len(world.LABEL_NAMES[name]) + 1
            cells[name] = self._hot(torch.where(seen < 0, 0, value), classes).movedim(-1, 2)
        scene = {
            n: self._hot(self.wanted[n], len(world.LABEL_NAMES[n])) for n in ("sky", "ground", "weather", "camera")
        }
        return Reading(cells, scene, torch.randn(*frames.shape[:2], 4, 16, 28))

    def follow(self, reading: Reading, frames: torch.Tensor, colour: torch.Tensor) -> Track:
        blank = replace(reading, features=torch.zeros(*frames.shape[:2], 96, 16, 28))
        track = super().follow(blank, frames, colour)
        slot = (self.wanted["colour"] == colour[:, None]).long().argmax(1, keepdim=True)
        meant = {name: self.wanted[name].gather(1, slot)[:, 0].clamp_min(0) for name in ACTS}
        acts = {name: self._hot(index, len(world.LABEL_NAMES[name])) for name, index in meant.items()}
        return Track(track.x, track.y, track.area, acts)

    def hear(self, mel: torch.Tensor) -> torch.Tensor:
        return self.wanted["sound"] - 0.5 if self.honest else torch.ones_like(self.wanted["sound"])


def test_the_flow_of_regions_tells_how_a_picture_moves() -> None:
    """A pattern that moves 0.7 pixels a frame to the right, then one that grows."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(112.0), indexing="ij")
    t = torch.arange(12.0)[:, None, None]

    def clip(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (torch.sin(x / 3) * torch.cos(y / 4))[None, :, None].expand(1, -1, 3, -1, -1) * 0.5

    regions = region_flow(clip(x - 0.7 * t, y + 0 * t)).unflatten(1, (2, 2, -1))
    assert torch.allclose(regions[0, :, 0].mean(-1), torch.full((2,), 0.7), atol=0.15)
    assert float(regions[0, :, 1].abs().mean()) < 0.1
    scale = 1.01**t
    grown = region_flow(clip((x - 56) / scale, (y - 32) / scale)).unflatten(1, (2, 2, 4, 6))[0, 1]
    assert (grown[0, :, 5] > 0.1).all() and (grown[0, :, 0] < -0.1).all()
    assert (grown[1, 3] > 0.05).all() and (grown[1, 0] < -0.05).all()


def tally_of(networks, honest: bool) -> Tally:
    scenes = clip_scenes(GRID, Bucket.parse("7x8x14"), 40, 3)
    motion = world.simulate(scenes)
    frames = torch.zeros(40, 25, 3, 64, 112)
    wave = world.synthesise(scenes, motion, GRID.samples(49), GRID.sample_rate)
    tally = Tally()
    clips = Clips(frames, wave, torch.tensor([STRAY - 1, STRAY + 1]).repeat(20))
    Meter(Oracle(motion.scenes, honest), networks["audio"], GRID).measure(clips, motion.scenes, tally)
    return tally


def test_a_perfect_detector_finds_real_clips_right(networks) -> None:
    tally = tally_of(networks, honest=True)
    for name in ("sky", "ground", "weather", "camera", "colour", "action", "direction"):
        assert tally.percent(name) == 100, name
    # Objects may hide one another, or be cut off by the frame.
    assert tally.percent("shape") > 90 and tally.percent("count") > 80
    assert tally.balanced("sound") == 100
    assert tally.quantile("apart", 0.5) < 0.1
    assert tally.quantile("pitch", 0.5) < 0.1
    assert tally.percent("stray") == 50


def test_a_blind_detector_finds_them_wrong(networks) -> None:
    tally = tally_of(networks, honest=False)
    assert tally.percent("colour") < 40 and tally.percent("action") < 40 and tally.balanced("sound") == 50
    assert math.isnan(tally.percent("nothing of that name"))


def test_evaluation_writes_a_table_and_sheets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = write_checkpoint(tmp_path / "candidate.safetensors", DEBUG)
    monkeypatch.setattr(evaluation, "load_detector", lambda path, mels: Detector(mels).eval())
    monkeypatch.setattr(evaluation, "BATCH", 2)
    adapter, base = tmp_path / "turbo.safetensors", base_of(read_checkpoint(weights))
    save_adapter(adapter, {}, base, steps=2, guidance=3.0, licence="none")
    settings = evaluation.Settings(clips=4, steps=2, bucket="2x2x2", few=1, turbo=adapter)
    text = evaluation.evaluate(tmp_path / "card.md", [weights], Path("unused"), settings)
    assert (tmp_path / "card.md").read_text("utf-8") == text
    assert (
        "| | real clips | autoencoder | candidate | candidate, 1 step | candidate, turbo |" in text
        and "binding" in text
    )
    assert (tmp_path / "card-candidate.png").stat().st_size > 500
    digest = read_checkpoint(weights).digest
    assert main(["label", str(weights), str(tmp_path / "card.json")]) == 0
    labelled = read_checkpoint(weights)
    assert labelled.digest == digest and "| sky, % |" in text and 0 <= labelled.metrics["sky, %"] <= 100
    weights.rename(tmp_path / "other.safetensors")
    assert main(["label", str(tmp_path / "other.safetensors"), str(tmp_path / "card.json")]) == 2


def test_prompts_come_in_the_form_that_is_asked_for() -> None:
    """The same scenes, said in full sentences or loosely, and the table says which."""
    cases = {
        form: evaluation.make_case(DEBUG.grid, evaluation.Settings(bucket="2x2x2", form=form), 7)
        for form in ("dense", "loose")
    }
    dense, loose = cases["dense"], cases["loose"]
    assert torch.equal(dense.scenes.colour, loose.scenes.colour) and torch.equal(dense.clips.wave, loose.clips.wave)
    assert all(prompt.endswith(".") for prompt in dense.prompts) and not any("." in prompt for prompt in loose.prompts)
    assert "held-out loose prompts" in evaluation.table([], [], evaluation.Settings(form="loose"))


def test_two_processes_measure_what_one_does(tmp_path: Path) -> None:
    weights = write_checkpoint(tmp_path / "candidate.safetensors", DEBUG)
    torch.manual_seed(1)
    blank = {f"ema.{name}": value for name, value in Detector(DEBUG.audio.mels).state_dict().items()}
    save_file(blank, tmp_path / "blank.safetensors")
    settings = evaluation.Settings(clips=20, steps=1, bucket="2x2x2")
    for jobs in (1, 2):
        some = replace(settings, jobs=jobs)
        evaluation.evaluate(tmp_path / f"{jobs}.md", [weights], tmp_path / "blank.safetensors", some)
    one, two = (json.loads((tmp_path / f"{jobs}.json").read_text()) for jobs in (1, 2))
    assert one.keys() == two.keys() and len(one["candidate"]) > 8
    for name, column in one.items():
        assert two[name] == pytest.approx(column, abs=0.002, rel=0.01), name


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--jobs", "0"], "jobs must be at least 1; got 0"),
        (["--bucket", "7x8"], "steps x rows x columns"),
        (["--clips", "5"], "clips must be a multiple; got 5"),
        (["--clips", "505"], "clips must be a multiple; got 505"),
        (["--steps", "0"], "steps must be at least 1"),
        ([], "none.safetensors cannot be read: there is no such file"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, more: list[str], told: str
) -> None:
    assert main(["evaluate", str(tmp_path / "card.md"), str(tmp_path / "none.safetensors"), *more]) == 2
    assert told in caplog.text


def test_checkpoints_of_the_same_name_have_columns_of_their_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [tmp_path / name for name in ("a/x/last.safetensors", "b/x/last.safetensors", "b/last.safetensors", "c.d")]
    assert list(evaluation.columns_of(paths)) == ["a/x/last", "b/x/last", "b/last", "c"]
    assert list(evaluation.columns_of(paths[2:])) == ["last", "c"]
    paths[2].parent.mkdir()
    write_checkpoint(paths[2], DEBUG)
    table = tmp_path / "table.json"
    table.write_text(json.dumps({"a/last": {"sky, %": 1.0}, "b/last": {"sky, %": 2.0}}))
    assert main(["label", str(paths[2]), str(table)]) == 0 and read_checkpoint(paths[2]).metrics == {"sky, %": 2.0}
    assert (
        main(["evaluate", str(tmp_path / "t.md"), str(paths[2]), str(tmp_path / "b" / ".." / "b" / "last.safetensors")])
        == 2
    )
    assert "are one file: name each once" in caplog.text


def test_a_detector_goes_on_from_one_of_a_smaller_world(tmp_path: Path) -> None:
    torch.manual_seed(1)
    old = {f"ema.{name}": value for name, value in Detector(DEBUG.audio.mels).state_dict().items()}
    old["ema.stills.cells.shape.weight"] = old["ema.stills.cells.shape.weight"][:3].clone()
    old["ema.sound_out.weight"] = old["ema.sound_out.weight"][:3].clone()
    save_file(old, tmp_path / "old.safetensors")
    codec = write_checkpoint(tmp_path / "codec.safetensors", DEBUG)
    options = {"codec": str(codec), "init": str(tmp_path / "old.safetensors")}
    stills = make_task(RunConfig("stills", str(tmp_path), 1, model="debug", options=options)).model()
    assert torch.equal(stills.stem[0].weight, old["ema.stills.stem.0.weight"])
    assert len(stills.cells["shape"].weight) == len(world.LABEL_NAMES["shape"]) + 1
    save_file({f"ema.{name}": value for name, value in stills.state_dict().items()}, tmp_path / "stills.safetensors")
    options["stills"] = str(tmp_path / "stills.safetensors")
    grown = make_task(RunConfig("tracks", str(tmp_path), 1, model="debug", options=options)).model()
    assert torch.equal(grown.track[0].weight, old["ema.track.0.weight"])
    assert len(grown.sound_out.weight) == len(world.LABEL_NAMES["sound"])


def test_the_detector_learns_to_see_and_then_to_follow(tmp_path: Path) -> None:
    """Both parts on one shard of the world: the second leaves the first as it is, and what they make can be loaded."""
    codec = write_checkpoint(tmp_path / "codec.safetensors", DEBUG)
    options = {"codec": str(codec), "pool": str(tmp_path / "pool"), "bucket": "2x2x4", "clips": 8, "shards": 1}
    made = {}
    for name, more in (("stills", {"batch": 8}), ("tracks", {"stills": str(tmp_path / "stills" / "last.safetensors")})):
        run = RunConfig(name, str(tmp_path / name), 40, model="debug", precision="fp32", adam_rate=2e-3, muon_rate=0.0,
                        warmup=2, options={**options, **more})  # fmt: skip
        train(make_task(run), run)
        made[name] = load_averaged(tmp_path / name / "last.safetensors")
        losses = [float(line.split(",")[1]) for line in (tmp_path / name / "loss.csv").read_text().splitlines()[1:]]
        assert losses[-1] < 0.8 * losses[0], name
    assert all(torch.equal(made["tracks"][f"stills.{key}"], value) for key, value in made["stills"].items())
    kept = tmp_path / "kept.safetensors"
    assert main(["average", str(kept), str(tmp_path / "tracks" / "last.safetensors")]) == 0
    for name, value in load_detector(kept, DEBUG.audio.mels).state_dict().items():
        assert torch.allclose(value, made["tracks"][name], rtol=1e-3, atol=1e-4), name
    assert kept.stat().st_size < (tmp_path / "tracks" / "last.safetensors").stat().st_size / 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_detector_computes_in_the_type_that_it_is_trained_in(dtype: torch.dtype) -> None:
    detector = Detector(DEBUG.audio.mels).to(dtype)
    frames, mel = torch.zeros(2, 9, 3, 16, 28, dtype=dtype), torch.zeros(2, DEBUG.audio.mels, 40, dtype=dtype)
    reading = detector.see(frames)
    track = detector.follow(reading, frames, torch.tensor([0, 1]))
    assert track.acts["direction"].shape == (2, 3) and track.acts["direction"].dtype == dtype
    assert detector.hear(mel).shape == (2, len(world.LABEL_NAMES["sound"])) and reading.features.dtype == dtype


def test_the_detector_makes_nothing_on_another_device_than_its_own() -> None:
    """On tensors of a pretended accelerator, which refuse those of the CPU beside them."""
    with FakeTensorMode():
        with torch.device("cuda"):
            detector = Detector(DEBUG.audio.mels).eval()
            frames, colour = torch.zeros(2, 9, 3, 16, 28), torch.zeros(2, dtype=torch.long)
            mel = torch.zeros(2, DEBUG.audio.mels, 40)
        reading = detector.see(frames)
        track = detector.follow(reading, frames, colour)
        made = (*track.acts.values(), track.y, reading.features, detector.hear(mel))
        assert {value.device.type for value in made} == {"cuda"}
        brought = track.cpu()
        assert {value.device.type for value in (*brought.acts.values(), brought.x, brought.y)} == {"cpu"}
        with pytest.raises(RuntimeError, match="different devices"):
            detector.follow(reading, frames.cpu(), colour)


def test_what_turns_in_its_place_is_told_from_what_stands() -> None:
    """A striped disc whose stripes move by half a pixel a frame, on a plain ground, under a camera that stands."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(112.0), indexing="ij")
    disc = ((x - 56) ** 2 + (y - 32) ** 2 < 14**2).float()
    there = torch.nn.functional.avg_pool2d(disc[None], 4)[0]
    scores = torch.zeros(1, 13, len(world.LABEL_NAMES["colour"]) + 1, 16, 28)
    scores[:, :, 3] = 20 * there - 10
    reading = Reading({"colour": scores}, {}, torch.zeros(1, 13, 96, 16, 28))

    def moves(speed: float) -> torch.Tensor:
        t = torch.arange(13.0)[:, None, None]
        frames = (disc * torch.sin((x - speed * t) / 2))[None, :, None].expand(1, -1, 3, -1, -1) * 0.5
        found = trace(reading, frames, torch.tensor([2]))
        assert float(found.x.std()) < 1e-3 and abs(float(found.x.mean()) - 0.5) < 0.02
        return found.series[0, -3:, 1:].mean(1)

    still, turning = moves(0.0), moves(0.5)
    assert abs(float(turning[0]) - 0.5) < 0.1 and abs(float(turning[1])) < 0.1
    assert float(still.abs().max()) < 1e-3 and float(turning[2]) > 0.05


def test_a_lamp_is_seen_beside_something_brighter(networks) -> None:
    """Beacons flash with their beeps under a sun that is brighter all the time."""
    scenes = clip_scenes(GRID, Bucket.parse("7x8x14"), 12, 5)
    dry = replace(scenes, weather=torch.zeros_like(scenes.weather), shape=scenes.shape.clamp_max(3))
    motion = world.simulate(replace(dry, action=torch.full_like(scenes.action, BEACON)))
    frames = torch.full((12, 25, 3, 64, 112), -0.5)
    frames[..., 24:40, 48:64] += motion.poses(torch.arange(25) / 12).glow[:, :, :1, None, None]
    frames[..., :8, :8] = 1
    wave = world.synthesise(motion.scenes, motion, GRID.samples(49), GRID.sample_rate)
    tally = Tally()
    Meter(Oracle(motion.scenes, True), networks["audio"], GRID).measure(Clips(frames, wave), motion.scenes, tally)
    assert len(tally.values["apart"]) == 12 and tally.quantile("apart", 0.9) < 0.15


def test_a_detector_of_another_world_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.safetensors"
    save_file({f"ema.{name}": value for name, value in Detector(DEBUG.audio.mels).state_dict().items()}, path)
    monkeypatch.setitem(world.LABEL_NAMES, "sound", (*world.LABEL_NAMES["sound"], "gong"))
    with pytest.raises(ValueError, match="another world"):
        load_detector(path, DEBUG.audio.mels)


def test_a_missing_detector_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = write_checkpoint(tmp_path / "candidate.safetensors", DEBUG)
    monkeypatch.chdir(tmp_path)
    assert LANDED.is_file()
    with pytest.raises(ValueError, match="train detector"):
        evaluation.evaluate(tmp_path / "card.md", [weights], tmp_path / "none", evaluation.Settings())
