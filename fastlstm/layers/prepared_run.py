"""Runs of a layer, prepared for batches of one layout."""

from fastlstm.phases import ByRows
from fastlstm.stacks import Inputs, join, states_by_kind


class Prepared:
    """A stack's run with all that is the same in every call of this shape.

    Attributes
    ----------
    run : StackRun
    output : array (N, T, F)
        Where the outputs are once it was played.
    """

    def __init__(self, stack, run, layout, package, workspace):
        self.run, self._layout, self._inputs = run, layout, Inputs(at=layout.at)
        self.output, self._last_phases = layout.outputs(run, package, workspace)
        self._states = states_by_kind(stack, [of_layer.state_n for of_layer in run.runs])
        self._packed = self._draw = None

    def play(self, team, packed, x, states, draw):
        """Run forward with a `PackedStack`; draw: dropout's seed and the number of the call."""
        inputs, self._draw = self._inputs, draw
        inputs.x, inputs.states = x, states
        if packed is not self._packed:
            masks = [] if self.run.masks is None else [ByRows(self._draw_masks)]
            self._phases, self._packed = [*masks, *self.run.forward(packed, inputs), *self._last_phases], packed
        team.run(self._phases.__iter__)
        inputs.x = inputs.states = None  # the caller's

    def last_states(self):
        """The states after each sequence's last step, copied, in the shapes that callers have them."""
        return join(self._states, self._layout.places)

    def _draw_masks(self, part):
        self.run.masks.draw(*self.run.bounds(part), *self._draw, self._layout.order)
