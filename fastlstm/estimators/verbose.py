"""Progress output of `verbose`: one line per epoch, or a progress bar if tqdm is installed."""

import time


class EpochLines:
    """Prints one line per epoch, in aligned columns."""

    def __init__(self, last, steps, validated):
        self._digits, self._stepper, self._validated = len(str(last)), steps, validated

    def epoch(self, progress, seconds):
        parts = [f"epoch {progress.epochs:{self._digits}d}", f"loss {progress.loss_curve[-1]:#10.4g}"]
        if self._validated:
            parts.append(f"validation loss {progress.validation_loss_curve[-1]:#10.4g}")
            parts.append(f"score {progress.validation_scores[-1]:#10.4g}")
        parts += [f"rate {progress.rate:8.2e}", f"{seconds:8.3f} s", f"{self._stepper / seconds:10,.0f} steps/s"]
        print("  ".join(parts), flush=True)

    def close(self):
        """Nothing to close."""


class EpochBar:
    """Progress bar over the epochs, with the latest loss and score."""

    def __init__(self, tqdm, done, epochs, validated):
        self._bar, self._validated = tqdm(total=epochs, initial=done, unit="epoch"), validated

    def epoch(self, progress, seconds):
        shown = {"loss": f"{progress.loss_curve[-1]:.4g}"}
        if self._validated:
            shown["score"] = f"{progress.validation_scores[-1]:.4g}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def close(self):
        self._bar.close()


def _reporter(verbose, training):
    progress, epochs, validated = training.progress, training.settings.max_iter, training.validate is not None
    if verbose > 1:
        try:
            from tqdm import tqdm
        except ImportError:  # fall back to lines
            pass
        else:
            return EpochBar(tqdm, progress.epochs - progress.first_epoch, epochs, validated)
    return EpochLines(progress.first_epoch + epochs, training.examples.n_steps, validated)


def report_epochs(training, verbose, show_reason=True, **options):
    """Iterate over ``training.run(**options)``; if `verbose`, report each epoch, and finally why it has stopped."""
    run = training.run(**options)
    if not verbose:
        yield from run
        return
    reporter = _reporter(verbose, training)
    try:
        start = time.perf_counter()
        for progress in run:
            reporter.epoch(progress, time.perf_counter() - start)
            yield progress
            start = time.perf_counter()
    finally:
        reporter.close()
    if show_reason:
        print(f"stopped: {_reason(training)}", flush=True)


def _reason(training):
    settings = training.settings
    if training.progress.stopped is None:
        return f"reached max_iter={settings.max_iter} epochs"
    if training.progress.stopped == "callback":
        return "requested by a callback"
    return (
        f"{training.progress.stopped} did not improve by tol={settings.tol:g} for more than "
        f"n_iter_no_change={settings.n_iter_no_change} consecutive epochs"
    )
