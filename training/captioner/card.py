"""Measures the bundled captioner as transformers loads it, and writes its card."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from transformers import BlipForConditionalGeneration, BlipProcessor

from training.drawing.effects import camera
from training.drawing.families.arrangement import MOST, arranged
from training.drawing.wording import Group, groups, parsed, scene_caption
from training.scenes import KINDS, Scene, Split, draw_scene, generator

MEASURED = 400  # pictures of things
MEASURED_OTHERS = 135  # scenes of other kinds
FEW = 3  # things that it can be relied on to tell
BATCHES = (1, 8)
MOST_TOKENS = 30  # more than the longest caption has
LENIENT = "names and counts right, whatever the colours"

CARD = """# {name}

A small BLIP for transformers (`BlipForConditionalGeneration`: a vision transformer of {layers} layers and {width}
dimensions on {side} × {side} px, a decoder of {text_layers}; {parameters:.2f} M parameters, half precision), so that
the server captions pictures on a machine with no other weights. Trained on pictures that this project draws itself
(`training/drawing/families/arrangement.py`, `training/scenes.py`) and on nothing else: **it tells what things of eleven
names and eleven colours it sees in those drawings, and what kind of scene the others are. What it says of a real
photograph means nothing.** It knows {words} words.

Made by {made}.

Captions are in one order, by name and then by colour: "a red car, two blue stars and a green tree".
Its configuration asks for float32, which is what CPUs are fast at. Give `generate` `max_new_tokens={tokens}`.

On fresh pictures, drawn from seeds that training cannot reach, one to five things in turn; a caption is right when it
counts every name in every colour exactly. Greedy search. It can be relied on for up to {few} things; of four or five it
often misses or mistakes one.

| what | figure |
|---|---|
{rows}
"""


def _kinds_by_caption() -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    for kind in KINDS:
        if not kind.startswith("drawing/"):
            captions.setdefault(scene_caption(kind), []).append(kind)
    return captions


KINDS_OF = _kinds_by_caption()
CAPTIONS = tuple(KINDS_OF)


class CaptionedScene(NamedTuple):
    """A picture of things, and how many there are of each name and colour."""

    image: Image.Image
    counts: Counter[Group]


def scene_in_turn(split: Split, seed: int, index: int) -> Scene:
    """The scene of this index, of a kind that is no drawing of things: the captions in turn, then the kinds of each."""
    kinds = KINDS_OF[CAPTIONS[index % len(CAPTIONS)]]
    return draw_scene(generator(split, seed, index), kinds[index // len(CAPTIONS) % len(kinds)])


def fresh_pictures(count: int, seed: int) -> Iterator[CaptionedScene]:
    """Things that training has not seen: one to five in turn."""
    for index in range(count):
        rng = generator(Split.EVALUATION, seed, index)
        arrangement = arranged(rng, 1 + index % MOST)
        yield CaptionedScene(camera(rng, arrangement.image), groups(arrangement.things))


class Saved:
    """The captioner as it is served: processor and model read back from their folder."""

    def __init__(self, folder: Path) -> None:
        self.processor = BlipProcessor.from_pretrained(folder)
        self.model = BlipForConditionalGeneration.from_pretrained(folder)
        self.model.eval()  # type: ignore[no-untyped-call]

    def captions(self, images: Sequence[Image.Image]) -> list[str]:
        """The caption of each image."""
        inputs = self.processor(images=list(images), return_tensors="pt")
        ids = self.model.generate(**inputs, max_new_tokens=MOST_TOKENS, num_beams=1, do_sample=False)
        captions: list[str] = self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return captions

    def milliseconds(self, image: Image.Image, batch: int) -> float:
        """An image's share of the time that a batch takes, the least of several."""
        times = []
        for _ in range(5):
            start = time.perf_counter()
            self.captions([image] * batch)
            times.append(time.perf_counter() - start)
        return 1000 * min(times) / batch


@dataclass
class CaptionerAccuracy:
    """Pictures of things, and right captions, by the number of things; scenes of other kinds, and right captions."""

    pictures: Counter[int] = field(default_factory=Counter)
    right: Counter[int] = field(default_factory=Counter)
    names_right: int = 0
    scenes: int = 0
    scenes_right: int = 0

    def share(self, most: int) -> tuple[float, int]:
        """The share (0–1) of right captions of pictures of up to so many things, and the number of those pictures."""
        pictures = sum(self.pictures[count] for count in range(1, most + 1))
        return sum(self.right[count] for count in range(1, most + 1)) / pictures, pictures

    def rows(self) -> dict[str, str]:
        """The lines of the card."""
        shares = {
            f"one to {FEW} things ({self.share(FEW)[1]} pictures)": self.share(FEW)[0],
            f"one to {MOST} things ({self.share(MOST)[1]} pictures)": self.share(MOST)[0],
            **{f"… {count}": self.right[count] / of for count, of in sorted(self.pictures.items())},
            LENIENT: self.names_right / self.pictures.total(),
            f"scenes of other kinds ({self.scenes}), the exact caption": self.scenes_right / self.scenes,
        }
        return {name: f"{100 * share:.1f} %" for name, share in shares.items()}


def measure(saved: Saved, seed: int, pictures: int, others: int) -> CaptionerAccuracy:
    """Have a saved captioner caption pictures of things and scenes of other kinds that training has not seen."""
    figures = CaptionerAccuracy()
    for picture in fresh_pictures(pictures, seed):
        counts, things = parsed(saved.captions([picture.image])[0]) or Counter(), picture.counts.total()
        figures.pictures[things] += 1
        figures.right[things] += counts == picture.counts
        figures.names_right += _by_name(counts) == _by_name(picture.counts)
    for index in range(others):
        scene = scene_in_turn(Split.EVALUATION, seed, index)
        figures.scenes += 1
        figures.scenes_right += saved.captions([scene.image])[0] == scene_caption(scene.kind)
    return figures


def _by_name(counts: Counter[Group]) -> Counter[str]:
    names: Counter[str] = Counter()
    for (name, _), count in counts.items():
        names[name] += count
    return names


def write_card(folder: Path, made: str, seed: int) -> str:
    """Measure the weights in a folder and write their MODEL_CARD.md; returns its table of figures.

    Args:
        made: how they were made, in Markdown.
        seed: of the evaluation pictures.
    """
    saved = Saved(folder)
    rows = measure(saved, seed, MEASURED, MEASURED_OTHERS).rows()
    *_, image = (picture.image for picture in fresh_pictures(3, seed))
    for batch in BATCHES:
        what = f"CPU, an image in a batch of {batch}, {torch.get_num_threads()} threads"
        rows[what] = f"{saved.milliseconds(image, batch):.1f} ms"
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    config = saved.model.config.to_dict()
    vision, text = config["vision_config"], config["text_config"]
    card = CARD.format(
        name=folder.name,
        layers=vision["num_hidden_layers"],
        width=vision["hidden_size"],
        side=vision["image_size"],
        text_layers=text["num_hidden_layers"],
        parameters=sum(parameter.numel() for parameter in saved.model.parameters()) / 1e6,
        words=text["vocab_size"],
        made=made,
        tokens=MOST_TOKENS,
        few=FEW,
        rows=table,
    )
    (folder / "MODEL_CARD.md").write_text(card)
    return table
