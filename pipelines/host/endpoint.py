"""A language model behind an OpenAI-compatible server writes the screenplay: Ollama, llama.cpp, vLLM, LM Studio.

Workflows come from strangers, so one must not be able to send a prompt or a key wherever it likes: only this machine is
asked, and hosts that the user has listed in `kinetophone/endpoints.yaml` of the host's user folder, each with its key.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import comfy.model_management
import folder_paths
import yaml
from yarl import URL

from ..screenplay.recaption import Brief, Draft, instruction, read_reply, write_built_in
from ..types import Writer

# A screenplay is a few thousand characters; more is a server gone wrong.
MAX_REPLY = 1_000_000
POLL = 0.1
LINES = "Write one line a host, such as api.example.com: key"
EXAMPLE = "http://127.0.0.1:11434/v1"


@dataclass(frozen=True)
class LanguageServer:
    """Where to ask: `url` up to and with `/v1`, a `model` of the server's (empty: its first), a limit in seconds."""

    url: str
    model: str = ""
    temperature: float = 0.7
    timeout: float = 120.0

    def __post_init__(self) -> None:
        try:
            url = URL(self.url.strip().rstrip("/"))
            right = url.scheme in ("http", "https") and bool(url.host) and not url.query_string and not url.user
        except ValueError:
            right = False
        if not right:
            raise ValueError(f"A server's address is such as {EXAMPLE}; got {self.url[:80]!r}.")
        object.__setattr__(self, "url", str(url))

    @property
    def host(self) -> str:
        return URL(self.url).host or ""


def settings_file() -> Path:
    """Where the user lists the hosts that may be asked."""
    return Path(folder_paths.get_user_directory()) / "kinetophone" / "endpoints.yaml"


async def recaption(brief: Brief, reply: str | None, server: LanguageServer | None) -> Draft:
    """By rule, from a reply that is there, or from a server's. Raises ValueError when both of the latter are given."""
    if reply is not None and server is not None:
        raise ValueError("Recaption has both a reply and a server connected. Remove one of the two.")
    if server is not None:
        return await write(server, brief)
    return write_built_in(brief) if reply is None else read_reply(reply, brief)


async def write(server: LanguageServer, brief: Brief) -> Draft:
    """Ask the server, and read its reply. Raises ValueError that says what went wrong and what to do.

    The host's interrupt ends the request within a tenth of a second.
    """
    key = _key(server.host)
    reply, model = await _interruptible(_ask(server, key, instruction(brief), brief.seed))
    return read_reply(reply, brief, Writer("endpoint", model))


async def _ask(server: LanguageServer, key: str, text: str, seed: int) -> tuple[str, str]:
    """The model's reply, and the model's name."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    limit = aiohttp.ClientTimeout(total=server.timeout)
    try:
        # The machine's proxies are left out: they would see prompts that are meant for this machine.
        async with aiohttp.ClientSession(headers=headers, timeout=limit, trust_env=False) as session:
            model = server.model.strip() or _first_model(await _json(session, "GET", f"{server.url}/models"))
            question = {
                "model": model,
                "messages": [{"role": "user", "content": text}],
                "temperature": server.temperature,
                "seed": seed % 2**31,
                "stream": False,
            }
            answer = await _json(session, "POST", f"{server.url}/chat/completions", json=question)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise ValueError(
            f"{server.url} did not answer within {server.timeout:g} s. Raise the time limit, or use a smaller model."
        ) from error
    except aiohttp.ClientError as error:
        raise ValueError(
            f"No language model answers at {server.url} ({error}). Start the server, or correct its address; "
            "Ollama's is http://127.0.0.1:11434/v1, llama.cpp's http://127.0.0.1:8080/v1, LM Studio's "
            "http://127.0.0.1:1234/v1."
        ) from error
    return _content(answer, server.url), model


async def _json(session: aiohttp.ClientSession, method: str, url: str, **options: Any) -> Any:
    """What the server answers. A redirect is an error: it could lead off this machine."""
    async with session.request(method, url, allow_redirects=False, **options) as response:
        body = bytearray()
        async for part in response.content.iter_chunked(65536):
            body += part
            if len(body) > MAX_REPLY:
                raise ValueError(f"{url} answered more than {MAX_REPLY} bytes, which is no screenplay.")
        text = body.decode("utf-8", "replace")
        if response.status != 200:
            raise ValueError(f"{url} answered {response.status} {response.reason}: {text[:300].strip()}")
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"{url} did not answer JSON, but: {text[:200].strip()!r}. Does the address end in /v1?"
        ) from error


def _first_model(listed: Any) -> str:
    try:
        return str(listed["data"][0]["id"])
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError("The server lists no model. Load one there, or name it on the node.") from error


def _content(answer: Any, url: str) -> str:
    try:
        content = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{url} answered, but not with a chat completion: {str(answer)[:200]}") from error
    if not isinstance(content, str) or not content.strip():
        raise ValueError(f"The model at {url} answered nothing. Try again with another seed or model.")
    return content


async def _interruptible(work: Coroutine[Any, Any, tuple[str, str]]) -> tuple[str, str]:
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=POLL)
            comfy.model_management.throw_exception_if_processing_interrupted()
        return task.result()
    finally:
        task.cancel()


def _key(host: str) -> str:
    """The key for a host, or nothing for this machine. Raises ValueError for hosts that the user has not listed."""
    listed = _listed()
    if host in listed:
        return listed[host]
    if _is_this_machine(host):
        return ""
    raise ValueError(
        f"{host} is not this machine, so nothing was sent. If you trust it, add the line\n{host}: your-key\n(or "
        f'{host}: "" where it needs none) to {settings_file()}.'
    )


def _listed() -> dict[str, str]:
    path = settings_file()
    if not path.is_file():
        return {}
    try:
        data = yaml.safe_load(path.read_text("utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}. {LINES}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} holds no list of hosts. {LINES}")
    return {str(host): "" if key is None else str(key) for host, key in data.items()}


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
