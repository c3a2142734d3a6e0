"""Process: a name for this run of the program, and whether a run of that name is over."""

import os
import secrets
import socket


def this_process() -> str:
    """Machine, process number and a random part: no other run ever has the same."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_gone(name: str) -> bool:
    """Whether the run of that name has surely ended: its process number, on this machine, is
    nobody's, or ours. Of another machine, or of a name of another form, nothing is known."""
    machine, _, rest = name.partition(":")
    number = rest.partition(":")[0]
    if machine != socket.gethostname() or not number.isdecimal():
        return False
    if int(number) == os.getpid():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
