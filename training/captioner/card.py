"""Measures the bundled captioner as transformers loads it, and writes its card."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from transformers import BlipForConditionalGeneration, BlipProcessor

from training.captioner.scenes import FEW, KINDS_OF, fresh_pictures
from training.cards import million_parameters, table_rows, timings
from training.drawing.families.arrangement import MOST
from training.drawing.wording import Group, parsed, scene_caption
from training.scenes import Split, scene_in_turn

MEASURED = 400  # pictures of things
MEASURED_OTHERS = 135  # scenes of other kinds
TIMED = 5  # calls for each batch size
MOST_TOKENS = 30  # of a caption: more than the longest one has
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
Its configuration asks for float32, which CPUs compute fastest. Give `generate` `max_new_tokens={tokens}`.

On fresh pictures, drawn from seeds that training cannot reach, one to five things in turn; a caption is right when it
counts every name in every colour exactly. Greedy search. It can be relied on for up to {few} things; of four or five it
often misses or mistakes one.

| what | figure |
|---|---|
{rows}
"""


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


@dataclass
class CaptionerAccuracy:
    """What a captioner got right.

    Attributes:
        pictures: of things, by the number of things.
        right: exact captions of them, by the number of things.
        names_right: captions of them that count every name exactly, whatever the colours.
        scenes: of other kinds.
        scenes_right: exact captions of them.
    """

    pictures: Counter[int] = field(default_factory=Counter)
    right: Counter[int] = field(default_factory=Counter)
    names_right: int = 0
    scenes: int = 0
    scenes_right: int = 0

    def share(self, most: int) -> tuple[float, int]:
        """Pictures of at most so many things: the share (0–1) of right captions, and the number of pictures."""
        pictures = sum(self.pictures[count] for count in range(1, most + 1))
        return sum(self.right[count] for count in range(1, most + 1)) / pictures, pictures

    def rows(self) -> dict[str, str]:
        """The figures of the card."""
        shares = {
            f"one to {FEW} things ({self.share(FEW)[1]} pictures)": self.share(FEW)[0],
            f"one to {MOST} things ({self.share(MOST)[1]} pictures)": self.share(MOST)[0],
            **{f"… {count}": self.right[count] / of for count, of in sorted(self.pictures.items())},
            LENIENT: self.names_right / self.pictures.total(),
            f"scenes of other kinds ({self.scenes}), the exact caption": self.scenes_right / self.scenes,
        }
        return {name: f"{100 * share:.1f} %" for name, share in shares.items()}


def measure(saved: Saved, seed: int, pictures: int, others: int) -> CaptionerAccuracy:
    """Have a saved captioner caption pictures of things, and scenes of other kinds, that training has not seen."""
    figures = CaptionerAccuracy()
    for picture in fresh_pictures(pictures, seed):
        counts, things = parsed(saved.captions([picture.image])[0]) or Counter(), picture.counts.total()
        figures.pictures[things] += 1
        figures.right[things] += counts == picture.counts
        figures.names_right += _by_name(counts) == _by_name(picture.counts)
    for index in range(others):
        scene = scene_in_turn(KINDS_OF, Split.EVALUATION, seed, index)
        figures.scenes += 1
        figures.scenes_right += saved.captions([scene.image])[0] == scene_caption(scene.kind)
    return figures


def _by_name(counts: Counter[Group]) -> Counter[str]:
    names: Counter[str] = Counter()
    for (name, _), count in counts.items():
        names[name] += count
    return names


def write_card(folder: Path, made: str, seed: int) -> str:
    """Measure the weights in a folder and write their MODEL_CARD.md; returns its rows of figures.

    Args:
        made: how they were made, in Markdown.
        seed: of the evaluation pictures.
    """
    saved = Saved(folder)
    figures = measure(saved, seed, MEASURED, MEASURED_OTHERS)
    *_, image = (picture.image for picture in fresh_pictures(3, seed))
    rows = table_rows(figures.rows() | timings(saved.captions, image, TIMED))
    config = saved.model.config.to_dict()
    vision, text = config["vision_config"], config["text_config"]
    card = CARD.format(
        name=folder.name,
        layers=vision["num_hidden_layers"],
        width=vision["hidden_size"],
        side=vision["image_size"],
        text_layers=text["num_hidden_layers"],
        parameters=million_parameters(saved.model),
        words=text["vocab_size"],
        made=made,
        tokens=MOST_TOKENS,
        few=FEW,
        rows=rows,
    )
    (folder / "MODEL_CARD.md").write_text(card)
    return rows
