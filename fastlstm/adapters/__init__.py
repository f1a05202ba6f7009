"""Estimators for other libraries: the same models behind the base classes of sktime and aeon.

================================  ======================================================  =======================
module                            classes                                                 requires
================================  ======================================================  =======================
`fastlstm.adapters.sktime`        `LSTMClassifier`, `LSTMRegressor`, `LSTMForecaster`     ``fastlstm[sktime]``
`fastlstm.adapters.aeon`          `LSTMClassifier`, `LSTMRegressor`, `LSTMForecaster`     ``fastlstm[aeon]``
================================  ======================================================  =======================

An adapter has the parameters of the estimator that it wraps, fits it to the library's data, and holds it in a fitted
attribute. Import these modules by name; nothing else imports them.
"""
