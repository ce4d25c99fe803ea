"""Family D: documents that are to be tagged, and documents with their tags."""

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, JsonValue, field_validator

from deployments.models.tagger.spec import TAGS
from deployments.wire.requests import RequestModel
from serve_app.schemas.answers.tags import MOST_LABELS

DOCUMENT: dict[str, JsonValue] = {
    "id": "7587bcb2-4ea6-4a64-a426-040b40bf414b",
    "index": "control-dataset",
    "source": {
        "content": "<base64 of the file>",
        "fs": {"uri": "file:///data/images/lake.jpeg"},
        "file_name": "lake.jpeg",
        "file_type": "jpeg",
        "embedded_depth": 0,
    },
}
REQUEST_EXAMPLE: JsonValue = {"documents": [DOCUMENT], "num_labels": 2}
TAGGED: list[JsonValue] = [
    {"label": "lakeside", "probability": 0.19},
    {"label": "castle", "probability": 0.09},
]


def _answer_example(content: list[JsonValue]) -> JsonValue:
    source = DOCUMENT["source"]
    assert isinstance(source, dict)  # noqa: S101 - it stands above
    return {
        "status": {"code": 200, "message": "Success"},
        "data": [{**DOCUMENT, "source": {**source, "content": content}}],
        "error": "",
        "number_documents_treated": 1,
        "number_documents_non_treated": 1,
        "list_id_not_treated": [{"another-id": "File type not valid"}],
        "memory_used": "20.5",
        "ram_used": "6.43",
    }


class ProcessRequest(RequestModel):
    """Images and videos to tag."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [REQUEST_EXAMPLE]})

    documents: list[Any] = Field(
        min_length=1,
        description="Each with `id` and `source`, or `_id` and `_source`, which holds the file in base64 (`content`). "
        "Everything else is returned unchanged.",
    )
    num_labels: int = Field(
        TAGS,
        ge=1,
        le=MOST_LABELS,
        validation_alias=AliasChoices("num_labels", "num_classes"),
        description="Number of labels per document; `num_classes` is another name for this field.",
    )

    @field_validator("num_labels", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        """Accept only an integer or a string of digits."""
        if isinstance(value, str) and value.strip().isdecimal():
            return int(value) if len(value) < 10 else value
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("send a whole number, as a number or a string")
        return value

    prompt: str | None = Field(None, description="`OD` or `<OD>`: count objects instead of giving labels.")


class Index_Response(BaseModel):  # noqa: N801 (clients generated their code from a schema with this name)
    """The answer of the tagger's routes. Their errors have the same form, with `message` and `detail` added."""

    model_config = ConfigDict(json_schema_extra={"examples": [_answer_example(TAGGED), _answer_example([{"car": 7}])]})

    status: dict[str, Any] = Field(default={}, description="`code`, which is the HTTP status, and `message`.")
    data: list[Any] | dict[str, Any] | None = Field(
        None,
        description="The treated documents in the order of the request; `source.content` holds "
        "[{label, probability}, …], or [{label: count}, …] if the detector answered.",
    )
    error: str = ""
    number_documents_treated: int = 0
    number_documents_non_treated: int = 0
    list_id_not_treated: list[Any] = Field(default=[], description="{id: reason} for each document left out.")
    memory_used: str = Field("", description="Memory in use on the machine that answered, in percent.")
    ram_used: str = Field("", description="The same in GB.")


class WorkJob(BaseModel):
    id: str
    request_id: str = Field(description="X-Request-ID of the job's request.")
    status: str = Field(description="running, done or failed.")
    started_at: str = Field(description="UTC, ISO 8601.")
    finished_at: str | None
    documents: int
    treated: int
    not_treated: int
    error: str = Field(description="Why the job failed; empty unless its status is `failed`.")


class WorkStatus(BaseModel):
    """The newest 1,000 jobs of /process, newest first, the same from every replica."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "running": 0,
                    "jobs": [
                        {
                            "id": "0b9a1c54e1f04d0c8f6f0d7b1a3c2e4d",
                            "request_id": "5a0d4b1c",
                            "status": "done",
                            "started_at": "2026-11-21T10:00:00+00:00",
                            "finished_at": "2026-11-21T10:00:02+00:00",
                            "documents": 2,
                            "treated": 1,
                            "not_treated": 1,
                            "error": "",
                        }
                    ],
                }
            ]
        }
    )

    running: int
    jobs: list[WorkJob]
