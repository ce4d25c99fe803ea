"""`python -m deployments`: the deployments that there are, as a table. `--readme FILE` writes it into README.md."""

import argparse
import sys
from pathlib import Path

from configs.readme import replace_table, table
from configs.settings import SettingsError
from deployments.runtime.spec import DeploymentSpec, ModelSpec
from deployments.specs import all_specs

HEAD = ("deployment", "what it does", "in `/v1/analyze` and `jobs.analyze`", "in the catalogue", "extra", "switch")


def deployments_table() -> list[str]:
    """Every deployment, as its spec describes it."""
    return table(HEAD, map(_row, all_specs().values()))


def _row(spec: DeploymentSpec) -> tuple[str, ...]:
    analyses = ", ".join(f"`{one.name}`" for one in spec.analyses) if isinstance(spec, ModelSpec) else ""
    catalogue = "yes" if isinstance(spec, ModelSpec) and spec.catalogue else ""
    return spec.name, spec.purpose, analyses, catalogue, f"`{spec.extra}`" if spec.extra else "", f"`{spec.switch}`"


def main() -> int:
    """Print the table, or write it; exit code 2 and one line when the file has no place for it."""
    parser = argparse.ArgumentParser(prog="python -m deployments", description="List the deployments.")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="write the table into this file")
    options = parser.parse_args()
    if options.readme is None:
        print("\n".join(deployments_table()))
        return 0
    try:
        replace_table(options.readme, "deployments", deployments_table())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
