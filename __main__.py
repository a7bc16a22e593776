"""`python -m kinetophone "a prompt" -o out.mp4`."""

import sys

from .pipelines.cli import main

if __name__ == "__main__":
    sys.exit(main())
