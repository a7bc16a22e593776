"""Run every example workflow on a real ComfyUI and keep a frame of each as the picture of its template.

python scripts/thumbnails.py [NAME ...]     all, or those whose names begin so
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import av
from demo import ROOT, generate
from server import running

QUALITY = 88
# What a user would do first, where a workflow does not run as it comes.
ANSWERS: dict[str, list[tuple[str, str, Any]]] = {
    "10_refuse_a_prompt": [("KinetophonePolicy", "override", "the picture of a template")]
}
# This one reads a file and makes none: its picture is of the file that the workflow before it made.
READS = "09_verify_a_file"


def main() -> int:
    with running() as server:
        for workflow in sorted((ROOT / "example_workflows").glob("*.json")):
            if not workflow.stem.startswith(tuple(sys.argv[1:]) or ""):
                continue
            if workflow.stem != READS:
                path = asyncio.run(generate(server, workflow, ANSWERS.get(workflow.stem, ())))
            with av.open(str(path)) as container:
                frames = list(container.decode(video=0))
            frames[len(frames) // 2].to_image().save(workflow.with_suffix(".jpg"), quality=QUALITY)
            print(workflow.with_suffix(".jpg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
