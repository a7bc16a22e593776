"""A ComfyUI process with this pack loaded, from the cache or COMFYUI_PATH, leaving both untouched."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BASE = ROOT / ".cache" / "base"
PACK = "kinetophone"
READY_SECONDS = 180


@dataclass(frozen=True)
class Server:
    """A running host."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=60) as reply:
            return json.load(reply)

    def post(self, path: str, data: Any) -> Any:
        request = urllib.request.Request(
            self.url + path, json.dumps(data).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            body = reply.read()
        return json.loads(body) if body else None


@contextlib.contextmanager
def running(*arguments: str, port: int = 0) -> Iterator[Server]:
    """Start the host, wait until it answers, stop it at the end whatever happens."""
    port = port or free_port()
    tree = Path(os.environ.get("COMFYUI_PATH") or ROOT / ".cache" / "comfyui")
    link_pack()
    log = ROOT / ".cache" / "host.log"
    command = [
        sys.executable, "main.py", "--port", str(port), "--base-directory", str(BASE), "--disable-auto-launch",
        "--database-url", "sqlite:///:memory:", "--preview-method", "latent2rgb", *device_arguments(), *arguments,
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=tree, stdout=output, stderr=subprocess.STDOUT)
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until_ready(server)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def link_pack() -> None:
    link = BASE / "custom_nodes" / PACK
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.resolve() != ROOT:
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT, target_is_directory=True)


def device_arguments() -> list[str]:
    import torch

    return [] if torch.cuda.is_available() else ["--cpu"]


def wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"ComfyUI stopped while starting. Its log ends with:\n{tail(server.log)}")
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            if "KinetophoneLoader" not in server.get("/object_info"):
                raise RuntimeError(f"ComfyUI could not load the pack. Its log ends with:\n{tail(server.log)}")
            return
        time.sleep(0.25)
    raise RuntimeError(f"ComfyUI did not answer within {READY_SECONDS} s. Its log ends with:\n{tail(server.log)}")


def tail(log: Path, lines: int = 30) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
