"""Timing, CUDA graphs, and the report that is written anew after every measurement."""

import json
import os
import time

import torch


def time_steps(step, text, settings):
    """Milliseconds of a step in every round, without waiting for the device between steps."""
    times = []
    for round_ in range(settings["rounds"] + 1):
        text.reset()
        for _ in range(3):
            step()
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(settings["steps"]):
            step()
        torch.cuda.synchronize()
        # The first round wakes clocks and allocators up.
        if round_ > 0:
            times.append(1000 * (time.perf_counter() - begin) / settings["steps"])
    return times


def greedy_tokens(step, text, settings):
    """The tokens that follow the prompt."""
    text.reset()
    tokens = []
    for _ in range(settings["steps"]):
        before = text.root.clone()
        step()
        if hasattr(text, "path"):
            tokens += text.path[: int(text.committed)].tolist()
        else:
            tokens += before.tolist()
    return tokens


def capture(step, text):
    """The step as a CUDA graph. @returns what replays it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    text.reset()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


class Report:
    def __init__(self, file):
        self.file = file
        self.results = []
        self.write()

    def add(self, name, how, measure):
        try:
            ms, tokens = measure()
            self.results.append({"name": name, "how": how, "ms": ms, "tokens": tokens})
        except Exception as error:  # noqa: BLE001  Whatever it is, the others go on.
            self.skip(name, f"{type(error).__name__}: {error}")
        self.write()

    def skip(self, name, reason):
        self.results.append({"name": name, "skipped": reason[:500]})
        self.write()

    def write(self):
        """Renamed into its place: who is ended leaves the last whole file."""
        report = {
            "torch": torch.__version__,
            "device": torch.cuda.get_device_name(),
            "peakBytes": torch.cuda.max_memory_allocated(),
            "results": self.results,
        }
        with open(self.file + ".part", "w") as out:
            json.dump(report, out)
        os.replace(self.file + ".part", self.file)
