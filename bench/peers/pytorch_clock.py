"""How long a call takes on a card, measured as bench_kernels measures (bench/card.cc), so that the two can be compared."""

import time

import torch


class CardClock:
    """One call between two events, the L2 cache overwritten before it; at least eight, and then for `seconds`.

    Between the events nothing may wait for Python. So the card sleeps while a row of calls is queued; where it wakes
    before the row is complete, its times are thrown away and it sleeps for longer.
    """

    ROW, WARM_UP, LONGEST = 8, 3, 1 << 33  # calls, calls, clock cycles

    def __init__(self, seconds):
        self.seconds = seconds
        cache = getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 0) or 64 << 20  # PyTorch 1.13 does not say
        self.flush = torch.empty(2 * cache, dtype=torch.uint8, device="cuda")
        self.cycles = 1 << 22  # some milliseconds

    def times(self, run):
        """Seconds of each call."""
        for _ in range(self.WARM_UP):  # cuDNN's search among its engines, memory
            run()
        torch.cuda.synchronize()
        times, begin = [], time.perf_counter()
        while not times or time.perf_counter() - begin < self.seconds:
            times += self.row(run)
        return times

    def row(self, run):
        while self.cycles < self.LONGEST:
            awake = torch.cuda.Event()
            events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(self.ROW)]
            torch.cuda._sleep(self.cycles)
            awake.record()
            for start, end in events:
                self.flush.zero_()
                start.record()
                run()
                end.record()
            asleep = not awake.query()
            torch.cuda.synchronize()
            if asleep:
                return [start.elapsed_time(end) * 1e-3 for start, end in events]
            self.cycles *= 2
        raise RuntimeError("calls cannot be queued ahead of the card: something in them waits for it")


class HostClock:
    """One call; for rehearsals."""

    def times(self, run):
        begin = time.perf_counter()
        run()
        return [time.perf_counter() - begin]
