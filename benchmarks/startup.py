"""What the pack adds to the host's start: importing it, and asking for its nodes, after the host has loaded its own."""

from __future__ import annotations

import asyncio
import importlib.util
import statistics
import subprocess
import sys
from pathlib import Path

from report import write

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5


def once() -> tuple[float, float]:
    """Seconds for the pack, and for the host itself, in a fresh process."""
    command = [sys.executable, __file__, "--once"]
    result = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent)
    pack, host = result.stdout.strip().splitlines()[-1].split()
    return float(pack), float(host)


def measure() -> None:
    import time

    began = time.perf_counter()
    from host import boot

    # The harness loads the pack too: forget it, and load it again under another name.
    boot()
    ready = time.perf_counter()
    for name in [name for name in sys.modules if "any folder_x_name" in name]:
        del sys.modules[name]
    start = time.perf_counter()
    spec = importlib.util.spec_from_file_location(
        "pack_under_test", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["pack_under_test"] = module
    spec.loader.exec_module(module)

    async def load() -> None:
        extension = await module.comfy_entrypoint()
        for node in await extension.get_node_list():
            node.GET_SCHEMA()

    asyncio.new_event_loop().run_until_complete(load())
    print(time.perf_counter() - start, ready - began)


def main() -> None:
    runs = [once() for _ in range(ROUNDS)]
    pack, host = (statistics.median(run[part] for run in runs) for part in (0, 1))
    write(
        "startup",
        [
            ("cost of the pack, median of fresh processes", f"{pack * 1000:.0f} ms", "50 ms"),
            ("start of the host itself", f"{host:.1f} s", ""),
            ("ratio", f"{pack / host:.2%}", ""),
        ],
        "Modules that the host has imported already (torch, einops, av) cost nothing again; the pack's own files do.",
    )


if __name__ == "__main__":
    measure() if "--once" in sys.argv else main()
