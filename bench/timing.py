"""Wall and CPU seconds and memory, of this process and of another one."""

import os
import pathlib
import re
import time

import numpy as np


class Watch:
    """Wall and CPU seconds of a block."""
    def __enter__(self):
        self.start = np.array([time.perf_counter(), time.process_time()])
        return self

    def __exit__(self, *_):
        self.seconds = np.array([time.perf_counter(), time.process_time()]) - self.start


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_gigabytes(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1e6
