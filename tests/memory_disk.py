"""Where the tests keep their files: in memory, where the machine has the room for it.

Tens of thousands of commits wait for the disk otherwise, for minutes, and all that they prove
holds in memory too: what survives a kill does not depend on the disk, and power cuts have a disk
of their own.
"""

import os
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES = 6 << 30


def use_memory_disk() -> None:
    """Put temporary files into memory, unless somebody said where they belong."""
    if "TMPDIR" not in os.environ and _is_usable():
        os.environ["TMPDIR"] = str(MEMORY)  # for this process and those it starts
        tempfile.tempdir = None  # forget what was found before


def _is_usable() -> bool:
    try:
        disk = os.statvfs(MEMORY)
    except OSError:
        return False
    # PostgreSQL's programs may have to be copied to where its user can reach them.
    may_run = not disk.f_flag & os.ST_NOEXEC
    return may_run and os.access(MEMORY, os.W_OK) and disk.f_bavail * disk.f_frsize > ROOM_BYTES
