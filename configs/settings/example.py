"""`.env.example`: every setting with its default, group by group."""

from typing import Any

from configs.settings.settings import groups, variables

HEAD = """\
# Settings of Panoptes: copy to .env and uncomment what you change. The environment wins over this file.
# `python -m configs` checks them. Written by `python -m configs --example .env.example`.
"""


def example() -> str:
    """The text of `.env.example`."""
    parts = [HEAD]
    for name, group in groups().items():
        heading = (group.__doc__ or name).partition("\n")[0]
        parts.append(f"\n# ── {heading} ──\n")
        parts += [
            f"\n# {one.info.description}\n# {one.name}={written(one.default)}\n"
            for one in variables()
            if one.group == name
        ]
    return "".join(parts)


def written(value: Any) -> str:
    """A default as a `.env` file has it; a secret's is empty."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None or not str(value).strip("*") else str(value)
