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
        self._masking = run.masks and _Masking(run, layout.order)
        self._packed = None

    def play(self, team, packed, x, states, draw):
        """Run forward with a `PackedStack`; draw: dropout's seed and the number of the call."""
        inputs = self._inputs
        inputs.x, inputs.states = x, states
        if packed is not self._packed:
            masks = [ByRows(self._masking.draw)] if self._masking else []
            self._phases, self._packed = [*masks, *self.run.forward(packed, inputs), *self._last_phases], packed
        if self._masking:
            self._masking.key = draw
        team.run(self._phases.__iter__)
        inputs.x = inputs.states = None  # the caller's

    def last_states(self):
        """The states after each sequence's last step, copied, in the shapes that callers have them."""
        return join(self._states, self._layout.places)


class _Masking:
    """Draws the dropout masks of a run; apart from `Prepared`, whose phases would otherwise refer back to it."""

    def __init__(self, run, order):
        self._run, self._order, self.key = run, order, None

    def draw(self, part):
        self._run.masks.draw(*self._run.bounds(part), *self.key, self._order)
