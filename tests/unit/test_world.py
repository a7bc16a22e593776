from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kinetophone.pipelines import world
from kinetophone.pipelines.text.tokenizer import split
from kinetophone.pipelines.world.caption import COLOURS, SHAPES
from kinetophone.pipelines.world.scene import BOUNCE

SECONDS = 2.0


@pytest.fixture(scope="module")
def scenes() -> world.Scenes:
    return world.sample_scenes(48, seed=11, seconds=SECONDS)


@pytest.fixture(scope="module")
def motion(scenes: world.Scenes) -> world.Motion:
    return world.simulate(scenes)


def test_the_same_seed_is_the_same_world(scenes: world.Scenes) -> None:
    again = world.sample_scenes(48, seed=11, seconds=SECONDS)
    other = world.sample_scenes(48, seed=12, seconds=SECONDS)
    same = [torch.equal(a, b) for a, b in zip(vars(scenes).values(), vars(again).values(), strict=True)
            if isinstance(a, torch.Tensor)]  # fmt: skip
    assert all(same)
    assert world.captions(scenes, seed=1) == world.captions(again, seed=1)
    assert world.captions(scenes, seed=1) != world.captions(other, seed=1)


def test_pictures_move_only_where_something_happens(scenes: world.Scenes, motion: world.Motion) -> None:
    frames = world.render(scenes, motion, torch.tensor([0.2, 0.9]), 32, 56, samples=1)
    assert frames.shape == (48, 2, 3, 32, 56)
    assert float(frames.min()) >= 0 and float(frames.max()) <= 1
    assert float(frames.std((2, 3, 4)).min()) > 0.02


def test_a_larger_picture_shows_the_same_scene(scenes: world.Scenes, motion: world.Motion) -> None:
    small = world.render(scenes, motion, torch.tensor([0.5]), 32, 56, samples=2)
    large = world.render(scenes, motion, torch.tensor([0.5]), 64, 112, samples=1)
    pooled = torch.nn.functional.avg_pool2d(large.flatten(0, 1), 2)
    assert float((pooled - small.flatten(0, 1)).abs().mean()) < 0.01


def test_the_object_map_covers_what_taking_the_objects_away_changes() -> None:
    scenes = world.sample_scenes(4, seed=5)
    dry = replace(scenes, weather=torch.zeros_like(scenes.weather), sky=torch.zeros_like(scenes.sky))
    times = torch.tensor([0.5])
    seen = world.object_map(dry, world.simulate(dry), times, 32, 56)[:, 0] >= 0
    bare = replace(dry, present=torch.zeros_like(dry.present))
    frames = [world.render(s, world.simulate(s), times, 32, 56)[:, 0] for s in (dry, bare)]
    changed = (frames[0] - frames[1]).abs().amax(1) > 0.08
    assert float(changed[seen].float().mean()) > 0.9
    # Shadows change more than the objects cover, but not everything else.
    assert float(changed[~seen].float().mean()) < 0.2
    assert 0.01 < float(seen.float().mean()) < 0.3


def test_sound_is_audible_bounded_and_exact_in_length(scenes: world.Scenes, motion: world.Motion) -> None:
    wave = world.synthesise(scenes, motion, 48000, 24000)
    assert wave.shape == (48, 48000) and wave.isfinite().all()
    assert float(wave.abs().max()) <= 1
    # A still object under a quiet sky may be nearly silent; most scenes are heard.
    assert float((wave.square().mean(1).sqrt() > 1e-3).float().mean()) > 0.7


def test_a_bounce_is_seen_and_heard_at_the_same_time() -> None:
    scenes = world.sample_scenes(128, seed=4, seconds=SECONDS)
    motion = world.simulate(scenes)
    wave = world.synthesise(scenes, motion, 48000, 24000)
    labels = world.labels(scenes)
    alone = (labels["action"][:, 0] == BOUNCE) & (labels["count"] == 1) & (labels["weather"] == 0)
    lags = []
    for index in alone.nonzero().flatten().tolist():
        times = motion.events.time[index, 0]
        for time in times[(times > 0.15) & (times < 1.8)].tolist():
            first = int(time * 24000)
            energy = wave[index, first - 2400 : first + 2400].square().unfold(0, 120, 24).mean(1)
            lags.append(abs(int(energy.diff().argmax()) * 24 + 120 - 2400) / 24000)
    assert len(lags) >= 5
    assert sorted(lags)[len(lags) // 2] < 0.02


def test_captions_use_the_vocabulary_only_and_vary(scenes: world.Scenes) -> None:
    known = set(world.vocabulary())
    forms = [world.captions(scenes, seed=seed) for seed in range(6)]
    for captions in forms:
        for caption in captions:
            assert set(split(caption)) <= known, caption
    assert all(len({captions[index] for captions in forms}) > 1 for index in range(48))
    lengths = [len(split(caption)) for captions in forms for caption in captions]
    assert min(lengths) <= 5 and max(lengths) >= 15
    # The text encoder reads 47 words: what is cut off is the end of very few captions.
    assert sum(length > 47 for length in lengths) < 0.02 * len(lengths)


def test_captions_name_what_the_labels_say(scenes: world.Scenes) -> None:
    labels = world.labels(scenes)
    captions = [" ".join(world.captions(scenes, seed=seed)[index] for seed in range(8)) for index in range(48)]
    for index, caption in enumerate(captions):
        words, first = set(split(caption)), {name: int(labels[name][index, 0]) for name in ("colour", "shape")}
        assert words & set(COLOURS[first["colour"]]) and words & set(SHAPES[first["shape"]]), caption


def test_synonyms_lead_into_the_vocabulary() -> None:
    known = set(world.vocabulary())
    for word, plain in world.synonyms().items():
        assert word not in known and plain in known


def test_small_things_ring_higher_than_large_ones(scenes: world.Scenes) -> None:
    small, large = (world.pitch_of(replace(scenes, size=torch.full_like(scenes.size, size))) for size in (0, 1))
    assert (small > large).all()
