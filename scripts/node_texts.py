"""Write `locales/en/nodeDefs.json` from a host that has the pack loaded.

    python scripts/node_texts.py OBJECT_INFO.json

OBJECT_INFO is what the host answers to GET /object_info; `make workflows` saves it first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from workflow_format import as_json

LOCALE = Path(__file__).parents[1] / "locales" / "en" / "nodeDefs.json"
# Abbreviations that are written so; "fps" is not one of them.
CAPITALS = {"url", "vae"}


def node_texts(object_info: dict[str, Any]) -> dict[str, Any]:
    """The locale file: names, descriptions and tooltips of our nodes, as the host's editor reads them."""
    texts = {}
    for kind, info in object_info.items():
        if not kind.startswith("Kinetophone"):
            continue
        inputs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
        texts[kind] = {
            "display_name": info["display_name"],
            "description": info["description"],
            "inputs": {
                name: {"name": spec[1].get("display_name") or label(name), "tooltip": spec[1].get("tooltip", "")}
                for name, spec in inputs.items()
            },
            "outputs": {
                str(index): {"name": name, "tooltip": tooltip}
                for index, (name, tooltip) in enumerate(
                    zip(info["output_name"], info.get("output_tooltips") or [], strict=False)
                )
            },
        }
    return texts


def label(name: str) -> str:
    """An input's id as words: `video_vae` is "video VAE"."""
    return " ".join(word.upper() if word in CAPITALS else word for word in name.split("_"))


def main() -> None:
    object_info = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    LOCALE.parent.mkdir(parents=True, exist_ok=True)
    LOCALE.write_text(as_json(node_texts(object_info)), "utf-8")


if __name__ == "__main__":
    main()
