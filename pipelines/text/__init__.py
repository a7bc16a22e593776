"""Prompt to text context."""
