"""Run every example workflow on a real ComfyUI and keep a frame of each as the picture of its template.

python scripts/thumbnails.py
"""

from __future__ import annotations

import asyncio
import sys

import av
from demo import ROOT, generate
from server import running

QUALITY = 88


def main() -> int:
    with running() as server:
        for workflow in sorted((ROOT / "example_workflows").glob("*.json")):
            path = asyncio.run(generate(server, workflow))
            with av.open(str(path)) as container:
                frames = list(container.decode(video=0))
            frames[len(frames) // 2].to_image().save(workflow.with_suffix(".jpg"), quality=QUALITY)
            print(workflow.with_suffix(".jpg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
