"""What a training came to, where the user should act on it."""

from fastlstm.training.baselines import best_constant_loss

ENOUGH_UPDATES = 200  # fewer cannot be expected to learn
LEARNED = 0.02  # of the best constant's loss: what is gained beyond is something,
SIGNIFICANT = 50  # and so is what is gained by each row, times their number: chance alone hardly comes to that
STILL_FALLING = 0.01  # of the loss, over as many epochs as must pass without improvement to stop


def shortfall(training, untried=()):
    """Why the training did not come to much, and what to do, as a sentence or two; None if it did.

    untried: parameters that may help, besides those of the settings.
    """
    progress, settings = training.progress, training.settings
    if progress.stopped == "callback":
        return None
    loss = progress.loss_curve[-1]
    updates = (progress.epochs - progress.first_epoch) * training.n_batches
    if updates >= ENOUGH_UPDATES:
        constant = best_constant_loss(settings.loss, training.targets, training.weights)
        scale = 1.0 if settings.loss.is_likelihood else constant
        gain = (constant - loss) / scale if scale else LEARNED
        if gain < LEARNED and gain * len(training.targets) < SIGNIFICANT:
            return (
                f"Training ended at a loss of {loss:.4g}, no better than predicting a constant ({constant:.4g}): the "
                "model has learned nothing from X. Check that X and y belong together, row by row; then try "
                f"{', '.join([*untried, *_measures(settings)])}."
            )
    if progress.stopped or settings.learning_rate == "cosine":
        return None
    return _still_falling(progress, settings)


def _measures(settings):
    """What may help, without what is done already."""
    rate = settings.learning_rate_init
    falling = [] if settings.learning_rate == "cosine" else ["learning_rate='cosine'"]
    smaller = [f"a smaller alpha (now {settings.alpha:g})"] if settings.alpha else []
    rates = f"learning_rate_init={rate / 3:.1g} or {rate * 3:.1g}"
    return [*smaller, rates, f"max_iter={3 * settings.max_iter}", *falling]


def _still_falling(progress, settings):
    curve = progress.loss_curve[progress.first_epoch :]
    before = curve[max(len(curve) - 1 - settings.n_iter_no_change, 0)]
    if before - curve[-1] <= STILL_FALLING * abs(before):
        return None
    advice = "raise max_iter, or set learning_rate='cosine', which lets the rate fall to 0 by then"
    if not settings.early_stopping:
        advice += ", or early_stopping=True"
    return f"Training was still improving after max_iter={settings.max_iter} epochs: {advice}."
