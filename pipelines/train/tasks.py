"""The tasks that a configuration can name."""

from __future__ import annotations

from collections.abc import Callable

from .config import RunConfig
from .decoder import DecoderTask
from .distill import DistillTask
from .joint import JointTask
from .stills import StillsTask
from .task import Task
from .tracks import TracksTask
from .vocoder import VocoderTask
from .words import WordsTask

TASKS: dict[str, Callable[[RunConfig], Task]] = {
    "words": WordsTask,
    "joint": JointTask,
    "distill": DistillTask,
    "decoder": DecoderTask,
    "vocoder": VocoderTask,
    "stills": StillsTask,
    "tracks": TracksTask,
}


def make_task(run: RunConfig) -> Task:
    """The task of a run; raises ValueError for an unknown name."""
    if run.task not in TASKS:
        raise ValueError(f"Unknown task {run.task!r}: choose one of {', '.join(TASKS)}.")
    return TASKS[run.task](run)
