"""Write tests/golden/: answers of PyTorch and Keras, for machines without them. Run: python tests/make_golden.py"""

from pathlib import Path

import keras_peer
import numpy as np
from torch_peer import SHAPES, STACKED, adam_case, layer_case

from fastlstm.kernels import CELLS

GOLDEN = Path(__file__).parent / "golden"

if __name__ == "__main__":
    for cell in CELLS:
        for shape in SHAPES:
            np.savez_compressed(GOLDEN / f"{cell}_{'_'.join(map(str, shape))}.npz", **layer_case(cell, *shape))
        np.savez_compressed(GOLDEN / f"{cell}_stacked.npz", **layer_case(cell, **STACKED))
    np.savez_compressed(GOLDEN / "adam.npz", **adam_case())
    for cell in keras_peer.KINDS:
        np.savez_compressed(GOLDEN / f"keras_{cell}.npz", **keras_peer.case(cell))
