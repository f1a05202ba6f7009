"""Write tests/golden/models/VERSION: files of models of this version, and their answers. Run once for each release."""

from pathlib import Path

import numpy as np
from saved_models import MODELS, answer, made

import fastlstm

FOLDER = Path(__file__).parent / "golden" / "models" / fastlstm.__version__.partition(".dev")[0]

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    models = {name: made(name) for name in MODELS}
    for name, model in models.items():
        fastlstm.save(model, FOLDER / f"{name}.safetensors")
    np.savez_compressed(FOLDER / "answers.npz", **{name: answer(name, model) for name, model in models.items()})
