"""The joint audio-video diffusion transformer."""
