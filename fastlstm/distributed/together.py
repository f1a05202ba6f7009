"""A fit in several processes, or threads, that all run this program: each reads data of its own."""

import pickle
from functools import partial

from fastlstm.distributed import chunks
from fastlstm.distributed.kinds import kind_of
from fastlstm.estimators import fitting
from fastlstm.estimators.atomic import snapshot
from fastlstm.training.collective import Share, gather


def train(estimator, given, validation, members, collective, options):
    """Train an estimator; every process returns the same.

    Parameters
    ----------
    given, validation : Given
    members : (list of (int, member), list of (int, member))
        The members of both that this process reads, with their numbers.
    collective : Collective
    options : Options
    """
    is_first, kind = collective.rank == 0, kind_of(estimator)
    continued = options.continues(estimator)

    def prepared(copy):
        kind.begin(copy, continued)
        seed, checkpoints = fitting.seed_of(copy) if is_first else (None, None)
        seed = collective.broadcast(seed)
        read = partial(kind.read, copy, not continued, **options.of_reading)
        own = [given.apply(read, *member) for member in members[0]]
        facts = gather(collective, [chunk.facts for chunk in own])
        attributes = kind.merge([of for of_process in facts for of in of_process])
        sizes = [[of.n for of in of_process] for of_process in facts]
        vars(copy).update(attributes)
        mine = Share(collective, min(options.n_partitions, sum(map(sum, sizes))))
        parts = _partitions(kind, mine, [kind.encode(copy, chunk, attributes) for chunk in own], sizes, copy)
        held_out = None
        if not validation.is_nothing:
            read = partial(kind.read, copy, False, suffix="_val")
            of_validation = [validation.apply(read, *member, "_val") for member in members[1]]
            sizes = gather(collective, [chunk.facts.n for chunk in of_validation])
            if not sum(map(sum, sizes)):
                raise chunks.without_series("X_val")
            held_out = _partitions(kind, mine, [chunk.data for chunk in of_validation], sizes, copy)
        training = kind.prepare(copy, parts, held_out, seed, continued, options.partial, checkpoints, mine)
        _resume(training, checkpoints, collective)
        return training, checkpoints

    own = estimator if is_first else quiet(estimator)
    if options.partial:
        return fitting.train_once(own, prepared)
    return fitting.train(own, given[:3], prepared, warns=is_first)


def quiet(estimator):
    """A copy of an estimator that reports and saves nothing."""
    copy = snapshot(estimator)
    copy.verbose, copy.checkpoint_path, copy.resume = 0, None, False
    for name in ("_skl_callbacks", "_parent_callback_ctx"):
        vars(copy).pop(name, None)
    return copy


def _partitions(kind, mine, own, sizes, estimator):
    """The partitions of this process, of its own chunks and of what others send."""
    collective, found = mine.collective, {}
    owners = [process for process, of_process in enumerate(sizes) for _ in of_process]
    first = owners.index(collective.rank) if collective.rank in owners else 0
    plan = chunks.pieces([size for of_process in sizes for size in of_process], mine.n_partitions)
    for source in range(collective.size):
        sent = {}
        if source == collective.rank:
            for v, of_partition in enumerate(plan):
                for place, (chunk, *rows) in enumerate(of_partition):
                    if owners[chunk] == source:
                        piece = kind.cut(estimator, own[chunk - first], *rows)
                        (found if v in mine.mine else sent)[v, place] = piece
        if collective.size > 1:
            received = collective.broadcast(sent if source == collective.rank else None, source)
            found |= {at: piece for at, piece in received.items() if at[0] in mine.mine}
    return [kind.join([found[v, place] for place in range(len(plan[v]))]) for v in mine.mine]


def _resume(training, checkpoints, collective):
    """Restore the training of all processes from the checkpoint that the first one has found, if any."""
    state = None
    if checkpoints and checkpoints.earlier:
        checkpoints.restore(training)
        state = pickle.dumps(training.state())  # threads must not share its lists
    state = collective.broadcast(state)
    if state is not None and collective.rank:
        training.restore(*pickle.loads(state))
