"""How wrong published weights are on clips that they have not seen, as the training of the transformer counts it: the
same clips, captions, noise and noise levels for all that are named, of whatever size their tokens are.

python benchmarks/held_out_loss.py [WEIGHTS ...]
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import torch
from report import write
from tqdm import tqdm

from kinetophone.pipelines.model.config import CONFIGS
from kinetophone.pipelines.train.config import read_config
from kinetophone.pipelines.train.joint import JointTask
from kinetophone.pipelines.weights.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[1]
MINI = ROOT / "pipelines" / "weights" / "mini" / "mini.safetensors"
BUCKETS, SHARDS, CLIPS, BATCHES, BATCH = ("7x8x14", "13x8x14"), 2, 64, 10, 16
# Of clips that no run has trained on; of batches; of noise.
POOL_SEED, SEED = 20_261_126, 5


def model_of(weights: Path) -> str:
    """The member of the family whose transformer it has, whatever its name was then."""
    transformer = read_checkpoint(weights).config.dit
    return next(config.name for config in CONFIGS.values() if config.dit == transformer)


@torch.inference_mode()
def losses(weights: Path, bucket: str) -> Counter[str]:
    """Mean loss of the picture and of the sound, over `BATCHES` batches."""
    options = [
        f"model={model_of(weights)}", f"seed={SEED}", f"options.codec={MINI}",
        f"options.init={weights}", "options.text=", f"options.buckets={{{bucket}: 1}}", f"options.batch={BATCH}",
        f"options.pool={ROOT / 'runs' / 'held-out'}", f"options.pool_seed={POOL_SEED}", f"options.shards={SHARDS}",
        f"options.clips={CLIPS}", f"options.first_shards={SHARDS}",
        "options.noise_mean=1.0", "options.noise_spread=1.3", "options.object_weight=3.0",
    ]  # fmt: skip
    task, total = JointTask(read_config("cpu", options)), Counter[str]()
    model = task.model().to(task.device).eval()
    for step in tqdm(range(BATCHES), desc=f"{weights.stem} {bucket}", mininterval=5):
        batch = {name: value.to(task.device) for name, value in task.batch(step, 0, 1).items()}
        _, values = task.loss(model, batch, torch.Generator(task.device).manual_seed(step))
        total.update({name: float(values[name]) / BATCHES for name in ("video", "audio")})
    return total


def main() -> None:
    rows = []
    for weights in [Path(name) for name in sys.argv[1:]] or [MINI]:
        for bucket in BUCKETS:
            loss = losses(weights, bucket)
            rows.append((f"{weights.stem}, {bucket}", f"picture {loss['video']:.3f}, sound {loss['audio']:.3f}", ""))
    write("held_out_loss", rows, f"{BATCH * BATCHES} draws from {CLIPS * SHARDS} clips of each size.")


if __name__ == "__main__":
    main()
