"""Landlock: the kernel lets this process open only the files that it names (Linux 5.13; landlock(7)).

It needs no privileges and no library. What it cannot restrict (the metadata of files, files that are already open) is
left to `seccomp`.
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every architecture
VERSION_FLAG = 1
PATH_BENEATH = 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
# All rights to files that each version of the interface knows; those of a later version include the earlier ones.
ALL_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 5: 0xFFFF}

libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def restrict(files: Iterable[int], folders: Iterable[Path]) -> None:
    """Let this thread, and those that it starts, open nothing but `files` and what is in `folders`, and only to read.

    Call it before other threads run: they are not restricted. `no_new_privs` must be set.

    Args:
        files: descriptors of files that may be opened once more, by `/proc/self/fd/…`.
        folders: those that do not exist are left out.

    Raises:
        OSError: the kernel or the container does not offer Landlock, or other threads run.
    """
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise OSError("other threads run already")
    version = _call(CREATE_RULESET, None, 0, VERSION_FLAG)
    rights = ALL_RIGHTS[max(known for known in ALL_RIGHTS if known <= version)]
    handled = _Ruleset(rights)
    ruleset = _call(CREATE_RULESET, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    try:
        for file in files:
            _allow(ruleset, file, READ_FILE)
        for folder in folders:
            if folder.is_dir():
                opened = os.open(folder, os.O_PATH | os.O_CLOEXEC)
                try:
                    _allow(ruleset, opened, READ_FILE | READ_DIR)
                finally:
                    os.close(opened)
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, opened: int, rights: int) -> None:
    rule = _PathBeneath(rights, opened)
    _call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)


def _call(number: int, *arguments: object) -> int:
    words = [ctypes.c_size_t(value) if isinstance(value, int) else value for value in arguments]
    result: int = libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
