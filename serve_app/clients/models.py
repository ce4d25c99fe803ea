"""The clients of all deployments, made from their specs."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from deployments.runtime.spec import Deployed, DeploymentSpec, ModelSpec
from deployments.specs import all_specs
from serve_app.clients.catalogue import CataloguerClient
from serve_app.clients.client import AnalyzerClient, FramesClient, ModelClient
from serve_app.clients.clip import ClipClient
from serve_app.clients.clustering import ClustererClient
from serve_app.clients.llm import LlmClient
from serve_app.clients.video import VideoClient
from serve_app.clients.work import WorkClient

# The deployments that have more methods than `analyze`.
OWN_CLIENTS: dict[str, type[ModelClient]] = {
    "Clip": ClipClient,
    "Tagger": FramesClient,
    "Detector": FramesClient,
    "Video": VideoClient,
    "Clusterer": ClustererClient,
    "Llm": LlmClient,
    "Work": WorkClient,
    "Cataloguer": CataloguerClient,
}


class Models:
    """The clients of all deployments."""

    def __init__(self, deployed: Mapping[str, Deployed]) -> None:
        """`deployed`: what is bound, by the deployment's name; the others are switched off."""
        self._clients = {name: _client(spec, deployed.get(name)) for name, spec in all_specs().items()}
        self._loaded = set[str]()

    def __getitem__(self, name: str) -> ModelClient:
        """By the deployment's name."""
        return self._clients[name]

    def all(self) -> tuple[ModelClient, ...]:
        """The clients of all models; CLIP comes first, because it decides whether the service is healthy."""
        models = [client for client in self._clients.values() if client.spec.models]
        return tuple(sorted(models, key=lambda client: client is not self.clip))

    async def starting(self) -> tuple[str, ...]:
        """The enabled deployments whose models have not been loaded yet; takes less than 3 s.

        A deployment that has been loaded once stays out of the list: it may be busy or replaced, but it has started.
        """
        open_ones = [client for client in self.all() if client.enabled and client.deployment not in self._loaded]
        states = await asyncio.gather(*(client.state() for client in open_ones))
        self._loaded |= {one.deployment for one, state in zip(open_ones, states, strict=True) if state.loaded}
        return tuple(client.deployment for client in open_ones if client.deployment not in self._loaded)

    def analyzer(self, name: str) -> AnalyzerClient[Any]:
        """A model that looks at pictures, by the deployment's name."""
        return cast("AnalyzerClient[Any]", self[name])

    @property
    def clip(self) -> ClipClient:
        return cast("ClipClient", self["Clip"])

    @property
    def tagger(self) -> FramesClient[Any]:
        return cast("FramesClient[Any]", self["Tagger"])

    @property
    def detector(self) -> FramesClient[Any]:
        return cast("FramesClient[Any]", self["Detector"])

    @property
    def video(self) -> VideoClient:
        return cast("VideoClient", self["Video"])

    @property
    def clusterer(self) -> ClustererClient:
        return cast("ClustererClient", self["Clusterer"])

    @property
    def llm(self) -> LlmClient:
        return cast("LlmClient", self["Llm"])

    @property
    def work(self) -> WorkClient:
        return cast("WorkClient", self["Work"])

    @property
    def cataloguer(self) -> CataloguerClient:
        return cast("CataloguerClient", self["Cataloguer"])


def _client(spec: DeploymentSpec, deployed: Deployed | None) -> ModelClient:
    kind = AnalyzerClient if isinstance(spec, ModelSpec) else ModelClient
    return OWN_CLIENTS.get(spec.name, kind)(spec, deployed)
