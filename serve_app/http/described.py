"""The OpenAPI schema: which routes need the key, and by which header it is sent."""

from typing import Any

from fastapi import FastAPI

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


def describe_security(api: FastAPI) -> None:
    """Make the schema name both ways to send the key, on all routes that are not public and on no other."""
    made = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            schema = made()
            schema.setdefault("components", {})["securitySchemes"] = SCHEMES
            for path, operations in schema["paths"].items():
                for operation in operations.values():
                    if path not in PUBLIC_ROUTES:
                        operation["security"] = [{name: []} for name in SCHEMES]
        return api.openapi_schema or {}

    api.openapi = openapi  # type: ignore[method-assign] # as FastAPI's documentation extends a schema
