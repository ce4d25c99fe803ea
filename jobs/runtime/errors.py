"""How a job's command line ends when it cannot begin: one clear line and exit status 2."""

import sys
from collections.abc import Callable
from typing import NoReturn

from configs.settings import SettingsError


class JobRefused(Exception):
    """A job that cannot begin or go on. The message is one line that says what to do, without any credentials."""


def command_line(run: Callable[[], int]) -> NoReturn:
    """Run a job and exit with its status; 130 when it is interrupted.

    When it is refused, or a setting cannot work, the status is 2, and stderr says why.
    """
    try:
        status = run()
    except (JobRefused, SettingsError) as refused:
        print(refused, file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("Interrupted: what is complete stays, and the same command goes on from there.", file=sys.stderr)
        status = 130
    sys.exit(status)
