"""How the weights of a trained network are stored."""

from torch import Tensor, nn


def halved(network: nn.Module) -> dict[str, Tensor]:
    """The network's state with floating-point tensors in half precision, integers as they are; it is not changed."""
    state = network.state_dict()
    return {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
