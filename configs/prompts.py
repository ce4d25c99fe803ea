"""CLIP's prompts, read from `prompts.yaml` beside this file."""

from functools import cache
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from configs.project import PROJECT

Category = Literal["maps", "aerial_satellite", "miscellaneous"]
FILE = PROJECT / "configs" / "prompts.yaml"
CATEGORIES: tuple[Category, ...] = ("maps", "aerial_satellite", "miscellaneous")


class Prompts(BaseModel):
    """`classifier`: prompt set -> category -> prompts; `template` holds one `{}`; `categories`: /categorize's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classifier: dict[str, dict[str, tuple[str, ...]]]
    template: str
    categories: tuple[str, ...]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name, prompts in self.classifier.items():
            if set(prompts) != set(CATEGORIES) or not all(prompts.values()):
                raise ValueError(f"prompts.yaml: prompt set {name!r} needs prompts for exactly {', '.join(CATEGORIES)}")
        check_template(self.template)
        return self


def served_texts(prompt_set: str) -> list[str]:
    """The configured texts that CLIP embeds: the prompts of a set, and those of the default categories."""
    prompts = load_prompts()
    asked = [prompt for group in prompts.classifier[prompt_set].values() for prompt in group]
    return list(dict.fromkeys([*asked, *(prompts.template.format(category) for category in prompts.categories)]))


def check_template(template: str) -> str:
    """Return a prompt template that holds `{}` exactly once; ValueError for any other."""
    if template.count("{}") != 1 or template.replace("{}", "").count("{") or template.replace("{}", "").count("}"):
        raise ValueError(f"a template needs '{{}}' exactly once, where the label goes, not {template!r}")
    return template


@cache
def load_prompts() -> Prompts:
    """The prompts of this installation."""
    return Prompts.model_validate(yaml.safe_load(FILE.read_text(encoding="utf-8")))
