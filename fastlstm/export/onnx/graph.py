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
        return info_of(self.name, self.dtype, self.shape, self.doc)


def info_of(name, dtype, shape=None, doc=""):
    """A `ValueInfoProto`; the shape is unknown if it is None."""
    from onnx import helper

    return helper.make_tensor_value_info(name, element_type(dtype), shape, doc)


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
            Names of tensors, and constants; None for an optional input that is left out.
        outputs : int
            Number of outputs.
        """
        from onnx import helper

        names = ["" if value is None else self._name_of(value) for value in inputs]
        while names and not names[-1]:
            names.pop()
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
        return value if isinstance(value, str) else self.constant(np.asarray(value))

    def constant(self, value):
        """Add an array and return its name."""
        from onnx import numpy_helper

        name = self._unique("constant")
        if value.dtype.kind == "U":
            value = value.astype(object)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name))
        return name


def add_loop(graph, count, start, dtypes, step, dtype):
    """Add a loop; returns what its steps have computed, [count, ...].

    Parameters
    ----------
    count : int
        Number of steps.
    start, dtypes : list of str
        What is carried from step to step: tensors before the first step, and their types.
    step : function
        ``step(body, *carried)`` adds the nodes of a step to the `Graph` body, and returns a list of what is carried on,
        and what the step has computed, of type `dtype`.
    """
    from onnx import helper

    body = Graph(graph._unique)
    body.constants = graph.constants  # the body sees those around it
    number, go_on, *carried = (graph._unique("carried") for _ in range(2 + len(start)))
    after, computed = step(body, *carried)
    outputs = [body.add("Identity", tensor) for tensor in (go_on, *after, computed)]
    before = [info_of(number, "int64", ()), info_of(go_on, "bool", ()), *map(info_of, carried, dtypes)]
    ends = [info_of(outputs[0], "bool", ()), *map(info_of, outputs[1:], (*dtypes, dtype))]
    inner = helper.make_graph(body.nodes, "step", before, ends)
    return graph.add("Loop", np.int64(count), True, *start, outputs=len(start) + 1, body=inner)[-1]
