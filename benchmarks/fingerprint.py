"""Fingerprints of pictures: how far the same picture is from itself after what happens to it, and from other pictures.

    python fingerprint.py FOLDER_OF_PHOTOGRAPHS

All pictures of the folder that are at least 200 pixels wide, and frames of the world. Those of the committed result
came with the packages scikit-image 0.26, scikit-learn 1.9 and matplotlib 3.11.
"""

from __future__ import annotations

import io
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from report import write
from torch import Tensor
from watermark import coded, sized, toned

from kinetophone.pipelines import world
from kinetophone.pipelines.marks.fingerprint import NEAR, of_frame

SCENES, WIDEST = 40, 960


def photographs(folder: Path) -> dict[str, Tensor]:
    """Frames `[H, W, 3]` by name."""
    found = {}
    for path in sorted((*folder.glob("*.png"), *folder.glob("*.jpg"))):
        with Image.open(path) as picture:
            if picture.width >= 200:
                picture.thumbnail((WIDEST, WIDEST))
                found[path.stem] = torch.from_numpy(np.array(picture.convert("RGB")))
    return found


def renders() -> dict[str, Tensor]:
    """Frames `[H, W, 3]` of different scenes."""
    scenes = world.sample_scenes(SCENES, seed=100, seconds=2.0)
    frames = world.render(scenes, world.simulate(scenes), torch.tensor([1.0]), 270, 480)[:, 0]
    return {f"world {n}": f.permute(1, 2, 0).mul(255).round().to(torch.uint8) for n, f in enumerate(frames)}


def flat() -> dict[str, Tensor]:
    """Pictures that show nothing: one colour, noise, ramps."""
    down = torch.linspace(0, 255, 270)[:, None].expand(270, 480)
    across = torch.linspace(20, 220, 480)[None].expand(270, 480)
    planes = {
        "black": torch.zeros(270, 480),
        "noise": 120 + 3 * torch.randn(270, 480, generator=torch.Generator().manual_seed(1)),
        "ramp down": down,
        "ramp across": across,
        "ramp aslant": (down + across) / 2,
    }
    return {name: plane.round().to(torch.uint8)[..., None].expand(-1, -1, 3) for name, plane in planes.items()}


def saved(frame: Tensor, quality: int) -> Tensor:
    """Through JPEG and back."""
    buffer = io.BytesIO()
    Image.fromarray(frame.numpy()).save(buffer, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(buffer)))


def cropped(frame: Tensor, share: float) -> Tensor:
    down, right = (round(side * (1 - share) / 2) for side in frame.shape[:2])
    return frame[down : frame.shape[0] - down, right : frame.shape[1] - right]


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "JPEG quality 50": lambda x: saved(x, 50),
    "JPEG quality 20": lambda x: saved(x, 20),
    "H.264 crf 28": lambda x: coded(x.expand(3, *x.shape), crf=28)[1],
    "half size": lambda x: sized(x[None], x.shape[0] // 2, x.shape[1] // 2)[0],
    "brightness +30": lambda x: toned(x, 1.0, 30),
    "brightness -40": lambda x: toned(x, 1.0, -40),
    "contrast 0.7": lambda x: toned(x, 0.7, 0),
    "contrast 1.3": lambda x: toned(x, 1.3, 0),
    "stretched to another shape": lambda x: sized(x[None], x.shape[0] * 3 // 4, x.shape[1])[0],
    "98 % crop": lambda x: cropped(x, 0.98),
    "95 % crop": lambda x: cropped(x, 0.95),
    "mirrored": lambda x: x.flip(1),
}


def apart(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    pictures = photographs(Path(sys.argv[1])) | renders()
    prints = {name: found for name, frame in pictures.items() if (found := of_frame(frame))}
    rows = [("pictures with a fingerprint", f"{len(prints)} of {len(pictures)}", "")]
    for name, change in CHANGES.items():
        after = {picture: of_frame(change(pictures[picture])) for picture in prints}
        far = {picture: apart(prints[picture], new) for picture, new in after.items() if new}
        worst = max(far, key=lambda picture: far[picture])
        known = sum(distance <= NEAR for distance in far.values())
        rows.append((f"{name}: known again", f"{known} of {len(prints)} (farthest: {worst}, {far[worst]} bits)", ""))
    pairs = {pair: apart(prints[pair[0]], prints[pair[1]]) for pair in itertools.combinations(prints, 2)}
    closest = min(pairs, key=lambda pair: pairs[pair])
    alike = sum(distance <= NEAR for distance in pairs.values())
    rows.append(("different pictures taken for the same", f"{alike} of {len(pairs)} pairs", "0"))
    rows.append(("different pictures, closest", f"{pairs[closest]} bits ({' and '.join(closest)})", f"> {NEAR}"))
    nothing = flat()
    kept = [name for name, frame in nothing.items() if of_frame(frame)]
    rows.append(("flat pictures with a fingerprint", f"{len(kept)} of {len(nothing)}", "0"))
    write("fingerprint", rows, f"Of 256 bits; pictures within {NEAR} are taken for the same.")


if __name__ == "__main__":
    main()
