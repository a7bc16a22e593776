"""What a user can choose from. Read when the host starts, so nothing is loaded here."""

from __future__ import annotations

# What of a clip is meant. The first is the default.
STREAMS = BOTH, PICTURE, SOUND = "picture and sound", "picture", "sound"
