"""Loading filters beside the matching of events."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from exporter.pushdown.install import _NICENESS, _stand_back


@pytest.mark.parametrize(("before", "after"), [(0, _NICENESS), (_NICENESS, _NICENESS), (19, 19)])
def test_the_loading_thread_only_ever_stands_back(before, after):
    """Where Lanner itself was started as a nice one, raising a priority would be refused."""

    def niceness():
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, before)
        _stand_back()
        return os.getpriority(os.PRIO_PROCESS, thread)

    if os.getpriority(os.PRIO_PROCESS, 0) > before and os.geteuid():
        pytest.skip("the tests run with a niceness that only root can lower")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(niceness).result() == after
