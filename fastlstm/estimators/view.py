"""What `verbose` shows of a training: a line for each epoch, or a progress bar where tqdm is installed."""

import time


class Lines:
    """A line for each epoch; numbers of a kind stand below each other."""

    def __init__(self, last, steps, validated):
        self._digits, self._steps, self._validated = len(str(last)), steps, validated

    def epoch(self, progress, seconds):
        parts = [f"epoch {progress.epochs:{self._digits}d}", f"loss {progress.loss_curve[-1]:#10.4g}"]
        if self._validated:
            parts.append(f"validation loss {progress.validation_loss_curve[-1]:#10.4g}")
            parts.append(f"score {progress.validation_scores[-1]:#10.4g}")
        parts += [f"rate {progress.rate:8.2e}", f"{seconds:8.3f} s", f"{self._steps / seconds:10,.0f} steps/s"]
        print("  ".join(parts), flush=True)

    def close(self):
        """Nothing is left open."""


class Bar:
    """A bar over all epochs, with the last loss and score."""

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


def _view(verbose, training):
    progress, epochs, validated = training.progress, training.settings.max_iter, training.validate is not None
    if verbose > 1:
        try:
            from tqdm import tqdm
        except ImportError:  # lines say more than nothing
            pass
        else:
            return Bar(tqdm, progress.epochs - progress.first_epoch, epochs, validated)
    return Lines(progress.first_epoch + epochs, training.series.steps, validated)


def watched(training, verbose, say_why=True):
    """``training.run()``; with `verbose`, each epoch is shown, and at the end why there is no other."""
    run = training.run()
    if not verbose:
        yield from run
        return
    view = _view(verbose, training)
    try:
        start = time.perf_counter()
        for progress in run:
            view.epoch(progress, time.perf_counter() - start)
            yield progress
            start = time.perf_counter()
    finally:
        view.close()
    if say_why:
        print(f"stopped: {_reason(training)}", flush=True)


def _reason(training):
    settings = training.settings
    if training.progress.stopped is None:
        return f"max_iter={settings.max_iter} epochs are done"
    if training.progress.stopped == "callback":
        return "a callback asked for it"
    return (
        f"the {training.progress.stopped} has not improved by tol={settings.tol:g} for more than "
        f"n_iter_no_change={settings.n_iter_no_change} epochs"
    )
