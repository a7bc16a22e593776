"""Training of every part of the family: `python -m kinetophone.pipelines.train CONFIG`."""
