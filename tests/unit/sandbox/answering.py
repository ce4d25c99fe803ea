"""A process for `parent.ask` that does what its job says: it reads, says, sleeps, and ends by a signal."""

import json
import os
import sys
import time


def main() -> None:
    """Do the job in the first argument."""
    job = json.loads(sys.argv[1])
    print(job["say"].replace("READ", sys.stdin.read()), end="", flush=True)
    time.sleep(job.get("sleep_s", 0))
    if "signal" in job:
        os.kill(os.getpid(), job["signal"])


if __name__ == "__main__":
    main()
