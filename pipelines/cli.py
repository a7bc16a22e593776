"""The command line, without a host.

kinetophone "a red ball bounces on grass" -o out.mp4    make a video with sound
kinetophone --storyboard shots.txt -o out.mp4           several timed shots in one video
kinetophone "a red ball rolls" --first start.png        a video that begins with a picture
kinetophone "rain on sand" --identity FOLDER            sign it, as who is kept in the folder, or made there
kinetophone vocabulary                                  what the built-in model knows
kinetophone verify out.mp4                              what a file's signed provenance is worth, or its invisible marks
kinetophone fingerprint FILE                            a picture's, sound's or video's entry for a policy's registry
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .marks.options import BADGE, LANGUAGES
from .media.formats import DEFAULT_FORMAT, DEFAULT_QUALITY, find_format, formats
from .weights.card import DEFAULT_CARD, Card, card_names, length_notes, read_card

# What computes, draws or reads media is imported where it is needed: help needs little of it, and where a package is
# missing, the command can say so.
if TYPE_CHECKING:
    from .clip.clip import Clip
    from .generate import Pictures, Request
    from .marks.identity import Identity
    from .marks.visible import Badge
    from .sampling.guidance import Guidance
    from .types import Screenplay, VideoShape
    from .weights.load import Models


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 1 for a file that was tampered with, 2 for a request that cannot be
    served, or 130 when stopped."""
    try:
        code = _command(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has read enough, as `head` does. The interpreter would try once more to write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, ModuleNotFoundError) as error:
        print(f"kinetophone: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"kinetophone: A file or folder cannot be used: {error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nkinetophone: stopped, nothing was written", file=sys.stderr)
        return 130
    return code


def _command(argv: list[str]) -> int:
    if argv == ["vocabulary"]:
        print(vocabulary_text(read_card(DEFAULT_CARD).path))
        return 0
    if argv[:1] == ["verify"]:
        return _verify(_file(*argv))
    if argv[:1] == ["fingerprint"]:
        print(_fingerprints(_file(*argv)))
        return 0
    print(run(_parser().parse_args(argv)))
    return 0


def run(options: argparse.Namespace) -> Path:
    """Generate and write the file; returns its path."""
    from .generate import Request
    from .marks.visible import marked
    from .weights.load import load_models

    screenplay = _screenplay(options)
    _check_seed(options.seed)
    _target(options)
    card, negative = read_card(options.card), options.negative or screenplay.negative
    steps, guidance = _effort(options, card, negative)
    models = load_models(
        Path(options.weights) if options.weights else card.name, turbo=card.turbo_path if options.turbo else None
    )
    width, height = _size(options, models)
    request = Request(
        screenplay.prompt, width, height, screenplay.seconds, negative, options.seed, steps, card.shift, guidance,
        screenplay.shots, "euler" if options.turbo else card.sampler,
    )  # fmt: skip
    shape = request.plan(models.config).shape
    badge, identity, pictures = _badge(options, shape), _identity(options), _pictures(options, shape)
    _notes(request, models, None if options.weights else card)
    clip = _progress_of_sampling(request, models, pictures)
    # Chosen now: a name that was free before may be taken.
    return _progress_of_writing(marked(clip, badge) if badge else clip, _target(options), options, identity)


def _target(options: argparse.Namespace) -> Path:
    """The file to write: the one that was named, or else one that does not exist yet."""
    suffix = f".{find_format(options.format).extension}"
    named = options.output is not None
    out = (Path(options.output) if named else _free(Path(f"kinetophone{suffix}"))).resolve()
    if not out.parent.is_dir():
        raise ValueError(f"The folder {out.parent} does not exist. Create it first, or choose another.")
    if out.exists() and not out.is_file():
        raise ValueError(f"{out} is no file. Name the file to write, for example {out / f'kinetophone{suffix}'}.")
    if out.suffix.lower() != suffix:
        raise ValueError(
            f"{options.format} makes {suffix} files, but {out.name} is not named as one. Name it "
            f"{out.with_suffix(suffix).name}, or choose another --format."
        )
    try:
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        raise ValueError(f"Nothing can be written into {out.parent}: {error}. Choose another folder.") from error
    return out


def _free(path: Path) -> Path:
    """The path, or the first one with a number that does not exist."""
    numbered = (path.with_stem(f"{path.stem}_{number:05}") for number in itertools.count(2))
    return next(free for free in itertools.chain([path], numbered) if not free.exists())


def _check_seed(seed: int) -> None:
    """Refuses what the generator of the noise does not take."""
    least, most = -(2**63), 2**64 - 1
    if not least <= seed <= most:
        raise ValueError(f"A seed must be between {least} and {most}; got {seed}.")


def _effort(options: argparse.Namespace, card: Card, negative: str) -> tuple[int, Guidance]:
    """Steps, those that the model likes unless told, and guidance, which is part of the weights where turbo is on."""
    from .sampling.guidance import Guidance

    liked, scale = card.turbo_steps if options.turbo else card.steps, options.guidance
    steps = liked if options.steps is None else options.steps
    if options.turbo and (scale is not None or negative):
        raise ValueError("Turbo has its guidance built in: leave out --guidance and negative prompts, or --turbo.")
    if options.turbo:
        return steps, Guidance(1.0, 1.0)
    if scale is None:
        return steps, Guidance(card.guidance_video, card.guidance_audio)
    if not 0 <= scale < math.inf:
        raise ValueError(f"Guidance must be 0 or more (1 = none, {card.guidance_video:g} = default); got {scale:g}.")
    return steps, Guidance(scale, scale)


def _file(command: str, *argv: str) -> Path:
    """The one file that a command is about."""
    parser = argparse.ArgumentParser(prog=f"kinetophone {command}")
    parser.add_argument("file", metavar="FILE", type=Path)
    return parser.parse_args(argv).file


def _verify(path: Path) -> int:
    """What a file says of itself, and where it says nothing, the invisible marks that everybody can find."""
    from .marks.detect import detect
    from .marks.payload import PUBLIC_KEY
    from .marks.provenance import verify
    from .media.read import read

    verdict = verify(path)
    print(verdict.text)
    if verdict.state is None:
        print(detect(read(path), PUBLIC_KEY).report())
    return 1 if verdict.state == "Invalid" else 0


def _fingerprints(path: Path) -> str:
    """Lines for the rights registry of a policy: a picture, a frame a second of a video, and every 3 s of sound."""
    from .marks import registry
    from .marks.fingerprint import of_sound
    from .media.read import is_sound, read, read_sound

    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    if (images := registry.of_picture(path)) is not None:
        return registry.entry(path.stem, images, [])
    clip = None if is_sound(path) else read(path)
    sound = read_sound(path, registry.LONGEST if clip is None else min(clip.shape.seconds, registry.LONGEST))
    heard = sound.waveform.shape[1] / sound.rate if sound is not None else 0
    images = []
    if clip is not None:
        frames = (frame for chunk in clip.frames(0, int(registry.LONGEST * clip.shape.fps)) for frame in chunk)
        images = registry.of_frames(itertools.islice(frames, 0, None, max(1, round(float(clip.shape.fps)))))
    if (heard if clip is None else clip.shape.seconds) >= registry.LONGEST:
        print(f"The entry is of the first {registry.LONGEST // 60} minutes.", file=sys.stderr)
    return registry.entry(path.stem, images, of_sound(sound) if sound is not None else [])


def _screenplay(options: argparse.Namespace) -> Screenplay:
    """The storyboard, or the prompt as one shot."""
    from .screenplay.storyboard import read_screenplay
    from .types import Screenplay, Shot

    if options.prompt and options.storyboard:
        raise ValueError("Give a prompt or a storyboard, not both.")
    if not options.storyboard:
        if not (options.prompt or "").strip():
            raise ValueError("The prompt is empty. Say what should happen, for example: a red ball bounces on grass.")
        return Screenplay(options.prompt, (Shot(0.0, options.seconds, options.prompt),))
    try:
        return read_screenplay(Path(options.storyboard).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"The storyboard {options.storyboard} cannot be read: {error}.") from error


def vocabulary_text(weights: Path) -> str:
    """What a checkpoint was trained on: every kind of thing, the plain word first, other ways in brackets."""
    from . import world
    from .text.reading import said_for
    from .weights.checkpoint import published_words

    trained = published_words(weights)
    known, lines = set(trained), []
    for kind, things in world.phrases().items():
        ways = [[way for way in bank if known.issuperset(way.split())] for bank in things]
        said = [plain + (f" ({', '.join(others)})" if others else "") for plain, *others in filter(None, ways)]
        lines.append(f"{kind}: {', '.join(said)}")
    lines.append("read as:")
    lines += [f"  {meant}: {', '.join(others)}" for meant, others in said_for(trained).items()]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    from .clock import ASPECTS

    parser = argparse.ArgumentParser(
        prog="kinetophone", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prompt", nargs="?", help="what should be seen and heard")
    parser.add_argument("--storyboard", help="file with one timed shot a line, or a screenplay document")
    parser.add_argument("-o", "--output", help="file to write (kinetophone.mp4, with a number where that exists)")
    parser.add_argument("--negative", default="", help="what should not be there")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a prompt's video (%(default)s)")
    parser.add_argument("--aspect", default="landscape", choices=list(ASPECTS))
    parser.add_argument("--size", help="WIDTHxHEIGHT in pixels, instead of an aspect")
    parser.add_argument("--first", type=Path, metavar="PICTURE", help="a picture that the video begins with")
    parser.add_argument("--last", type=Path, metavar="PICTURE", help="a picture that the video ends with")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same video (%(default)s)")
    parser.add_argument("--steps", type=int, help="sampling steps (the model card's)")
    parser.add_argument("--guidance", type=float, help="how literally to follow the prompt (the model card's)")
    parser.add_argument("--turbo", action="store_true", help="a fourth of the passes; no guidance, no negative prompt")
    parser.add_argument("--card", default=DEFAULT_CARD, help=f"model card: {', '.join(card_names())}")
    parser.add_argument("--weights", help="a checkpoint file, instead of the card's own")
    parser.add_argument("--format", default=DEFAULT_FORMAT, choices=list(formats()))
    parser.add_argument("--quality", default=DEFAULT_QUALITY, choices=["standard", "high", "small"])
    parser.add_argument("--badge", default=BADGE, help="what the visible mark says; empty leaves it out (%(default)s)")
    parser.add_argument(
        "--disclosure", default=LANGUAGES[0], choices=LANGUAGES,
        help="language in which the file says that a model made it (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--identity", help="folder of who signs the file; a self-made one is put into an empty folder")
    return parser


def _size(options: argparse.Namespace, models: Models) -> tuple[int, int]:
    if not options.size:
        return models.config.grid.size_of(options.aspect)
    width, _, height = options.size.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise ValueError(f"A size is WIDTHxHEIGHT, for example 448x256; got {options.size!r}.")
    return int(width), int(height)


def _pictures(options: argparse.Namespace, shape: VideoShape) -> Pictures | None:
    """The pictures that are given, scaled and cut to the video."""
    from .clip.stages import cover
    from .generate import Pictures
    from .media.picture import read_picture

    files = {name: path for name, path in (("first", options.first), ("last", options.last)) if path}
    fitted = {name: cover(read_picture(path), shape.width, shape.height) for name, path in files.items()}
    return Pictures(**fitted, sources=tuple(dict.fromkeys(files.values()))) if files else None


def _badge(options: argparse.Namespace, shape: VideoShape) -> Badge | None:
    from .marks.visible import badge_height, draw_badge

    if not options.badge.strip():
        return None
    badge = draw_badge(options.badge, badge_height(shape))
    badge.check_fits(shape)
    return badge


def _identity(options: argparse.Namespace) -> Identity | None:
    from .marks.identity import own_identity
    from .marks.provenance import check_format

    if not options.identity:
        return None
    check_format(f".{find_format(options.format).extension}")
    return own_identity(Path(options.identity))


def _notes(request: Request, models: Models, card: Card | None) -> None:
    """What the request becomes, and what may go wrong; of lengths where a `card` tells them."""
    from .screenplay.recaption import shot_description

    plan = request.plan(models.config)
    trained = length_notes(float(plan.shape.seconds), card.seconds) if card else []
    for note in (*plan.notes, *trained):
        print(note, file=sys.stderr)
    for shot in request.shots:
        print(models.tokenizer.note(shot_description(shot)), file=sys.stderr)


def _progress_of_sampling(request: Request, models: Models, pictures: Pictures | None) -> Clip:
    from tqdm import tqdm

    from .generate import generate

    with tqdm(total=request.steps, desc="sampling", file=sys.stderr) as bar:
        return generate(request, models, lambda step, total: bar.update(step - bar.n) and None, pictures)


def _progress_of_writing(clip: Clip, out: Path, options: argparse.Namespace, identity: Identity | None) -> Path:
    from tqdm import tqdm

    from .marks.disclosure import disclosure
    from .marks.provenance import Making, sign
    from .media.write import write

    kind = find_format(options.format)
    metadata = {"kinetophone": json.dumps(dict(clip.lineage)), **disclosure(options.disclosure)}

    def finish(path: Path) -> None:
        if identity is not None:
            sign(path, f".{kind.extension}", Making(out.name, dict(clip.lineage)), identity)

    with tqdm(total=clip.shape.frames, desc="writing", file=sys.stderr) as bar:
        return write(
            clip, out, kind, metadata, quality=options.quality, on_frame=lambda done, total: bar.update() and None,
            finish=finish,
        )  # fmt: skip
