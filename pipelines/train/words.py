"""Pretraining of the text encoder: read the labels of a scene from its caption.

The grammar knows every label for free; an encoder that already tells colours, actions and grounds apart saves the
transformer most of the time that it would spend on learning to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import world
from ..model.config import CONFIGS, Config
from ..text.encoder import TextEncoder
from ..text.tokenizer import Tokenizer
from .config import RunConfig, at_least, parse_options
from .task import Batch, Forward, Values, seed_of

SLOTS = 2


@dataclass(frozen=True)
class WordsOptions:
    """What such a run reads from its configuration: captions in a batch."""

    batch: int = 128

    def __post_init__(self) -> None:
        at_least(1, batch=self.batch)


class WordsModel(nn.Module):
    """Text encoder with one attention-pooled classifier for each label and object slot."""

    def __init__(self, config: Config, classes: dict[str, int]) -> None:
        super().__init__()
        self.text = TextEncoder(config.text)
        width = config.text.width
        self.queries = nn.ParameterDict({name: nn.Parameter(torch.randn(width) * 0.1) for name in classes})
        self.heads = nn.ModuleDict({name: nn.Linear(width, count) for name, count in classes.items()})

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        context = self.text(ids)
        tokens = context.tokens
        hidden = torch.zeros_like(context.mask, dtype=tokens.dtype).masked_fill(~context.mask, -torch.inf)
        logits = {}
        for name, query in self.queries.items():
            weights = (tokens @ query + hidden).softmax(-1)
            logits[name] = self.heads[name]((weights[..., None] * tokens).sum(1))
        return logits


class WordsTask:
    """Cross-entropy of every label, captions fresh at each step."""

    name = "words"

    def __init__(self, run: RunConfig) -> None:
        self.run, self.config = run, CONFIGS[run.model]
        self.count = parse_options(WordsOptions, run).batch
        self.tokenizer = Tokenizer(self.config.text, world.vocabulary())
        self.words = self.tokenizer.words
        targets = self._targets(world.sample_scenes(2, seed=0))
        self.classes = {name: len(world.LABEL_NAMES[name.split("-")[0]]) for name in targets}

    def model(self) -> WordsModel:
        torch.manual_seed(self.run.seed)
        model = WordsModel(self.config, self.classes)
        model.text.reset_parameters(torch.Generator().manual_seed(self.run.seed))
        return model

    def batch(self, step: int, rank: int, ranks: int) -> Batch:
        seed = seed_of(self.run.seed, step, rank, ranks)
        scenes = world.sample_scenes(self.count, seed=seed)
        return {"ids": self.tokenizer.encode(world.captions(scenes, seed=seed)), **self._targets(scenes)}

    def loss(self, forward: Forward, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Values]:
        logits = forward(batch["ids"])
        losses = {k: F.cross_entropy(v.float(), batch[k], ignore_index=-1) for k, v in logits.items()}
        kept = [loss for loss in losses.values() if loss.isfinite()]
        right = {k: float((v.argmax(-1) == batch[k])[batch[k] >= 0].float().mean()) for k, v in logits.items()}
        shown = ("sky", "ground", "weather", "camera", "colour-0", "shape-0", "action-0", "colour-1")
        return torch.stack(kept).mean(), {key: right[key] for key in shown}

    def sheet(self, model: nn.Module, folder: Path, step: int) -> None:
        """Nothing to see: the accuracies are in the log."""

    def _targets(self, scenes: world.Scenes) -> dict[str, Tensor]:
        targets = {}
        for name, value in world.labels(scenes).items():
            if name not in world.LABEL_NAMES or name == "sound":
                continue
            if value.ndim == 1:
                targets[name] = value
            else:
                targets |= {f"{name}-{slot}": value[:, slot] for slot in range(min(SLOTS, value.shape[1]))}
        return targets
