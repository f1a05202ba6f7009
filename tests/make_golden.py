"""Write tests/golden/: PyTorch's answers, for machines without PyTorch. Run: python tests/make_golden.py"""

from pathlib import Path

import numpy as np
from torch_peer import SHAPES, adam_case, lstm_case

GOLDEN = Path(__file__).parent / "golden"

if __name__ == "__main__":
    for shape in SHAPES:
        np.savez_compressed(GOLDEN / f"lstm_{'_'.join(map(str, shape))}.npz", **lstm_case(*shape))
    np.savez_compressed(GOLDEN / "adam.npz", **adam_case())
