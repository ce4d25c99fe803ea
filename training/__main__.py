"""Train the bundled weights, as a Ray Job or as a plain command that starts Ray by itself.

    python -m training                    everything, about three hours on two cores
    python -m training clip               CLIP (training/clip/train.py)
    python -m training quality            BRISQUE and both NIMAs (training/quality/train.py)
    python -m training emotion            the emotion network (training/emotion/train.py)
    python -m training tagger             the image classifier (training/tagger/train.py)
    python -m training captioner          BLIP (training/captioner/train.py)
    python -m training detector           Florence-2 (training/detector/train.py)

Options such as --minutes without the name of a model train CLIP.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

# Minutes for each model unless told otherwise, drawing included
MINUTES = {"clip": 30.0, "quality": 15.0, "emotion": 5.0, "tagger": 15.0, "captioner": 60.0, "detector": 45.0}


def train(model: str, output: Path | None, minutes: float | None, seed: int, **options: object) -> None:
    """Train one of MINUTES: draw, train, save, measure what was saved, and write its model card.

    Args:
        output: the folder to write (for `quality` the one in which its three folders lie); None: the bundled one.
        minutes: for drawing and training together; None: those of MINUTES.
        seed: of the drawings and of the training.
        options: for CLIP `start_from`, a folder of weights to go on from.
    """
    # Imported here because each trainer needs the libraries of its own model
    trainer = import_module(f"training.{model}.train")
    trainer.run(output or trainer.OUTPUT, minutes or MINUTES[model], seed, **options)


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", choices=tuple(MINUTES), default="clip")
    parser.add_argument("--minutes", type=float, help="time for drawing and training together")
    parser.add_argument("--output", type=Path, help="the folder to write, instead of the bundled one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start-from", type=Path, help="CLIP only: a folder of weights to go on from")
    given = parser.parse_args(arguments)
    if not arguments:
        for model in MINUTES:
            train(model, None, None, given.seed)
        return
    options: dict[str, object] = {}
    if given.start_from is not None:
        if given.model != "clip":
            parser.error("--start-from is for clip")
        options["start_from"] = given.start_from
    train(given.model, given.output, given.minutes, given.seed, **options)


if __name__ == "__main__":
    main(sys.argv[1:])
