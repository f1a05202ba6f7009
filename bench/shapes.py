"""The shapes that are timed, and the arithmetic they take."""

#: N sequences, T steps, C inputs, H hidden units: usual sizes, then awkward ones.
SHAPES = [
    (1, 100, 1, 32),
    (1, 100, 8, 128),
    (32, 24, 1, 32),
    (32, 50, 8, 32),
    (32, 100, 8, 64),
    (64, 100, 16, 128),
    (128, 50, 32, 128),
    (32, 100, 64, 256),
    (64, 100, 128, 512),
    (32, 35, 512, 1024),
    (256, 28, 28, 128),
    (5, 40, 3, 50),
    (17, 60, 5, 100),
    (32, 1, 8, 64),
    (8, 1000, 4, 32),
]
#: Those on which torch's float64 and packed paths do not take seconds a call.
MODERATE = [shape for shape in SHAPES if shape[3] <= 256]
#: Those of several sequences of several steps, which can differ in length.
RAGGED = [shape for shape in MODERATE if shape[0] > 1 and shape[1] > 1]
#: Those of batches, on which cells are compared.
BATCHES = [shape for shape in SHAPES if shape[0] >= 8]
#: Those of them on which directions are.
BOTH_WAYS = [shape for shape in BATCHES if 32 <= shape[3] <= 320]
#: One step, and few sequences: ONNX Runtime passes over the weights once for up to six.
FEW = [(1, 1, 8, 64), (5, 1, 8, 64), (5, 1, 64, 256), *((N, 50, 64, H) for H in (256, 512) for N in (3, 4, 5, 6, 8))]
#: For time against one axis, the others fixed.
GROWING = {
    "H": [(N, 50, 16, H) for N in (1, 32, 256) for H in (16, 32, 64, 128, 256, 512)],
    "T": [(32, T, 8, 64) for T in (25, 50, 100, 200, 400, 800, 1600)],
    "N": [(N, 50, 8, 64) for N in (8, 16, 32, 64, 128, 256, 512)],
}

#: For both precisions against H: few sequences, whose weights are read from memory where H is large, and large batches.
FEW_OVER_H = [(N, 50, 64, H) for N in (1, 8) for H in (64, 128, 256, 512, 1024)]
MANY_OVER_H = [(64, 50, 64, 64), (64, 50, 64, 128), (64, 50, 64, 256), (64, 20, 128, 512), (64, 10, 128, 1024)]
OVER_H = FEW_OVER_H + MANY_OVER_H


def is_large_batch(N, T, C, H):
    """Whether arithmetic limits speed, and not what is done once a step."""
    return N >= 64 and H >= 256


def streams_weights(N, T, C, H):
    """Whether reading the weights from memory in every step limits speed."""
    return N <= 8 and H >= 512


def of_precisions():
    """The shapes at which precisions are compared: those of the targets first, as there may not be time for all."""

    def order(shape):
        _, _, C, H = shape
        return not (is_large_batch(*shape) or streams_weights(*shape)), H, C

    more = [(N, 50, 64, H) for N in (2, 4) for H in (512, 1024)]
    return sorted(dict.fromkeys(OVER_H + more + SHAPES), key=order)


def label(value):
    """A shape in a test's id: ``-k 32x100x8x64`` selects it. None leaves other values to pytest."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else None


def inference_flops(steps, C, H, gates=4, directions=1):
    """Floating-point operations of the gates' products in `steps` steps of one sequence, or of several together."""
    return 2 * directions * gates * H * (C + H) * steps


def training_flops(steps, C, H, gates=4, directions=1):
    """The same of forward and backward without the gradient of the inputs."""
    return 2 * inference_flops(steps, C, H, gates, directions) + inference_flops(steps, 0, H, gates, directions)
