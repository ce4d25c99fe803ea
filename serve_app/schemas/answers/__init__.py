"""What a model said of a picture, on the wire: one module for each analysis, with its types and its renderer.

A module is found by the analysis's name (`deployments.specs.analyses`) and has a `VIEW`.
"""

from functools import cache
from importlib import import_module

from deployments.specs import analyses
from serve_app.schemas.answers.view import AnswerView


def view(analysis: str) -> AnswerView:
    """How this analysis looks on the wire."""
    found: AnswerView = import_module(f"{__name__}.{analysis}").VIEW
    return found


@cache
def views() -> dict[str, AnswerView]:
    """Every view, by the analysis's name."""
    return {name: view(name) for name in analyses()}
