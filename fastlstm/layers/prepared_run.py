"""A layer's run, prepared once for all batches of the same layout."""

from fastlstm.phases import ByRows
from fastlstm.stacks import Inputs, join, states_by_kind


class Prepared:
    """A stack's run with everything that is the same for all calls with one layout.

    Attributes
    ----------
    run : StackRun
    output : array (N, T, F)
        Outputs of the last call of `play`.
    """

    def __init__(self, stack, run, layout, package, workspace):
        self.run, self._layout, self._inputs = run, layout, Inputs(at=layout.at)
        self.output, self._last_phases = layout.outputs(run, package, workspace)
        self._states = states_by_kind(stack, [of_layer.state_n for of_layer in run.runs])
        self._masking = run.masks and _Masking(run, layout.order)
        self._packed = None

    def play(self, team, packed, x, states, draw):
        """Forward pass with the weights of a `PackedStack`; `draw`: the seed of dropout, and the number of the call."""
        inputs = self._inputs
        inputs.x, inputs.states = x, states
        if packed is not self._packed:
            masks = [ByRows(self._masking.draw)] if self._masking else []
            self._phases, self._packed = [*masks, *self.run.forward(packed, inputs), *self._last_phases], packed
        if self._masking:
            self._masking.key = draw
        team.run(self._phases.__iter__)
        inputs.x = inputs.states = None  # they belong to the caller

    def last_states(self):
        """Copy of the states after the last step of each sequence, in the shapes of the public interface."""
        return join(self._states, self._layout.places)


class _Masking:
    """Draws the dropout masks of a run; a class of its own, so that `Prepared` is in no reference cycle."""

    def __init__(self, run, order):
        self._run, self._order, self.key = run, order, None

    def draw(self, part):
        self._run.masks.draw(*self._run.bounds(part), *self.key, self._order)
