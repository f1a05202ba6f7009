"""Links to the documentation in the HTML representation of estimators."""


class DocumentationLinkMixin:
    """Mixin that links the HTML representation to the estimator's file.

    With a link, scikit-learn describes the parameters (from version 1.7 on) and the fitted attributes (from 1.9 on) in
    that representation by what the docstring says.
    """

    _doc_link_module = "fastlstm"
    _doc_link_template = "https://github.com/fastlstm/fastlstm/blob/main/{path}.py"

    def _doc_link_url_param_generator(self):
        return {"path": type(self).__module__.replace(".", "/")}
