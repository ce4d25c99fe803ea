"""The wire format of a model's answer about a picture: one module per analysis, with its types and its renderer.

A module is found by the analysis's name (`deployments.specs.analyses`) and has a `VIEW`.
"""

from functools import cache
from importlib import import_module

from deployments.specs import analyses
from serve_app.schemas.answers.view import AnswerView


def view(analysis: str) -> AnswerView:
    """The wire format of an analysis, by its name."""
    found: AnswerView = import_module(f"{__name__}.{analysis}").VIEW
    return found


@cache
def views() -> dict[str, AnswerView]:
    """All views, by the names of their analyses."""
    return {name: view(name) for name in analyses()}
