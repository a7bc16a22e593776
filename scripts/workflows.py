"""Write `example_workflows/*.json` from a host that has the pack loaded.

    python scripts/workflows.py OBJECT_INFO.json

OBJECT_INFO is what the host answers to GET /object_info; `make workflows` saves it first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from workflow_format import Group, Placed, Workflow, as_json, to_editor

ROOT = Path(__file__).parents[1]
# New noise at every step: the built-in model draws what moves more cleanly.
ANEW = {"sampler_name": "euler_ancestral"}
PROMPT = "a large red ball bounces on green grass under a clear blue sky"

TEXT_TO_VIDEO = Workflow(
    nodes={
        "loader": Placed("KinetophoneLoader", {}, 0, 0, 160),
        "latent": Placed("KinetophoneEmptyLatent", {}, 0, 5, 260),
        "schedule": Placed("KinetophoneSchedule", {}, 0, 11, 140),
        "text": Placed("KinetophoneTextEncode", {"clip": ("loader", 1), "prompt": PROMPT}, 1, 0, 300),
        "guidance": Placed(
            "KinetophoneGuidance",
            {"model": ("loader", 0), "positive": ("text", 0), "negative": ("text", 1)}, 2, 0, 200,
        ),
        "sampler": Placed(
            "KinetophoneSampler",
            {"guider": ("guidance", 0), "sigmas": ("schedule", 0), "latent": ("latent", 0), "seed": 12, **ANEW},
            2, 6, 200,
        ),
        "decode": Placed(
            "KinetophoneDecode",
            {"latent": ("sampler", 0), "video_vae": ("loader", 2), "audio_vae": ("loader", 3)}, 3, 0, 140,
        ),
        "mark": Placed("KinetophoneWatermark", {"video": ("decode", 0)}, 3, 5, 220),
        "save": Placed("KinetophoneSave", {"video": ("mark", 0)}, 3, 12, 500),
    },
    groups=(
        Group("1  Model, size and length", ("loader", "latent", "schedule")),
        Group("2  What should happen", ("text",), "#8A8"),
        Group("3  Sample", ("guidance", "sampler"), "#88A"),
        Group("4  Decode, mark and save", ("decode", "mark", "save"), "#A88"),
    ),
    note=(
        "## Text to video with sound\n"
        "Write a prompt and press Run. The built-in model needs no download and runs on a CPU.\n\n"
        "It knows balls, cubes, cylinders and cones, cars that drive and honk, birds that fly and chirp, and robots "
        "that talk, in ten colours; skies, weathers, grounds and water; actions (bounces, rolls, hops, spins, hovers, "
        "flashes and beeps); and the sounds that belong to them. Words that it does not "
        "know are listed on *Encode Prompt*. *Watermark* says on the picture that it was made by a model: remove the "
        "node if you mark your videos otherwise."
    ),
)  # fmt: skip

HOST_NODES_ONLY = Workflow(
    nodes={
        "loader": Placed("KinetophoneLoader", {}, 0, 0, 160),
        "latent": Placed("KinetophoneEmptyLatent", {"seconds": 2.0}, 0, 5, 260),
        "positive": Placed("CLIPTextEncode", {"clip": ("loader", 1), "text": PROMPT}, 1, 0, 180),
        "negative": Placed("CLIPTextEncode", {"clip": ("loader", 1), "text": ""}, 1, 5, 180),
        "shift": Placed("ModelSamplingSD3", {"model": ("loader", 0), "shift": 1.5}, 1, 10, 80),
        "sampler": Placed(
            "KSampler",
            {
                "model": ("shift", 0), "positive": ("positive", 0), "negative": ("negative", 0),
                "latent_image": ("latent", 0), "seed": 1, "steps": 20, "cfg": 3.0, **ANEW,
                "scheduler": "simple",
            }, 2, 0, 300,
        ),
        "apart": Placed("KinetophoneSeparateAV", {"latent": ("sampler", 0)}, 2, 7, 100),
        "picture": Placed("VAEDecode", {"samples": ("apart", 0), "vae": ("loader", 2)}, 3, 0, 80),
        "sound": Placed("VAEDecodeAudio", {"samples": ("apart", 1), "vae": ("loader", 3)}, 3, 3, 80),
        "video": Placed("CreateVideo", {"images": ("picture", 0), "audio": ("sound", 0), "fps": 24.0}, 3, 6, 120),
        "save": Placed("SaveVideo", {"video": ("video", 0), "filename_prefix": "kinetophone/host"}, 4, 0, 420),
    },
    groups=(Group("Only ComfyUI's own nodes sample, decode and save", ("positive", "negative", "shift", "sampler",
        "picture", "sound", "video", "save")),),
    note=(
        "## ComfyUI's own nodes\n"
        "Model, text encoder and both VAEs are ComfyUI's own types: everything that takes MODEL, CLIP or VAE works "
        "on them. This way of decoding holds every frame in memory; *Decode to Video* and *Save Video with Provenance* "
        "stream instead."
    ),
)  # fmt: skip

SOUND_FOR_A_VIDEO = Workflow(
    nodes={
        "loader": Placed("KinetophoneLoader", {}, 0, 0, 160),
        "latent": Placed("KinetophoneEmptyLatent", {"seconds": 2.0}, 0, 5, 260),
        "schedule": Placed("KinetophoneSchedule", {}, 0, 11, 140),
        "text": Placed("KinetophoneTextEncode", {"clip": ("loader", 1), "prompt": PROMPT}, 1, 0, 300),
        "guidance": Placed(
            "KinetophoneGuidance",
            {"model": ("loader", 0), "positive": ("text", 0), "negative": ("text", 1)}, 1, 7, 200,
        ),
        "sampler": Placed(
            "KinetophoneSampler",
            {"guider": ("guidance", 0), "sigmas": ("schedule", 0), "latent": ("latent", 0), "seed": 12, **ANEW},
            1, 12, 200,
        ),
        "given": Placed("KinetophoneDecode", {"latent": ("sampler", 0), "video_vae": ("loader", 2)}, 1, 17, 140),
        "picture": Placed(
            "KinetophoneEncodeVideo", {"video": ("given", 0), "video_vae": ("loader", 2), "keep": True}, 2, 0, 140
        ),
        "joined": Placed("KinetophoneConcatAV", {"video": ("picture", 0), "audio": ("latent", 0)}, 2, 5, 80),
        "words": Placed("KinetophoneTextEncode", {"clip": ("loader", 1), "prompt": ""}, 2, 8, 300),
        "listen": Placed(
            "KinetophoneGuidance",
            {
                "model": ("loader", 0), "positive": ("words", 0), "negative": ("words", 1), "picture": 1.0,
                "sound": 1.0,
            }, 3, 0, 200,
        ),
        "second": Placed(
            "KinetophoneSampler",
            {"guider": ("listen", 0), "sigmas": ("schedule", 0), "latent": ("joined", 0), "seed": 1}, 3, 5, 200,
        ),
        "sound": Placed("KinetophoneDecodeAudio", {"latent": ("second", 0), "audio_vae": ("loader", 3)}, 3, 10, 80),
        "mix": Placed(
            "KinetophoneMixSound", {"video": ("given", 0), "audio": ("sound", 0), "own_level": -60.0}, 4, 0, 300
        ),
        "mark": Placed("KinetophoneWatermark", {"video": ("mix", 0)}, 4, 7, 220),
        "save": Placed("KinetophoneSave", {"video": ("mark", 0), "filename_prefix": "kinetophone/sound"}, 5, 0, 500),
    },
    groups=(
        Group("1  Model, size and length", ("loader", "latent", "schedule")),
        Group("2  A video without sound", ("text", "guidance", "sampler", "given"), "#88A"),
        Group("3  Its picture is kept", ("picture", "joined", "words"), "#8A8"),
        Group("4  A sound is made to it", ("listen", "second", "sound"), "#88A"),
        Group("5  Under the video, marked and saved", ("mix", "mark", "save"), "#A88"),
    ),
    note=(
        "## Sound for a video\n"
        "The first *Sampler* makes a video without sound; the second sees its picture, which *keep* leaves as it is, "
        "and makes the sound to it, without a word. For a video of your own connect *Load Video* to *Encode Video* and "
        "*Mix Sound* in place of *Decode to Video*, and set *seconds* to its length. *Mix Sound* puts the sound under "
        "the video as it came; at *own level* -60 the video's own sound is left out.\n\n"
        "The built-in model hears what it knows: things that bounce, hop, honk and so on, in videos of about its size."
    ),
)  # fmt: skip

RECAPTION = Workflow(
    nodes={
        **TEXT_TO_VIDEO.nodes,
        "recaption": Placed("KinetophoneRecaption", {"prompt": "a small green cube spins"}, 1, 0, 300),
        "edit": Placed("KinetophoneScreenplayEdit", {"screenplay": ("recaption", 0)}, 1, 8, 300),
        "latent": Placed("KinetophoneEmptyLatent", {"seconds": ("edit", 4)}, 0, 5, 260),
        "server": Placed("KinetophoneLanguageServer", {}, 1, 15, 140),
        "text": Placed(
            "KinetophoneTextEncode", {"clip": ("loader", 1), "prompt": "", "screenplay": ("edit", 0)}, 2, 0, 300
        ),
        "guidance": Placed(
            "KinetophoneGuidance",
            {"model": ("loader", 0), "positive": ("text", 0), "negative": ("text", 1)}, 2, 7, 200,
        ),
        "sampler": Placed(
            "KinetophoneSampler",
            {"guider": ("guidance", 0), "sigmas": ("schedule", 0), "latent": ("latent", 0), "seed": 7, **ANEW},
            2, 12, 200,
        ),
        "save": Placed(
            "KinetophoneSave", {"video": ("mark", 0), "filename_prefix": "kinetophone/recaption"}, 3, 12, 500
        ),
    },
    groups=(
        Group("1  Model, size and length", ("loader", "latent", "schedule")),
        Group("2  A prompt, written out", ("recaption", "edit", "server"), "#8A8"),
        Group("3  Sample", ("text", "guidance", "sampler"), "#88A"),
        Group("4  Decode, mark and save", ("decode", "mark", "save"), "#A88"),
    ),
    note=(
        "## Recaption, review, generate\n"
        "*Recaption* leaves your words as they are and adds what they leave open, in words that the model was trained "
        "on; it lists every addition. *Edit Screenplay* shows the result: switch *locked* on to keep your own "
        "version of it. The length comes from the screenplay. To let a language model on your machine write instead, "
        "connect *Language Model Server* to *server*."
    ),
)  # fmt: skip

STORYBOARD = Workflow(
    nodes={
        **TEXT_TO_VIDEO.nodes,
        "board": Placed("KinetophoneStoryboard", {}, 1, 0, 300),
        "latent": Placed("KinetophoneEmptyLatent", {"seconds": ("board", 1)}, 0, 5, 260),
        "text": Placed("KinetophoneTextEncode", {"clip": ("loader", 1), "screenplay": ("board", 0)}, 1, 8, 300),
        "preflight": Placed(
            "KinetophonePreflight",
            {
                "latent": ("latent", 0), "guider": ("guidance", 0), "sigmas": ("schedule", 0),
                "video_vae": ("loader", 2), "screenplay": ("board", 0),
            }, 2, 5, 260,
        ),
        "sampler": Placed(
            "KinetophoneSampler",
            {"guider": ("guidance", 0), "sigmas": ("schedule", 0), "latent": ("preflight", 0), "seed": 7, **ANEW},
            2, 12, 200,
        ),
        "save": Placed(
            "KinetophoneSave", {"video": ("mark", 0), "filename_prefix": "kinetophone/storyboard"}, 3, 12, 500
        ),
    },
    groups=(
        Group("1  Model and size", ("loader", "latent", "schedule")),
        Group("2  Shots, one a line", ("board", "text"), "#8A8"),
        Group("3  See what it takes, and sample", ("guidance", "preflight", "sampler"), "#88A"),
        Group("4  Decode, mark and save", ("decode", "mark", "save"), "#A88"),
    ),
    note=(
        "## Several shots in one video\n"
        "One shot a line, its time first. All are sampled in one run, each with its own words, so that the ball stays "
        "the same ball under three skies. The length comes from the storyboard. These 6 s are longer than the "
        "1 to 4.1 s that the built-in model was trained on, and it may lose its thread: *Preflight* and *Empty Picture "
        "and Sound* say so. Give each shot 1.3 s to stay within that."
    ),
)  # fmt: skip

LINES = """0-4 a large red robot talks on green grass under a clear blue sky | ROBOT@0.2: "Hello! I am a robot." \
| ROBOT@2.5: "And who are you?"
"""

DIALOGUE = Workflow(
    nodes={
        **TEXT_TO_VIDEO.nodes,
        "board": Placed("KinetophoneStoryboard", {"storyboard": LINES}, 1, 0, 260),
        "text": Placed("KinetophoneTextEncode", {"clip": ("loader", 1), "screenplay": ("board", 0)}, 1, 7, 300),
        "latent": Placed("KinetophoneEmptyLatent", {"seconds": ("board", 1)}, 0, 5, 260),
        "speak": Placed("KinetophoneSpeak", {"screenplay": ("board", 0), "voices": "ROBOT: deep man"}, 2, 0, 300),
        "sound": Placed(
            "KinetophoneEncodeAudio",
            {"audio": ("speak", 0), "audio_vae": ("loader", 3), "like": ("latent", 0), "keep": True}, 2, 8, 140,
        ),
        "joined": Placed("KinetophoneConcatAV", {"video": ("latent", 0), "audio": ("sound", 0)}, 2, 12, 80),
        "guidance": Placed(
            "KinetophoneGuidance",
            {"model": ("loader", 0), "positive": ("text", 0), "negative": ("text", 1)}, 3, 0, 200,
        ),
        "sampler": Placed(
            "KinetophoneSampler",
            {"guider": ("guidance", 0), "sigmas": ("schedule", 0), "latent": ("joined", 0), "seed": 12, **ANEW},
            3, 6, 200,
        ),
        "decode": Placed(
            "KinetophoneDecode",
            {"latent": ("sampler", 0), "video_vae": ("loader", 2), "audio_vae": ("loader", 3)}, 3, 14, 140,
        ),
        "mix": Placed(
            "KinetophoneMixSound", {"video": ("decode", 0), "audio": ("speak", 0), "own_level": -60.0}, 4, 0, 300
        ),
        "mark": Placed("KinetophoneWatermark", {"video": ("mix", 0)}, 4, 9, 220),
        "save": Placed("KinetophoneSave", {"video": ("mark", 0), "filename_prefix": "kinetophone/dialogue"}, 5, 0, 500),
    },
    groups=(
        Group("1  Model and size", ("loader", "latent", "schedule")),
        Group("2  Who says what when", ("board", "text", "speak"), "#8A8"),
        Group("3  The speech is kept, the picture is generated", ("sound", "joined", "guidance", "sampler", "decode"),
            "#88A"),
        Group("4  The voices at full quality", ("mix", "mark", "save"), "#A88"),
    ),
    note=(
        "## Dialogue\n"
        "Lines of the storyboard are spoken by offline voices, each at its time; the sound is kept while the picture "
        "is generated beside it. A robot that talks is the one thing of the built-in model whose mouth follows a "
        "voice: write your own lines for it, or more speakers, who are heard and not seen. *Mix Sound* puts the "
        "original voices into the file: at *own level* -60 what the model's autoencoder made of them is left out. "
        "*Speak* needs the packages that its help page names."
    ),
)  # fmt: skip

SYNC = Workflow(
    nodes={
        **TEXT_TO_VIDEO.nodes,
        "measure": Placed("KinetophoneMeasureSync", {"video": ("decode", 0)}, 3, 5, 200),
        "plot": Placed("PreviewImage", {"images": ("measure", 3)}, 3, 11, 300),
        "align": Placed("KinetophoneAlignSync", {"video": ("decode", 0), "offset": ("measure", 0)}, 4, 0, 120),
        "mark": Placed("KinetophoneWatermark", {"video": ("align", 0)}, 4, 5, 220),
        "save": Placed("KinetophoneSave", {"video": ("mark", 0), "filename_prefix": "kinetophone/sync"}, 4, 12, 500),
        "verify": Placed("KinetophoneVerify", {"video": ("save", 0)}, 5, 0, 200),
    },
    groups=(
        Group("1  Model, size and length", ("loader", "latent", "schedule")),
        Group("2  What should happen", ("text",), "#8A8"),
        Group("3  Sample", ("guidance", "sampler"), "#88A"),
        Group("4  Measure", ("decode", "measure", "plot"), "#8A8"),
        Group("5  Put it right, mark, save, and look at the file", ("align", "mark", "save", "verify"), "#A88"),
    ),
    note=(
        "## Sound where the picture is\n"
        "*Measure Sync* finds instants that can be seen and instants that can be heard, and how far they are apart; "
        "*Align Sync* moves the sound by that much. Load any video of your own in place of the generated one. Where "
        "nothing happens at one moment, the node says so and nothing is moved."
    ),
)  # fmt: skip

MARKS = Workflow(
    nodes={
        **TEXT_TO_VIDEO.nodes,
        "policy": Placed("KinetophonePolicy", {"prompt": PROMPT}, 1, 0, 260),
        "text": Placed("KinetophoneTextEncode", {"clip": ("loader", 1), "prompt": ("policy", 0)}, 1, 7, 300),
        "checked": Placed("KinetophonePolicy", {"video": ("decode", 0)}, 3, 5, 260),
        "badge": Placed("KinetophoneWatermark", {"video": ("checked", 2)}, 4, 0, 220),
        "mark": Placed("KinetophoneInvisibleWatermark", {"video": ("badge", 0), "says": "take 1"}, 4, 7, 180),
        "save": Placed("KinetophoneSave", {"video": ("mark", 0), "filename_prefix": "kinetophone/marked"}, 4, 12, 500),
        "verify": Placed("KinetophoneVerify", {"video": ("save", 0)}, 5, 0, 200),
        "detect": Placed("KinetophoneDetectWatermark", {"video": ("save", 0)}, 5, 6, 200),
    },
    groups=(
        Group("1  Model, size and length", ("loader", "latent", "schedule")),
        Group("2  May it be made?", ("policy", "text"), "#A88"),
        Group("3  Sample, decode, look again", ("guidance", "sampler", "decode", "checked"), "#88A"),
        Group("4  Mark, sign and save", ("badge", "mark", "save"), "#8A8"),
        Group("5  What the file says", ("verify", "detect"), "#8A8"),
    ),
    note=(
        "## Generate, mark, sign, verify\n"
        "*Policy* reads the prompt before anything is sampled: write `Mickey Mouse juggles` to see it refuse. The "
        "video gets a badge for people, an invisible mark for programs, and a signature. *Verify* and *Detect "
        "Watermark* read the file back: connect *Load Video* to them to look at any file."
    ),
)  # fmt: skip

VERIFY = Workflow(
    nodes={
        "file": Placed("LoadVideo", {"file": "video.mp4"}, 0, 0, 420),
        "verify": Placed("KinetophoneVerify", {"video": ("file", 0)}, 1, 0, 240),
        "public": Placed("KinetophoneDetectWatermark", {"video": ("file", 0), "key": "public"}, 2, 0, 200),
        "own": Placed("KinetophoneDetectWatermark", {"video": ("file", 0), "key": "own"}, 2, 5, 200),
        "measure": Placed("KinetophoneMeasureSync", {"video": ("file", 0)}, 3, 0, 200),
        "plot": Placed("PreviewImage", {"images": ("measure", 3)}, 3, 6, 300),
    },
    groups=(
        Group("1  A file of yours", ("file",)),
        Group("2  What it says of itself", ("verify",), "#8A8"),
        Group("3  Hidden marks", ("public", "own"), "#8A8"),
        Group("4  Is its sound in sync?", ("measure", "plot"), "#88A"),
    ),
    note=(
        "## Where is this file from?\n"
        "Choose or upload a video in *Load Video* and press Run. *Verify* says who signed it, whether a byte was "
        "changed since, how it was made and of what. A file that was converted has lost all that, but not its "
        "invisible marks: *Detect Watermark* looks for them, with the key that everybody has and with your own. A file "
        "with neither may come from anywhere."
    ),
)  # fmt: skip

REFUSED_PROMPT = "Mickey Mouse watches a large red ball bounce on green grass under a clear blue sky"

REFUSE = Workflow(
    nodes={
        **TEXT_TO_VIDEO.nodes,
        "policy": Placed("KinetophonePolicy", {"prompt": REFUSED_PROMPT}, 1, 0, 320),
        "text": Placed("KinetophoneTextEncode", {"clip": ("loader", 1), "prompt": ("policy", 0)}, 1, 8, 300),
        "save": Placed(
            "KinetophoneSave", {"video": ("mark", 0), "filename_prefix": "kinetophone/permitted"}, 3, 12, 500
        ),
    },
    groups=(
        Group("1  Model, size and length", ("loader", "latent", "schedule")),
        Group("2  May it be made?", ("policy", "text"), "#A88"),
        Group("3  Sample", ("guidance", "sampler"), "#88A"),
        Group("4  Decode, mark and save", ("decode", "mark", "save"), "#A88"),
    ),
    note=(
        "## A prompt that is refused\n"
        "Press Run: the workflow stops at *Policy*, before anything is sampled, and says which rule decided and which "
        "words it read. Three ways on: write another prompt; say in *override* why it may be made, which is kept in "
        "the file's signed provenance; or change the policy (the help page of *Policy* shows how)."
    ),
)  # fmt: skip

TURBO = Workflow(
    nodes={
        **TEXT_TO_VIDEO.nodes,
        "turbo": Placed("KinetophoneTurbo", {"model": ("loader", 0)}, 2, 0, 100),
        "schedule": Placed("KinetophoneSchedule", {"steps": 10}, 0, 11, 140),
        "guidance": Placed(
            "KinetophoneGuidance",
            {
                "model": ("turbo", 0), "positive": ("text", 0), "negative": ("text", 1), "picture": 1.0, "sound": 1.0,
            }, 2, 4, 200,
        ),
        "sampler": Placed(
            "KinetophoneSampler",
            {"guider": ("guidance", 0), "sigmas": ("schedule", 0), "latent": ("latent", 0), "seed": 12}, 2, 10, 200,
        ),
        "save": Placed("KinetophoneSave", {"video": ("mark", 0), "filename_prefix": "kinetophone/turbo"}, 3, 12, 500),
    },
    groups=(
        Group("1  Model, size and length", ("loader", "latent", "schedule")),
        Group("2  What should happen", ("text",), "#8A8"),
        Group("3  Sample, in ten passes", ("turbo", "guidance", "sampler"), "#88A"),
        Group("4  Decode, mark and save", ("decode", "mark", "save"), "#A88"),
    ),
    note=(
        "## Turbo\n"
        "For trying out prompts: ten steps of one pass each instead of twenty of two. *Turbo* puts an adapter into the "
        "built-in model that has the guidance inside, so that *Guidance* stays at 1 and a negative prompt has no "
        "effect. Take the node out, and set 20 steps and a guidance of 3, for the final version."
    ),
)  # fmt: skip

GOES_ON = "a large red ball rolls from left to right on green grass under a clear blue sky"


def _sampled(latent: tuple[str, int], seed: int, column: int, row: int) -> Placed:
    """A sampler for one of several latents in a workflow with one model and prompt."""
    inputs = {"guider": ("guidance", 0), "sigmas": ("schedule", 0), "latent": latent, "seed": seed, **ANEW}
    return Placed("KinetophoneSampler", inputs, column, row, 200)


START = Workflow(
    nodes={
        **TEXT_TO_VIDEO.nodes,
        "latent": Placed("KinetophoneEmptyLatent", {"seconds": 2.0}, 0, 5, 260),
        "sampler": _sampled(("latent", 0), 12, 2, 6),
        "before": Placed("KinetophoneDecode", {"latent": ("sampler", 0), "video_vae": ("loader", 2)}, 3, 0, 140),
        "parts": Placed("GetVideoComponents", {"video": ("before", 0)}, 3, 5, 80),
        "frame": Placed("ImageFromBatch", {"image": ("parts", 0), "batch_index": 24, "length": 1}, 3, 9, 80),
        "shown": Placed("PreviewImage", {"images": ("frame", 0)}, 3, 13, 300),
        "start": Placed(
            "KinetophoneImageToVideo", {"latent": ("latent", 0), "video_vae": ("loader", 2), "first": ("frame", 0)},
            4, 0, 160,
        ),
        "words": Placed("KinetophoneTextEncode", {"clip": ("loader", 1), "prompt": GOES_ON}, 4, 6, 240),
        "guided": Placed(
            "KinetophoneGuidance",
            {"model": ("loader", 0), "positive": ("words", 0), "negative": ("words", 1)}, 4, 12, 200,
        ),
        "again": Placed(
            "KinetophoneSampler",
            {"guider": ("guided", 0), "sigmas": ("schedule", 0), "latent": ("start", 0), "seed": 3, **ANEW}, 5, 0, 200,
        ),
        "decode": Placed(
            "KinetophoneDecode",
            {"latent": ("again", 0), "video_vae": ("loader", 2), "audio_vae": ("loader", 3)}, 6, 0, 140,
        ),
        "mark": Placed("KinetophoneWatermark", {"video": ("decode", 0)}, 6, 5, 220),
        "save": Placed("KinetophoneSave", {"video": ("mark", 0), "filename_prefix": "kinetophone/start"}, 7, 0, 500),
    },
    groups=(
        Group("1  A picture to start from", ("text", "guidance", "sampler", "before", "parts", "frame", "shown"),
            "#8A8"),
        Group("2  What happens after it", ("start", "words", "guided", "again"), "#88A"),
        Group("3  Decode, mark and save", ("decode", "mark", "save"), "#A88"),
    ),
    note=(
        "## Start from a picture\n"
        "*Image to Video* puts a picture at the beginning of the video, at its end, or both; the rest is made to fit, "
        "with its sound. Here the picture is a frame of another video: put *Load Image* in its place to start from "
        "your own. The built-in model goes on well only from pictures of its own world. The same picture as *first* "
        "and *last* makes a loop."
    ),
)  # fmt: skip

# A clip of two seconds, of which others are made.
A_CLIP = {
    **TEXT_TO_VIDEO.nodes,
    "latent": Placed("KinetophoneEmptyLatent", {"seconds": 2.0}, 0, 5, 260),
    "text": Placed("KinetophoneTextEncode", {"clip": ("loader", 1), "prompt": GOES_ON}, 1, 0, 240),
    "guidance": Placed(
        "KinetophoneGuidance",
        {"model": ("loader", 0), "positive": ("text", 0), "negative": ("text", 1)}, 1, 6, 200,
    ),
    "sampler": _sampled(("latent", 0), 5, 1, 12),
}  # fmt: skip

GO_ON = Workflow(
    nodes={
        **A_CLIP,
        "longer": Placed("KinetophoneExtend", {"latent": ("sampler", 0), "seconds": 2.0}, 2, 0, 160),
        "second": _sampled(("longer", 0), 8, 2, 6),
        "anew": Placed("KinetophoneRetake", {"latent": ("second", 0), "start": 1.0, "end": 1.7}, 3, 0, 200),
        "third": _sampled(("anew", 0), 9, 3, 6),
        "decode": Placed(
            "KinetophoneDecode",
            {"latent": ("third", 0), "video_vae": ("loader", 2), "audio_vae": ("loader", 3)}, 4, 0, 140,
        ),
        "mark": Placed("KinetophoneWatermark", {"video": ("decode", 0)}, 4, 5, 220),
        "save": Placed("KinetophoneSave", {"video": ("mark", 0), "filename_prefix": "kinetophone/extended"}, 5, 0, 500),
    },
    groups=(
        Group("1  A clip of two seconds", ("text", "guidance", "sampler"), "#8A8"),
        Group("2  Two seconds more", ("longer", "second"), "#88A"),
        Group("3  A moment of it anew", ("anew", "third"), "#8A8"),
        Group("4  Decode, mark and save", ("decode", "mark", "save"), "#A88"),
    ),
    note=(
        "## Extend, and retake\n"
        "*Extend* keeps a clip as it is and adds time, which the next *Sampler* fills. *Retake* keeps all but a span, "
        "in picture, sound or both. Nothing is lost on the way, because latents go from node to node undecoded. To go "
        "on from a file, put *Load Video*, *Encode Video*, *Encode Audio* and *Join Picture and "
        "Sound* in place of the first sampler. The built-in model keeps its thread for four seconds in all."
    ),
)  # fmt: skip

REMIX = Workflow(
    nodes={
        **A_CLIP,
        "words": Placed(
            "KinetophoneTextEncode",
            {"clip": ("loader", 1), "prompt": "a large red ball rolls from left to right on sand at sunset"}, 2, 0, 240,
        ),
        "guided": Placed(
            "KinetophoneGuidance",
            {"model": ("loader", 0), "positive": ("words", 0), "negative": ("words", 1)}, 2, 6, 200,
        ),
        "partly": Placed("KinetophoneSchedule", {"denoise": 0.7}, 2, 12, 140),
        "again": Placed(
            "KinetophoneSampler",
            {"guider": ("guided", 0), "sigmas": ("partly", 0), "latent": ("sampler", 0), "seed": 6, **ANEW}, 3, 0, 200,
        ),
        "decode": Placed(
            "KinetophoneDecode",
            {"latent": ("again", 0), "video_vae": ("loader", 2), "audio_vae": ("loader", 3)}, 3, 6, 140,
        ),
        "mark": Placed("KinetophoneWatermark", {"video": ("decode", 0)}, 3, 11, 220),
        "save": Placed("KinetophoneSave", {"video": ("mark", 0), "filename_prefix": "kinetophone/remix"}, 4, 0, 500),
    },
    groups=(
        Group("1  A clip", ("text", "guidance", "sampler"), "#8A8"),
        Group("2  What it becomes", ("words", "guided", "partly"), "#88A"),
        Group("3  Sample again, decode, mark and save", ("again", "decode", "mark", "save"), "#A88"),
    ),
    note=(
        "## Remix\n"
        "A clip is noised in part and sampled again with another prompt. *denoise* in the second *Schedule* says how "
        "much may change: at 0.6 what moves stays and its surroundings change, at 0.9 little but the motion is kept. "
        "To remix a file, put *Load Video*, *Encode Video*, *Encode Audio* and *Join Picture and Sound* in place of "
        "the first sampler."
    ),
)  # fmt: skip

WORKFLOWS = {
    "01_text_to_video": TEXT_TO_VIDEO,
    "02_host_nodes_only": HOST_NODES_ONLY,
    "03_sound_for_a_video": SOUND_FOR_A_VIDEO,
    "04_recaption": RECAPTION,
    "05_storyboard": STORYBOARD,
    "06_dialogue": DIALOGUE,
    "07_sync": SYNC,
    "08_policy_and_marks": MARKS,
    "09_verify_a_file": VERIFY,
    "10_refuse_a_prompt": REFUSE,
    "11_turbo": TURBO,
    "12_start_from_a_picture": START,
    "13_extend_and_retake": GO_ON,
    "14_remix": REMIX,
}


def main() -> None:
    object_info = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    folder = ROOT / "example_workflows"
    folder.mkdir(exist_ok=True)
    for name, workflow in WORKFLOWS.items():
        (folder / f"{name}.json").write_text(as_json(to_editor(workflow, object_info)), "utf-8")


if __name__ == "__main__":
    main()
