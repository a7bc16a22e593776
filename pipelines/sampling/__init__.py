"""From noise to latents: plain functions."""
