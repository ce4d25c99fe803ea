"""The analysis of one picture by one model."""

from deployments.pictures.places import in_original
from deployments.runtime.spec import ModelSpec
from serve_app.clients.client import SharedPicture
from serve_app.schemas.answers.view import Answered
from serve_app.services import Services


async def look(services: Services, spec: ModelSpec, data: bytes, *arguments: object) -> Answered:
    """A model's answer on an image file.

    Args:
        data: the file's bytes.
        arguments: of the deployment's `analyze`, after the picture.

    Raises:
        TooLarge, EmptyFile, InvalidImage, ImageTooLarge: the file cannot be used.
        PanoptesError: the model does not answer.
    """
    services.check_size(len(data))
    client = services.models.analyzer(spec.name)
    # Held only while the image is decoded and large: a slow model must not block the pictures of other requests.
    async with services.pictures:
        [image] = await services.decoder.inputs(data, spec.takes(client.models))
    picture = SharedPicture(image.pixels)
    value = in_original(await client.analyze(picture, *arguments), image.width / picture.width)
    return Answered(value, client.models[0].id, image.width, image.height, services.settings)
