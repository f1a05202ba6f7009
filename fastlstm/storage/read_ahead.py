"""Reading in a thread while the caller computes."""

import threading
from _queue import SimpleQueue  # `queue.SimpleQueue` may be replaced by gevent's, which does not work across threads

RESULTS = 2  # maximum number of results in memory: the one in use, and the next


def read_ahead(function, requests):
    """Iterate over the results of ``function(*request)``, each computed in a thread while the one before is in use.

    A generator; closing it ends the thread. What the function or the requests raise is raised here in its turn.
    """
    room, results, maker = SimpleQueue(), SimpleQueue(), threading.get_native_id()

    def work():
        if threading.get_native_id() == maker:
            return
        try:
            for request in requests:
                if not room.get():
                    return
                results.put((function(*request), None))
            results.put((None, StopIteration))
        except BaseException as error:
            results.put((None, error))

    thread = threading.Thread(target=work, name="fastlstm-reader", daemon=True)
    thread.start()
    if thread.native_id == maker:  # gevent or eventlet have replaced Python's threads
        yield from (function(*request) for request in requests)
        return
    try:
        for _ in range(RESULTS):
            room.put(True)
        while True:
            result, error = results.get()
            if error is StopIteration:
                return
            if error is not None:
                raise error
            yield result
            result = None  # no longer in use, before there is room for another
            room.put(True)
    finally:
        room.put(False)
        thread.join()
