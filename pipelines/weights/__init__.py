"""Checkpoints and the cards that describe them."""
