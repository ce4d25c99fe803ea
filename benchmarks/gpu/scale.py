"""How large the measurements are: on a GPU, or a rehearsal of their whole flow on the CPU."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from configs.project import PROJECT
from testbed.checkpoints import BLIP, HF_HOME, LEVIT, make_blip, make_clip, make_levit, pretrained_folder
from testbed.nodes import STORE_BYTES

BUNDLED = {"Clip": "clip-scenes-v1", "Tagger": "tagger-scenes-v1", "Captioner": "blip-scenes-v1"}


@dataclass(frozen=True)
class Scale:
    """How much is measured, and on what.

    Attributes:
        device: of torch.
        dtypes: the types in which each network is measured, by torch's names.
        batches: by deployment the batch sizes of the raw limit; the last is also the largest that is served.
        seconds: of each single measurement.
        full_size: networks of full size with random weights; otherwise the bundled ones.
        clients: over HTTP.
        processes: that ask through handles, each about `under_way` images at a time.
        ingresses: replicas of the ingress, which decode.
        cpus, store_bytes: that the node says it has, and its object store.
        vectors: to cluster.
    """

    device: str
    dtypes: tuple[str, ...]
    batches: Mapping[str, tuple[int, ...]]
    seconds: float
    full_size: bool
    clients: int
    processes: int
    under_way: int
    ingresses: int
    cpus: int
    store_bytes: int
    vectors: int

    def weights(self, name: str) -> Path:
        """The folder that holds a deployment's network and its configuration; made where it is not there yet."""
        if not self.full_size:
            return PROJECT / "deployments" / "bundled" / BUNDLED[name]
        if name == "Clip":
            return make_clip(HF_HOME).parent
        make, checkpoint = {"Tagger": (make_levit, LEVIT), "Captioner": (make_blip, BLIP)}[name]
        make(HF_HOME)
        return pretrained_folder(HF_HOME, checkpoint)


ON_A_GPU = Scale(
    device="cuda",
    dtypes=("bfloat16", "float16"),
    batches={"Clip": (1, 32, 256), "Tagger": (1, 32, 256), "Captioner": (1, 16, 64)},
    seconds=8,
    full_size=True,
    clients=64,
    processes=4,
    under_way=256,
    ingresses=6,
    cpus=16,
    store_bytes=2_000_000_000,
    vectors=1_000_000,
)
REHEARSAL = Scale(
    device="cpu",
    dtypes=("float32",),
    batches={"Clip": (1, 4), "Tagger": (1, 4), "Captioner": (1, 2)},
    seconds=2,
    full_size=False,
    clients=2,
    processes=1,
    under_way=4,
    ingresses=1,
    cpus=2,
    store_bytes=STORE_BYTES,
    vectors=3_000,
)
