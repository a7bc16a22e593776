"""The tasks that a configuration can name."""

from __future__ import annotations

from collections.abc import Callable

from .config import RunConfig
from .decoder import DecoderTask
from .detector import DetectorTask
from .joint import JointTask
from .task import Task
from .vocoder import VocoderTask
from .words import WordsTask

TASKS: dict[str, Callable[[RunConfig], Task]] = {
    "words": WordsTask,
    "joint": JointTask,
    "decoder": DecoderTask,
    "vocoder": VocoderTask,
    "detector": DetectorTask,
}


def make_task(run: RunConfig) -> Task:
    """The task of a run; raises ValueError for an unknown name."""
    if run.task not in TASKS:
        raise ValueError(f"Unknown task {run.task!r}: choose one of {', '.join(TASKS)}.")
    return TASKS[run.task](run)
