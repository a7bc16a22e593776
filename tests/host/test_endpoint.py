"""Recaption by a language model behind a server: what is asked, what is refused, and that it can be stopped."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from harness import Failed, Host
from test_nodes import link

REPLY = "Sure!\n```\n0-2 a red ball bounces on grass | sound: thumps\n2-4 the red ball rolls away on grass\n```"


class Server:
    """An OpenAI-compatible server on loopback, whose answers a test chooses."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.headers: list[dict] = []
        self.left = threading.Event()
        self.answer: Callable[[], web.Response] = lambda: completion(REPLY)
        self.delay = 0.0
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._serve, args=(ready,), daemon=True).start()
        assert ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)

    def _serve(self, ready: threading.Event) -> None:
        async def models(_: web.Request) -> web.Response:
            return web.json_response({"data": [{"id": "small-model"}]})

        async def complete(request: web.Request) -> web.Response:
            self.headers.append(dict(request.headers))
            self.asked.append(await request.json())
            try:
                await asyncio.sleep(self.delay)
            except asyncio.CancelledError:
                self.left.set()
                raise
            return self.answer()

        async def start() -> None:
            app = web.Application()
            app.add_routes([web.get("/v1/models", models), web.post("/v1/chat/completions", complete)])
            runner = web.AppRunner(app, handler_cancellation=True)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = site._server.sockets[0].getsockname()[1]
            ready.set()

        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(start())
        self.loop.run_forever()


def completion(text: str) -> web.Response:
    return web.json_response({"choices": [{"message": {"role": "assistant", "content": text}}]})


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


def written(url: str, **changes: object) -> dict:
    asked = {"url": url, "model": "", "temperature": 0.7, "timeout": 20.0, **changes}
    brief = {"prompt": "a red ball bounces on grass", "seconds": 4.0, "target": "built-in", "style": "natural"}
    return {
        "server": {"class_type": "KinetophoneLanguageServer", "inputs": asked},
        "write": {"class_type": "KinetophoneRecaption", "inputs": {**brief, "seed": 3, "server": link("server")}},
        "edit": {
            "class_type": "KinetophoneScreenplayEdit",
            "inputs": {"screenplay": link("write"), "text": "", "locked": False},
        },
    }


def test_a_server_writes_the_screenplay(host: Host, server: Server) -> None:
    outputs = host.run(written(server.url + "/"))
    assert outputs["edit"]["storyboard"][0].startswith("0-2 a red ball bounces on grass | sound@0: thumps\n2-4 ")
    told = outputs["write"]["text"][0]
    assert "You said: a red ball bounces on grass" in told and "rolls" in told
    question = server.asked[0]
    assert question["model"] == "small-model" and question["seed"] == 3 and question["stream"] is False
    assert "a red ball bounces on grass" in question["messages"][0]["content"]
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda: completion("I would rather not."), "holds no storyboard"),
        (lambda: completion(""), "answered nothing"),
        (lambda: web.Response(text="<html>"), "did not answer JSON"),
        (lambda: web.json_response({"error": "x"}), "not with a chat completion"),
        (lambda: web.Response(status=500, text="out of memory"), "500 .*out of memory"),
        (lambda: web.Response(status=302, headers={"Location": "http://example.com/"}), "302"),
        (lambda: completion("x" * 1_100_000), "more than 1000000 bytes"),
        (lambda: web.Response(text="[" * 100_000), "did not answer JSON"),
    ],
    ids=["refusal", "empty", "html", "error", "500", "redirect", "huge", "bomb"],
)
def test_bad_answers_are_refused_with_the_reason(host: Host, server: Server, answer: Callable, message: str) -> None:
    server.answer = answer
    with pytest.raises(Failed, match=message):
        host.run(written(server.url))


def test_a_server_that_is_not_there_or_too_slow_says_so(host: Host, server: Server) -> None:
    with pytest.raises(Failed, match=r"No language model answers at http://127\.0\.0\.1:1/v1"):
        host.run(written("http://127.0.0.1:1/v1"))
    server.delay = 30.0
    with pytest.raises(Failed, match="did not answer within 1 s"):
        host.run(written(server.url, timeout=1.0))
    with pytest.raises(Failed, match="A server's address is such as"):
        host.run(written("file:///etc/passwd"))


def test_other_hosts_are_asked_only_when_the_user_has_listed_them(host: Host, base: Path, server: Server) -> None:
    with pytest.raises(Failed, match=r"example\.com is not this machine, so nothing was sent"):
        host.run(written("https://example.com/v1"))
    listed = base / "user" / "kinetophone" / "endpoints.yaml"
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text("127.0.0.1: sk-test\n", "utf-8")
    try:
        prompt = written(server.url)
        host.run(prompt)
        assert server.headers[-1]["Authorization"] == "Bearer sk-test"
        assert "sk-test" not in json.dumps(prompt)
        listed.write_text("- a list\n", "utf-8")
        with pytest.raises(Failed, match="holds no list of hosts"):
            host.run(written(server.url, temperature=0.1))
    finally:
        listed.unlink()


def test_waiting_for_a_server_stops_at_once(host: Host, server: Server) -> None:
    import comfy.model_management as management

    server.delay = 30.0
    began = time.monotonic()
    timer = threading.Timer(1.0, management.interrupt_current_processing)
    timer.start()
    with pytest.raises(Failed) as stopped:
        host.run(written(server.url))
    assert stopped.value.kind == "execution_interrupted"
    assert time.monotonic() - began < 3.0
    assert server.left.wait(2.0), "the server goes on writing for nobody"


def test_a_reply_and_a_server_together_are_refused(host: Host, server: Server) -> None:
    prompt = written(server.url)
    prompt["write"]["inputs"]["reply"] = REPLY
    with pytest.raises(Failed, match="both a reply and a server"):
        host.run(prompt)
