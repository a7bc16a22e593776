"""Everything that touches ComfyUI: models, latents, media, paths and progress as the host's own types."""
