#!/usr/bin/env python3
"""peer_kernels.py BENCH_KERNELS: bench/peers/pytorch_kernels.py rehearsed on the processor, its clock against a card that
is made up, and its rows joined to ours by gpu_report.py. Exit code 77 where no Python here has PyTorch."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEERS = os.path.join(HOME, "bench", "peers")
KEYS = {"arch", "batch", "precision", "layer", "kernel", "by", "choice", "best", "ms", "tflops", "gb_per_s", "of_peak"}
sys.path[:0] = [PEERS, os.path.join(HOME, "bench")]
sys.dont_write_bytecode = True


def work(row):
    return row["arch"], row["batch"], row["precision"], row["layer"], row["kernel"]


class Rehearsal(unittest.TestCase):
    def run_peer(self, *options):
        command = [sys.executable, os.path.join(PEERS, "pytorch_kernels.py"), "--program", PROGRAM, *options]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_every_pass_of_every_layer_has_its_rows(self):
        listed = subprocess.run([PROGRAM, "--layers"], stdout=subprocess.PIPE, text=True, check=True)
        for precision in ("bf16", "fp32"):
            done = self.run_peer("--device", "cpu", "--rehearse", "--json", "--precision", precision)
            self.assertEqual((done.returncode, "pytorch_kernels.py" in done.stderr), (0, False), done.stderr)
            rows = json.loads(done.stdout)
            wanted = {work({**layer, **p}) for layer in json.loads(listed.stdout) for p in layer["passes"]}
            wanted = {w for w in wanted if w[2] == precision}
            self.assertEqual({w[0] for w in wanted}, {"original", "lite", "df-ud256"})
            self.assertEqual({work(r) for r in rows if r["arch"]}, wanted)
            self.assertEqual({r["kernel"] for r in rows if not r["arch"]}, {"product", "copy"})
            ways = {}
            for r in rows:
                self.assertLessEqual(KEYS, set(r))
                self.assertTrue(r["ms_low"] <= r["ms"] <= r["ms_high"])
                ways.setdefault(work(r), []).append(r)
            for rows_of_work in ways.values():
                self.assertEqual(min(r["ms"] for r in rows_of_work), min(r["ms"] for r in rows_of_work if r["best"]))
            self.assertEqual([r["choice"] for r in ways["original", 64, precision, "encoder.conv1", "fprop"]], ["bare", "bias", "F.pad, bias", "padded alike"])
            self.assertEqual([r["choice"] for r in ways["original", 64, precision, "encoder.conv1", "dgrad"]], ["bare", "F.pad", "padded alike"])
            self.assertEqual([r["choice"] for r in ways["df-ud256", 8, precision, "encoder.conv1", "dgrad"]], ["bare"])

    def test_what_is_asked_for(self):
        done = self.run_peer("--device", "cpu", "--rehearse", "--json", "--arch", "lite", "--batch", "3", "--only", "conv1 wgrad")
        rows = [r for r in json.loads(done.stdout) if r["arch"]]
        self.assertEqual({work(r) for r in rows}, {("lite", 3, "bf16", "encoder.conv1", "wgrad")})
        done = self.run_peer("--device", "cpu", "--rehearse", "--json", "--arch", "original", "--arch", "lite", "--only", "conv0 wgrad")
        self.assertEqual([r["arch"] for r in json.loads(done.stdout) if r["choice"] == "bare" and r["arch"]], ["original", "lite"])
        self.assertEqual(self.run_peer("--device", "cpu").returncode, 2)

    def test_a_wrong_result_is_found(self):
        import torch
        from pytorch_kernels import check

        truth = [torch.rand(4, 5).double()]
        check("a product", [truth[0].float()], truth, "fp32")
        for wrong in (truth[0] * 1.05, truth[0] * float("nan"), truth[0].T):
            with self.assertRaises(RuntimeError):
                check("a product", [wrong], truth, "bf16")


class FakeCard:
    """torch.cuda, on which Python queues calls in a unit of time each, and sleeping takes a unit for 2^20 cycles."""

    def __init__(self):
        self.now = self.awake = 0
        self.did = []

    def make(self):
        card = self

        class Event:
            def __init__(self, enable_timing=False):
                pass

            def record(self):
                card.did.append("event")
                self.at = len(card.did)

            def query(self):
                return card.now >= card.awake

            def elapsed_time(self, end):
                return float(end.at - self.at)

        class Cuda:
            @staticmethod
            def synchronize():
                card.now = max(card.now, card.awake)

            @staticmethod
            def get_device_properties(_):
                return object()

            @staticmethod
            def _sleep(cycles):
                card.awake = card.now + cycles / 2**20

        Cuda.Event = Event
        return Cuda

    def call(self, what):
        self.now += 1
        self.did.append(what)


class Clock(unittest.TestCase):
    def clock(self, card):
        import pytorch_clock
        import torch

        class Torch:
            cuda, uint8 = card.make(), torch.uint8

            @staticmethod
            def empty(*_, **__):
                class Memory:
                    def zero_(self):
                        card.call("flush")

                return Memory()

        usual, pytorch_clock.torch = pytorch_clock.torch, Torch
        self.addCleanup(setattr, pytorch_clock, "torch", usual)
        return pytorch_clock.CardClock(0)

    def test_only_rows_that_were_queued_before_the_card_woke_count(self):
        card = FakeCard()
        clock = self.clock(card)
        slept = clock.cycles
        times = clock.times(lambda: card.call("run"))
        # 16 units of queueing: 4 of sleep, then 8 and 16 are too short.
        self.assertEqual(clock.cycles, 8 * slept)
        self.assertEqual(len(times), clock.ROW)
        # Event, run, event; before each row's event the cache is overwritten.
        self.assertEqual(times, [2e-3] * clock.ROW)
        self.assertEqual(card.did[-4:], ["flush", "event", "run", "event"])

    def test_what_waits_for_the_card_ends(self):
        card = FakeCard()
        clock = self.clock(card)

        def run():
            card.now = card.awake

        with self.assertRaises(RuntimeError):
            clock.times(run)


class Report(unittest.TestCase):
    def test_our_rows_meet_the_best_of_the_same_work(self):
        row = dict(arch="lite", batch=64, precision="bf16", layer="encoder.conv1", kernel="fprop", by="doppel", choice="mma_64x64/1", best=True, ms=2.0, tflops=100.0, gb_per_s=500.0, of_peak=0.9)
        ours = [
            dict(row, arch="", batch=0, layer="p", kernel="product", by="cuBLASLt", tflops=150.0),
            dict(row, arch="", batch=0, layer="c", kernel="copy", by="driver", gb_per_s=4000.0, tflops=0.0),
            row,
            dict(row, by="cuDNN", ms=3.0),
            dict(row, kernel="wgrad", choice="mma_64x64/4"),
        ]
        peers = [
            dict(row, arch="", batch=0, layer="p", kernel="product", by="cuBLAS by PyTorch", choice="x w", tflops=200.0),
            dict(row, by="cuDNN by PyTorch", choice="bare", ms=1.5),
            dict(row, by="cuDNN by PyTorch", choice="bias", ms=1.8, best=False),
            dict(row, by="cuDNN by PyTorch", choice="bare", ms=0.1, batch=8, kernel="wgrad"),
        ]
        with tempfile.TemporaryDirectory() as folder:
            for name, rows in (("bench_kernels", ours), ("peers_kernels", peers)):
                with open(f"{folder}/{name}.json", "w") as file:
                    file.write("[" + ",\n ".join(map(json.dumps, rows)) + "]\n")
            subprocess.run([sys.executable, os.path.join(HOME, "bench", "gpu_report.py"), folder, folder], check=True)
            (name,) = (n for n in os.listdir(folder) if n.endswith(".md"))
            with open(f"{folder}/{name}") as file:
                text = file.read()
            with open(f"{folder}/{name[:-3]}.json") as file:
                kernels = json.load(file)["kernels"]
        self.assertIn("| lite bf16 | encoder.conv1 | fprop | mma_64x64/1 | 2.0000 | 3.0000 (cuDNN) | 1.5000 (bare) | 75 % | 100.0 | 500 | 50 % |", text)
        self.assertIn("| lite bf16 | encoder.conv1 | wgrad | mma_64x64/4 | 2.0000 | - | - | - |", text)
        self.assertIn("Of peak: 200.0 TFLOP/s (bf16 product: cuBLAS by PyTorch, x w), 4000 GB/s (copy: driver", text)
        self.assertEqual([r.get("of_best") for r in kernels], [None, None, 0.75, None, None])


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    if importlib.util.find_spec("torch") is None:
        other = "/usr/bin/python3"  # Debian's has its PyTorch, whichever Python comes first
        if os.path.realpath(sys.executable) == os.path.realpath(other) or not os.path.exists(other):
            sys.exit(77)
        os.execv(other, [other, os.path.abspath(__file__), PROGRAM] + sys.argv[1:])
    unittest.main()
