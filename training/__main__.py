"""Train the bundled weights. A Ray Job, or a plain command that starts Ray by itself.

    python -m training                    everything, about three hours on two cores
    python -m training clip               CLIP (training/clip/train.py)
    python -m training quality            BRISQUE and both NIMAs (training/quality/train.py)
    python -m training emotion            the emotion network (training/emotion/train.py)
    python -m training tagger             the image classifier (training/tagger/train.py)
    python -m training captioner          BLIP (training/captioner/train.py)
    python -m training detector           Florence-2 (training/detector/train.py)

Options without a name are for CLIP, which was once the only one.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

# Minutes that each takes unless told otherwise, drawing included
MINUTES = {"clip": 30.0, "quality": 15.0, "emotion": 5.0, "tagger": 15.0, "captioner": 60.0, "detector": 45.0}


def train(name: str, output: Path | None = None, minutes: float | None = None, **options: object) -> None:
    """Train one of MINUTES.

    Args:
        output: where to write instead of deployments/bundled: the model's own folder; for `quality` the folder of its
            three.
        minutes: for drawing and training together.
        options: `seed`, and for CLIP `start_from`.
    """
    # Imported here: each needs the libraries of its own model, and only those
    trainer = import_module(f"training.{name}.train")
    trainer.run(output, minutes or MINUTES[name], **options)


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    if not arguments:
        for name in MINUTES:
            train(name, seed=1)
        return
    parser = argparse.ArgumentParser(description="Train bundled weights on drawings; without arguments, all of them.")
    parser.add_argument("model", nargs="?", choices=tuple(MINUTES), default="clip")
    parser.add_argument("--minutes", type=float, help="time for drawing and training together")
    parser.add_argument("--output", type=Path, help="the folder to write, instead of the bundled one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start-from", type=Path, help="CLIP only: a folder of weights to go on from")
    given = parser.parse_args(arguments)
    options: dict[str, object] = {"seed": given.seed}
    if given.start_from is not None:
        if given.model != "clip":
            parser.error("--start-from is for clip")
        options["start_from"] = given.start_from
    train(given.model, given.output, given.minutes, **options)


if __name__ == "__main__":
    main(sys.argv[1:])
