"""A job a test; pytest-jobserver takes a token for each that a worker other than the first runs."""

import os
import subprocess

import pytest


@pytest.mark.parametrize("number", range(1, int(os.environ["JOBS"]) + 1))
def test_job(number):
    subprocess.run(["./job", str(number), f"out/{number}"], check=True)
