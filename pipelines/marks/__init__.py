"""Marks: what tells people and programs that a video was made by a model."""
