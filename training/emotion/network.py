"""The bundled emotion network, and its file in the format of DeepFace's ONNX engine."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from training.drawing.expressions import EMOTIONS

WEIGHTS = "facial_expression_model_weights.onnx"
SIDE = 48  # pixels of the faces that the network takes


class EmotionNetwork(nn.Module):
    """Four convolutions and a linear layer: grey faces (n, SIDE, SIDE, 1), 0–1, to logits (n, 7)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, stride in ((1, 16, 1), (16, 32, 2), (32, 48, 2), (48, 64, 2)):
            convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
        side = SIDE // 8
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * side * side, len(EMOTIONS)))

    def forward(self, faces: Tensor) -> Tensor:
        """Logits; `save` appends the softmax."""
        # The mean brightness depends on the exposure and says nothing about the emotion
        centred = faces - faces.mean(dim=(1, 2, 3), keepdim=True)
        logits: Tensor = self.layers((centred * 4).permute(0, 3, 1, 2))
        return logits


def save(network: EmotionNetwork, folder: Path) -> None:
    """Write the graph that DeepFace's ONNX engine runs: faces (n, SIDE, SIDE, 1) to probabilities (n, 7)."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = nn.Sequential(network, nn.Softmax(dim=1)).eval()
    with warnings.catch_warnings():
        # torch calls this exporter outdated; the new one needs two more packages, for a graph of fifteen nodes
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            graph, (torch.zeros(1, SIDE, SIDE, 1),), folder / WEIGHTS, dynamo=False, input_names=["faces"],
            output_names=["probabilities"], dynamic_axes={"faces": {0: "n"}, "probabilities": {0: "n"}},
        )  # fmt: skip
