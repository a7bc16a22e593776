"""The default policy on prompts of many kinds: what it catches, what it stops for nothing, and how long it takes."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import yaml
from report import write

from kinetophone.pipelines.marks.policy import Outcome, check_text, read_policy

PROMPTS = Path(__file__).parents[1] / "tests" / "data" / "policy.yaml"


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
        rows,
        "Written by the same hand as the lists. What went wrong:\n\n" + "\n".join(f"- {m}" for m in missed),
    )


if __name__ == "__main__":
    main()
