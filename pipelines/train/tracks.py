"""Training of what the detector reads from one frame to the next, and hears, on clips that its stills part has seen."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import world
from ..model.config import CONFIGS
from ..model.ops import best_cpu_dtype
from .checkpoint import fill, load_averaged
from .config import RunConfig, parse_options
from .detector import ACTS, Detector, region_flow, trace
from .stills import DetectorClips, DetectorOptions, known_weights
from .task import Batch, Forward, Values, seed_of, training_device

# Few objects go anywhere, and a detector that says of all that they do not would be right most of the time.
DIRECTION_WEIGHTS = (0.4, 1.0, 1.0)
# Clips that are looked at together: their features take 70 MB in single precision.
TRACED = 16


@dataclass(frozen=True, kw_only=True)
class TracksOptions(DetectorOptions):
    """Those of the detector, and the run of `stills` that it goes on from."""

    stills: str


class TracksTask:
    """Cross-entropy of the camera, of what objects are and do, and of sound. The stills part stays as it is.

    What it sees in a clip is worked out once and kept, so that a step costs next to nothing.
    """

    name = "tracks"
    words = ()

    def __init__(self, run: RunConfig) -> None:
        self.run, self.options, config = run, parse_options(TracksOptions, run), CONFIGS[run.model]
        self.mels, self.clips = config.audio.mels, DetectorClips(config, self.options)
        self.device = training_device()
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else best_cpu_dtype()
        self.stills = self.model().stills.to(self.device, self.dtype).eval()

    def model(self) -> Detector:
        torch.manual_seed(self.run.seed)
        detector = Detector(self.mels)
        if self.options.init:
            detector.load_state_dict(known_weights(Path(self.options.init), detector))
        path = self.options.stills
        fill(detector.stills, load_averaged(Path(path)), f"{path} is no run of stills, or knows another world")
        detector.stills.requires_grad_(False)
        return detector

    def batch(self, step: int, rank: int, ranks: int) -> Batch:
        g = torch.Generator().manual_seed(seed_of(self.run.seed, step, rank, ranks))
        index = int(torch.randint(0, self.clips.shards, (), generator=g))
        labels, seen = self.clips.labels(index), self._seen(index)
        rows = torch.arange(len(labels["count"]))
        slot = torch.randint(0, world.MAX_OBJECTS, (len(rows),), generator=g) % labels["count"]
        return {
            **{name: seen[name][rows, slot] for name in ("series", "went")},
            **{name: seen[name] for name in ("flow", "mel")},
            **{name: labels[name][rows, slot] for name in ACTS},
            **{name: labels[name] for name in ("camera", "sound")},
        }

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - one task a process
    @torch.no_grad()
    def _seen(self, index: int) -> dict[str, Tensor]:
        """Traces of the objects of a shard's clips `[N, objects, ..]`, the flow of their regions, and their sound."""
        g = torch.Generator().manual_seed(seed_of(self.run.seed, index))
        colours, parts = self.clips.labels(index)["colour"].clamp_min(0).to(self.device), []
        for picked in torch.arange(len(colours)).split(TRACED):
            frames = self.clips.frames(index, picked, g).to(self.device)
            reading = self.stills(frames.to(self.dtype))
            traces = [trace(reading, frames, colour) for colour in colours[picked].T]
            parts.append(
                {
                    "series": torch.stack([one.series for one in traces], 1),
                    "went": torch.stack([one.went for one in traces], 1),
                    "flow": region_flow(frames),
                }
            )
        seen = {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}
        shard = self.clips.shard(index)
        return {**seen, "mel": self.clips.codec.audio.decode_mel(shard.audio.float())}

    def loss(self, forward: Forward, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Values]:
        dtype = getattr(forward, "dtype", torch.float32)
        scores, sound = forward(*(batch[name].to(dtype) for name in ("series", "went", "flow", "mel")))
        weights = {"direction": torch.tensor(DIRECTION_WEIGHTS, device=sound.device)}
        losses = [F.cross_entropy(score.float(), batch[name], weights.get(name)) for name, score in scores.items()]
        heard = F.binary_cross_entropy_with_logits(sound.float(), batch["sound"].float())
        right = {name: float((score.argmax(-1) == batch[name]).float().mean()) for name, score in scores.items()}
        return torch.stack([*losses, 2 * heard]).sum(), {**right, "sound": float(heard.detach())}

    def sheet(self, model: nn.Module, folder: Path, step: int) -> None:
        """Nothing to see: the accuracies are in the log."""
