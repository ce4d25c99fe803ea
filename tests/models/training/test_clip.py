"""The pieces of the training that a wrong figure would hide in."""

import open_clip
import pytest
import torch

from training.clip.losses import contrastive
from training.clip.model import MODEL, encode_short
from training.clip.vocabulary import in_other_colours


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("a red car", "an orange car"),
        ("a photo of an orange star", "a photo of a red star"),
        ("two blue circles", "two grey circles"),
        ("something green", "something pink"),
    ],
)
def test_a_caption_meets_itself_in_other_colours(text: str, other: str) -> None:
    variants = in_other_colours(text)
    assert other in variants
    assert text not in variants
    assert len(variants) == 10


def test_a_caption_without_a_colour_has_no_variants() -> None:
    assert in_other_colours("a furry animal") == []


def test_short_texts_get_the_vector_of_encode_text() -> None:
    torch.manual_seed(1)
    model = open_clip.CLIP(**MODEL).eval()
    tokens = open_clip.SimpleTokenizer()(["a red car", "a map", "a page of text with many words in it"])
    with torch.no_grad():
        assert torch.allclose(encode_short(model, tokens), model.encode_text(tokens, normalize=True), atol=1e-5)


def test_the_loss_falls_when_right_pairs_come_closer_and_ignores_other_right_texts() -> None:
    truth = torch.tensor([[True, True, False], [False, True, True]])
    bad = torch.tensor([[0.0, 0.0, 5.0], [5.0, 0.0, 0.0]])
    good = torch.tensor([[5.0, 5.0, 0.0], [0.0, 5.0, 5.0]])
    assert contrastive(good, truth) < 0.1 < contrastive(bad, truth)
    shared = good.clone()
    shared[0, 1] = 9.0  # a text that is right too does not compete
    assert contrastive(shared, truth) <= contrastive(good, truth)
