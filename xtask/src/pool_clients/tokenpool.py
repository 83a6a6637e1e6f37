"""Runs `./job N out/N` for each N up to the first argument: one in the slot that is ours, one more for each token."""

import subprocess
import sys
import time

from gnumake_tokenpool import JobClient

client = JobClient()
waiting = list(range(1, int(sys.argv[1]) + 1))
running = []
while waiting or running:
    for entry in running[:]:
        process, token = entry
        if process.poll() is not None:
            running.remove(entry)
            if token is not None:
                client.release(token)
            if process.returncode != 0:
                sys.exit(f"a job failed: {process.returncode}")
    while waiting:
        token = None
        if any(token is None for _, token in running):
            # It never waits: None is "not now".
            token = client.acquire()
            if token is None:
                break
        number = waiting.pop(0)
        running.append((subprocess.Popen(["./job", str(number), f"out/{number}"]), token))
    time.sleep(0.005)
