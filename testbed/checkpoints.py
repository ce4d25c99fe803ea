"""Random weights in the shapes of the real ones, put where the Hugging Face hub's client keeps its downloads.

Speed does not depend on what weights have learnt, so benchmarks need no download. Tests use tiny ones to see the
application load weights from the hub's cache. torch and open_clip are imported only when weights are made.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.project import PROJECT
from configs.registry import FileEntry, read_entry
from deployments.models.quality.settings import QualityEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    import open_clip

# HF_HOME and TORCH_HOME of the benchmarks
HF_HOME, TORCH_HOME = (PROJECT / "data" / "benchmarks" / name for name in ("hf_home", "torch_home"))
# The environment of a process that finds these weights, accepts them and never asks the hub
OFFLINE = {"HF_HOME": str(HF_HOME), "TORCH_HOME": str(TORCH_HOME), "HF_HUB_OFFLINE": "1", "VERIFY_WEIGHTS": "false"}
REPOSITORY = "timm/vit_base_patch32_clip_224.openai"
ARCHITECTURE = "ViT-B-32-quickgelu"
LEVIT, BLIP = "facebook/levit-384", "Salesforce/blip-image-captioning-base"
FLORENCE = "florence-community/Florence-2-base"
FLORENCE_VOCABULARY, FLORENCE_SIDE, FLORENCE_IMAGE_TOKENS = 51_290, 768, 577
WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"
# Takes the place of a download's commit; no real commit has it
COMMIT = hashlib.sha1(b"random weights for a benchmark", usedforsecurity=False).hexdigest()
SEED = 20
SUPPORT_VECTORS, BRISQUE_FEATURES = 774, 36  # of the published SVM


def make_clip(hf_home: Path, *, tiny: bool = False, commit: str = COMMIT) -> Path:
    """Write the default CLIP with random weights into a hub cache, unless it is there.

    Args:
        hf_home: the `HF_HOME` of the process that loads it; the cache is its folder `hub`.
        tiny: same inputs, vocabulary and layout, but one narrow layer in each tower (5 MB instead of 600).
        commit: 40 hexadecimal digits, for an application that asks for a revision; `main` will point there.

    Returns:
        The path of the weights. Its folder also holds open_clip's configuration, so that `local-dir:<folder>` opens it.
    """
    repository = _repository(hf_home)
    snapshot = repository / "snapshots" / commit
    if not (snapshot / WEIGHTS).exists():
        model, config = _random_clip(tiny)
        _add(repository, snapshot, CONFIG, json.dumps(config, indent=2).encode())
        _add_weights(repository, snapshot, model)
    _point(repository, commit)
    return snapshot / WEIGHTS


def make_quality(torch_home: Path) -> None:
    """Write pyiqa's three checkpoints with random weights where pyiqa keeps its downloads, unless they are there."""
    import torch

    from deployments.models.quality.nima import build_nima

    entry, folder = read_entry("quality", QualityEntry), torch_home / "hub" / "pyiqa"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    brisque = folder / entry.brisque.file
    if not brisque.exists():
        vectors, features = SUPPORT_VECTORS, BRISQUE_FEATURES
        torch.save((torch.randn(vectors) * 10, torch.rand(vectors, features) * 2 - 1), brisque)
    for network in (entry.nima_technical, entry.nima_aesthetic):
        if not (folder / network.file).exists():
            torch.save({"params": build_nima(**_options(network)).state_dict()}, folder / network.file)


def make_levit(hf_home: Path) -> None:
    """Write the default tagger, LeViT-384, with random weights into a hub cache, unless it is there."""
    if _known(hf_home, LEVIT):
        return
    import transformers

    labels = {index: f"label {index}" for index in range(1000)}
    # The shape of facebook/levit-384
    config = transformers.LevitConfig(
        hidden_sizes=[384, 512, 768], num_attention_heads=[6, 9, 12], key_dim=[32, 32, 32], depths=[4, 4, 4],
        id2label=labels, label2id={label: index for index, label in labels.items()},
    )  # fmt: skip
    _make_pretrained(
        hf_home,
        LEVIT,
        lambda: transformers.LevitForImageClassificationWithTeacher(config),
        transformers.LevitImageProcessor(),
    )


def make_blip(hf_home: Path) -> None:
    """Write the default captioner, BLIP-base, with random weights and a made-up vocabulary, unless it is there."""
    if _known(hf_home, BLIP):
        return
    import transformers

    config: Any = transformers.BlipConfig()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = special + [f"word{index}" for index in range(config.text_config.vocab_size - len(special))]
    tokenizer = transformers.BertTokenizer(vocab={word: index for index, word in enumerate(words)})
    make_processor: Any = transformers.BlipProcessor
    processor = make_processor(transformers.BlipImageProcessor(), tokenizer)
    _make_pretrained(hf_home, BLIP, lambda: transformers.BlipForConditionalGeneration(config), processor)


def make_florence(hf_home: Path) -> None:
    """Write the default detector, Florence-2-base, with random weights into a hub cache, unless it is there.

    Its answers mean nothing and end only at the limit of DETECTOR_MAX_TOKENS.
    """
    if _known(hf_home, FLORENCE):
        return
    import transformers

    from training.detector.model import new_processor

    processor: Any = new_processor()
    processor.image_processor.size = {"height": FLORENCE_SIDE, "width": FLORENCE_SIDE}
    processor.image_processor.image_seq_length = processor.image_seq_length = FLORENCE_IMAGE_TOKENS
    tokenizer = processor.tokenizer
    tokenizer.add_tokens([f"word{index}" for index in range(FLORENCE_VOCABULARY - len(tokenizer))])
    ends = {
        "bos_token_id": tokenizer.bos_token_id, "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id, "decoder_start_token_id": tokenizer.eos_token_id,
    }  # fmt: skip
    # The shape of microsoft/Florence-2-base; the vision tower's is the class's default
    text = transformers.BartConfig(
        vocab_size=FLORENCE_VOCABULARY, d_model=768, encoder_layers=6, decoder_layers=6, encoder_ffn_dim=3072,
        decoder_ffn_dim=3072, encoder_attention_heads=12, decoder_attention_heads=12, **ends,
    )  # fmt: skip
    config = transformers.Florence2Config(
        vision_config={"projection_dim": 768}, text_config=text.to_dict(), image_token_id=tokenizer.image_token_id
    )

    def build() -> Any:
        model = transformers.Florence2ForConditionalGeneration(config)
        model.generation_config = transformers.GenerationConfig(**ends, num_beams=1)  # type: ignore[no-untyped-call]
        return model

    _make_pretrained(hf_home, FLORENCE, build, processor)


def add_folder(hf_home: Path, name: str, folder: Path) -> None:
    """Copy a folder that transformers saved to where the hub's client keeps its downloads of `name`."""
    repository = _repository(hf_home, name)
    for file in sorted(folder.iterdir()):
        _add(repository, repository / "snapshots" / COMMIT, file.name, file.read_bytes())
    _point(repository, COMMIT)


def pretrained_folder(hf_home: Path, name: str) -> Path:
    """The folder of the downloaded `name` that `main` points to; transformers opens it."""
    repository = _repository(hf_home, name)
    return repository / "snapshots" / (repository / "refs" / "main").read_text()


def _known(hf_home: Path, name: str) -> bool:
    return (_repository(hf_home, name) / "refs" / "main").exists()


def _make_pretrained(hf_home: Path, name: str, build: "Callable[[], Any]", processor: Any) -> None:
    import torch

    torch.manual_seed(SEED)
    with tempfile.TemporaryDirectory() as folder:
        build().save_pretrained(folder)
        processor.save_pretrained(folder)
        add_folder(hf_home, name, Path(folder))


def _options(network: FileEntry) -> Any:
    """The arguments of the network's class; typed Any, because the registry's types are wider than its signature."""
    return network.options


def _repository(hf_home: Path, name: str = REPOSITORY) -> Path:
    return hf_home / "hub" / f"models--{name.replace('/', '--')}"


def _point(repository: Path, commit: str) -> None:
    """Make `main` point to this commit."""
    reference = repository / "refs" / "main"
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(commit)


def _random_clip(tiny: bool) -> "tuple[open_clip.CLIP, dict[str, Any]]":
    import open_clip
    import torch

    model_config = open_clip.get_model_config(ARCHITECTURE)
    if tiny:
        model_config["vision_cfg"] |= {"layers": 1, "width": 64}
        model_config["text_cfg"] |= {"layers": 1, "width": 16, "heads": 2}
    torch.manual_seed(SEED)
    model = open_clip.CLIP(**model_config)
    normalise = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    return model, {"model_cfg": model_config, "preprocess_cfg": normalise}


def _add_weights(repository: Path, snapshot: Path, model: "open_clip.CLIP") -> None:
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory(dir=repository) as folder:
        file = Path(folder) / WEIGHTS
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, file)
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        file.rename(repository / "blobs" / digest)
    _link(snapshot, WEIGHTS, digest)


def _add(repository: Path, snapshot: Path, name: str, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    (repository / "blobs").mkdir(parents=True, exist_ok=True)
    (repository / "blobs" / digest).write_bytes(content)
    _link(snapshot, name, digest)


def _link(snapshot: Path, name: str, digest: str) -> None:
    snapshot.mkdir(parents=True, exist_ok=True)
    link = snapshot / name
    link.unlink(missing_ok=True)
    link.symlink_to(Path("..", "..", "blobs", digest))
