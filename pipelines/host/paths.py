"""Where the host keeps models and outputs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import folder_paths

from ..weights.card import card_names, read_card

MODELS_KEY = "kinetophone"


@dataclass(frozen=True)
class Target:
    """A new output file, and how the host's editor refers to it."""

    path: Path
    filename: str
    subfolder: str


def register_folders() -> None:
    """Make `models/kinetophone` known to the host."""
    folder_paths.add_model_folder_path(MODELS_KEY, os.path.join(folder_paths.models_dir, MODELS_KEY))


def checkpoints() -> list[str]:
    """What the Loader offers: the cards, then the files of `models/kinetophone`."""
    files = [name for name in folder_paths.get_filename_list(MODELS_KEY) if name.endswith(".safetensors")]
    return card_names() + files


def checkpoint_path(name: str) -> Path:
    """The file of a card or of a name below `models/kinetophone`. Raises ValueError for anything else."""
    if name in card_names():
        return read_card(name).path
    found = folder_paths.get_full_path(MODELS_KEY, name) if name in checkpoints() else None
    if found is None:
        raise ValueError(
            f"There is no model {name!r}. Choose one of {', '.join(checkpoints())}, or put the file into "
            f"models/{MODELS_KEY}."
        )
    return Path(found)


def output_target(prefix: str, extension: str, width: int, height: int) -> Target:
    """The next free file below the host's output folder. Raises ValueError for a prefix that leaves it."""
    try:
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            prefix, folder_paths.get_output_directory(), width, height
        )
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise ValueError(f"The file name {prefix!r} leaves the output folder. Use a name below it.") from error
    filename = f"{name}_{counter:05}_.{extension}"
    return Target(Path(folder) / filename, filename, subfolder)
