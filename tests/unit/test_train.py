from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from weights import write_checkpoint

from kinetophone.pipelines import world
from kinetophone.pipelines.model.config import CONFIGS, DEBUG
from kinetophone.pipelines.model.patchify import patchify_video
from kinetophone.pipelines.text.tokenizer import SPECIAL
from kinetophone.pipelines.train.__main__ import main
from kinetophone.pipelines.train.checkpoint import load_averaged
from kinetophone.pipelines.train.config import CONFIG_FOLDER, read_config
from kinetophone.pipelines.train.cuts import names_sky, under_another_sky
from kinetophone.pipelines.train.data import CELL_LABELS, Bucket, base_times, cell_truths, clip_scenes
from kinetophone.pipelines.train.decoder import DecoderTask
from kinetophone.pipelines.train.joint import FINE_WEIGHT, PROBE_CLASSES, probe_channels
from kinetophone.pipelines.train.levels import Noise, draw_levels
from kinetophone.pipelines.train.loop import rate_scale, train
from kinetophone.pipelines.train.split import split, with_patch
from kinetophone.pipelines.train.task import seed_of
from kinetophone.pipelines.train.tasks import make_task
from kinetophone.pipelines.train.widen import widen, with_channels
from kinetophone.pipelines.types import AVLatent, TextContext
from kinetophone.pipelines.vae.linear import LinearCodec
from kinetophone.pipelines.weights.checkpoint import read_checkpoint, save_checkpoint
from kinetophone.pipelines.weights.load import build_dit, build_video, load_models


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, networks) -> Path:
    """A codec file and a pool of two tiny shards."""
    root = tmp_path_factory.mktemp("train")
    tensors = {
        f"{part}.codec.{k}": v for part in ("video", "audio") for k, v in networks[part].codec.state_dict().items()
    }
    save_file(tensors, root / "codec.safetensors")
    return root


# Clips in two shots, in few clips.
CUT = {"options.cuts": 1.0, "options.twins": 1, "options.buckets": "{7x2x2: 1.0}", "options.clips": 8}


def arguments(folder: Path, out: str, **more: object) -> list[str]:
    """Overrides of the cpu configuration that make it a matter of a second."""
    values = {
        "model": "debug", "out": folder / out, "steps": 6, "precision": "fp32", "warmup": 2, "save_every": 3,
        "sheet_every": 100, "options.codec": folder / "codec.safetensors", "options.text": "",
        "options.pool": folder / "pool",
        "options.batch": 4, "options.shards": 1, "options.first_shards": 1, "options.buckets": "{2x2x2: 1.0}",
        "options.compile_renderer": "false", "options.sheet_bucket": "2x2x2", **more,
    }  # fmt: skip
    return [f"{key}={value}" for key, value in values.items()]


def run(folder: Path, out: str, **more: object) -> dict[str, torch.Tensor]:
    config = read_config("cpu", arguments(folder, out, **more))
    train(make_task(config), config)
    return load_file(folder / out / "last.safetensors")


def test_resumed_training_is_the_same_to_the_bit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is its log, although the steps after the last checkpoint were done twice."""
    monkeypatch.setattr("kinetophone.pipelines.train.loop.LOOK_EVERY", 1)
    whole = run(folder, "whole")
    config = read_config("cpu", arguments(folder, "halves"))
    task = make_task(config)

    class Stopped(Exception):
        pass

    def batch(step: int, rank: int, ranks: int, original=task.batch) -> dict[str, torch.Tensor]:
        if step == 4:
            raise Stopped
        return original(step, rank, ranks)

    task.batch = batch
    with pytest.raises(Stopped):
        train(task, config)
    with (folder / "halves" / "loss.csv").open("a") as file:
        file.write("1,0.")
    halves = run(folder, "halves")
    assert whole.keys() == halves.keys()
    assert [name for name in whole if not torch.equal(whole[name], halves[name])] == []
    logs = [(folder / name / "loss.csv").read_text() for name in ("whole", "halves")]
    assert logs[0] == logs[1] and logs[0].count("\n") == 7


def test_a_run_goes_on_only_as_what_it_was_started_for(folder: Path) -> None:
    begin, other = (write_checkpoint(folder / f"{name}.safetensors", DEBUG, seed=ord(name)) for name in "ab")
    run(folder, "origin", steps=1, **{"options.init": begin})
    last = folder / "origin" / "last.safetensors"
    kept = last.read_bytes()
    for more, told in (
        ({"options.init": other}, "init: .* there, .* here"),
        ({"options.init": begin, "seed": 9}, r"another run \(seed: 0 there, 9 here\)\. .* name another folder, out="),
        ({}, "init: .* there,  here"),
    ):
        with pytest.raises(ValueError, match=told):
            run(folder, "origin", steps=2, **more)
    assert last.read_bytes() == kept
    # One that was written without this is believed, unless its weights are those of another model.
    save_file(load_file(last), last, {"step": "1", "seconds": "0.0"})
    assert not torch.equal(
        run(folder, "origin", steps=2)["model.dit.noise.up.bias"], load_file(begin)["dit.noise.up.bias"]
    )
    with pytest.raises(ValueError, match="belongs to another run, and has another model: "):
        words = read_config("words", ["model=debug", f"out={folder / 'mixed'}", "options.batch=2"])
        (folder / "mixed").mkdir()
        save_file(load_file(last), folder / "mixed" / "last.safetensors", {"step": "1", "seconds": "0.0"})
        train(make_task(words), words)


@pytest.fixture(scope="module")
def recipe():
    """The script that trains the built-in model again."""
    path = Path(__file__).parents[2] / "scripts" / "train.py"
    script = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location("recipe", path))
    sys.modules["recipe"] = script
    spec.loader.exec_module(script)
    return script


def test_the_recipe_keeps_runs_of_other_seeds_apart(recipe) -> None:
    outs = [
        recipe.Recipe("cpu", recipe.MACHINES["cpu"], "start", model, seed).out
        for model, seed in (("mini", 8), ("mini", 9), ("base", 9))
    ]
    assert outs == ["runs/cpu", "runs/cpu-seed9", "runs/cpu-base-seed9"]


def test_the_recipe_goes_on_with_the_random_weights_that_it_began_with(
    recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "ROOT", tmp_path)
    begun, again = (read_checkpoint(tmp_path / recipe.random_weights("debug")).digest for _ in range(2))
    assert begun == again


@pytest.mark.parametrize("machine", ["cpu", "gpu", "debug", "debug-gpu"])
def test_the_recipe_says_nothing_that_a_task_does_not_read(
    recipe, machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is read before the codec, which is not there."""
    begun: list[list[str]] = []

    def begin(self, *arguments: str, accelerated: bool = True) -> subprocess.Popen:
        begun.append(list(arguments))
        return SimpleNamespace(wait=lambda: 0, terminate=lambda: None, returncode=0, args=[])

    monkeypatch.setattr(recipe.Recipe, "_begin", begin)
    monkeypatch.chdir(tmp_path)
    made = recipe.Recipe(machine, recipe.MACHINES[machine], "nowhere.safetensors", "mini", 8)
    for leg in (made.first, made.second, made.third):
        leg()
    runs = [given[given[0] == "fill" :] for given in begun if given[0] in ("fill", "cpu", "decoder", "distill")]
    pairs = "options.buckets={4x8x14: 1.0}"
    runs += [["cpu", *given[3:], pairs] for given in begun if given[0] == "pairs"]
    assert {given[0] for given in runs} == {"cpu", "distill", *(["decoder"] if made.machine.decoder else [])}
    for name, *overrides in runs:
        with pytest.raises(ValueError, match="No fitted codec at "):
            make_task(read_config(name, overrides))


def test_training_lowers_the_loss_and_writes_its_curve_and_sheet(folder: Path) -> None:
    run(folder, "long", steps=60, sheet_every=60, warmup=5)
    with (folder / "long" / "loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [20, 40, 60]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert (folder / "long" / "sheet-000060.png").stat().st_size > 1000


# What torchrun starts: the command line, which fails where a noise level has lost digits.
WATCHED = """
import sys
from kinetophone.pipelines.model.layers import NoiseEmbedding
from kinetophone.pipelines.train.__main__ import main
seen, original = set(), NoiseEmbedding.forward
def forward(self, sigma, dtype):
    seen.add((str(sigma.dtype), str(dtype)))
    return original(self, sigma, dtype)
NoiseEmbedding.forward = forward
assert main(sys.argv[1:]) == 0
assert seen == {("torch.float32", "torch.bfloat16")}, seen
"""


def test_two_processes_train_together_and_one_resumes(folder: Path) -> None:
    """FSDP2 over gloo: the ranks see different clips and share one set of weights, which one process can resume.

    A student has all that other models have, and weights that are computed from parameters.
    """
    begin = write_checkpoint(folder / "begin.safetensors", DEBUG)
    given = arguments(folder, "two", precision="bf16", muon_rate=1e-3, save_every=2, **{"options.init": begin})
    run(folder, "warm", steps=1)
    (folder / "watched.py").write_text(WATCHED)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(folder / "watched.py"), "distill", *given, "steps=4",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    last = folder / "two" / "last.safetensors"
    shared, config = load_file(last), read_config("distill", [*given, "steps=5"])
    assert all(value.isfinite().all() for value in shared.values() if value.is_floating_point())
    train(make_task(config), config)
    resumed = load_file(last)
    assert any(not torch.equal(shared[name], resumed[name]) for name in shared if name.startswith("model."))


def test_the_noise_of_a_step_is_drawn_apart_from_its_clips(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one seed both would come from the same numbers, and the noise of a clip would depend on which one it is."""
    config = read_config("cpu", arguments(folder, "apart", steps=2))
    task = make_task(config)
    clips, noise = set(), set()

    def seed_of_clips(*parts: int) -> int:
        clips.add(seed := seed_of(*parts))
        return seed

    def loss(forward, batch, generator: torch.Generator, original=task.loss) -> tuple:
        noise.add(generator.initial_seed())
        return original(forward, batch, generator)

    monkeypatch.setattr("kinetophone.pipelines.train.joint.seed_of", seed_of_clips)
    task.loss = loss
    train(task, config)
    assert len(noise) == 2 and clips and not noise & clips


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    config = replace(read_config("cpu", []), steps=100, warmup=10, decay=0.5)
    scales = [rate_scale(step, config) for step in range(101)]
    assert (
        scales[0] == pytest.approx(0.1) and scales[20] == 1.0 and scales[75] == pytest.approx(0.5) and scales[100] == 0
    )


def test_a_run_may_end_by_the_clock_in_legs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step takes a second here: three of four seconds in the first leg, the rest in the next."""
    clock = iter(float(second) for second in range(100))
    monkeypatch.setattr("kinetophone.pipelines.train.loop.time.monotonic", lambda: next(clock))
    times = {"steps": 1000, "minutes": 4 / 60, "leg": 3 / 60}
    told = []
    for _ in range(2):
        run(folder, "clock", **times)
        with safe_open(folder / "clock" / "last.safetensors", "pt") as file:
            told.append((file.metadata()["step"], float(file.metadata()["seconds"])))
    assert told == [("3", 3.0), ("4", 4.0)]
    config = read_config("cpu", arguments(folder, "clock", decay=0.5, **times))
    scales = [rate_scale(500, config, seconds) for seconds in (0, 2, 3, 4, 5)]
    assert scales == pytest.approx([1, 1, 0.5, 0, 0])


def test_trained_parts_become_a_checkpoint_that_loads(folder: Path, networks) -> None:
    run(folder, "part", steps=1)
    for name, prefix in (("decoder", "vae"), ("vocoder", "audio")):
        part = networks["video" if name == "decoder" else "audio"]
        save_file(
            {f"ema.{prefix}.{k}": v.contiguous() for k, v in part.named_parameters()}, folder / f"{name}.safetensors"
        )
    out = folder / "out.safetensors"
    parts = [f"joint={folder / 'part' / 'last.safetensors'}", f"codec={folder / 'codec.safetensors'}"]
    parts += [f"{name}={folder / name}.safetensors" for name in ("decoder", "vocoder")]
    assert main(["export", str(out), *parts[:1], "--model", "debug", *parts[1:]]) == 0
    models = load_models(out)
    assert models.config == DEBUG
    assert torch.allclose(models.video.decoder.enter.weight, networks["video"].decoder.enter.weight, atol=1e-3)
    assert main(["export", str(out), "--model", "debug"]) == 2
    other = write_checkpoint(folder / "other.safetensors", DEBUG)
    mixed = [
        f"joint={folder / 'part' / 'last.safetensors'}",
        *(f"{n}={other}" for n in ("decoder", "vocoder", "codec")),
    ]
    assert main(["export", str(folder / "mixed.safetensors"), *mixed, "--model", "debug"]) == 0
    made, kept, trained = (load_file(path) for path in (folder / "mixed.safetensors", other, out))
    assert all(
        torch.equal(made[key], (trained if key[:3] == "dit" else kept)[key]) for key in made if key[:4] != "text"
    )


def test_a_clip_in_two_shots_keeps_its_object_and_changes_its_sky(folder: Path) -> None:
    options = {**CUT, "options.drop_caption": 0}
    task = make_task(read_config("cpu", arguments(folder, "cuts", **options)))
    batch = task.batch(0, 0, 1)
    assert batch["ids"].shape[:2] == (4, 2) and batch["spans"].shape == (4, 2, 4)
    assert not torch.equal(batch["ids"][:, 0], batch["ids"][:, 1])
    bucket = task.buckets[0]
    shards = [task.pool.shard(bucket, 0, twin) for twin in (False, True)]
    known = torch.cat([shard.video for shard in shards]).float()
    shows = [
        [int((known[:, :, k] - clip[:, k]).abs().flatten(1).sum(1).argmin()) for k in (0, -1)]
        for clip in batch["video"]
    ]
    clips = len(shards[0].video)
    assert all(first != last and first % clips == last % clips for first, last in shows)
    assert torch.equal(shards[0].classes, shards[1].classes)
    assert run(folder, "cuts", **options)["ema.dit.video_out.weight"].isfinite().all()


def test_the_mean_of_checkpoints_is_a_checkpoint(folder: Path) -> None:
    paths = [write_checkpoint(folder / f"part{index}.safetensors", DEBUG, seed=index) for index in range(2)]
    out = folder / "mean.safetensors"
    assert main(["soup", str(out), *map(str, paths)]) == 0
    one, other, mean = (load_averaged(path) for path in (*paths, out))
    changed = [name for name in one if not torch.equal(one[name], other[name])]
    assert len(changed) > 20
    for name in changed:
        assert torch.allclose(mean[name], (one[name] + other[name]) / 2, atol=2e-3), name
    load_models(out)


def test_checkpoints_of_other_words_have_no_mean(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_checkpoint(folder / "known.safetensors", DEBUG)
    kept = read_checkpoint(path)
    save_checkpoint(
        folder / "grown.safetensors", kept.config, (*kept.words, "gong"), kept.tensors,
        licence=kept.licence, metrics={},
    )  # fmt: skip
    out = folder / "none.safetensors"
    assert main(["soup", str(out), str(path), str(folder / "grown.safetensors")]) == 2
    assert main(["soup", str(out), str(path)]) == 2
    assert "grown.safetensors has another configuration, or other words" in caplog.text and not out.exists()


@torch.inference_mode()
def test_wider_weights_make_what_they_made_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = LinearCodec((3, DEBUG.video.frames, DEBUG.video.block, DEBUG.video.block), DEBUG.video.channels)
    monkeypatch.setattr("kinetophone.pipelines.train.widen.extend_codec", lambda *_: codec)
    narrow_path = write_checkpoint(folder / "narrow.safetensors", with_channels(DEBUG, 64), seed=4)
    wide_path = folder / "wide.safetensors"
    widen(DEBUG, wide_path, narrow_path)
    checkpoints = [read_checkpoint(path) for path in (narrow_path, wide_path)]
    assert checkpoints[1].config == DEBUG
    narrow, wider = (build_dit(checkpoint) for checkpoint in checkpoints)
    clip, more = torch.randn(1, 64, 2, 2, 2), torch.randn(1, 128, 2, 2, 2)
    context = TextContext(torch.randn(1, 3, DEBUG.text.width), torch.ones(1, 3, dtype=torch.bool))
    sound, sigma = torch.randn(1, 64, 5), torch.tensor([0.5])
    expected = narrow.predict(clip, sound, sigma, sigma, context)
    found = wider.predict(torch.cat((clip, more), dim=1), sound, sigma, sigma, context)
    assert torch.allclose(found[0][:, :64], expected[0], atol=1e-5) and not found[0][:, 64:].any()
    assert torch.allclose(found[1], expected[1], atol=1e-5)
    window = torch.randn(1, 3, 64, 2, 2)
    padded = torch.cat((window, torch.randn(1, 3, 128, 2, 2)), dim=2)
    decoders = [build_video(checkpoint).decoder for checkpoint in checkpoints]
    features = [decoder.features(x.flatten(1, 2)) for decoder, x in zip(decoders, (window, padded), strict=True)]
    assert torch.allclose(*features, atol=1e-5)


def test_weights_that_cannot_be_widened_are_refused(folder: Path) -> None:
    path = write_checkpoint(folder / "narrow.safetensors", DEBUG, seed=4)
    with pytest.raises(ValueError, match="has 192 picture channels of debug"):
        widen(DEBUG, folder / "never.safetensors", path)
    with pytest.raises(ValueError, match="it can become mini only if"):
        widen(CONFIGS["mini"], folder / "never.safetensors", path)
    learned = replace(DEBUG, video=replace(DEBUG.video, encoder="causal", channels=64))
    path = write_checkpoint(folder / "learned.safetensors", learned, seed=4)
    with pytest.raises(ValueError, match="has a learned encoder"):
        widen(DEBUG, folder / "never.safetensors", path)
    assert not (folder / "never.safetensors").exists()


@torch.inference_mode()
def test_smaller_tokens_see_and_say_what_the_larger_did_where_their_cells_are_alike(folder: Path) -> None:
    finer = with_patch(DEBUG, "finer", 1)
    old_path, new_path = write_checkpoint(folder / "old.safetensors", DEBUG, seed=4), folder / "finer.safetensors"
    split(finer, new_path, old_path)
    checkpoints = [read_checkpoint(path) for path in (old_path, new_path)]
    assert checkpoints[1].config == finer
    old, new = (build_dit(checkpoint) for checkpoint in checkpoints)
    alike = torch.randn(1, DEBUG.dit.video_channels, 2, 1, 1).expand(-1, -1, -1, 4, 4)
    seen = [dit.video_in(patchify_video(alike, patch)) for dit, patch in ((old, 2), (new, 1))]
    assert torch.allclose(seen[0][0, 0], seen[1][0, 0], atol=5e-3)
    token = torch.randn(DEBUG.dit.width)
    said = old.video_out(token).unflatten(0, (-1, 4)).mean(1)
    assert torch.allclose(said, new.video_out(token), atol=5e-3)
    context = TextContext(torch.randn(1, 3, DEBUG.text.width), torch.ones(1, 3, dtype=torch.bool))
    level = torch.tensor([0.5])
    assert new.predict(alike.clone(), None, level, None, context)[0].shape == alike.shape
    with pytest.raises(ValueError, match="has tokens of 1 x 1 cells of finer; it can become debug only"):
        split(DEBUG, folder / "never.safetensors", new_path)
    with pytest.raises(ValueError, match="it can become mini only if that has smaller ones, is otherwise the same"):
        split(CONFIGS["mini"], folder / "never.safetensors", old_path)
    assert not (folder / "never.safetensors").exists()


def test_training_does_not_begin_with_another_transformer(folder: Path) -> None:
    path = write_checkpoint(folder / "finer.safetensors", with_patch(DEBUG, "debug", 1), seed=4)
    task = make_task(read_config("cpu", arguments(folder, "finer", **{"options.init": path})))
    with pytest.raises(
        ValueError, match=r"finer\.safetensors has another transformer than debug .*: .* is \(.*\) and not"
    ):
        task.model()


def test_clips_that_are_hard_can_be_drawn_more_often(folder: Path) -> None:
    """Never, as often as others, and always, of clips whose one first object goes to the left."""
    shares = {}
    for factor in (0, 1, 1e9):
        favour = f"{{direction: {{left: {factor}}}, count: {{two: 0, three: 0}}}}"
        options = {"options.clips": 32, "options.pool": folder / "hard", "options.batch": 24, "options.favour": favour}
        task = make_task(read_config("cpu", arguments(folder, "hard", **options)))
        shard = task.pool.shard(task.buckets[0], 0)
        told = [world.labels(scenes) for scenes in task.pool.scenes(task.buckets[0], 0)]
        left = torch.cat([t["direction"] for t in told])[:, 0] == 1
        one = torch.cat([t["count"] for t in told]) == 1
        shown = [int((shard.video - clip).abs().flatten(1).sum(1).argmin()) for clip in task.batch(0, 0, 1)["video"]]
        assert one[shown].all() and not one.all()
        shares[factor] = float(left[shown].float().mean())
    assert shares[0] == 0 < shares[1] < shares[1e9] == 1


@pytest.mark.parametrize(
    ("favour", "message"),
    [
        ("{action: {swim: 2}}", "swim"),
        ("{action: {hover: -1}}", "'hover' is favoured must be at least 0; got -1"),
        ("{count: {two: many}}", "options.favour.count.two must be a number; got 'many'"),
        ("{sound: {rain: 2}}", "What is favoured must be one of sky, .*; got 'sound'"),
        ("[1]", "options.favour must be {key: value}"),
    ],
)
def test_what_cannot_be_favoured_is_named(folder: Path, favour: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(read_config("cpu", arguments(folder, "hard", **{"options.favour": favour})))


def test_favour_that_leaves_no_clip_is_refused(folder: Path) -> None:
    nothing = {"options.favour": "{count: {one: 0, two: 0, three: 0}}"}
    with pytest.raises(ValueError, match="no clip that `favour` leaves"):
        make_task(read_config("cpu", arguments(folder, "hard", **nothing))).batch(0, 0, 1)


def test_more_coarse_channels_than_there_are_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="at most the 192 picture channels; got 193"):
        make_task(read_config("cpu", arguments(folder, "fine", **{"options.fine_after": 193})))


def test_fine_channels_count_less_the_more_noise_hides_them(folder: Path) -> None:
    def costs(noise_mean: float) -> tuple[float, float]:
        """The loss for the same error in the first channel, and in the last."""
        options = {"options.fine_after": 60, "options.noise_mean": noise_mean, "options.given": 0}
        task = make_task(read_config("cpu", arguments(folder, "fine", **options)))
        batch, clean = task.batch(0, 0, 1), task.batch(0, 0, 1)
        losses = []
        for channel in (0, -1):
            wrong = clean["video"].clone()
            wrong[:, channel] += 1
            scores = torch.zeros(len(wrong), probe_channels(task.config.grid), *wrong.shape[2:])
            made = (wrong, clean["audio"], scores)
            losses.append(task.loss(lambda *_, made=made: made, batch, torch.Generator().manual_seed(0))[1]["video"])
        return losses[0], losses[1]

    (coarse, fine), (hidden_coarse, hidden_fine) = costs(-3.0), costs(3.0)
    assert fine < coarse * FINE_WEIGHT and hidden_fine / hidden_coarse < 0.5 * fine / coarse


def test_each_cell_knows_its_object_and_when_its_event_is_on() -> None:
    grid, bucket = DEBUG.grid, Bucket.parse("7x8x14")
    scenes = clip_scenes(grid, bucket, 24, seed=3)
    classes, moments = cell_truths(grid, bucket, scenes)
    lone = (scenes.present.sum(1) == 1).nonzero().flatten().tolist()
    events = world.simulate(scenes).moments(base_times(grid, bucket.steps))
    assert len(lone) > 5
    for clip in lone:
        shown = classes[clip, 0] > 0
        told = [int(getattr(scenes, name)[clip, 0]) + 1 for name in CELL_LABELS]
        assert classes[clip][:, shown].unique(dim=1).flatten().tolist() == told
        # A step of one frame, then steps of several; whoever is seen at all is seen in some cell.
        on = torch.cat((moments[clip, 0, :1], moments[clip].transpose(0, 1)[1:].flatten(0, 1)))
        visible = torch.cat((shown[:1], shown[1:].repeat_interleave(moments.shape[1], 0))).flatten(1).any(1)
        assert torch.allclose(on.flatten(1).amax(1).float(), events[clip, :, 0] * visible, atol=1e-3)


def test_the_probe_pays_for_wrong_labels_and_for_events_at_the_wrong_time(folder: Path) -> None:
    task = make_task(read_config("cpu", arguments(folder, "probe")))
    batch = task.batch(0, 0, 1)
    batch["moments"] = (batch["classes"][:, :1] > 0) * torch.tensor([1.0, 0, 0, 0]).view(1, 4, 1, 1, 1)
    known = [
        F.one_hot(told.long(), size).movedim(-1, 1)
        for told, size in zip(batch["classes"].unbind(1), PROBE_CLASSES, strict=True)
    ]

    def cost(labels: list[torch.Tensor], moments: torch.Tensor) -> float:
        scores = 20.0 * torch.cat((*labels, 2 * moments - 1), 1)
        made = (batch["video"], batch["audio"], scores)
        return task.loss(lambda *_: made, batch, torch.Generator().manual_seed(0))[1]["probe"]

    assert cost(known, batch["moments"]) < 1e-3
    assert cost(known, batch["moments"].roll(1, 1)) > 0.01
    for label in range(len(CELL_LABELS)):
        assert cost([part.roll(1, 1) if i == label else part for i, part in enumerate(known)], batch["moments"]) > 1


def test_a_shard_of_another_world_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"options.clips": 8, "options.pool": folder / "stale"}
    task = make_task(read_config("cpu", arguments(folder, "stale", **options)))
    assert len(task.pool.shard(task.buckets[0], 0).captions) == 8
    more = make_task(read_config("cpu", arguments(folder, "stale", **{**options, "options.clips": 9})))
    with pytest.raises(ValueError, match="other settings"):
        more.pool.shard(more.buckets[0], 0)
    shard = task.pool.path(task.buckets[0], 0)
    parts, captions = load_file(shard), safe_open(shard, "pt").metadata()["captions"]
    for changed in ({"label.sky": parts["label.sky"].roll(1)}, {"label.action": parts["label.action"].flip(0)}):
        save_file(parts | changed, shard, {"captions": captions})
        with pytest.raises(ValueError, match="another world"):
            task.pool.shard(task.buckets[0], 0)
    with pytest.raises(ValueError, match="encoded by another codec"):
        save_file(parts, shard, {"captions": captions, "codec": "another"})
        task.pool.shard(task.buckets[0], 0)
    # One that does not tell its codec is older than the question.
    save_file(parts, shard, {"captions": captions})
    assert len(task.pool.shard(task.buckets[0], 0).captions) == 8
    monkeypatch.setattr(world.sample, "WATER_SHARE", 0.76)
    again = make_task(read_config("cpu", arguments(folder, "stale", **options)))
    with pytest.raises(ValueError, match="another world"):
        again.pool.shard(again.buckets[0], 0)


def test_the_sky_only_changes_where_words_say_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("silent", 0), ("dropped", 1)):
        task = make_task(read_config("cpu", arguments(folder, "cuts", **CUT, **{"options.drop_caption": value})))
        if name == "silent":
            monkeypatch.setattr("kinetophone.pipelines.train.joint.names_sky", lambda caption: False)
        known = (
            task.pool.shard(task.buckets[0], 0).video.float(),
            task.pool.shard(task.buckets[0], 0, True).video.float(),
        )
        batch = task.batch(0, 0, 1)
        for clip in batch["video"]:
            assert any((shard - clip).abs().flatten(1).sum(1).min() < 1e-3 for shard in known), name
    assert [names_sky(text) for text in ("a ball at sunset", "a ball", "snow falls")] == [True, False, False]


@pytest.mark.parametrize("form", ["dense", "short", "loose", "tags", "partial"])
def test_a_caption_names_the_sky_where_another_sky_would_change_it(form: str) -> None:
    wrong, named = [], 0
    for seed in range(80):
        scene = world.sample_scenes(1, seed=seed)
        # Skies with as many ways to say them, in rain, which drowns what is heard by day or by night.
        scene = replace(scene, sky=scene.sky % 3, weather=torch.ones_like(scene.weather))
        other = replace(scene, sky=(scene.sky + 1) % 3)
        told, changed = (world.captions(of, seed=seed, form=form)[0] for of in (scene, other))
        named += names_sky(told)
        wrong += [told] if names_sky(told) != (told != changed) else []
    assert wrong == [] and named > 5


def test_the_decoder_learns_on_crops_and_leaves_the_codec_as_it_is(folder: Path) -> None:
    options = {
        "model": "debug", "out": folder / "decoder", "steps": 2, "precision": "fp32", "sheet_every": 100,
        "options.codec": folder / "codec.safetensors", "options.compile_renderer": "false", "options.side": 64,
        "options.crops": 3, "options.batch": 2, "options.pool": folder / "crops",
    }  # fmt: skip
    config = read_config("decoder", [f"{key}={value}" for key, value in options.items()])
    task = make_task(config)
    fresh = task.model().vae.decoder.enter.weight.clone()
    trained = train(task, config)
    assert not torch.equal(trained.vae.decoder.enter.weight, fresh)
    codec = load_file(folder / "codec.safetensors")
    assert all(torch.equal(codec[f"video.codec.{k}"], v) for k, v in trained.vae.codec.state_dict().items())
    crops = [load_file(path)["pixels"] for path in sorted((folder / "crops").glob("*.safetensors"))]
    assert crops and all(crop.shape == (3, 17, 64, 64) for crop in crops)


def test_processes_fill_the_folder_of_crops_beforehand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "model": "debug", "out": folder / "filled", "options.codec": folder / "codec.safetensors",
        "options.compile_renderer": "false", "options.side": 32, "options.crops": 5, "options.batch": 20,
        "options.pool": folder / "fill",
    }  # fmt: skip
    config = read_config("decoder", [f"{key}={value}" for key, value in options.items()])
    rendered: list[int] = []

    def render(task: DecoderTask, index: int) -> torch.Tensor:
        rendered.append(index)
        return torch.full((3, 17, 32, 32), 10 * index, dtype=torch.uint8)

    monkeypatch.setattr(DecoderTask, "_render", render)
    files = [folder / "fill" / f"32-0-{index:05d}.safetensors" for index in range(5)]
    files[0].parent.mkdir()
    save_file({"pixels": torch.full((3, 17, 32, 32), 200, dtype=torch.uint8)}, files[2])
    # What another process is at is left to it, and what it never finished is done by the next.
    with FileLock(files[3].with_suffix(".lock")):
        make_task(config).fill()
    assert rendered == [0, 1, 4]
    make_task(config).fill()
    assert rendered == [0, 1, 4, 3]
    rendered.clear()
    task = make_task(config)
    for step in range(2):
        pixels = task.batch(step, 0, 1)["pixels"]
        assert pixels.shape == (20, 3, 17, 32, 32) and torch.equal(pixels.amin((1, 2, 3, 4)), pixels.amax((1, 2, 3, 4)))
        assert set(((pixels[:, 0, 0, 0, 0] + 1) * 127.5).round().int().tolist()) == {0, 10, 200, 30, 40}
        # What was drawn once stays in memory.
        for file in files:
            file.unlink(missing_ok=True)
    again = task.batch(0, 0, 1)
    assert torch.equal(again["latent"], task.batch(0, 0, 1)["latent"]) and not rendered


def test_a_run_takes_in_what_others_have_rendered_and_waits_for_the_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kinetophone.pipelines.train.fill.PATIENCE_SECONDS", 0)
    options = {
        "options.pool": folder / "others", "options.shards": 3, "options.clips": 2, "options.wait": "true",
        "options.batch": 40,
    }  # fmt: skip
    config = read_config("cpu", arguments(folder, "others", **options))
    with pytest.raises(ValueError, match="does `train fill` still run"):
        make_task(config).batch(0, 0, 1)
    filling, waiting = make_task(config), make_task(config)
    filling.fill()
    late = [filling.pool.path(filling.buckets[0], index) for index in (1, 2)]
    hidden = [path.rename(path.with_suffix(".later")) for path in late]

    def seen(task, step: int) -> int:
        return len(task.batch(step, 0, 1)["audio"].flatten(1).unique(dim=0))

    assert [seen(waiting, step) for step in range(2)] == [2, 2]
    for path, name in zip(hidden, late, strict=True):
        path.rename(name)
    # All at once: a run that goes on would else favour the first of those that it had.
    assert seen(waiting, 2) == seen(make_task(config), 3) == 6


def test_a_remade_clip_is_wanted_half_way_to_its_original(folder: Path) -> None:
    remade = {name: 0.3 * torch.randn(3, DEBUG.video.channels, 4, 4, 4) for name in ("made", "clean")}
    save_file(remade, folder / "pairs.safetensors")
    options = {
        "model": "debug", "out": folder / "shows", "steps": 1, "options.codec": folder / "codec.safetensors",
        "options.compile_renderer": "false", "options.side": 64, "options.crops": 2, "options.batch": 2,
        "options.pool": folder / "crops", "options.pairs": folder / "pairs.safetensors",
    }  # fmt: skip
    task = make_task(read_config("decoder", [f"{key}={value}" for key, value in options.items()]))
    batch = task.batch(0, 0, 1)
    assert batch["remade"].shape == (2, DEBUG.video.channels, 3, 2, 2)

    def shown(base: torch.Tensor) -> torch.Tensor:
        """Full-size frames with this base video."""
        large = base.repeat_interleave(DEBUG.grid.base_stride, dim=2)
        for axis in (3, 4):
            large = large.repeat_interleave(DEBUG.video.upscale, dim=axis)
        return large[:, :, : DEBUG.grid.frames(3)]

    linear = task.codec.video.decode_base(batch["remade"])
    right = 2 * batch["wanted"] - linear
    originals = [task.codec.video.decode_base(clip[None, :, :3]) for clip in remade["clean"]]
    places = [original.unfold(3, 16, 8).unfold(4, 16, 8) for original in originals]
    for clip in right:
        found = [(clip - place[0, :, :, i, j]).abs().max() for place in places for i in range(3) for j in range(3)]
        assert min(found) < 1e-4
    losses = {}
    for share in (0.0, 0.5, 1.0):
        base = torch.lerp(linear, right, share)
        made = iter((batch["pixels"], shown(base)))
        losses[share] = task.loss(lambda latent, made=made: next(made), batch, torch.Generator())[1]
    assert losses[0.5]["away"] < 1e-5 and losses[0.5]["seams"] < 1e-5
    assert min(losses[share][name] for share in (0.0, 1.0) for name in ("away", "seams")) > 0.02


def test_a_run_starts_from_published_weights(folder: Path) -> None:
    published = write_checkpoint(folder / "published.safetensors", DEBUG)
    first = make_task(read_config("cpu", arguments(folder, "again", **{"options.init": published}))).model()
    wanted = load_file(published)["dit.layers.0.qkv.weight"].float()
    assert torch.equal(first.dit.layers[0].qkv.weight, wanted)
    with pytest.raises(ValueError, match=r"holds no weights named dit\.\*"):
        make_task(
            read_config("cpu", arguments(folder, "again", **{"options.init": folder / "codec.safetensors"}))
        ).model()


def test_words_keep_their_meaning_when_the_vocabulary_grows(folder: Path) -> None:
    published = write_checkpoint(folder / "fewer.safetensors", DEBUG)
    kept = read_checkpoint(published)
    fewer = tuple(word for word in kept.words if word != "ball")
    rows = [*range(SPECIAL), *(SPECIAL + kept.words.index(word) for word in fewer)]
    rows += [row for row in range(DEBUG.text.words) if row not in rows]
    tensors = {**kept.tensors, "text.words.weight": kept.tensors["text.words.weight"][rows]}
    save_checkpoint(published, DEBUG, fewer, tensors, licence="none", metrics={})
    task = make_task(read_config("cpu", arguments(folder, "grown", **{"options.init": published})))
    grown, wanted = task.model().text.words.weight, kept.tensors["text.words.weight"].float()
    new = SPECIAL + task.tokenizer.words.index("ball")
    same = [row for row in range(SPECIAL + len(task.tokenizer.words)) if row != new]
    assert torch.equal(grown[same], wanted[same]) and not torch.equal(grown[new], wanted[new])


def test_a_run_knows_the_words_that_it_learned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one more word before all others it goes on with the right rows, and is published with its own words."""
    fewer = world.vocabulary()
    run(folder, "words", steps=1)
    last, out = folder / "words" / "last.safetensors", folder / "said.safetensors"
    monkeypatch.setattr(world, "vocabulary", lambda: ("gong", *fewer))
    task = make_task(read_config("cpu", arguments(folder, "more", **{"options.init": last})))
    grown, learned = task.model().text.words.weight, load_file(last)["ema.text.words.weight"]
    assert torch.equal(grown[SPECIAL + 1 :][: len(fewer)], learned[SPECIAL:][: len(fewer)])
    assert not torch.equal(grown[SPECIAL], learned[SPECIAL])
    with pytest.raises(ValueError, match=r"belongs to another run \(words: "):
        run(folder, "words", steps=2)
    rest = [
        f"{name}={write_checkpoint(folder / 'rest.safetensors', DEBUG)}" for name in ("decoder", "vocoder", "codec")
    ]
    assert main(["export", str(out), f"joint={last}", *rest, "--model", "debug"]) == 0
    assert read_checkpoint(out).words == tuple(fewer)


def test_files_of_something_else_are_refused(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(folder, "else", steps=1)
    last, good = folder / "else" / "last.safetensors", write_checkpoint(folder / "good.safetensors", DEBUG)
    codec, out = folder / "codec.safetensors", folder / "refused.safetensors"

    def built(name: str, **options: object) -> torch.nn.Module:
        given = {"codec": codec, "text": "", **options} if name == "cpu" else {"codec": codec, **options}
        return make_task(read_config(name, ["model=debug", *(f"options.{k}={v}" for k, v in given.items())])).model()

    with pytest.raises(ValueError, match=r"last\.safetensors holds no fitted codec of debug"):
        built("cpu", codec=last)
    with pytest.raises(ValueError, match="holds nothing of a detector"):
        built("stills", init=last)
    with pytest.raises(ValueError, match=r"holds no weights named vae\.decoder\."):
        built("decoder", init=last)
    with pytest.raises(ValueError, match="holds no remade clips"):
        built("decoder", pairs=good)
    with pytest.raises(ValueError, match="no such file"):
        built("decoder", pairs=folder / "nowhere.safetensors")
    with pytest.raises(ValueError, match="is no run of stills"):
        built("detector", stills=last)
    kept = read_checkpoint(good)
    tensors = {k: v + 1 if k == "video.codec.mean" else v for k, v in kept.tensors.items()}
    other = folder / "fitted-again.safetensors"
    save_checkpoint(other, DEBUG, kept.words, tensors, licence="none", metrics={})
    begun = built("decoder", init=other).vae
    assert torch.equal(begun.codec.mean, load_file(codec)["video.codec.mean"])
    assert torch.equal(begun.decoder.enter.weight, kept.tensors["video.decoder.enter.weight"].float())
    for joint, model in ((codec, "debug"), (last, "mini")):
        parts = [f"joint={joint}", *(f"{name}={good}" for name in ("decoder", "vocoder", "codec"))]
        assert main(["export", str(out), *parts, "--model", model]) == 2 and not out.exists()
        assert f"do not make a whole {model}" in caplog.text


def test_noise_levels_follow_what_they_are_told() -> None:
    clean = AVLatent(torch.zeros(4000, 1, 1, 1, 1), torch.zeros(4000, 1, 1))
    drawn = [
        draw_levels(clean, torch.Generator().manual_seed(0), free=0, given=0, noise=noise).video
        for noise in (Noise(0.6, 1.0), Noise(1.2, 1.2))
    ]
    high = [float((levels > 0.9).float().mean()) for levels in drawn]
    assert high[0] == pytest.approx(0.065, abs=0.02) and high[1] == pytest.approx(0.2, abs=0.03)


def test_some_samples_are_given_clean_parts_and_all_have_something_to_learn() -> None:
    clean = AVLatent(torch.zeros(400, 4, 6, 2, 2), torch.zeros(400, 4, 30))
    generator = torch.Generator().manual_seed(0)
    levels = draw_levels(clean, generator, free=0.1, given=0.5)
    assert levels.video.shape == (400, 6) and levels.audio.shape == (400, 30)
    both = torch.cat((levels.video, levels.audio), 1)
    assert bool((both.amax(1) > 0).all()) and float(both.max()) < 1
    given = (both == 0).any(1).float().mean()
    assert 0.4 < float(given) < 0.6
    picture_alone = (levels.audio == 0).all(1) & (levels.video > 0).all(1)
    sound_alone = (levels.video == 0).all(1) & (levels.audio > 0).all(1)
    assert picture_alone.any() and sound_alone.any()
    assert bool((draw_levels(clean, generator, free=0, given=0).video > 0).all())


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("nowhere", [], "one of"),
        ("cpu", ["colour=red"], "cpu.yaml has no colour; it has task, out"),
        ("cpu", ["model=minni"], "model must be one of debug, .*; got 'minni'"),
        ("cpu", ["out="], "needs a folder to write to"),
        ("cpu", ["save_every=0"], "save_every must be at least 1; got 0"),
        ("cpu", ["rates={text.: slow}"], "rates.text. must be a number; got 'slow'"),
        ("cpu", ["rates={1: 1}"], "A key of rates must be a text; got 1"),
        ("cpu", ["ema=.nan"], "ema must be a number"),
        ("cpu", ["ema=true"], "ema must be a number; got True"),
        ("cpu", ["steps"], "key=value"),
        ("cpu", ["steps=0"], "at least 1"),
        ("cpu", ["adam_rate=fast"], "adam_rate must be a number"),
        ("cpu", ["precision=fp8"], "one of auto, fp32, bf16"),
        ("cpu", ["steps=abc"], "steps must be a whole number; got 'abc'"),
        ("cpu", ["seed=true"], "seed must be a whole number; got True"),
        ("cpu", ["compile=perhaps"], "compile must be true or false"),
        ("cpu", ["out=7"], "out must be a text; got 7"),
        ("cpu", ["options=3"], "options must be {key: value}; got 3"),
        ("cpu", ["options=3", "options.batch=4"], "options must be {key: value}; got 3"),
        ("cpu", ["steps.few=3"], "steps must be {key: value}; got 1500"),
        ("cpu", ["rates=[1]"], "rates must be {key: value}"),
        ("cpu", ["options={a"], "The value of options cannot be read"),
    ],
)
def test_bad_configurations_are_refused(name: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_config(name, overrides)


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        *((name, "colour=1", f"The task {task} has no options.colour; it has .*batch") for name, task in (
            ("words", "words"), ("vocoder", "vocoder"), ("decoder", "decoder"), ("stills", "stills"), ("cpu", "joint"),
        )),
        ("detector", "batch=2", "The task tracks has no options.batch"),
        *((name, "batch=0", "batch must be at least 1; got 0") for name in ("words", "vocoder", "decoder", "stills")),
        ("cpu", "batch=ten", "options.batch must be a whole number; got 'ten'"),
        ("cpu", "shards={4x8x14: 1}", "A bucket must be one of 4x8x14; got '7x8x14'"),
        ("cpu", "shards=many", "options.shards must be a whole number; got 'many'"),
        ("cpu", "buckets={}", "from 0 on; got {}"),
        ("cpu", "buckets={7x8x14: some}", "options.buckets.7x8x14 must be a number"),
        ("cpu", "twins=0", "twins must be at least 1; got 0"),
        ("distill", "rank=0", "rank must be at least 1"),
    ],
)  # fmt: skip
def test_bad_options_are_refused_before_anything_is_read(name: str, option: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(read_config(name, [f"options.{option}"]))


def test_options_are_read_as_they_are_meant(folder: Path) -> None:
    options = {"options.given": "1e-1", "options.shards": "{2x2x2: 3, 4x8x14: 1}", "options.compile_renderer": "true"}
    task = make_task(read_config("cpu", arguments(folder, "typed", **options)))
    assert task.options.given == 0.1 and task.options.shards_of("2x2x2") == 3 and task.pool.fast
    codec = f"options.codec={folder / 'codec.safetensors'}"
    stills = make_task(read_config("stills", ["model=debug", codec, "options.compile_renderer=true"]))
    assert stills.clips.pool.fast and not make_task(read_config("stills", ["model=debug", codec])).clips.pool.fast
    with pytest.raises(ValueError, match=r"The task stills needs options\.codec"):
        make_task(replace(read_config("stills", []), options={}))


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        (["export"], "export OUT joint=PATH decoder=PATH vocoder=PATH codec=PATH"),
        (["fit"], "fit OUT"),
        (["fit", "a", "b"], "fit OUT"),
        (["fill"], "fill CONFIG [key=value ..]"),
        (["soup"], "soup OUT WEIGHTS WEIGHTS .."),
        (["soup", "out", "one"], "soup OUT WEIGHTS WEIGHTS .."),
        (["pairs"], "pairs OUT WEIGHTS [key=value ..]"),
        (["adapter", "x"], "adapter OUT CONFIG [key=value ..]"),
        (["widen", "x"], "widen OUT WEIGHTS"),
        (["label", "a", "b", "c"], "label WEIGHTS OUT.json"),
        (["evaluate", "t.md"], "evaluate OUT.md WEIGHTS .."),
    ],
)
def test_a_command_without_its_arguments_says_its_usage(
    caplog: pytest.LogCaptureFixture, arguments: list[str], usage: str
) -> None:
    assert main(arguments) == 2
    assert caplog.text.endswith(f"Write: python -m kinetophone.pipelines.train {usage}\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cpu", "--model", "coarse"], "The command cpu does not read --model. Write: .* cpu .key=value"),
        (["cpu", "steps=1", "--steps", "7"], "cpu does not read --steps"),
        (["fill", "cpu", "--compile"], "fill does not read --compile"),
        (["soup", "a", "b", "c", "--jobs", "2"], "soup does not read --jobs"),
        (["fit", "a", "--clips", "20"], "fit does not read --clips"),
        (["label", "x.safetensors", "nowhere.json"], "No such file .*nowhere.json"),
        (["label", "x.safetensors", str(Path(__file__))], "is not what `evaluate` writes"),
        (
            ["average", "nodir/out.safetensors", "nowhere.safetensors"],
            "nowhere.safetensors cannot be read: there is no",
        ),
        (["bare.yaml"], "bare.yaml needs out"),
        (["bare.yaml", "out=a"], "The task joint needs options.codec"),
        (["broken.yaml"], "broken.yaml cannot be read: "),
        (["list.yaml"], "list.yaml must be {key: value}"),
    ],
)
def test_a_command_that_cannot_be_says_why(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("bare", "task: joint\nsteps: 3\n"), ("broken", "task: [joint\n"), ("list", "- task\n")):
        (tmp_path / f"{name}.yaml").write_text(text)
    assert main(arguments) == 2 and re.search(told, caplog.text)


def test_a_run_that_diverges_says_so_and_keeps_what_it_had(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(folder, "diverges", steps=1)
    kept = (folder / "diverges" / "last.safetensors").read_bytes()
    assert main(["cpu", *arguments(folder, "diverges", steps=2, **{"options.audio_weight": "1e38"})]) == 2
    assert "A gradient was not finite, not long before step 2. What was saved before is kept" in caplog.text
    assert (folder / "diverges" / "last.safetensors").read_bytes() == kept


def test_the_help_of_the_command_line_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "\nsoup OUT WEIGHTS WEIGHTS ..\n    the mean of checkpoints" in capsys.readouterr().out


def test_every_shipped_configuration_is_read() -> None:
    run = read_config("cpu", ["adam_rate=6e-4", "rates={text.: 1e-1}"])
    assert run.adam_rate == 6e-4 and run.rates == {"text.": 0.1}
    for path in CONFIG_FOLDER.glob("*.yaml"):
        assert read_config(path.stem, []).steps > 0


def test_a_foreign_codec_is_missed_at_once(folder: Path) -> None:
    config = read_config("cpu", arguments(folder, "x", **{"options.codec": folder / "no.safetensors"}))
    with pytest.raises(ValueError, match="No fitted codec"):
        make_task(config)
    assert json.dumps(DEBUG.to_dict())


def test_a_glossy_edge_that_faces_the_sun_stays_finite() -> None:
    grid, bucket = CONFIGS["mini"].grid, Bucket.parse("7x14x8")
    scenes = under_another_sky(clip_scenes(grid, bucket, 8, seed_of(0, 4, 48, 7, 14, 8)))
    frame = world.render(scenes, world.simulate(scenes), base_times(grid, 7)[4:5], 112, 64, samples=2)
    assert frame.isfinite().all()
