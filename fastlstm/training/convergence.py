"""Diagnosis of a finished training that the user should act on."""

from fastlstm.training.baselines import best_constant_loss

MIN_UPDATES = 200  # with fewer updates, no learning is expected
MIN_GAIN = 0.02  # a smaller improvement over the best constant, relative to its loss, is negligible
SIGNIFICANT = 50  # unless the improvement summed over all rows exceeds this, which chance alone rarely does
STILL_FALLING = 0.01  # relative decrease of the loss over `n_iter_no_change` epochs that counts as still improving


def problem(training, untried=()):
    """Warning about a training that learned nothing or ended too early, with advice; None if there is no problem.

    untried: settings to recommend in addition to those of the training itself.
    """
    progress, settings = training.progress, training.settings
    if progress.stopped == "callback":
        return None
    loss = progress.loss_curve[-1]
    updates = (progress.epochs - progress.first_epoch) * training.n_batches
    if updates >= MIN_UPDATES:
        targets, weights = training.examples.targets, training.examples.weights
        constant = best_constant_loss(settings.loss, targets, weights)
        scale = 1.0 if settings.loss.is_likelihood else constant
        gain = (constant - loss) / scale if scale else MIN_GAIN
        if gain < MIN_GAIN and gain * len(targets) < SIGNIFICANT:
            return (
                f"The final training loss of {loss:.4g} is no better than predicting a constant ({constant:.4g}): the "
                "model has learned nothing from X. Check that the rows of X and y match; then try "
                f"{', '.join([*untried, *_recommendations(settings)])}."
            )
    if progress.stopped or settings.learning_rate == "cosine":
        return None
    return _still_improving(progress, settings)


def _recommendations(settings):
    """Changes of the settings that may help."""
    rate = settings.learning_rate_init
    schedule = [] if settings.learning_rate == "cosine" else ["learning_rate='cosine'"]
    penalty = [f"a smaller alpha (now {settings.alpha:g})"] if settings.alpha else []
    rates = f"learning_rate_init={rate / 3:.1g} or {rate * 3:.1g}"
    return [*penalty, rates, f"max_iter={3 * settings.max_iter}", *schedule]


def _still_improving(progress, settings):
    curve = progress.loss_curve[progress.first_epoch :]
    before = curve[max(len(curve) - 1 - settings.n_iter_no_change, 0)]
    if before - curve[-1] <= STILL_FALLING * abs(before):
        return None
    advice = "raise max_iter, or set learning_rate='cosine', which decays the learning rate to 0 by the last epoch"
    if not settings.early_stopping:
        advice += ", or early_stopping=True"
    return f"Training was still improving after max_iter={settings.max_iter} epochs: {advice}."
