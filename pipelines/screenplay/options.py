"""What a user can choose from. Read when the host starts, so nothing is loaded here: `banks/*.yaml` have the rest."""

from __future__ import annotations

TARGETS = ("built-in", "LTX-2.x", "MiniMax H3", "Kandinsky 6", "Wan", "plain")
# The first style is the default, and says nothing worth writing down.
STYLES = ("natural", "documentary", "animation", "noir", "product", "cinematic")
