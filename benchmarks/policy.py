"""The default policy on prompts of many kinds: what it catches, what it stops for nothing, and how long it takes.

Beside it, what the embeddings of the built-in text encoder could tell: prompts are ranked by how much more they are
like the tuned prompts that are refused than like those that are harmless.
"""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from report import write
from torch import Tensor

from kinetophone.pipelines.marks.policy import Outcome, check_text, read_policy
from kinetophone.pipelines.weights.card import DEFAULT_CARD
from kinetophone.pipelines.weights.load import load_models

PROMPTS = Path(__file__).parents[1] / "tests" / "data" / "policy.yaml"


@torch.no_grad()
def embedded(sets: dict[str, dict[str, list[str]]]) -> list[tuple[str, str, str]]:
    """How well embeddings tell the held-out prompts apart."""
    models = load_models(DEFAULT_CARD)

    def means(part: str, kind: str) -> Tensor:
        context = models.text(models.tokenizer.encode(sets[part][kind]))
        real = context.mask[..., None].float()
        return (context.tokens * real).sum(1) / real.sum(1)

    known = {kind: means("tuned", kind) for kind in ("refuse", "allow")}
    middle = torch.cat(list(known.values())).mean(0)

    def score(kind: str) -> Tensor:
        own = F.normalize(means("held_out", kind) - middle, dim=-1)
        like = {side: own @ F.normalize(vectors - middle, dim=-1).T for side, vectors in known.items()}
        return like["refuse"].topk(3).values.mean(1) - like["allow"].topk(3).values.mean(1)

    bad, good = score("refuse"), score("allow")
    return [
        ("embeddings, held_out: caught at no false alarm", f"{(bad > good.max()).sum()} of {len(bad)}", ""),
        ("embeddings, held_out: area under the curve", f"{(bad[:, None] > good).float().mean():.2f}", ""),
    ]


def main() -> None:
    policy, today = read_policy(), datetime.date.today()
    sets = yaml.safe_load(PROMPTS.read_text("utf-8"))
    rows, missed = [], []
    for name, kinds in sets.items():
        said = {
            kind: [Outcome(check_text(policy, text, "the prompt", today)).action for text in texts]
            for kind, texts in kinds.items()
        }
        missed += [
            f"{name}: {action} instead of {kind}: {text}"
            for kind, texts in kinds.items()
            for text, action in zip(texts, said[kind], strict=True)
            if action != kind
        ]
        refuse, warn, allow = (said[kind] for kind in ("refuse", "warn", "allow"))
        rows += [
            (f"{name}: to be refused, refused", f"{refuse.count('refuse')} of {len(refuse)}", ""),
            (f"{name}: to be warned of, warned or refused", f"{len(warn) - warn.count('allow')} of {len(warn)}", ""),
            (f"{name}: harmless, refused", f"{allow.count('refuse')} of {len(allow)}", ""),
            (f"{name}: harmless, warned of", f"{allow.count('warn')} of {len(allow)}", ""),
        ]
    texts = [text for kinds in sets.values() for part in kinds.values() for text in part]
    began = time.perf_counter()
    for text in texts:
        check_text(policy, text, "the prompt", today)
    rows.append(("a prompt takes", f"{(time.perf_counter() - began) / len(texts) * 1000:.1f} ms", ""))
    write(
        "policy",
        rows + embedded(sets),
        "Written by the same hand as the lists. What went wrong:\n\n" + "\n".join(f"- {m}" for m in missed),
    )


if __name__ == "__main__":
    main()
