"""POST /v1/<analysis> for one picture and one model: a route for each view that has one."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter

from deployments.runtime.spec import ModelSpec
from deployments.specs import analyses
from serve_app.features.looking import look
from serve_app.inputs.bodies import JsonRoute
from serve_app.routes.responses import FETCH_ERRORS, MODEL_ERRORS, UPLOAD_ERRORS
from serve_app.schemas.answers import view
from serve_app.schemas.answers.view import PictureRequest, PictureResponse, PictureRoute
from serve_app.services import InjectedServices, counted

router = APIRouter(
    prefix="/v1", tags=["Resources"], route_class=JsonRoute, responses=UPLOAD_ERRORS | FETCH_ERRORS | MODEL_ERRORS
)


def _endpoint(spec: ModelSpec, route: PictureRoute) -> Callable[..., Any]:
    async def endpoint(request: PictureRequest, services: InjectedServices) -> PictureResponse:
        services.models[spec.name].announce()
        async with counted(f"/v1{route.path}"):
            data = await services.read(request.image)
            answered = await look(services, spec, data, *request.arguments())
        return route.response(
            model=answered.model,
            image_id=request.image.image_id,
            width_px=answered.width,
            height_px=answered.height,
            **route.fields(answered),
        )

    # FastAPI reads the body's type here.
    endpoint.__annotations__["request"] = route.request
    return endpoint


for _analysis, _spec in analyses().values():
    if _route := view(_analysis.name).route:
        router.post(
            _route.path,
            name=_analysis.name,
            summary=_route.summary,
            description=_route.description,
            response_model=_route.response,
        )(_endpoint(_spec, _route))
