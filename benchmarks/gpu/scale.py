"""The size of the measurements: on a GPU, and in a rehearsal of the whole flow on the CPU."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from configs.project import BUNDLED
from testbed.checkpoints import BLIP, HF_HOME, LEVIT, make_blip, make_clip, make_levit, pretrained_folder
from testbed.nodes import STORE_BYTES

FOLDERS = {"Clip": "clip-scenes-v1", "Tagger": "tagger-scenes-v1", "Captioner": "blip-scenes-v1"}


@dataclass(frozen=True)
class Scale:
    """How much is measured, and on what.

    Attributes:
        device: torch's name of the device.
        dtypes: torch's names of the types in which each network is measured.
        batches: by deployment the batch sizes of the raw limit; the last is also the largest that is served.
        seconds: of each single measurement.
        full_size: whether networks have full size and random weights, or are the bundled ones.
        clients: number of clients over HTTP.
        processes: number of processes that ask through handles, each with `under_way` images in flight.
        ingresses: number of replicas of the ingress, which decode.
        cpus, store_bytes: CPUs that the node declares, and the size of its object store.
        vectors: number of vectors to cluster.
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
        """The folder with a deployment's network and its configuration, which is made if it is missing."""
        if not self.full_size:
            return BUNDLED / FOLDERS[name]
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
