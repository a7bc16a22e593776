"""Motion in closed form: poses at any time, and contacts at exact times."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .scene import (
    BEACON,
    BIRD,
    BOUNCE,
    CAR,
    COLLIDE,
    DRIVE,
    FLY,
    HOP,
    HOVER,
    RESTITUTION,
    ROLL,
    SPIN,
    STILL,
    WATER,
    Scenes,
    reach,
)
from .talk import syllables, talking, voice_envelope

GRAVITY = 9.8
BOUNCES = 14
IMPACT, PULSE, FLASH, HONK, CHIRP, SYLLABLE, SPLASH = range(7)
SPIN_RATE = 3.6
ROLL_SPAN = 0.55
HONK_SECONDS = 0.25
CHIRP_SECONDS = 0.13
# Metres that a bird dips at a chirp.
DIP = 0.08
# How deep a floating object sinks in, in radii, and how far it bobs, in metres.
DRAUGHT = 0.32
BOB = 0.045
# In which a strike fades in `Motion.moments`.
STRIKE_SECONDS = 0.08


@dataclass(frozen=True)
class Events:
    """Things that sound and show at one instant: `time` in seconds (inf = none), `strength` 0..1, all `[B, N, E]`."""

    time: Tensor
    strength: Tensor
    kind: Tensor


@dataclass(frozen=True)
class Poses:
    """Objects at T times: `centre [B, T, N, 3]`, `turn [B, T, N, 2]` (yaw, roll), `glow [B, T, N]`, `flash [B, T]`.

    Of the character `[B, T]`: `signal` 0..1 (how bright its horn's light, how wide its beak or mouth), `flap` (radians
    of the wings above the level).
    """

    centre: Tensor
    turn: Tensor
    glow: Tensor
    flash: Tensor
    signal: Tensor
    flap: Tensor


@dataclass(frozen=True)
class Motion:
    """The solved motion of a batch; `poses(times)` evaluates it, `events` and `flashes [B, E]` are exact."""

    scenes: Scenes
    events: Events
    flashes: Tensor
    speed: Tensor
    hit_time: Tensor

    def poses(self, times: Tensor) -> Poses:
        """Poses at `times [T]` seconds."""
        s, t = self.scenes, times[None, :, None]
        action = s.action[:, None]
        rest = s.radius[:, None]
        height = torch.zeros_like(rest + t)
        height = torch.where(action == BOUNCE, _bounce_height(s, self.events.time, times), height)
        height = torch.where(action == HOP, _hop_height(s, t), height)
        hover = 0.75 + 0.16 * torch.sin(2 * math.pi * (0.7 * t + s.phase[:, None]))
        height = torch.where(action == HOVER, hover, height)
        height = torch.where(_floats(s)[:, None], _float_height(s, t), height)
        signal = self.signal(times)
        height = torch.cat((height[..., :1] + _flight(s, times, signal)[..., None], height[..., 1:]), -1)
        travelled = self._travel(times)
        x = s.x[:, None] + travelled
        y = rest + height
        centre = torch.stack((x, y, s.z[:, None].expand_as(x)), dim=-1)
        yaw = s.yaw[:, None] + torch.where(action == SPIN, SPIN_RATE * t, torch.zeros_like(t))
        yaw = yaw + torch.where(action == HOVER, 0.8 * t, torch.zeros_like(t))
        turn = torch.stack((yaw, -travelled / rest), dim=-1)
        return Poses(centre, turn, self._glow(t[..., None]), _flash(self.flashes, times), signal, _flap(s, times))

    def signal(self, times: Tensor) -> Tensor:
        """What the first object's sound does to it, 0..1 `[B, T]`: up at once at a honk or chirp, following a voice."""
        since = times[None, :, None] - self.events.time[:, 0, None]
        kind = self.events.kind[:, :1, :1]
        length = torch.where(kind == HONK, HONK_SECONDS, CHIRP_SECONDS)
        open_ = torch.exp(-((since.clamp_min(0) / length) ** 4)) * (since >= 0)
        sounded = torch.where((kind == HONK) | (kind == CHIRP), open_, torch.zeros(())).amax(-1)
        return torch.maximum(sounded, voice_envelope(self.scenes, times))

    def moments(self, times: Tensor) -> Tensor:
        """How far the event of each object is on, 0..1 `[B, T, N]`: strikes and pulses fade, voices and horns last."""
        since = times[None, :, None, None] - self.events.time[:, None]
        struck = ((self.events.kind == IMPACT) | (self.events.kind == SPLASH))[:, None] & (since >= 0)
        strike = torch.where(struck, torch.exp(-since.clamp_min(0) / STRIKE_SECONDS), torch.zeros(())).amax(-1)
        on = torch.maximum(strike, self._glow(times[None, :, None, None]))
        return torch.cat((torch.maximum(on[..., :1], self.signal(times)[..., None]), on[..., 1:]), -1)

    def _travel(self, times: Tensor) -> Tensor:
        """Metres along x since the start, `[B, T, N]`."""
        s, t = self.scenes, times[None, :, None]
        rolling = self.speed[:, None] * (t - s.seconds / 2)
        goes = (s.action == ROLL) | (s.action == DRIVE) | (s.action == FLY)
        travelled = torch.where(goes[:, None], rolling, torch.zeros_like(rolling))
        after = (t - self.hit_time[:, None, None]).clamp_min(0)
        before = (t - self.hit_time[:, None, None]).clamp_max(0)
        # The struck object takes most of the momentum and both slow down by friction.
        runner = self.speed[:, None, :1] * (before + 0.2 * _slowing(after))
        struck = self.speed[:, None, :1] * 0.7 * _slowing(after)
        pair = torch.cat((runner, struck, torch.zeros_like(runner)), dim=-1)
        return torch.where((s.action[:, :1] == COLLIDE)[:, None], pair, travelled)

    def _glow(self, t: Tensor) -> Tensor:
        since = t - self.events.time[:, None]
        pulse = torch.where(self.events.kind[:, None] == PULSE, torch.exp(-since.clamp_min(0) / 0.12), torch.zeros(()))
        return (pulse * (since >= 0)).amax(-1)


def simulate(scenes: Scenes) -> Motion:
    """Solve the motion of a batch of scenes."""
    s = scenes
    none = torch.full((*s.x.shape, BOUNCES), math.inf)
    time, strength = none.clone(), torch.zeros_like(none)
    first = torch.arange(s.x.shape[1]) == 0
    honks, chirps, talks = (does[:, None] & first for does in (honking(s), chirping(s), talking(s)))
    solvers = (
        (s.action == BOUNCE, _bounces), (s.action == HOP, _hops), (s.action == BEACON, _pulses), (honks, _honks),
        (chirps, _chirps), (talks, syllables),
    )  # fmt: skip
    for does, solve in solvers:
        chosen = (does & s.present)[..., None]
        times, strengths = solve(s)
        time, strength = torch.where(chosen, times, time), torch.where(chosen, strengths, strength)
    direction = (s.direction == 2).float() - (s.direction == 1).float()
    half = 0.5 * s.aspect**0.5 * 4.6
    speed = direction * 2 * ROLL_SPAN * half * (0.9 + 0.2 * s.pace) / s.seconds
    room = reach(s.shape[:, 0], s.radius[:, 0], s.camera, s.aspect)
    crosses = (s.action[:, 0] == DRIVE) | (s.action[:, 0] == FLY)
    across = direction[:, 0] * 2 * room * (0.86 + 0.14 * s.pace[:, 0]) / s.seconds
    speed[:, 0] = torch.where(crosses, across, speed[:, 0])
    hit_time, speed, scenes = _collision(s, speed, direction)
    collides = scenes.action[:, 0] == COLLIDE
    time[:, 1, 0] = torch.where(collides, hit_time, time[:, 1, 0])
    strength[:, 1, 0] = torch.where(collides, torch.ones(()), strength[:, 1, 0])
    time[:, 0, 0] = torch.where(collides, hit_time, time[:, 0, 0])
    strength[:, 0, 0] = torch.where(collides, torch.ones(()), strength[:, 0, 0])
    kind = torch.where(scenes.action == BEACON, PULSE, IMPACT)
    splashes = (scenes.ground == WATER)[:, None] & (kind == IMPACT)
    for does, name in ((splashes, SPLASH), (honks, HONK), (chirps, CHIRP), (talks, SYLLABLE)):
        kind = torch.where(does, name, kind)
    kind = kind[..., None].expand_as(time)
    return Motion(scenes, Events(time, strength, kind), _flash_times(scenes), speed, hit_time)


def _collision(s: Scenes, speed: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Scenes]:
    """Put the runner beside the object that it will strike, touching at the hit time."""
    collides = s.action[:, 0] == COLLIDE
    hit = s.seconds * (0.35 + 0.15 * s.pace[:, 0])
    half = 0.5 * s.aspect**0.5 * 4.6
    run = direction[:, 0] * half * 0.62 / hit
    speed = speed.clone()
    speed[:, 0] = torch.where(collides, run, speed[:, 0])
    x, z = s.x.clone(), s.z.clone()
    x[:, 1] = torch.where(collides, direction[:, 0] * half * 0.12, x[:, 1])
    x[:, 0] = torch.where(collides, x[:, 1] - direction[:, 0] * (s.radius[:, 0] + s.radius[:, 1]), x[:, 0])
    z[:, 0] = torch.where(collides, z[:, 1], z[:, 0])
    # A third object stands behind, out of the way.
    z[:, 2] = torch.where(collides, z[:, 1] + 1.8, z[:, 2])
    moved = {f: getattr(s, f) for f in s.__dataclass_fields__} | {"x": x, "z": z}
    return torch.where(collides, hit, torch.full_like(hit, 1e6)), speed, Scenes(**moved)


def honking(s: Scenes) -> Tensor:
    """Whether the first object is a car that honks, `[B]`."""
    return (s.shape[:, 0] == CAR) & s.present[:, 0] & (s.phase[:, 0] < 0.72)


def chirping(s: Scenes) -> Tensor:
    """Whether the first object is a bird, which chirps, `[B]`."""
    return (s.shape[:, 0] == BIRD) & s.present[:, 0]


def _honks(s: Scenes) -> tuple[Tensor, Tensor]:
    """One honk, or two, of a clip of any length."""
    first = s.seconds * (0.12 + 0.42 * torch.remainder(s.phase * 7.31, 1.0))
    second = torch.where(s.phase < 0.36, first + 0.42 + 0.2 * s.pace, torch.full_like(first, math.inf))
    # A second honk that would be cut off by the end is none.
    second = torch.where(second < s.seconds - HONK_SECONDS, second, torch.full_like(second, math.inf))
    none = torch.full((*first.shape, BOUNCES - 2), math.inf)
    times = torch.cat((first[..., None], second[..., None], none), -1)
    return times, torch.ones_like(times)


def _chirps(s: Scenes) -> tuple[Tensor, Tensor]:
    period = (0.42 + 0.3 * s.pace)[..., None]
    times = period * (torch.arange(BOUNCES) + 0.3 + 0.5 * s.phase[..., None])
    return times, torch.ones_like(times)


def _flight(s: Scenes, times: Tensor, signal: Tensor) -> Tensor:
    """Metres `[B, T]` of a bird above its rest: mid height with a slight bobbing, lower for a moment at a chirp."""
    phase = s.phase[:, :1]
    up = 1.36 + 0.2 * phase - s.radius[:, :1] + 0.07 * torch.sin(2 * math.pi * (0.8 * times + phase))
    flies = s.action[:, :1] == FLY
    swims = (s.action[:, :1] == STILL) & (s.ground == WATER)[:, None]
    bird = (s.shape[:, :1] == BIRD).float()
    return bird * (torch.where(flies, up, torch.zeros(())) - DIP * signal * (flies | swims))


def _flap(s: Scenes, times: Tensor) -> Tensor:
    """Radians `[B, T]` of a bird's wings above the level: three to five beats a second, or folded down."""
    beat = torch.sin(2 * math.pi * ((3 + 2 * s.pace[:, :1]) * times + s.phase[:, :1]))
    return torch.where(s.action[:, :1] == FLY, 0.35 + 0.75 * beat, torch.full((), -1.2))


def _floats(s: Scenes) -> Tensor:
    return (s.ground == WATER)[:, None] & ((s.action == STILL) | (s.action == BEACON))


def _float_height(s: Scenes, t: Tensor) -> Tensor:
    bob = torch.sin(2 * math.pi * (0.55 * t + s.phase[:, None]))
    return BOB * bob - DRAUGHT * s.radius[:, None]


def _slowing(t: Tensor) -> Tensor:
    """Distance of unit speed that friction brings to rest."""
    return 1 - torch.exp(-t)


def _bounce_start(s: Scenes) -> tuple[Tensor, Tensor, Tensor]:
    height = 0.7 + 0.35 * s.pace
    return height, torch.sqrt(2 * height / GRAVITY), torch.tensor(RESTITUTION)[s.material]


def _bounces(s: Scenes) -> tuple[Tensor, Tensor]:
    _, first, e = _bounce_start(s)
    k = torch.arange(BOUNCES)
    powers = e[..., None] ** k
    # Flights between contacts last 2 v / g, each shorter by the restitution.
    elapsed = torch.cumsum(torch.cat((first[..., None], 2 * first[..., None] * powers[..., 1:]), -1), -1)
    return elapsed, powers


def _bounce_height(s: Scenes, contacts: Tensor, times: Tensor) -> Tensor:
    height, first, e = _bounce_start(s)
    t = times[None, :, None]
    index = (contacts[:, None] <= t[..., None]).sum(-1)
    falling = height[:, None] - 0.5 * GRAVITY * t**2
    last = torch.gather(contacts[:, None].expand(-1, len(times), -1, -1), -1, (index - 1).clamp_min(0)[..., None])[
        ..., 0
    ]
    since = t - last
    flight = e[:, None] ** index * GRAVITY * first[:, None] * since - 0.5 * GRAVITY * since**2
    return torch.where(index == 0, falling, flight).clamp_min(0).nan_to_num(0)


def _hop_period(s: Scenes) -> Tensor:
    return 0.52 + 0.2 * s.pace


def _hops(s: Scenes) -> tuple[Tensor, Tensor]:
    period = _hop_period(s)[..., None]
    times = period * (torch.arange(BOUNCES) + 1 - 0.5 * s.phase[..., None])
    return times, torch.full_like(times, 0.7)


def _hop_height(s: Scenes, t: Tensor) -> Tensor:
    period = _hop_period(s)[:, None]
    inside = torch.remainder(t + 0.5 * s.phase[:, None] * period, period)
    return 0.5 * GRAVITY * inside * (period - inside)


def _pulses(s: Scenes) -> tuple[Tensor, Tensor]:
    period = (0.5 + 0.3 * s.pace)[..., None]
    times = period * (torch.arange(BOUNCES) + 0.3 + 0.5 * s.phase[..., None])
    return times, torch.ones_like(times)


def _flash_times(s: Scenes) -> Tensor:
    times = torch.stack((0.3 + 0.8 * s.light, 1.9 + 1.2 * s.light), -1)
    return torch.where((s.weather == 3)[:, None], times, torch.full_like(times, math.inf))


def _flash(flashes: Tensor, times: Tensor) -> Tensor:
    since = times[None, :, None] - flashes[:, None]
    flicker = torch.exp(-since.clamp_min(0) / 0.14) * (
        0.7 + 0.3 * torch.cos(since.clamp_max(9).nan_to_num(0, 0, 0) * 60)
    )
    return torch.where(since >= 0, flicker, torch.zeros(())).amax(-1)
