"""The earlier name of `python -m training`, kept for one release."""

import runpy
import sys

if __name__ == "__main__":
    print("`python -m jobs.train_bundled` is now `python -m training`.", file=sys.stderr)
    runpy.run_module("training", run_name="__main__", alter_sys=True)
