"""The device that a replica computes on: its floating-point type, its threads and its share of memory.

Ray makes only the assigned GPU visible to a replica, but does not isolate the memory of replicas that share a GPU (ray
#41432), so each replica limits itself to its fraction. Ray also sets OMP_NUM_THREADS from num_cpus, which gives 1 for a
fraction, so the number of threads is set here, from the configuration.
"""

import ctypes
import logging
import platform
from dataclasses import dataclass
from pathlib import Path

import ray
import torch

from configs.threads import threads_for
from deployments.runtime.errors import ModelFailed

logger = logging.getLogger("ray.serve.panoptes.devices")

# malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGEST_KEPT = 1 << 26  # bytes: several times the largest tensor of a batch of 16
NVIDIA_DEVICE = Path("/dev/nvidia0")


@dataclass(frozen=True)
class Device:
    """The device that holds a model, its floating-point type, and its number of CPU threads."""

    torch_device: torch.device
    dtype: torch.dtype
    threads: int

    @property
    def name(self) -> str:
        """`cpu`, or `cuda` with the name of the GPU."""
        is_cuda = self.torch_device.type == "cuda"
        return f"cuda ({torch.cuda.get_device_name(self.torch_device)})" if is_cuda else self.torch_device.type


def select(dtypes: dict[str, str], threads: int, gpu_fraction: float) -> Device:
    """Select the device and prepare this process for its model.

    Args:
        dtypes: names of torch types by device type, from the model registry.
        threads: CPU threads; 0 means all cores, at most 8.
        gpu_fraction: the share of a GPU that this replica was assigned, 0 for none.

    Raises:
        ModelFailed: a GPU was assigned and exists, but torch cannot use it.
    """
    _share_malloc_arena()
    count = threads_for(threads)
    torch.set_num_threads(count)
    if gpu_fraction and not torch.cuda.is_available():
        if NVIDIA_DEVICE.exists():
            raise ModelFailed("torch cannot use the GPU that this replica was given: check the driver's version")
        logger.warning("Ray assigned %s of a GPU that is only logical: computing on the CPU", gpu_fraction)
    if gpu_fraction and torch.cuda.is_available():
        device = torch.device("cuda", 0)
        torch.cuda.set_per_process_memory_fraction(min(gpu_fraction, 1.0), device)
    else:
        device = torch.device("cpu")
    return Device(device, getattr(torch, dtypes[device.type]), count)


def _share_malloc_arena() -> None:
    """Keep glibc from giving each thread its own arena, which would hold on to memory that a batch has freed."""
    if libc := _glibc():
        libc.mallopt(M_ARENA_MAX, 1)


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next batch. Call it once the model is loaded and warmed up.

    By default, every large tensor is mapped anew and unmapped, and the kernel clears its pages each time. That takes up
    to a tenth of the time of a batch of 32.
    """
    if libc := _glibc():
        libc.malloc_trim(0)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, LARGEST_KEPT)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def assigned_gpu_fraction() -> float:
    """The share of a GPU that Ray has assigned to this actor; 0 outside Ray."""
    if not ray.is_initialized():
        return 0.0
    return float(ray.get_runtime_context().get_assigned_resources().get("GPU", 0.0))  # type: ignore[no-untyped-call]
