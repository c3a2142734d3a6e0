"""Every measurement, one process each, so that no side of one weighs on another.

python -m bench
"""

import pkgutil
import subprocess
import sys
from pathlib import Path

# What measurements are made of.
PARTS = {"__main__", "feed", "measure"}


def main() -> int:
    """Run them all; 0 when every goal was met."""
    names = [m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)])]
    runs = [
        subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False)
        for name in names
        if name not in PARTS
    ]
    return int(any(run.returncode for run in runs))


if __name__ == "__main__":
    sys.exit(main())
