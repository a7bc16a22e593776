"""Lazy clips: a shape, a sound, and frames that are made when somebody asks for them."""
