"""Whether parameters agree with each other, and with the model that training goes on with."""

from fastlstm import kernels
from fastlstm.layers.checks import check_sizes


def check_parameters(estimator):
    """Raise where parameters contradict each other."""
    kernels.resolve(estimator.backend)
    check_sizes(estimator.hidden_size, estimator.num_layers)
    gated = [name for name, cell in kernels.CELLS.items() if cell.forget_gate]
    if estimator.init == "chrono" and estimator.cell not in gated:
        *others, last = map(str.upper, gated)
        raise ValueError(
            f"init='chrono' with cell={estimator.cell!r}: it draws the biases of gates, which only "
            f"{', '.join(others)} and {last} have."
        )
    if estimator.longest_lag is not None and (estimator.init == "standard" or estimator.cell not in gated):
        other = "init='standard'" if estimator.init == "standard" else f"cell={estimator.cell!r}"
        raise ValueError(
            f"longest_lag={estimator.longest_lag} with {other}: it is for init='chrono', which is for gates."
        )
    if estimator.bidirectional and estimator.bptt_checkpoint not in (None, "auto"):
        raise ValueError(
            f"bptt_checkpoint={estimator.bptt_checkpoint} with bidirectional=True: the backward direction starts at "
            "the last step, so all steps are kept. Leave it at 'auto'."
        )
    if estimator.bidirectional and estimator.bptt_steps is not None:
        raise ValueError(
            f"bptt_steps={estimator.bptt_steps} with bidirectional=True: the backward direction starts at the last "
            "step, so no state of it can pass from one piece of a series to the next. Leave it at None."
        )
    if estimator.resume and estimator.checkpoint_path is None:
        raise ValueError("resume=True without a checkpoint_path: name the file to go on from.")
    if estimator.resume and estimator.warm_start:
        raise ValueError(
            "resume=True with warm_start=True: one goes on from a file, the other from the fitted weights. Set one "
            "of them to False."
        )


def check_partial(estimator):
    """Raise where parameters do not go with `partial_fit`."""
    if estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True: it holds no validation data.")
    if estimator.learning_rate == "cosine":
        raise ValueError("partial_fit does not support learning_rate='cosine', which plans for max_iter epochs.")
    if estimator.checkpoint_path is not None:
        raise ValueError(
            "partial_fit does not support checkpoint_path, which keeps a whole fit: pickle the estimator between "
            "two calls."
        )


def check_same_model(estimator):
    """Raise unless the parameters are those that the fitted model was made for."""
    model = estimator._model
    stack = model.stack
    model.check()
    for name, value, fitted in [
        ("hidden_size", check_sizes(estimator.hidden_size, estimator.num_layers), stack.hidden_sizes),
        ("cell", estimator.cell, stack.cell),
        ("bidirectional", bool(estimator.bidirectional), stack.bidirectional),
        ("return_sequences", bool(estimator.return_sequences), model.per_step),
        ("missing", estimator.missing, "mask" if model.masked else "error"),
        ("standardize", bool(estimator.standardize), estimator._standardised),
        *estimator._of_loss(),
    ]:
        if value != fitted:
            value, fitted = (v[0] if isinstance(v, tuple) and len(v) == 1 else v for v in (value, fitted))
            raise ValueError(
                f"{name}={value!r}, but training goes on with a model of {name}={fitted!r}: set it back, or fit "
                "with warm_start=False."
            )
