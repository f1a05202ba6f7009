"""Callbacks on `fit`: the experimental protocol of scikit-learn 1.9; before it, there are none.

``model.set_callbacks(...)`` takes what follows the protocol, such as ``sklearn.callback.ProgressBar``. A fit is the
root task, each epoch one of its subtasks; where a callback asks to stop at the end of an epoch, it is the last.
"""

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:
        """Nothing: this scikit-learn has no callbacks."""


class FitTask:
    """A fit as an estimator's callbacks see it.

    It begins where this is made, which must be before anything that can fail, and before the estimator's attributes are
    noted to be put back: scikit-learn keeps the callbacks to tear down among them. It does so when `fit` is left.
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
        """The epochs of `run`, each as a task; `attributes()`: those that an estimator fitted so far has."""
        if self._epochs is None:
            yield from run
            return
        while not training.over:
            task = self._epochs.subcontext(task_name="epoch")
            task.call_on_fit_task_begin(**self._given, reconstruction_attributes=attributes)
            yield next(run)
            if (
                task.call_on_fit_task_end(**self._given, reconstruction_attributes=attributes)
                and not training.progress.stopped
            ):
                training.progress.stopped = "callback"
        yield from run  # it has no more epochs, but has something to put in order

    def end(self):
        if self._root is not None:
            self._root.call_on_fit_task_end(**self._given, reconstruction_attributes={})
