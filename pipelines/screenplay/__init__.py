"""From a short prompt to timed shots: documents, storyboards, dialogue timing, and the writers that fill them."""
