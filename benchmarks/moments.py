"""What a transformer in training reads from the sound: the probe's moments with a clip's sound, and with another's.

python benchmarks/moments.py runs/joint/last.safetensors
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from report import write
from torch import Tensor

from kinetophone.pipelines import world
from kinetophone.pipelines.train.checkpoint import load_part
from kinetophone.pipelines.train.config import read_config
from kinetophone.pipelines.train.data import (
    CELL_LABELS,
    Bucket,
    cell_truths,
    clip_captions,
    clip_scenes,
    render_frames,
    render_sound,
)  # fmt: skip
from kinetophone.pipelines.train.joint import JointModel, JointTask
from kinetophone.pipelines.train.levels import AVLevels
from kinetophone.pipelines.types import AVLatent

MINI = Path(__file__).parents[1] / "pipelines" / "weights" / "mini" / "mini.safetensors"
BUCKET, DRAWN, SEED = Bucket.parse("7x8x14"), 160, 777
ACTIONS = ("bounce", "hop", "beacon", "drive", "talk")
LEVELS = (0.7, 0.95)


def loaded(path: Path) -> tuple[JointTask, JointModel]:
    """The averaged weights of a joint run, whose probe published weights do not have."""
    task = JointTask(read_config("cpu", [f"options.codec={MINI}", "options.text="]))
    model = JointModel(task.config)
    model.load_state_dict(load_part(path, ""))
    return task, model.eval()


def agreement(scores: Tensor, truth: Tensor, shown: Tensor) -> float:
    """Correlation of the probe's `scores` with the moments `[N, 4, T, H, W]` where the object is `shown`."""
    pairs = torch.stack([x[shown.expand_as(x)] for x in (scores[:, -truth.shape[1] :].sigmoid(), truth.float())])
    return float(torch.corrcoef(pairs)[0, 1])


@torch.inference_mode()
def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("Name the checkpoint of a joint run, for example runs/joint/last.safetensors.")
    task, model = loaded(Path(sys.argv[1]))
    scenes = clip_scenes(task.codec.grid, BUCKET, DRAWN, SEED)
    base, wave = (make(task.codec.grid, BUCKET, scenes) for make in (render_frames, render_sound))
    captions = clip_captions(scenes, SEED)
    video = task.codec.video.encode_base((base * 2 - 1).to(task.device)).cpu()
    audio = task.codec.audio.encode(wave.to(task.device)).cpu()
    classes, moments = cell_truths(task.codec.grid, BUCKET, scenes)
    generator, rows = torch.Generator().manual_seed(0), []
    for name in ACTIONS:
        action = world.LABEL_NAMES["action"].index(name)
        chosen = scenes.action[:, 0] == action
        clean, sound = video[chosen], audio[chosen]
        ids = task.tokenizer.encode([said[0] for said, does in zip(captions, chosen.tolist(), strict=True) if does])
        shown = classes[chosen][:, [CELL_LABELS.index("action")]] == action + 1
        for level in LEVELS:
            noisy = torch.lerp(clean, torch.randn(clean.shape, generator=generator), level)
            levels = AVLevels(torch.full((len(clean), clean.shape[2]), level), torch.zeros(len(clean), sound.shape[2]))
            own, other = (
                agreement(model(ids, AVLatent(noisy, heard), levels)[2], moments[chosen], shown)
                for heard in (sound, sound.roll(1, 0))
            )
            told = f"{own:.2f} with its sound, {other:.2f} with that of another"
            rows.append((f"{name}, {len(clean)} clips, picture at noise level {level:g}", told, ""))
    write("moments", rows, "Correlation of the moments that the probe tells with the true ones; the sound is given.")


if __name__ == "__main__":
    main()
