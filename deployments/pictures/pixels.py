"""The type of one or several pictures in memory."""

import numpy as np
from numpy.typing import NDArray

# uint8, 0–255, RGB: (h, w, 3) for one picture, (n, h, w, 3) for n of the same size.
Pixels = NDArray[np.uint8]
