"""Sync: how far a clip's sound is from its picture, and putting it right."""
