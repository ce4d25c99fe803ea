"""The spec of the captioner, importable without its libraries."""

from deployments.models.captioner.settings import CaptionerSettings
from deployments.pictures.inputs import Reduced
from deployments.runtime.pretrained.spec import pretrained_spec
from deployments.runtime.spec import AnalysisSpec

SPEC = pretrained_spec(
    CaptionerSettings,
    purpose="a caption by BLIP",
    takes=Reduced(768),
    options=lambda own: (own.max_tokens,),
    analyses=(AnalysisSpec("caption", "A sentence that describes it, as /v1/caption."),),
    catalogue=True,
)
