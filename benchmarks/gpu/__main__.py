"""What one GPU can do; the tables go into benchmarks/gpu.md.

    python -m benchmarks.gpu                     every part, half an hour
    python -m benchmarks.gpu --only clip packing some of them, each under ten minutes
    python -m benchmarks.gpu --rehearse          the whole flow with small networks on the CPU; nothing is written

`clip`, `tagger`, `captioner`: the raw limit of the network in bfloat16 and float16, one replica's throughput, and the
share of both that is reached through handles and over HTTP. `packing`: all models on the card at once, and the memory
of each. `cluster`: the exact clustering of 1,000,000 vectors of 512 dimensions. Exit status 2: no CUDA device.
"""

import argparse
import sys
from dataclasses import replace

import torch

from benchmarks import cli, report
from benchmarks.gpu.scale import ON_A_GPU, REHEARSAL, Scale
from configs.project import PROJECT

RESULTS = PROJECT / "benchmarks" / "gpu.md"
PARTS = {
    "clip": "CLIP ViT-B/32",
    "tagger": "LeViT-384, the tagger",
    "captioner": "BLIP-base, the captioner, 20 tokens a caption",
    "packing": "All models on one card",
    "cluster": "Exact clustering",
}
NO_DEVICE = "There is no CUDA device here: run this where torch sees an NVIDIA GPU, or try it with --rehearse."


def main() -> int:
    """Measure the chosen parts, print each section and write it; returns the exit status."""
    options = _options()
    if not options.rehearse and not torch.cuda.is_available():
        print(NO_DEVICE, file=sys.stderr)
        return 2
    from benchmarks.gpu.parts import measure

    scale = REHEARSAL if options.rehearse else ON_A_GPU
    if options.seconds:
        scale = replace(scale, seconds=options.seconds)
    for part in options.only:
        section = "\n".join([f"## {PARTS[part]}", "", _head(part, scale), "", *measure(part, scale)])
        print(section, flush=True)
        if not options.rehearse:
            report.update_section(f"gpu-{part}", section, RESULTS)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts (default: all)")
    parser.add_argument("--seconds", type=float, help=f"of each single measurement (default: {ON_A_GPU.seconds:g})")
    parser.add_argument("--rehearse", action="store_true", help="small networks on the CPU, whose figures mean nothing")
    return parser.parse_args()


def _head(part: str, scale: Scale) -> str:
    where = torch.cuda.get_device_name(0) if scale.device == "cuda" else "**a rehearsal on the CPU, no measurement**"
    command = f"python -m benchmarks.gpu --only {part} --seconds {scale.seconds:g}"
    return f"{where}; {report.machine('torch', 'ray')}. `{command}`"


if __name__ == "__main__":
    cli.run(main)
