"""The OpenAPI schema of what middleware decides: which routes need the key, and who is refused before a route."""

from typing import Any

from fastapi import FastAPI

from serve_app.http.errors import TAGGER_ROUTES, TEXT_ONLY_ROUTES
from serve_app.http.security import PUBLIC_ROUTES

# ApiKeyMiddleware checks the key. This is for /docs and for programs that read the schema.
SCHEMES = {
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "Only where API_KEY is set.",
    },
    "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key as `Authorization: Bearer …`."},
}
MISDIRECTED = {"421": "The host name is not one of this service; see ALLOWED_HOSTS."}
FOREIGN = {"403": "A web page of another origin may not do this; see CORS_ORIGINS."}
WRONG_KEYS = {"429": "Too many requests without the right API key; `Retry-After` says when."}


def describe_middleware(api: FastAPI) -> None:
    """Make the schema name both ways to send the key, on the routes that need it, and the answers of middleware."""
    made = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            schema = made()
            schema.setdefault("components", {})["securitySchemes"] = SCHEMES
            for path, operations in schema["paths"].items():
                for method, operation in operations.items():
                    _describe(path, method, operation)
        return api.openapi_schema or {}

    api.openapi = openapi  # type: ignore[method-assign] # as FastAPI's documentation extends a schema


def _describe(path: str, method: str, operation: dict[str, Any]) -> None:
    reasons = MISDIRECTED | ({} if method == "get" else FOREIGN)
    if path not in PUBLIC_ROUTES:
        operation["security"] = [{name: []} for name in SCHEMES]
        reasons |= WRONG_KEYS
    body = "Index_Response" if path in TAGGER_ROUTES else "ErrorBody"
    if path.startswith(TEXT_ONLY_ROUTES):
        body = "TextError"
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}
    for status, reason in reasons.items():
        operation["responses"].setdefault(status, {"description": reason, "content": content})
