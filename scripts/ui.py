"""The editor with the pack loaded, until Ctrl-C."""

import contextlib
import time

from server import running

if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt), running(port=8188) as server:
        print(f"ComfyUI runs at {server.url}: Workflow > Browse Templates lists Kinetophone's. Ctrl-C stops it.")
        while server.process.poll() is None:
            time.sleep(0.5)
