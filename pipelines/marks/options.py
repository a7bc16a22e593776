"""What a user can choose from. Read when the host starts, so nothing is loaded here."""

from __future__ import annotations

NONE = "none"
# What the badge says, and its height as a share of the picture's shorter side.
BADGE, BADGE_SIZE = "Made with AI", 0.07
# Whether a file is signed. The first is the default.
SIGNING = ("if possible", "always", "never")
# The first is the default; `disclosure.yaml` has a text for each.
LANGUAGES = (
    "English", "Deutsch", "Français", "Español", "Italiano", "Polski", "Português", "Nederlands", "日本語", "한국어",
    "中文", NONE,
)  # fmt: skip
PLACES = ("moving", "top left", "top right", "left", "right", "bottom left", "bottom right")
# Where an invisible mark goes. The first is the default.
INVISIBLE = ("picture and sound", "picture", "sound")
# The key of an invisible mark: one that everybody has, so that everybody can find the mark, or the user's own.
KEYS = ("public", "own")
