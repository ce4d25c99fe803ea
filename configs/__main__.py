"""`python -m configs`: check the settings of this environment and print those that differ from their defaults.

`--write FILE` also writes the Serve config that they mean: serve_config.yaml without what is switched off. `--cluster
FILE` writes the cluster's, serve_config.yaml with the values of configs/serve_cluster.yaml, into a RayService.
"""

import argparse
import sys
from pathlib import Path

from configs import tracing
from configs.serving import SOURCE, write_cluster, write_enabled
from configs.settings import SettingsError, load_settings, variables


def main() -> int:
    """Print the settings that were changed, secrets hidden; exit code 2 and one line when one is impossible."""
    parser = argparse.ArgumentParser(prog="python -m configs", description="Check the settings of this environment.")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the Serve config that they mean")
    parser.add_argument("--cluster", type=Path, metavar="FILE", help="write the cluster's into a RayService")
    options = parser.parse_args()
    try:
        settings = load_settings()
        tracing.check()
        if options.write:
            write_enabled(SOURCE, options.write)
        if options.cluster:
            write_cluster(options.cluster)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    values = settings.flat()
    for variable in variables():
        if values[variable.name] != variable.default:
            print(f"{variable.name}={values[variable.name]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
