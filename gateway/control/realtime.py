"""Asking the kernel to let control go first: real-time priority and locked memory, where that is allowed."""

import logging
import os
import resource
import sys

PRIORITY = 10
"""SCHED_FIFO priority: above every ordinary process, below the kernel's own threads (50)."""
SWITCH_S = 0.0002
"""How long one of our threads may keep the interpreter while another waits."""
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # asm-generic/mman.h

_log = logging.getLogger(__name__)


def prefer_this_process() -> None:
    """Set what is allowed, and say in one line what is not. Call in the main thread before others are started."""
    sys.setswitchinterval(SWITCH_S)
    missing = [problem for problem in (_real_time(), _lock_memory()) if problem]
    if missing:
        _log.info("control runs without %s", "; without ".join(missing))


def _real_time() -> str:
    try:
        # Threads started from here inherit it: whoever holds the interpreter must not wait for other processes.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError as error:
        return f"real-time priority ({error.strerror}; the service sets LimitRTPRIO={PRIORITY})"
    return ""


def _lock_memory() -> str:
    """Lock pages as they are used. Never under a limit: a later allocation would then fail."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY:
        return "locked memory (the service sets LimitMEMLOCK=infinity)"
    import ctypes  # only here: it costs memory

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        return f"locked memory ({os.strerror(ctypes.get_errno())})"
    return ""
