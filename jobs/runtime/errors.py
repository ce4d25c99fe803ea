"""How the command line of a job ends if the job cannot start: with one line of explanation and exit status 2."""

import sys
from collections.abc import Callable
from typing import NoReturn

from configs.settings import SettingsError


class JobRefused(Exception):
    """The job cannot start or continue. The message is one line that says what to do, without any credentials."""


def command_line(run: Callable[[], int]) -> NoReturn:
    """Run a job and exit with its status; 130 if it is interrupted.

    If the job is refused or a setting is invalid, the status is 2 and stderr says why.
    """
    try:
        status = run()
    except (JobRefused, SettingsError) as refused:
        print(refused, file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("Interrupted: complete results are kept, and the same command continues from there.", file=sys.stderr)
        status = 130
    sys.exit(status)
