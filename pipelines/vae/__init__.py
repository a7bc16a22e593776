"""Autoencoders of picture and sound."""
