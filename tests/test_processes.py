import threading
from pathlib import Path

from lapg_rl.runs import processes


def test_after_a_stop_every_waiting_run_ends():
    stopped = processes._Processes([], jobs=1)
    stopped.stop()
    threads = [threading.Thread(target=stopped.train, args=(Path("never"),), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=2)
    assert not any(thread.is_alive() for thread in threads)
