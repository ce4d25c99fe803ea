"""A Florence-2 of less than a hundredth of the size: its configuration, its vocabulary and its processor.

Its classes and the form of its answers are those of the real one:
`car<loc_102><loc_255><loc_398><loc_441>star<loc_…>…`, with the edges in thousandths of the picture.
"""

import torch
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as Joined
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor, nn
from transformers import (
    BartConfig,
    CLIPImageProcessor,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

from training.drawing.families.arrangement import MOST, NAMES

TASK = "<OD>"
PROMPT = "Locate the objects with category name in the image."  # what the processor turns the task into
BINS = 1000  # places along an edge
SIDE = 144  # pixels
STRIDES = (4, 2, 2, 1)  # of the vision tower's stages; the real one's last stride is 2
CELLS = SIDE // 16  # along an edge, in the tower's last stage
IMAGE_TOKENS = CELLS**2 + 1  # the first one is the mean of all cells
WIDTHS = (32, 64, 96, 128)
BLOCKS = (0, 1, 2, 1)
WIDTH, LAYERS = 128, 2
LONGEST_ANSWER = 5 * MOST + 1  # tokens: a name and four edges for each thing, and the end
START, PAD, END, UNKNOWN, IMAGE = "<s>", "<pad>", "</s>", "<unk>", "<image>"
SPECIAL = (START, PAD, END, UNKNOWN)  # in the order of the real vocabulary
PARSED = (
    "pure_text", "ocr", "description_with_bboxes", "bboxes", "phrase_grounding", "polygons",
    "description_with_polygons", "description_with_bboxes_or_polygons",
)  # fmt: skip


def new_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer for the words of the prompt, the names of the things and the places 0–999."""
    split = ByteLevel(add_prefix_space=False)
    words = dict.fromkeys([*SPECIAL, *(word for word, _ in split.pre_tokenize_str(PROMPT)), *NAMES])
    backend = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token=UNKNOWN))
    backend.pre_tokenizer, backend.decoder = split, Joined()
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, bos_token=START, pad_token=PAD, eos_token=END, unk_token=UNKNOWN,
        extra_special_tokens={"image_token": IMAGE}, clean_up_tokenization_spaces=False,
    )  # fmt: skip
    tokenizer.add_tokens([AddedToken(f"<loc_{place}>", normalized=False) for place in range(BINS)])
    return tokenizer


def new_processor() -> Florence2Processor:
    """The processor, which turns a picture and `<OD>` into the model's inputs, and its answer into boxes."""
    # Like the real one, it squeezes every picture into a square and normalises with ImageNet's means
    images = CLIPImageProcessor(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], image_seq_length=IMAGE_TOKENS,
    )  # fmt: skip
    return Florence2Processor(images, new_tokenizer(), post_processor_config={name: {} for name in PARSED})


def new_network(tokenizer: PreTrainedTokenizerFast) -> Florence2ForConditionalGeneration:
    """An untrained network. The embeddings of places and of the cells' positions start as waves, not at random."""
    heads = [max(1, width // 32) for width in WIDTHS]
    vision = {
        "embed_dim": WIDTHS, "depths": BLOCKS, "patch_stride": STRIDES, "num_heads": heads, "num_groups": heads,
        "window_size": CELLS, "mlp_ratio": 2.0, "drop_path_rate": 0.0, "projection_dim": WIDTH,
        "max_position_embeddings": CELLS,
    }  # fmt: skip
    ends = {
        "bos_token_id": tokenizer.bos_token_id, "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id, "decoder_start_token_id": tokenizer.eos_token_id,
        "forced_eos_token_id": None,
    }  # fmt: skip
    text = BartConfig(
        vocab_size=len(tokenizer), d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
        encoder_ffn_dim=2 * WIDTH, decoder_ffn_dim=2 * WIDTH, encoder_attention_heads=4, decoder_attention_heads=4,
        max_position_embeddings=128, dropout=0.0, init_std=0.05, **ends,
    )  # fmt: skip
    network = Florence2ForConditionalGeneration(
        Florence2Config(vision_config=vision, text_config=text.to_dict(), image_token_id=tokenizer.image_token_id)
    )
    network.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        **ends, max_new_tokens=LONGEST_ANSWER, num_beams=1
    )
    first = place_id(tokenizer, 0)
    with torch.no_grad():
        network.lm_head.weight[first : first + BINS] = 0.07 * waves(BINS, WIDTH)  # tied, so the embeddings change too
        position = network.model.multi_modal_projector.image_position_embed
        for table in (position.row_embeddings, position.column_embeddings):
            table.weight.copy_(0.7 * waves(CELLS, table.embedding_dim))
    return network


def place_id(tokenizer: PreTrainedTokenizerFast, place: int) -> int:
    """The token of a place 0–999."""
    return tokenizer.get_vocab()[f"<loc_{place}>"]


def waves(count: int, width: int) -> Tensor:
    """Wave encodings of `count` even steps from 0 to 1, in which near steps are alike.

    Returns:
        Sines and cosines at frequencies from half a turn to fifty turns over the whole way, (count, width).
    """
    turns = torch.logspace(-0.3, 1.7, width // 2)
    angles = 2 * torch.pi * torch.linspace(0, 1, count)[:, None] * turns
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def boxes_head() -> nn.Linear:
    """The head that only training uses: for each cell a name or none, whether a middle lies in it, and a box."""
    return nn.Linear(WIDTH, len(NAMES) + 1 + 1 + 4)
