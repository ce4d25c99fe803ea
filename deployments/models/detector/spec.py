"""The spec of the detector, importable without its libraries."""

from deployments.models.detector.settings import DetectorSettings
from deployments.pictures.inputs import Reduced
from deployments.runtime.pretrained.spec import pretrained_spec
from deployments.runtime.spec import AnalysisSpec

SPEC = pretrained_spec(
    DetectorSettings,
    purpose="objects by Florence-2",
    takes=Reduced(1152),
    options=lambda own: (own.max_tokens,),
    analyses=(AnalysisSpec("objects", "The things in it, as /v1/objects."),),
)
