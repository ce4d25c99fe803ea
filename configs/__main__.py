"""`python -m configs`: check the settings of this environment and print those that differ from their defaults.

They are checked against serve_config.yaml, too. `--write FILE` also writes serve_config.yaml without the deployments
that are switched off. `--cluster FILE` writes the cluster's Serve config, serve_config.yaml with the values of
configs/serve_cluster.yaml, into a RayService. `--example FILE` writes `.env.example`, `--readme FILE` the table of
settings in README.md.
"""

import argparse
import sys
from pathlib import Path

from configs import tracing
from configs.readme import replace_table, settings_table
from configs.serving import SOURCE, checked, write_cluster, write_enabled
from configs.settings import SettingsError, load_settings, variables
from configs.settings.example import example


def main() -> int:
    """Print the settings that were changed, secrets hidden; exit code 2 and one line when one is invalid."""
    parser = argparse.ArgumentParser(prog="python -m configs", description="Check the settings of this environment.")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the Serve config of what is switched on")
    parser.add_argument("--cluster", type=Path, metavar="FILE", help="write the cluster's config into a RayService")
    parser.add_argument("--example", type=Path, metavar="FILE", help="write every setting with its default, commented")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="write the table of settings into this file")
    options = parser.parse_args()
    try:
        settings = load_settings()
        tracing.check()
        checked(SOURCE)
        if options.write:
            write_enabled(SOURCE, options.write)
        if options.cluster:
            write_cluster(options.cluster)
        if options.example:
            options.example.write_text(example(), encoding="utf-8")
        if options.readme:
            replace_table(options.readme, "settings", settings_table())
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
