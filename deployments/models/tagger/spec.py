"""The spec of the tagger, importable without its libraries."""

from deployments.models.tagger.settings import TaggerSettings
from deployments.pictures.inputs import Reduced
from deployments.runtime.pretrained.spec import pretrained_spec
from deployments.runtime.spec import AnalysisSpec

TAGS = 5  # labels of a picture, unless a request says otherwise

SPEC = pretrained_spec(
    TaggerSettings,
    purpose="labels by an image classifier",
    takes=Reduced(576, crop=True),
    analyses=(AnalysisSpec("tags", "The five most probable labels, as /v1/tags.", arguments=(TAGS,)),),
    catalogue=True,
)
