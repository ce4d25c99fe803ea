"""`GET /`, a page for people and JSON for programs, and the files that the page loads."""

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from serve_app.http.links import has_current
from serve_app.page.pages import ASSETS, home_page
from serve_app.services import InjectedServices
from serve_app.version import VERSION

router = APIRouter(tags=["Home"])


@router.get(
    "/",
    summary="Overview of the served models and routes",
    response_class=HTMLResponse,
    responses={200: {"content": {"application/json": {"example": {"name": "Panoptes", "version": VERSION}}}}},
)
async def home(request: Request, services: InjectedServices) -> Response:
    """An HTML page, or with `Accept: application/json` the name, version, weights and routes as JSON."""
    weights = [model for client in services.models.all() for model in client.models]
    routes = {
        f"{method.upper()} {path}": operation["summary"]
        for path, operations in request.app.openapi()["paths"].items()
        for method, operation in operations.items()
    }
    if "application/json" in request.headers.get("accept", ""):
        facts = {
            "name": "Panoptes",
            "version": VERSION,
            "weights": {model.name: model.id for model in weights},
            "docs": "/docs",
            "routes": routes,
        }
        return JSONResponse(facts, headers={"Vary": "Accept"})
    return home_page(weights, routes, services.settings.catalogue.formats)


@router.get("/page/{name}", include_in_schema=False)
async def asset(request: Request, name: str) -> Response:
    """A file of the page. Only names read at start are served: no path is built from what a client sends."""
    if name not in ASSETS:
        raise HTTPException(404)
    return ASSETS[name].response(current=has_current(request, ASSETS[name].etag))
