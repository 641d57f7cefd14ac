"""The service that crashes now and then: after 5 to 20 seconds, by an exit code or by a signal."""

from __future__ import annotations

import os
import random
import signal
import time

ENDS = (1, 2, 70, 75, signal.SIGSEGV, signal.SIGKILL)  # codes of sysexits.h among them

end = random.choice(ENDS)
seconds = random.uniform(5, 20)
name = end.name if isinstance(end, signal.Signals) else f"exit code {end}"
print(f"life {os.environ.get('RESPAWND_LIFE', '?')}: working for {seconds:.1f} s, then {name}")
time.sleep(seconds)
print("something went wrong")
if isinstance(end, signal.Signals):
    os.kill(os.getpid(), end)
raise SystemExit(end)
