"""Every measurement, one process each, so that no side of one weighs on another.

python -m bench
"""

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run every module that has a ``main``; 0 when every goal was met."""
    modules = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    measurements = [path.stem for path in modules if "def main(" in path.read_text()]
    runs = [
        subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False)
        for name in measurements
    ]
    return int(any(run.returncode for run in runs))


if __name__ == "__main__":
    sys.exit(main())
