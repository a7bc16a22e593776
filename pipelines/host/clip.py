"""Our text encoder as the host's CLIP, with its `(words:1.2)` weights."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.sd1_clip
import torch
from torch import Tensor, nn

from ..model.config import TextConfig
from ..model.ops import TORCH
from ..screenplay.recaption import shot_description, timed_caption
from ..text.encoder import TextEncoder
from ..text.shots import shots_in_time
from ..text.tokenizer import SPECIAL, Tokenizer
from ..types import Screenplay, TextContext
from ..weights.checkpoint import Checkpoint
from .model import SPANS
from .ops import host_ops

KEY = "kinetophone"
# The host counts and weighs tokens as (number, weight) pairs.
Token = tuple[int, float]


class HostTokenizer:
    """The host's tokenizer protocol over `Tokenizer`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def tokenize_with_weights(
        self, text: str, return_word_ids: bool = False, **kwargs: Any
    ) -> dict[str, list[list[Token]]]:
        """Numbers of the words of the prompt, each with its weight, padded to the length that the model reads."""
        parts = _weighted(text)
        words = self.tokenizer.read(" ".join(part for part, _ in parts)).words
        weights = [1.0] * (1 + len(words))
        at = 0
        for part, weight in parts:
            # What a part is read as stands in the whole in the same order; a word that only the whole has weighs 1.
            for word in self.tokenizer.read(part, part=True).words:
                if word in words[at:]:
                    at = words.index(word, at) + 1
                    weights[at] = weight
        ids = self.tokenizer.ids(words)
        padding = self.tokenizer.config.tokens - len(ids)
        pairs = [*zip(ids, weights, strict=False), *[(0, 1.0)] * padding]
        return {KEY: [[(*pair, index) for index, pair in enumerate(pairs)] if return_word_ids else pairs]}

    def note(self, text: str) -> str:
        """What the user should know of how a prompt is read."""
        return self.tokenizer.note(" ".join(segment for segment, _ in _weighted(text)))

    def untokenize(self, tokens: list[Token]) -> list[tuple[Token, str]]:
        """Tokens with their words."""
        words = dict(enumerate(self.tokenizer.words, start=SPECIAL))
        return [(token, words[token[0]]) for token in tokens if token[0] in words]

    def state_dict(self) -> dict[str, Tensor]:
        return {}


def _weighted(text: str) -> list[tuple[str, float]]:
    """The parts of a prompt with their weights, as the host reads `(words:1.2)`."""
    parts = comfy.sd1_clip.token_weights(comfy.sd1_clip.escape_important(text), 1.0)
    return [(comfy.sd1_clip.unescape_important(part), weight) for part, weight in parts]


class HostTextEncoder(nn.Module):
    """The host's text encoder protocol over `TextEncoder`; always float32, it is small."""

    def __init__(self, config: TextConfig, device: Any, model_options: dict[str, Any]) -> None:
        super().__init__()
        operations = model_options.get("custom_operations", comfy.ops.manual_cast)
        self.encoder = TextEncoder(config, host_ops(operations, TORCH.attention), dtype=torch.float32, device=device)
        self.dtypes = {torch.float32}

    def set_clip_options(self, options: dict[str, Any]) -> None:
        """Nothing to choose: there is one output layer."""

    def reset_clip_options(self) -> None:
        """Nothing was chosen."""

    def encode_token_weights(self, tokens: dict[str, list[list[Token]]]) -> tuple[Tensor, Tensor]:
        """Context `[1, L, width]`, zero at padding, and its mean; weights scale the tokens."""
        rows = tokens[KEY][0]
        device = comfy.model_management.text_encoder_device()
        context = self.encoder(torch.tensor([[pair[0] for pair in rows]], device=device))
        weights = torch.tensor([pair[1] for pair in rows], device=device)
        weighted = context.tokens * weights[None, :, None]
        return weighted, weighted.mean(1)

    def load_sd(self, state: dict[str, Tensor]) -> Any:
        return self.encoder.load_state_dict(state, strict=True)


class _Target:
    """What `comfy.sd.CLIP` builds itself from: constructors with our arguments bound."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.params: dict[str, Any] = {}
        text = checkpoint.config.text

        def tokenizer(**kwargs: Any) -> HostTokenizer:
            return HostTokenizer(Tokenizer(text, checkpoint.words))

        def encoder(device: Any = None, dtype: Any = None, model_options: Any = None) -> HostTextEncoder:
            return HostTextEncoder(text, device, model_options or {})

        self.tokenizer, self.clip = tokenizer, encoder


def make_clip(checkpoint: Checkpoint) -> comfy.sd.CLIP:
    """The host's CLIP object of a checkpoint."""
    state = {key: value.float() for key, value in checkpoint.part("text").items()}
    parameters = sum(value.numel() for value in state.values())
    clip = comfy.sd.CLIP(_Target(checkpoint), parameters=parameters, model_options={"dtype": torch.float32})
    clip.load_sd(state)
    clip.cond_stage_model.eval().requires_grad_(False)
    return clip


def encode_prompt(clip: Any, text: str) -> Any:
    """The host's CONDITIONING of a text, with any text encoder. Raises ValueError when there is none."""
    if clip is None:
        raise ValueError("There is no text encoder: the loader found none in the checkpoint. Load one separately.")
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def encode_screenplay(clip: Any, screenplay: Screenplay) -> Any:
    """The host's CONDITIONING of a screenplay: timed text for our encoder, prose with times for every other."""
    if not isinstance(getattr(clip, "tokenizer", None), HostTokenizer):
        return encode_prompt(clip, timed_caption(screenplay))
    rows = [encode_prompt(clip, shot_description(shot))[0] for shot in screenplay.shots]
    if len(rows) == 1:
        return rows
    contexts = [TextContext(tokens, tokens.ne(0).any(-1)) for tokens, _ in rows]
    timed = shots_in_time(contexts, screenplay.shots)
    return [[timed.tokens, {**rows[0][1], SPANS: timed.spans}]]


def prompt_note(clip: Any, text: str) -> str:
    """What the user should know about a prompt before sampling; nothing for other text encoders than ours."""
    host = getattr(clip, "tokenizer", None)
    return host.note(text) if isinstance(host, HostTokenizer) else ""


def screenplay_note(clip: Any, screenplay: Screenplay) -> str:
    """How a screenplay is read, and what the model makes of each shot."""
    if not isinstance(getattr(clip, "tokenizer", None), HostTokenizer):
        return "Written as one text with times: this model takes no timed conditioning."
    notes = [
        f"{shot.start:g} to {shot.end:g} s: {prompt_note(clip, shot_description(shot))}" for shot in screenplay.shots
    ]
    if any(shot.lines for shot in screenplay.shots):
        notes.append("Dialogue is left out, the model knows no speech: Speak says it.")
    return "\n".join(notes)
