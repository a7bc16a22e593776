"""A real ComfyUI in this process, without a server: validate and execute prompts as it would."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[2]


def host_path() -> Path:
    """COMFYUI_PATH, or the tree that `make` unpacked."""
    path = Path(os.environ.get("COMFYUI_PATH") or ROOT / ".cache" / "comfyui")
    if not (path / "nodes.py").is_file():
        raise RuntimeError(f"No ComfyUI at {path}: run `make setup`, or set COMFYUI_PATH.")
    return path.resolve()


class Host:
    """Boots once a process; `run` executes a prompt in API form."""

    def __init__(self, base: Path) -> None:
        pack = base / "custom_nodes" / "any folder.name"
        pack.parent.mkdir(parents=True)
        pack.symlink_to(ROOT, target_is_directory=True)
        tree = host_path()
        sys.argv = ["main.py", "--cpu", "--base-directory", str(base), "--disable-all-custom-nodes"]
        sys.path.insert(0, str(tree))
        os.chdir(tree)
        import comfy.options

        comfy.options.enable_args_parsing()
        import utils.extra_config  # noqa: F401, I001 - first, or another `utils` may shadow it
        import comfy.utils
        import execution
        import nodes
        import server

        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.execution, self.nodes = execution, nodes
        self.server = self._server(server)
        self.loop.run_until_complete(self._load(pack))
        comfy.utils.set_progress_bar_global_hook(self._progress)
        self.on_progress = None
        self.progress: list[tuple[int, int, object]] = []
        arguments = {"lru": 0, "ram": 0.0, "ram_inactive": 0.0}
        self.executor = execution.PromptExecutor(
            self.server, cache_type=execution.CacheType.CLASSIC, cache_args=arguments
        )

    def run(self, prompt: dict, workflow: dict | None = None) -> dict:
        """Outputs for the editor by node id. Raises Rejected or Failed with what the host says."""
        number = uuid.uuid4().hex
        check = self.execution.validate_prompt(number, prompt, None)
        valid, error, outputs, node_errors = self.loop.run_until_complete(check)
        if not valid:
            raise Rejected(error, node_errors)
        extra = {"client_id": "test", "extra_pnginfo": {"workflow": workflow} if workflow else {}}
        self.progress.clear()
        self.executor.execute(prompt, number, extra, outputs)
        if not self.executor.success:
            raise Failed(self.executor.status_messages)
        return self.executor.history_result["outputs"]

    def call(self, node_id: str, **inputs: object) -> tuple:
        """Outputs of one node, called directly."""
        cls = self.nodes.NODE_CLASS_MAPPINGS[node_id]
        if hasattr(cls, "define_schema"):
            made = cls.execute(**inputs)
            return (self.loop.run_until_complete(made) if inspect.isawaitable(made) else made).args
        return getattr(cls(), cls.FUNCTION)(**inputs)

    def object_info(self) -> dict:
        """What the host answers to GET /object_info."""
        found = {}
        for name, cls in self.nodes.NODE_CLASS_MAPPINGS.items():
            if hasattr(cls, "GET_NODE_INFO_V1"):
                found[name] = cls.GET_NODE_INFO_V1()
                continue
            outputs = list(cls.RETURN_TYPES)
            found[name] = {
                "input": cls.INPUT_TYPES(), "output": outputs,
                "output_name": list(getattr(cls, "RETURN_NAMES", outputs)),
                "display_name": self.nodes.NODE_DISPLAY_NAME_MAPPINGS.get(name, name),
                "python_module": getattr(cls, "RELATIVE_PYTHON_MODULE", "nodes"),
            }  # fmt: skip
        return found

    def pack(self, name: str) -> object:
        """A module of the pack, under the name that the host gave it."""
        prefix = next(key for key in sys.modules if key.endswith("any folder_x_name"))
        return importlib.import_module(f"{prefix}.{name}")

    def _server(self, module: object) -> object:
        class Server(module.PromptServer):
            def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
                super().__init__(loop)
                self.events: list[tuple] = []
                self.client_id, self.last_node_id = "test", None

            def send_sync(self, event: object, data: object, sid: object = None) -> None:
                self.events.append((event, data))

        return Server(self.loop)

    async def _load(self, pack: Path) -> None:
        await self.nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False)
        if not await self.nodes.load_custom_node(str(pack), module_parent="custom_nodes"):
            raise RuntimeError("The host could not load the pack.")

    def _progress(self, value, total, preview, prompt_id=None, node_id=None) -> None:
        import comfy.model_management as management

        management.throw_exception_if_processing_interrupted()
        self.progress.append((value, total, preview))
        if self.on_progress is not None:
            self.on_progress(value, total)


class Rejected(Exception):
    """The host refused the prompt before running it."""


class Failed(Exception):
    """A node failed while running."""

    def __init__(self, messages: list) -> None:
        super().__init__(messages[-1])
        self.kind, self.details = messages[-1]
