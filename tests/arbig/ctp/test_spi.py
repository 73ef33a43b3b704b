"""The callback object, on the thread of the vendor's library."""

import subprocess
import sys
from pathlib import Path

from tests.ctp_front.processes import Front

# Says of each callback whether Python remembers the thread's one before.
CLIENT = """
import queue, sys, threading
from pathlib import Path
from arbig.ctp import locale
from arbig.ctp.spi import make_spi
port, directory = sys.argv[1:]
locale.ensure(Path(directory))
from openctp_ctp import mdapi
of_thread, remembered = threading.local(), queue.Queue()

def put(item):
    remembered.put(hasattr(of_thread, "called"))
    of_thread.called = True

spi = make_spi(mdapi.CThostFtdcMdSpi, put, {}, simulation=True)
api = mdapi.CThostFtdcMdApi.CreateFtdcMdApi(directory + "/", False, False, True)
api.RegisterSpi(spi)
api.RegisterFront(f"tcp://127.0.0.1:{port}")
api.Init()
told = [remembered.get(timeout=20)]
for number in (1, 2):
    api.ReqUserLogin(mdapi.CThostFtdcReqUserLoginField(), number)
    told.append(remembered.get(timeout=20))
print("remembered", *told)
"""


def test_python_keeps_its_state_of_the_thread_that_calls_back(tmp_path: Path) -> None:
    """To make one anew for each callback takes three times as long as the callback."""
    front = Front(tmp_path)
    try:
        command = [sys.executable, "-c", CLIENT, str(front.market), str(tmp_path)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        front.kill()
    assert "remembered False True True" in told.stdout, told
