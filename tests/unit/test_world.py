from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kinetophone.pipelines import world
from kinetophone.pipelines.text.reading import split
from kinetophone.pipelines.world.caption import FORMS
from kinetophone.pipelines.world.phrase import COLOURS, SHAPES
from kinetophone.pipelines.world.sample import CHARACTER_SHARES, WATER_SHARE
from kinetophone.pipelines.world.scene import (
    BEACON,
    BIRD,
    BOUNCE,
    CAR,
    COLLIDE,
    CONE,
    DRIVE,
    FLY,
    HOP,
    HOVER,
    ROBOT,
    ROLL,
    SPIN,
    STILL,
    TALK,
    WATER,
)

SECONDS = 2.0

# What 46 plain scenes of seed 3 began with before there were characters, and how the first three looked.
PLAIN_COLOURS = [[0, 9, 4], [3, 0, 9], [7, 9, 5], [4, 7, 0]]
PLAIN_ACTIONS = [[3, 0, 0], [1, 0, 0], [6, 2, 0], [2, 0, 0]]
PLAIN_MEANS = [[0.468604, 0.464802], [0.565509, 0.566206], [0.319825, 0.424159]]
PLAIN_PIXELS = [
    [0.055748, 0.060835, 0.133532, 0.055749, 0.173636, 0.055749, 0.367432, 0.369815],
    [0.462781, 0.454675, 0.34557, 0.171906, 0.537206, 0.459909, 0.512458, 0.174785],
    [0.45341, 0.421094, 0.447524, 0.4485, 0.267675, 0.128779, 0.495448, 0.416289],
]


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
    labels = world.labels(scenes)
    alone = (labels["action"][:, 0] == BOUNCE) & (labels["count"] == 1) & (labels["weather"] == 0)
    scenes = _chosen(scenes, alone & (labels["ground"] != WATER))
    motion = world.simulate(scenes)
    wave = world.synthesise(scenes, motion, 48000, 24000)
    lags = []
    for index, times in enumerate(motion.events.time[:, 0]):
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


def test_loose_captions_say_the_same_without_small_words(scenes: world.Scenes) -> None:
    """`under an overcast sky` is an overcast sky in any order, and to zoom in stays another thing than to zoom."""
    captions = [" ".join(world.captions(scenes, seed=seed, form="loose")[index] for seed in range(12))
                for index in range(48)]  # fmt: skip
    terse = [text for text in world.captions(scenes, seed=3, form="loose") if not set(split(text)) & {"a", "the", "on"}]
    assert 10 < len(terse) < 48
    skies = (("sunny", "daylight", "sunshine", "clear"), ("sunset", "evening", "dusk"),
             ("night", "stars", "moonlight"), ("overcast", "clouds", "cloudy"))  # fmt: skip
    for sky, caption in zip(scenes.sky.tolist(), captions, strict=True):
        assert any(word in split(caption) for word in skies[sky]), caption
        assert caption.count("zoom ") == caption.count("zoom in") + caption.count("zoom out"), caption


def test_small_things_ring_higher_than_large_ones(scenes: world.Scenes) -> None:
    small, large = (world.pitch_of(replace(scenes, size=torch.full_like(scenes.size, size))) for size in (0, 1))
    assert (small > large).all()


def _chosen(scenes: world.Scenes, mask: torch.Tensor) -> world.Scenes:
    """The scenes where `mask` is true."""
    values = vars(scenes).items()
    return replace(scenes, **{name: value[mask] for name, value in values if isinstance(value, torch.Tensor)})


@pytest.fixture(scope="module")
def many() -> world.Scenes:
    return world.sample_scenes(2000, seed=21, seconds=SECONDS)


def test_plain_scenes_are_what_they_were_before_there_were_characters() -> None:
    scenes = world.sample_scenes(64, seed=3, seconds=SECONDS)
    plain = _chosen(scenes, (scenes.shape[:, 0] < CAR) & (scenes.ground != WATER))
    assert len(plain) == 46
    assert plain.colour[:4].tolist() == PLAIN_COLOURS and plain.action[:4].tolist() == PLAIN_ACTIONS
    first = _chosen(plain, torch.arange(len(plain)) < 3)
    frames = world.render(first, world.simulate(first), torch.tensor([0.3, 1.1]), 32, 56)
    assert torch.allclose(frames.mean((2, 3, 4)), torch.tensor(PLAIN_MEANS), atol=1e-5)
    row = frames[:, :, 0, 18, 20:32:3]
    assert torch.allclose(row.flatten(1), torch.tensor(PLAIN_PIXELS), atol=1e-4)


def test_characters_and_water_are_as_frequent_as_they_should_be(many: world.Scenes) -> None:
    for shape, share in zip((CAR, BIRD, ROBOT), CHARACTER_SHARES, strict=True):
        assert abs(float((many.shape[:, 0] == shape).float().mean()) - share) < 0.02
    assert abs(float((many.ground == WATER).float().mean()) - WATER_SHARE) < 0.02
    assert int(many.shape[:, 1:].max()) == CONE


def test_on_water_nothing_rolls_spins_collides_drives_or_talks(many: world.Scenes) -> None:
    wet = _chosen(many, many.ground == WATER)
    assert set(wet.action.unique().tolist()) <= {STILL, BOUNCE, HOP, HOVER, BEACON, FLY}
    assert not ((wet.shape == CAR) | (wet.shape == ROBOT)).any()
    assert not (set(many.action[many.shape == CAR].tolist()) - {STILL, DRIVE})
    for action in (ROLL, SPIN, COLLIDE):
        assert ((many.action[:, 0] == action) & (many.shape[:, 0] < CAR)).any()


@pytest.mark.parametrize("aspect", [1.75, 1.0, 0.5714])
def test_characters_are_large_and_stay_in_the_frame(aspect: float) -> None:
    scenes = world.sample_scenes(150, seed=8, seconds=SECONDS, aspect=aspect)
    cast = _chosen(scenes, scenes.shape[:, 0] >= CAR)
    alone = replace(cast, present=cast.present & (torch.arange(3) == 0))
    height, width = {1.75: (64, 112), 1.0: (84, 84)}.get(aspect, (112, 64))
    times = torch.linspace(0, SECONDS - 1 / 24, 6)
    seen = world.object_map(alone, world.simulate(alone), times, height, width)
    assert set(seen.unique().tolist()) == {-1, 0}
    edge = torch.cat((seen[..., 0], seen[..., -1], seen[:, :, 0], seen[:, :, -1]), -1)
    assert (edge < 0).all(), cast.shape[(edge >= 0).any(-1).any(-1), 0]
    tall = (seen >= 0).any(-1).sum(-1).amin(1)
    for shape, least in ((CAR, 19), (BIRD, 15), (ROBOT, 20)):
        assert int(tall[cast.shape[:, 0] == shape].min()) >= least


def _onset(wave: torch.Tensor, around: float) -> float:
    """Seconds at which a sound sets in near a time: its steepest rise."""
    first = int(around * 24000) - 2400
    energy = wave[first : first + 4800].square().unfold(0, 120, 24).mean(1)
    return (first + int(energy.diff().argmax()) * 24 + 120) / 24000


def test_horn_chirp_and_splash_are_heard_when_they_are_seen(many: world.Scenes) -> None:
    dry = (many.weather == 0) & (many.present.sum(-1) == 1)
    splashes = (many.ground == WATER) & ((many.action[:, 0] == BOUNCE) | (many.action[:, 0] == HOP))
    for kind in (many.shape[:, 0] == CAR, many.shape[:, 0] == BIRD, splashes):
        scenes = _chosen(many, kind & dry)
        motion = world.simulate(scenes)
        wave = world.synthesise(scenes, motion, 48000, 24000)
        gaps = []
        for row, times in enumerate(motion.events.time[:, 0]):
            for time in times[(times > 0.15) & (times < 1.7)][:2].tolist():
                gaps.append(abs(_onset(wave[row], time) - time))
        assert len(gaps) > 5
        assert sorted(gaps)[int(0.9 * len(gaps))] < 0.02


def test_a_honk_lights_the_picture_and_a_splash_whitens_the_water(many: world.Scenes) -> None:
    splashes = (many.ground == WATER) & (many.action[:, 0] == BOUNCE)
    for kind in ((many.shape[:, 0] == CAR) & (many.action[:, 0] == DRIVE), splashes):
        scenes = _chosen(many, kind & (many.weather == 0) & (many.sky == 2))
        motion = world.simulate(scenes)
        times = motion.events.time[:, 0, 0]
        shown = times.isfinite().nonzero().flatten().tolist()[:4]
        assert shown
        for row in shown:
            one = _chosen(scenes, torch.arange(len(scenes)) == row)
            moments = times[row] + torch.tensor([-0.01, 0.01])
            before, after = world.render(one, world.simulate(one), moments, 64, 112, samples=1)[0]
            assert float((after - before).mean(0).amax()) > 0.25


def test_a_voice_is_as_loud_as_its_mouth_is_open(many: world.Scenes) -> None:
    talks = (many.action[:, 0] == TALK) & (many.weather == 0) & (many.sky == 3) & (many.present.sum(-1) == 1)
    scenes = _chosen(many, talks)
    motion = world.simulate(scenes)
    wave = world.synthesise(scenes, motion, 48000, 24000)
    loud = wave.unfold(1, 480, 240).square().mean(-1).sqrt()
    times = (torch.arange(loud.shape[1]) * 240 + 240) / 24000
    mouth = motion.signal(times)
    assert len(scenes) > 5
    for row in range(len(scenes)):
        assert float(torch.corrcoef(torch.stack((loud[row], mouth[row])))[0, 1]) > 0.8
    one = _chosen(scenes, torch.arange(len(scenes)) == 0)
    moments = torch.stack((times[mouth[0].argmax()], times[mouth[0].argmin()]))
    open_, shut = world.render(one, world.simulate(one), moments, 64, 112)[0]
    assert float((open_ - shut).abs().mean(0).amax()) > 0.2


def test_labels_of_the_new_sounds_agree_with_what_is_heard(many: world.Scenes) -> None:
    quiet = _chosen(many, (many.weather == 0) & (many.sky == 3) & (many.present.sum(-1) == 1))
    heard = world.labels(quiet)["sound"]
    loud = world.synthesise(quiet, world.simulate(quiet), 48000, 24000).square().mean(1).sqrt()
    silent = heard.sum(1) == 0
    assert silent.any() and float(loud[silent].max()) < 0.01 and float(loud[~silent].min()) > 0.01
    names = world.LABEL_NAMES["sound"]
    for name in ("engine", "honk", "chirp", "voice", "splash"):
        assert heard[:, names.index(name)].any(), name
    assert not (heard[:, names.index("impact")] & heard[:, names.index("splash")]).any()


def test_captions_name_characters_and_water_and_give_characters_no_material(many: world.Scenes) -> None:
    named = {CAR: {"car", "automobile"}, BIRD: {"bird", "songbird"}, ROBOT: {"robot", "android"}}
    cast = _chosen(many, many.shape[:, 0] >= CAR)
    assert (world.labels(cast)["material"][:, 0] == -1).all()
    for form in dict(FORMS):
        for caption, shape in zip(world.captions(cast, seed=1, form=form), cast.shape[:, 0].tolist(), strict=True):
            assert set(split(caption)) & named[shape], caption
    wet = _chosen(many, many.ground == WATER)
    for caption in world.captions(wet, seed=2, form="dense"):
        assert set(split(caption)) & {"water", "lake", "pond"}, caption
    driving = _chosen(many, (many.action[:, 0] == DRIVE) & (many.direction[:, 0] == 1))
    assert all("left" in caption for caption in world.captions(driving, seed=3, form="short"))
    colliding = _chosen(many, (many.action[:, 0] == COLLIDE) & (many.direction[:, 0] == 2) & (many.camera != 2))
    assert len(colliding) > 2
    assert all("right" in caption for caption in world.captions(colliding, seed=4, form="dense"))
    assert len(world.vocabulary()) < 1021


def test_moments_are_on_when_something_sounds(scenes: world.Scenes, motion: world.Motion) -> None:
    """A strike and a pulse begin at the exact time of their event; what makes no sound of its own has no moment."""
    struck = ((scenes.action == BOUNCE) | (scenes.action == HOP) | (scenes.action == BEACON)) & scenes.present
    for clip, slot in struck.nonzero().tolist():
        hit = motion.events.time[clip, slot, 0]
        before, after = motion.moments(torch.stack((hit - 0.01, hit + 1e-4)))[clip, :, slot].tolist()
        assert before == 0 and after > 0.99
    quiet = (scenes.action == ROLL) | (scenes.action == SPIN) | (scenes.action == HOVER)
    assert not motion.moments(torch.arange(0, SECONDS, 0.02)).transpose(1, 2)[quiet].any()


def test_a_voice_is_on_as_far_as_the_mouth_is_open(many: world.Scenes) -> None:
    robots = _chosen(many, many.action[:, 0] == TALK)
    motion, times = world.simulate(robots), torch.arange(0, SECONDS, 0.02)
    assert torch.equal(motion.moments(times)[..., 0], motion.signal(times))
    assert motion.signal(times).amax(1).gt(0.5).all()


def test_scenes_look_the_same_together_as_apart() -> None:
    batches = [world.sample_scenes(5, seed=seed, seconds=2.0, aspect=1.75) for seed in (1, 2)]
    whole, times = world.Scenes.joined(batches), torch.tensor([0.3, 1.2])
    together, *apart = (world.render(s, world.simulate(s), times, 16, 28, samples=1) for s in (whole, *batches))
    assert len(whole) == 10 and torch.equal(together, torch.cat(apart))
