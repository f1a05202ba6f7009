"""Support for the experimental callbacks of scikit-learn 1.9; with earlier versions, callbacks are not available.

``model.set_callbacks(...)`` accepts callbacks such as ``sklearn.callback.ProgressBar``. A fit is the root task, and
each epoch one of its subtasks; a callback can stop the training at the end of an epoch.
"""

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:
        """Placeholder: this version of scikit-learn has no callbacks."""


class FitTask:
    """The task of a fit, for the estimator's callbacks.

    It must be created before anything can fail, and before an `AtomicUpdate` copies the estimator's attributes:
    scikit-learn stores the callbacks to tear down at the end of `fit` among them.
    """

    def __init__(self, estimator, X, y, sample_weight=None, max_subtasks=0):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._given = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._root = self._epochs = None
        if hasattr(estimator, "_init_callback_context"):
            self._root = estimator._init_callback_context(max_subtasks=max_subtasks)
            self._root.call_on_fit_task_begin(**self._given)
            self._epochs = self._root if hasattr(estimator, "_skl_callbacks") else None

    def epochs(self, run, training, attributes):
        """Iterate over the epochs of `run`, each a subtask; `attributes()` returns the fitted attributes so far."""
        if self._epochs is None:
            yield from run
            return
        while not training.finished:
            task = self._epochs.subcontext(task_name="epoch")
            task.call_on_fit_task_begin(**self._given, reconstruction_attributes=attributes)
            yield next(run)
            if (
                task.call_on_fit_task_end(**self._given, reconstruction_attributes=attributes)
                and not training.progress.stopped
            ):
                training.progress.stopped = "callback"
        yield from run  # no more epochs, but lets it finish

    def end(self):
        if self._root is not None:
            self._root.call_on_fit_task_end(**self._given, reconstruction_attributes={})
