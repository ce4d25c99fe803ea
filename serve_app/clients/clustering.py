"""The ingress's client of the clustering."""

from serve_app.clients.calls import answer
from serve_app.clients.client import ModelClient


class ClustererClient(ModelClient):
    """Clustering: the bytes of a request in, the bytes of its answer out."""

    async def cluster(self, body: bytes) -> bytes:
        """The answer to a ClusterRequest in JSON; ValidationFailed for one that is not valid."""
        return await answer(self.deployment, lambda: self._use(len(body)).cluster.remote(body))
