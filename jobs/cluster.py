"""The earlier name of `python -m jobs.clustering`, kept for one release."""

import runpy
import sys

if __name__ == "__main__":
    print("`python -m jobs.cluster` is now `python -m jobs.clustering`.", file=sys.stderr)
    runpy.run_module("jobs.clustering", run_name="__main__", alter_sys=True)
