"""A seccomp filter: this process can make only the system calls that decoding needs (seccomp(2)).

All others fail with EPERM: sockets, programs, processes, signals to others, changes to files, mounts, users, tracing,
and whatever a newer kernel adds. Only `clone3` fails with ENOSYS, for which the C library then uses `clone`.
"""

import ctypes
import errno
import fcntl
import os
import platform
import struct
import termios
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SET_MODE_FILTER, ALL_THREADS = 1, 1  # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
ALLOW, FAIL, KILL = 0x7FFF0000, 0x00050000, 0x80000000  # SECCOMP_RET_…
# Instructions of the filter: load a word of the call, compare it, test its bits, return.
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16  # struct seccomp_data

CLONE_THREAD = 0x10000
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
PR_SET_NAME, PR_GET_NAME, PR_SET_VMA = 15, 16, 0x53564D41
F_DUPFD_CLOEXEC = 1030


Numbers = tuple[int | None, int | None]  # of a call, on x86_64 and on arm64


@dataclass(frozen=True)
class Rule:
    """A call is allowed if one argument, from 0, is `one_of` these, has `any_of` these bits, or has `none_of` them.

    The filter sees the lower 32 bits of the argument; the kernel reads no more of the arguments that have rules here.
    """

    argument: int
    one_of: tuple[int, ...] = ()
    any_of: int = 0
    none_of: int = 0


# The calls that are allowed with any arguments.
FREE: dict[str, Numbers] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "close": (3, 57), "lseek": (8, 62), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24),
    "fstat": (5, 80), "stat": (4, None), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439),
    "readlink": (89, None), "readlinkat": (267, 78), "getcwd": (79, 17), "getdents64": (217, 61),
    "fadvise64": (221, 223), "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233),
    "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "exit": (60, 93), "exit_group": (231, 94),
    "futex": (202, 98), "futex_waitv": (449, 449), "set_robust_list": (273, 99),
    "set_tid_address": (218, 96), "rseq": (334, 293), "membarrier": (324, 283),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getcpu": (309, 168),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "setitimer": (38, 103), "time": (201, None), "times": (100, 153), "getrusage": (98, 165),
    "getrandom": (318, 278), "uname": (63, 160), "sysinfo": (99, 179),
    "getpid": (39, 172), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "arch_prctl": (158, None),
}  # fmt: skip
# clone3 passes its flags in memory, where a filter cannot read them.
MISSING: dict[str, Numbers] = {"clone3": (435, 435)}

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # their column above, AUDIT_ARCH_…
SECCOMP_CALL = (317, 277)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def restrict() -> None:
    """Filter the system calls of all threads of this process. `no_new_privs` must be set.

    Raises:
        OSError: the kernel or the container does not offer seccomp, or no calls are listed for this architecture.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system calls are listed for {machine}")
    column, architecture = ARCHITECTURES[machine]
    code = b"".join(_filter(column, architecture))
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    number = ctypes.c_long(SECCOMP_CALL[column])
    result = libc.syscall(number, ctypes.c_ulong(SET_MODE_FILTER), ctypes.c_ulong(ALL_THREADS), ctypes.byref(program))
    if result != 0:  # positive: the thread that could not be brought into line
        code_of = ctypes.get_errno() if result < 0 else errno.EBUSY
        raise OSError(code_of, os.strerror(code_of))


def _filter(column: int, architecture: int) -> Iterator[bytes]:
    yield _instruction(LOAD, ARCHITECTURE_AT)
    yield _instruction(EQUAL, architecture, yes=1)
    yield _instruction(RETURN, KILL)
    yield _instruction(LOAD, NUMBER_AT)
    for numbers in FREE.values():
        yield from _when(numbers[column], [_instruction(RETURN, ALLOW)])
    for numbers, rule in _ruled().values():
        yield from _when(numbers[column], _allowed_if(rule))
    for numbers in MISSING.values():
        yield from _when(numbers[column], [_instruction(RETURN, FAIL | errno.ENOSYS)])
    yield _instruction(RETURN, FAIL | errno.EPERM)


def _ruled() -> dict[str, tuple[Numbers, Rule]]:
    """The calls that are allowed with certain arguments; a process can send signals to itself alone."""
    commands = (fcntl.F_DUPFD, F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_SETFL)
    requests = (termios.TCGETS, termios.FIOCLEX, termios.FIONCLEX, termios.FIONREAD)
    return {
        "open": ((2, None), Rule(1, none_of=WRITING)),
        "openat": ((257, 56), Rule(2, none_of=WRITING)),
        "clone": ((56, 220), Rule(0, any_of=CLONE_THREAD)),
        "fcntl": ((72, 25), Rule(1, one_of=commands)),
        "ioctl": ((16, 29), Rule(1, one_of=requests)),
        "prctl": ((157, 167), Rule(0, one_of=(PR_SET_NAME, PR_GET_NAME, PR_SET_VMA))),
        "tgkill": ((234, 131), Rule(0, one_of=(os.getpid(),))),
    }


def _when(number: int | None, then: Sequence[bytes]) -> Iterator[bytes]:
    if number is not None:
        yield _instruction(EQUAL, number, no=len(then))
        yield from then


def _allowed_if(rule: Rule) -> list[bytes]:
    allow, refuse = _instruction(RETURN, ALLOW), _instruction(RETURN, FAIL | errno.EPERM)
    load = _instruction(LOAD, ARGUMENTS_AT + 8 * rule.argument)
    if rule.any_of:
        return [load, _instruction(ANY_BIT, rule.any_of, no=1), allow, refuse]
    if rule.none_of:
        return [load, _instruction(ANY_BIT, rule.none_of, yes=1), allow, refuse]
    compared = [part for value in rule.one_of for part in (_instruction(EQUAL, value, no=1), allow)]
    return [load, *compared, refuse]


def _instruction(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """An instruction (struct sock_filter): a comparison skips `yes` or `no` instructions."""
    return struct.pack("=HBBI", code, yes, no, value)
