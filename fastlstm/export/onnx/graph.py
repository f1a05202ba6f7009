"""A graph under construction: nodes and constants in the order in which they are added."""

from typing import NamedTuple

import numpy as np

#: Versions of the operator sets, the oldest that have all that is used.
OPSETS = {"": 13, "ai.onnx.ml": 2}
LAST = 2**63 - 1  # the end of an axis, in slices
IR_VERSION = 7  # the version that came with these operator sets


class Value(NamedTuple):
    """An input or output of a graph."""

    name: str
    tensor: str  # its name within the graph
    dtype: object  # type of the elements; str for strings
    shape: tuple  # a str is the name of a dimension of any size
    doc: str

    def info(self):
        """The value as a `ValueInfoProto`."""
        from onnx import helper

        return helper.make_tensor_value_info(self.name, element_type(self.dtype), self.shape, self.doc)


def element_type(dtype):
    """ONNX's number of a NumPy type; of str, that of strings."""
    from onnx import TensorProto, helper

    return TensorProto.STRING if np.dtype(dtype).kind == "U" else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


class Graph:
    """Nodes and constants.

    Parameters
    ----------
    unique : function of str
        Returns a name that begins with its argument and is used nowhere else.
    """

    def __init__(self, unique):
        self._unique, self.nodes, self.constants = unique, [], []

    def add(self, operator, *inputs, outputs=1, domain="", **attributes):
        """Add a node and return the name of its output, or a list of names if it has several.

        Parameters
        ----------
        operator : str
        *inputs : str, array, number or None
            Names of tensors, and constants; None for an optional input that is left out, the last one.
        outputs : int
            Number of outputs.
        """
        from onnx import helper

        names = [self._name_of(value) for value in inputs if value is not None]
        of_outputs = [self._unique(operator) for _ in range(outputs)]
        name = self._unique(f"{operator}_node")
        self.nodes.append(helper.make_node(operator, names, of_outputs, name=name, domain=domain, **attributes))
        return of_outputs[0] if outputs == 1 else of_outputs

    def cast(self, tensor, dtype):
        return self.add("Cast", tensor, to=element_type(dtype))

    def slice(self, tensor, first, last=LAST, axis=1):
        """Part of a tensor along an axis."""
        return self.add("Slice", tensor, np.array([first]), np.array([last]), np.array([axis]))

    def rename(self, value):
        """Give the tensor of a `Value` the name of the value."""
        from onnx import helper

        name = self._unique("Identity_node")
        self.nodes.append(helper.make_node("Identity", [value.tensor], [value.name], name=name))

    def _name_of(self, value):
        if isinstance(value, str):
            return value
        from onnx import numpy_helper

        value = np.asarray(value)
        name = self._unique("constant")
        if value.dtype.kind == "U":
            value = value.astype(object)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name))
        return name
