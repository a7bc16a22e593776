"""Save what a host with the pack loaded answers to GET /object_info."""

import json
import sys
from pathlib import Path

from server import running

if __name__ == "__main__":
    with running() as server:
        Path(sys.argv[1]).write_text(json.dumps(server.get("/object_info")), "utf-8")
