"""The rules that keep the layers apart, and proof that each rule can fail."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = (
    "types", "clock", "model", "vae", "text", "screenplay", "speech", "sampling", "clip", "sync", "inspect", "marks",
    "media", "weights", "generate", "world", "train", "cli", "host",
)  # fmt: skip
HOST_MODULES = {
    "comfy", "comfy_api", "comfy_api_nodes", "comfy_execution", "comfy_extras", "execution", "folder_paths",
    "latent_preview", "node_helpers", "nodes", "server", "app",
}  # fmt: skip
FORBIDDEN_IMPORTS = {"subprocess", "pickle", "requests", "urllib", "http", "socket", "sqlite3", "ctypes", "marshal"}
# The one file that talks to a server, and only to those that the user named.
NETWORK = "pipelines/host/endpoint.py"
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
SCHEMA = """class A:
    def define_schema(cls):
        return io.Schema(node_id={identifier}, category="Kinetophone/{stage}")
"""
MAX_FILE, MAX_FUNCTION, MAX_EXECUTE, MAX_PARAMETERS = 450, 80, 15, 10


def published() -> list[Path]:
    return [ROOT / "__init__.py", *sorted((ROOT / "nodes").rglob("*.py")), *sorted((ROOT / "pipelines").rglob("*.py"))]


def imports(source: str) -> Iterator[tuple[int, str]]:
    """`(level, dotted name)` of every import, wherever it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ",".join(alias.name for alias in node.names)


def layer_errors(path: str, source: str) -> list[str]:
    """Imports of a file below `pipelines/` that climb out, look right, or reach the host from elsewhere."""
    parts = Path(path).with_suffix("").parts
    own, depth, found = parts[0], len(parts), []
    for level, name in imports(source):
        top = name.split(".")[0]
        if level == 0:
            if top == "kinetophone":
                found.append(f"{path}: absolute import of {name}")
            if top in HOST_MODULES and own != "host":
                found.append(f"{path}: imports the host's {name}")
        elif level > depth:
            found.append(f"{path}: climbs above pipelines")
        elif level == depth:
            for target in name.split(",") if depth == 1 or "." not in name else [top]:
                target = target.split(".")[0]
                if target not in LAYERS:
                    found.append(f"{path}: imports unknown layer {target}")
                elif own in LAYERS and LAYERS.index(target) > LAYERS.index(own):
                    found.append(f"{path}: {own} looks right at {target}")
    return found


def danger_errors(path: str, source: str) -> list[str]:
    """What the registry's scanner refuses, and what our own rules do."""
    found = [f"{path}: imports {name}" for _, name in imports(source) if name.split(".")[0] in FORBIDDEN_IMPORTS]
    if path != NETWORK:
        found += [f"{path}: reaches the network with {name}" for _, name in imports(source) if name == "aiohttp"]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            found.append(f"{path}: calls {node.func.id}")
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func) == "torch.load"
        ):
            found.append(f"{path}: torch.load can run code")
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"{path}: bare except swallows the host's interrupt")
        if isinstance(node, ast.Assign | ast.Delete):
            targets = node.targets
            if any(ast.unparse(target).startswith("os.environ[") for target in targets):
                found.append(f"{path}: changes the environment")
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and not path.endswith("cli.py"):
            found.append(f"{path}: prints")
    return found


def shape_errors(path: str, source: str) -> list[str]:
    """Files, functions and parameter lists that grew past their purpose, and missing annotations in `pipelines/`."""
    found = []
    if source.count("\n") > MAX_FILE:
        found.append(f"{path}: {source.count(chr(10))} lines")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > MAX_FUNCTION:
            found.append(f"{path}: {node.name} is {length} lines long")
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if len(arguments) > MAX_PARAMETERS and path.startswith("pipelines"):
            found.append(f"{path}: {node.name} takes {len(arguments)} parameters")
        bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
        if path.startswith("pipelines") and (bare or (node.returns is None)):
            found.append(f"{path}: {node.name} is not annotated ({', '.join(bare) or 'return'})")
    return found


def node_errors(path: str, source: str) -> list[str]:
    """Node classes whose `execute` does work, whose id the registry's scanner could not read, or whose menu is not
    named as their file is."""
    found = []
    for cls in [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ClassDef)]:
        methods = [n for n in cls.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        for method in [n for n in methods if n.name == "execute"]:
            body = (method.end_lineno or 0) - method.body[0].lineno + 1
            if body > MAX_EXECUTE:
                found.append(f"{path}: {cls.name}.execute has {body} lines")
        for call in [n for n in ast.walk(cls) if isinstance(n, ast.Call) and ast.unparse(n.func) == "io.Schema"]:
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            identifier = given.get("node_id")
            if not (isinstance(identifier, ast.Constant) and str(identifier.value).startswith("Kinetophone")):
                found.append(f"{path}: {cls.name} has no literal node id that starts with Kinetophone")
            category = given.get("category")
            place = f"Kinetophone/{Path(path).stem}"
            if not (isinstance(category, ast.Constant) and category.value == place):
                found.append(f"{path}: {cls.name} is not under {place} in the menu")
    return found


def test_layers_look_left_and_only_host_knows_the_host() -> None:
    errors = []
    for path in sorted((ROOT / "pipelines").rglob("*.py")):
        relative = path.relative_to(ROOT / "pipelines")
        if relative.name == "__init__.py" and len(relative.parts) == 1:
            continue
        errors += layer_errors(str(relative), path.read_text("utf-8"))
    assert errors == []


def test_nothing_imports_the_nodes() -> None:
    for path in (ROOT / "pipelines").rglob("*.py"):
        assert not any(level > 0 and name.split(".")[0] == "nodes" for level, name in imports(path.read_text("utf-8")))


def test_published_code_is_harmless() -> None:
    errors = [e for p in published() for e in danger_errors(str(p.relative_to(ROOT)), p.read_text("utf-8"))]
    assert errors == []


def test_files_and_functions_stay_small_and_annotated() -> None:
    errors = [e for p in published() for e in shape_errors(str(p.relative_to(ROOT)), p.read_text("utf-8"))]
    assert errors == []


def test_nodes_are_thin_with_literal_ids() -> None:
    errors = [e for p in (ROOT / "nodes").glob("*.py") for e in node_errors(str(p.name), p.read_text("utf-8"))]
    assert errors == []


def test_nodes_import_at_the_start_only_what_their_schemas_need() -> None:
    light = {
        "pipelines.clock",
        "pipelines.host.options",
        "pipelines.host.paths",
        "pipelines.host.register",
        "pipelines.marks.options",
        "pipelines.media.formats",
        "pipelines.screenplay.options",
    }
    for path in (ROOT / "nodes").glob("*.py"):
        top = [
            n.module for n in ast.parse(path.read_text("utf-8")).body if isinstance(n, ast.ImportFrom) and n.level == 2
        ]
        assert set(top) <= light, path.name


def test_pack_does_no_work_at_import() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text("utf-8"))
    kinds = {type(node).__name__ for node in tree.body}
    assert kinds <= {"Expr", "ImportFrom", "Assign", "AsyncFunctionDef"}
    assert [n.module for n in tree.body if isinstance(n, ast.ImportFrom)] == ["__future__"]


def test_what_is_published_is_whole_and_needs_nothing_that_is_left_out() -> None:
    left_out = (ROOT / ".comfyignore").read_text("utf-8").split()
    # Without a slash before it, a name is left out wherever it stands: `docs` takes the help pages in web/docs along.
    assert all(line.startswith("/") for line in left_out)
    kept = {path.name for path in ROOT.iterdir()} - {line[1:] for line in left_out}
    assert {"nodes", "pipelines", "web", "locales", "example_workflows", "requirements.txt", "pyproject.toml"} <= kept
    listed = re.findall(r'"kinetophone\.([\w.]+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert "pipelines" in listed and not {f"/{name.replace('.', '/')}" for name in listed} & set(left_out)
    runtime = [path for path in published() if f"/{path.parent.relative_to(ROOT)}" not in left_out]
    wanting = [str(p) for p in runtime for _, name in imports(p.read_text("utf-8")) if "train" in name.split(".")]
    assert len(runtime) < len(published()) and wanting == []


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (layer_errors, "clock.py", "from .host import model"),
        (layer_errors, "vae/video.py", "from ..train.loop import train"),
        (layer_errors, "vae/video.py", "def f():\n    import comfy.utils"),
        (layer_errors, "vae/video.py", "from ...nodes import load"),
        (layer_errors, "vae/video.py", "import kinetophone.pipelines.clock"),
        (danger_errors, "a.py", "import subprocess"),
        (danger_errors, "a.py", "import aiohttp"),
        (danger_errors, "a.py", "eval('1')"),
        (danger_errors, "a.py", "try:\n    f()\nexcept:\n    pass"),
        (danger_errors, "a.py", "import os\nos.environ['A'] = 'b'"),
        (danger_errors, "a.py", "torch.load('x')"),
        (danger_errors, "a.py", "print('x')"),
        (shape_errors, "a.py", "\n" * (MAX_FILE + 1)),
        (shape_errors, "a.py", "def f() -> None:\n" + "    pass\n" * MAX_FUNCTION),
        (shape_errors, "pipelines/a.py", "def f(x) -> None: ..."),
        (node_errors, "a.py", "class A:\n    def execute(cls):\n" + "        x = 1\n" * (MAX_EXECUTE + 1)),
        (node_errors, "a.py", "class A:\n    async def execute(cls):\n" + "        x = 1\n" * (MAX_EXECUTE + 1)),
        (node_errors, "a.py", SCHEMA.format(identifier="PREFIX + 'A'", stage="a")),
        (node_errors, "a.py", SCHEMA.format(identifier="'KinetophoneA'", stage="b")),
    ],
)
def test_each_rule_can_fail(rule, path: str, source: str) -> None:
    assert rule(path, source) != []
