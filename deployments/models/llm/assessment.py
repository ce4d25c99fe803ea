"""The prompt that asks a language model to assess a photograph, and the parser of its answer."""

import base64
import json
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from deployments.runtime.errors import LlmAnswerInvalid

MOST_POINTS = 5

PROMPT = """\
You are an experienced picture editor. Assess this photograph for the person who took it: what works, what does not, \
and whether it is worth keeping. Judge only what can be seen, and do not guess who the people are.

Answer with one JSON object and nothing else. Its fields:
{fields}

Write every text in {language}; the names of the fields stay as they are."""

SHAPE = "Answer with one JSON object that matches this JSON schema, and nothing else:\n{schema}"

REPAIR = """\
That answer cannot be used: {problems}
Answer again with the corrected JSON object and nothing else."""


def _first_points(points: list[str]) -> list[str]:
    return points[:MOST_POINTS]


Points = Annotated[list[str], AfterValidator(_first_points)]


class LlmPhotoAnalysis(BaseModel):
    """A photograph as a language model judges it. The descriptions are also what the model is told."""

    overall_score: Annotated[float, AfterValidator(lambda score: round(score, 1))] = Field(
        ge=1,
        le=10,
        strict=True,
        description="Quality of the photograph as a whole, from 1.0 (worst) to 10.0 (best), one decimal.",
    )
    discard_reason: str | None = Field(
        None, description="Why it should be discarded, in a few words ('eyes closed'); null when it should not."
    )
    best_in_group: bool = Field(False, description="Whether it would stand out as the best of a series like it.")
    composition: str = Field(description="Kind of composition, for example 'rule of thirds', 'centered', 'candid'.")
    pose_quality: str | None = Field(
        None, description="How people hold themselves, for example 'relaxed', 'stiff'; null when nobody is in it."
    )
    background_quality: str = Field(description="What the background does, for example 'clean bokeh', 'cluttered'.")
    highlights: Points = Field(default_factory=list, description="Its strong points, at most 5; may be empty.")
    issues: Points = Field(default_factory=list, description="Its problems, at most 5; may be empty.")
    summary: str = Field(description="One sentence that can be shown to the photographer.")


@dataclass(frozen=True)
class LlmQuestion:
    """One photograph to assess.

    Attributes:
        jpeg: the image, already validated and reduced.
        model: None: the configured one.
        prompt: replaces the default prompt.
        language: of the answer. None: English with the default prompt, otherwise what `prompt` asks for.
    """

    jpeg: bytes = field(repr=False)
    model: str | None = None
    prompt: str | None = None
    max_tokens: int = 500
    language: str | None = None


@dataclass(frozen=True)
class LlmAnswer:
    """`model_used` is the model's name as the provider reports it; `tokens_used` is the total over all calls."""

    analysis: LlmPhotoAnalysis
    model_used: str
    tokens_used: int
    processing_ms: int


def schema() -> dict[str, Any]:
    """A JSON schema that every provider accepts: OpenAI requires all fields, Anthropic refuses bounds of numbers."""
    kept = ("type", "anyOf", "items", "description")
    fields = LlmPhotoAnalysis.model_json_schema()["properties"]
    properties = {name: {word: part[word] for word in kept if word in part} for name, part in fields.items()}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def first_message(question: LlmQuestion, in_words: bool) -> dict[str, Any]:
    """The question as an OpenAI chat message; `in_words` adds the schema to the prompt if nothing else enforces it."""
    if question.prompt is None:
        fields = "\n".join(f"- {name}: {part.description}" for name, part in LlmPhotoAnalysis.model_fields.items())
        text = PROMPT.format(fields=fields, language=question.language or "English")
    else:
        text = question.prompt
        if question.language:
            text += f"\n\nWrite every text in {question.language}."
    if in_words:
        text += "\n\n" + SHAPE.format(schema=json.dumps(schema()))
    image = "data:image/jpeg;base64," + base64.b64encode(question.jpeg).decode()
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": image}}]
    return {"role": "user", "content": parts}


def find_object(text: str) -> dict[str, Any] | None:
    """The longest JSON object in a text, which may stand alone, in a code fence or amid prose; None without one."""
    decoder = json.JSONDecoder(strict=False)  # models leave line breaks in strings
    longest, found, position = 0, None, 0
    while (start := text.find("{", position)) >= 0:
        try:
            value, position = decoder.raw_decode(text, start)
        except ValueError:
            position = start + 1
            continue
        except RecursionError:  # a valid answer is never that deep, and going on would take quadratic time
            break
        if position - start > longest:
            longest, found = position - start, value
    return found


def parse(text: str, cut_off: bool) -> LlmPhotoAnalysis:
    """The analysis in a model's answer.

    Args:
        text: the answer.
        cut_off: whether it ended at max_tokens; the error then says so.

    Raises:
        LlmAnswerInvalid: it contains no valid analysis.
    """
    answer = find_object(text)
    problems = ["there is no JSON object in it"]
    if answer is not None:
        try:
            return LlmPhotoAnalysis.model_validate(answer)
        except ValidationError as invalid:
            problems = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in invalid.errors()]
    if cut_off:
        problems.insert(0, "it was cut off at max_tokens, be brief")
    raise LlmAnswerInvalid("; ".join(problems[:20]))
