"""Queue example_workflows/01_text_to_video.json on a real ComfyUI and print the path of the video."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import urllib.error
import uuid
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
import av
from server import BASE, Server, running, tail
from workflow_format import set_value, to_api

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / "example_workflows" / "01_text_to_video.json"


class DemoError(Exception):
    """What went wrong, for the user."""


def main() -> int:
    options = parse()
    began = time.monotonic()
    try:
        print("Starting ComfyUI ...", flush=True)
        with running() as server:
            ready = time.monotonic()
            path = asyncio.run(generate(server, WORKFLOW, changes(options)))
            made = time.monotonic()
    except (DemoError, RuntimeError, ValueError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    print(describe(path))
    print(f"ComfyUI started in {ready - began:.1f} s, the video took {made - ready:.1f} s.")
    print(path)
    return 0


def parse() -> argparse.Namespace:
    """Empty values mean the workflow's own: make passes every variable, set or not."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("prompt", "seconds", "aspect", "seed", "steps"):
        parser.add_argument(f"--{name}", default="")
    return parser.parse_args()


async def generate(server: Server, path: Path, widgets: Sequence[tuple[str, str, Any]] = ()) -> Path:
    """Queue the workflow at `path` with other values of `widgets`, show progress, return the file that it saved."""
    object_info = server.get("/object_info")
    workflow = json.loads(path.read_text("utf-8"))
    for kind, name, value in widgets:
        set_value(workflow, object_info, kind, name, value)
    client = uuid.uuid4().hex
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{server.url}/ws?clientId={client}") as socket:
        prompt = to_api(workflow, object_info)
        extra = {"extra_pnginfo": {"workflow": workflow}}
        number = queue(server, {"prompt": prompt, "client_id": client, "extra_data": extra})
        titles = {str(node["id"]): object_info[node["type"]]["display_name"] for node in workflow["nodes"]
                  if node["type"] in object_info}  # fmt: skip
        try:
            await follow(socket, number, titles)
        except DemoError:
            print(tail(server.log, 12), file=sys.stderr)
            raise
    return saved(await_history(server, number))


def changes(options: argparse.Namespace) -> list[tuple[str, str, Any]]:
    """Widgets to set, checked before the host sees them."""
    found: list[tuple[str, str, Any]] = []
    try:
        if options.prompt:
            found.append(("KinetophoneTextEncode", "prompt", options.prompt))
        if options.seconds:
            found.append(("KinetophoneEmptyLatent", "seconds", float(options.seconds)))
        if options.aspect:
            found.append(("KinetophoneEmptyLatent", "aspect", options.aspect))
        if options.seed:
            found.append(("KinetophoneSampler", "seed", int(options.seed)))
        if options.steps:
            found.append(("KinetophoneSchedule", "steps", int(options.steps)))
    except ValueError as error:
        raise DemoError(f"SECONDS, SEED and STEPS are numbers: {error}.") from error
    return found


def queue(server: Server, request: dict[str, Any]) -> str:
    try:
        return server.post("/prompt", request)["prompt_id"]
    except urllib.error.HTTPError as error:
        reply = json.loads(error.read())
        details = [
            f"{node['class_type']}: {problem['message']} ({problem['details']})"
            for node in reply.get("node_errors", {}).values()
            for problem in node["errors"]
        ]
        raise DemoError("ComfyUI refused the workflow:\n" + "\n".join(details or [str(reply.get("error"))])) from error


async def follow(socket: Any, number: str, titles: dict[str, str]) -> None:
    """One line of progress with an estimate, until the prompt is done."""
    node, began = "", time.monotonic()
    async for message in socket:
        if message.type != aiohttp.WSMsgType.TEXT:
            continue
        event = json.loads(message.data)
        data = event["data"]
        if data.get("prompt_id", number) != number:
            continue
        if event["type"] == "executing" and data["node"] is None:
            show("")
            return
        if event["type"] == "executing":
            node, began = titles.get(data["node"], data["node"]), time.monotonic()
            show(node)
        elif event["type"] == "progress" and data["value"]:
            left = (time.monotonic() - began) / data["value"] * (data["max"] - data["value"])
            show(f"{node}: {data['value']} of {data['max']}, about {left:.0f} s left")
        elif event["type"] == "execution_error":
            raise DemoError(f"{titles.get(data['node_id'], data['node_id'])} failed: {data['exception_message']}")
        elif event["type"] == "execution_interrupted":
            raise DemoError("The run was interrupted.")
    raise DemoError("ComfyUI closed the connection.")


def show(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<78}", end="", file=sys.stderr, flush=True)
    elif text and "of" not in text:
        print(text, file=sys.stderr, flush=True)


def await_history(server: Server, number: str) -> dict[str, Any]:
    """The host writes the entry shortly after it says that it is done."""
    for _ in range(100):
        history = server.get(f"/history/{number}")
        if number in history:
            return history[number]
        time.sleep(0.05)
    raise DemoError("ComfyUI finished, but has no record of the run.")


def saved(history: dict[str, Any]) -> Path:
    for output in history["outputs"].values():
        for item in output.get("images", []):
            if item["filename"].endswith(".mp4"):
                return BASE / "output" / item["subfolder"] / item["filename"]
    raise DemoError("The workflow ran, but saved no video.")


def describe(path: Path) -> str:
    """What the file holds, read back. Raises DemoError when it is not what was promised."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        if (video.codec_context.name, audio.codec_context.name) != ("h264", "aac"):
            raise DemoError(
                f"{path} holds {video.codec_context.name} and {audio.codec_context.name}, not H.264 and AAC."
            )
        if "workflow" not in container.metadata:
            raise DemoError(f"{path} carries no workflow.")
        seconds = Fraction(video.frames) / video.average_rate
        return (
            f"{video.width} x {video.height}, {video.frames} frames, {float(seconds):.2f} s, "
            f"H.264 + AAC {audio.rate} Hz, {path.stat().st_size / 1000:.0f} kB, workflow inside"
        )


if __name__ == "__main__":
    sys.exit(main())
