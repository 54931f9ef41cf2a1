#!/usr/bin/env python3
"""Runs compare_bench for all engines and workloads, in turn, and writes a CSV.

Each run is a process of its own on a directory of its own. The engines take
turns within a workload, the workloads within a round, and each round begins
with another engine. What is in the CSV already is not run again, so a
comparison can be stopped (--stop-after) and continued.

A run that does not begin empty begins with a copy of a store that `load` made
once for each engine. Beside the CSV lies FILE.json: machine, versions, commit.
"""

import argparse
import csv
import dataclasses
import datetime
import errno
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time

MIB = 1 << 20
KEY_SIZE = 16
BARS = ["fill", "overwrite", "get", "miss", "multi-get", "ycsb-a", "ycsb-b",
        "ycsb-c", "ycsb-d", "ycsb-e", "ycsb-f", "dedup", "durable", "reopen",
        "kill"]
# Of these, what two threads do as well.
BARS_OF_TWO = [w for w in BARS if w not in ("durable", "reopen", "kill")]


@dataclasses.dataclass(frozen=True)
class Case:
    """One workload on stores of one kind, by all engines."""

    workload: str
    keys: int
    value_size: int = 100
    threads: int = 1
    limited: bool = False  # memory for half of the pairs

    @property
    def pair_bytes(self) -> int:
        return self.keys * (KEY_SIZE + self.value_size)


@dataclasses.dataclass(frozen=True)
class Preset:
    cases: tuple
    rounds: int
    seconds: float  # of a measured loop, at most
    fill_seconds: float


def cases(workloads, keys, value_size=100, threads=1):
    return tuple(Case(w, keys, value_size, threads) for w in workloads)


def preset(name: str, workloads: list) -> Preset:
    names = [w["name"] for w in workloads if w["name"] != "load"]
    split = [w["name"] for w in workloads if w["split"]]
    one = [n for n in names if n not in split]
    two = [n for n in one if n not in ("counters", "reopen", "kill")]

    def single(keys, value_size=100):
        return cases(one, keys, value_size) + (
            Case("durable", keys, value_size, 8),
        ) + cases(split, keys, value_size, 2)

    if name == "short":
        return Preset(single(500_000) + (Case("get", 500_000, limited=True),),
                      rounds=3, seconds=0.25, fill_seconds=1.2)
    if name in ("bars", "large", "values"):
        keys, value_size = {"bars": (5_000_000, 100),
                            "large": (20_000_000, 100),
                            "values": (1_000_000, 1024)}[name]
        return Preset(cases(BARS, keys, value_size)
                      + (Case("durable", keys, value_size, 8),),
                      rounds=3, seconds=1,
                      fill_seconds=max(keys / 250_000, 20))
    if name == "threads":
        return Preset(cases(BARS_OF_TWO, 5_000_000, threads=2),
                      rounds=3, seconds=1, fill_seconds=20)
    if name == "full":
        return Preset(
            single(5_000_000) + cases(two, 5_000_000, threads=2)
            + single(20_000_000) + cases(two, 20_000_000, threads=2)
            + single(1_000_000, 1024) + cases(two, 1_000_000, 1024, threads=2)
            + (Case("get", 5_000_000, limited=True),
               Case("get", 20_000_000, limited=True)),
            rounds=5, seconds=5, fill_seconds=3600)
    if name == "smoke":  # for the tests of this script
        return Preset(single(2000), rounds=1, seconds=0.05, fill_seconds=1)
    raise ValueError(name)


def copy_into_memory(source: pathlib.Path, target: pathlib.Path):
    """Copies a store, so that all pages of the copy are in memory and clean."""
    subprocess.run(["cp", "-a", "--sparse=auto", source, target], check=True)
    # What the copy has made dirty is not the run's to write.
    subprocess.run(["sync", "-f", target], check=True)
    # Large stores leave no room for both, and the kernel may drop the copy's.
    for path in files_in(source):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    for path in files_in(target):
        read_data(path)


def read_data(path: pathlib.Path):
    """Reads what a file holds. Not its holes, whose pages would take the place
    of others: LMDB's file is five times as long as what is in it."""
    block = bytearray(MIB)
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        end = 0
        while end < size:
            try:
                begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nothing but a hole is left
                    return
                raise
            end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            os.lseek(file.fileno(), begin, os.SEEK_SET)
            for _ in range(begin, end, MIB):
                file.readinto(block)


def files_in(directory: pathlib.Path) -> list:
    return [p for p in directory.rglob("*") if p.is_file()]


class MemoryLimit:
    """A memory cgroup, of version 1 or 2, for one process at a time."""

    def __init__(self):
        root = pathlib.Path("/sys/fs/cgroup")
        self.is_v1 = (root / "memory").is_dir()
        self.group = (root / "memory" if self.is_v1 else root) \
            / f"peat-compare-{os.getpid()}"
        self.problem = None
        try:
            if not self.is_v1:
                (root / "cgroup.subtree_control").write_text("+memory")
            self.group.mkdir()
        except OSError as error:
            self.problem = f"no memory cgroup can be made: {error}"

    def set(self, size: int):
        name = "memory.limit_in_bytes" if self.is_v1 else "memory.max"
        (self.group / name).write_text(str(size))
        if not self.is_v1:
            (self.group / "memory.swap.max").write_text("0")

    def enter(self):
        (self.group / "cgroup.procs").write_text(str(os.getpid()))

    def close(self):
        if self.problem is None:
            self.group.rmdir()


class Runner:
    def __init__(self, arguments):
        self.bench = arguments.bench
        self.work = pathlib.Path(arguments.directory)
        self.csv_path = pathlib.Path(arguments.csv)
        self.listing = json.loads(subprocess.run(
            [self.bench, "list"], check=True, capture_output=True).stdout)
        self.workloads = {w["name"]: w for w in self.listing["workloads"]}
        self.preset = preset(arguments.preset, self.listing["workloads"])
        self.rounds = arguments.rounds or self.preset.rounds
        self.engines = [e for e in self.listing["engines"]
                        if not arguments.engines
                        or e["name"] in arguments.engines]
        self.deadline = (time.monotonic() + arguments.stop_after
                         if arguments.stop_after else None)
        self.limit = MemoryLimit()
        self.done = set()
        self.environment = self.look_around(arguments.preset)

    # --- what to run

    def applies(self, engine: dict, case: Case) -> bool:
        workload = self.workloads[case.workload]
        name = engine["name"]
        persists = engine["survives"] != "nothing"
        if case.limited:
            return persists and name != "floor" and self.limit.problem is None
        if name == "floor":
            return workload["durable"] and case.threads == 1
        if case.workload in ("reopen", "kill") or workload["durable"]:
            return persists
        return not workload["ordered"] or engine["ordered"]

    def schedule(self):
        for number in range(self.rounds):
            for case in self.preset.cases:
                turn = number % len(self.engines)
                for engine in self.engines[turn:] + self.engines[:turn]:
                    if self.applies(engine, case):
                        yield number, case, engine

    # --- running

    def base(self, engine: dict, case: Case):
        """The store to begin with; None if the engine keeps none."""
        if engine["survives"] == "nothing":
            return None
        path = self.work / f"base-{case.keys}-{case.value_size}" \
            / engine["name"]
        if not path.exists():
            # Loaded beside its place, so that what is there is whole.
            loading = path.with_name(path.name + ".loading")
            shutil.rmtree(loading, ignore_errors=True)
            loading.mkdir(parents=True)
            self.call(engine, Case("load", case.keys, case.value_size),
                      loading, 0)
            loading.rename(path)
        return path

    def call(self, engine: dict, case: Case, directory, number: int) -> dict:
        workload = self.workloads[case.workload]
        command = [
            self.bench, "run", "--engine", engine["name"],
            "--workload", case.workload, "--directory", str(directory),
            "--keys", str(case.keys), "--value-size", str(case.value_size),
            "--threads", str(case.threads), "--seed", str(number + 1),
            "--operations", str(max(case.keys, 1_000_000))]
        if case.workload != "load":
            command += ["--seconds", str(
                self.preset.fill_seconds if workload["fills"]
                else self.preset.seconds)]
        enter = None
        if case.limited:
            self.limit.set(32 * MIB + case.pair_bytes // 2)
            command += ["--cold", "--cache-bytes", str(case.pair_bytes // 4)]
            enter = self.limit.enter
        done = subprocess.run(command, capture_output=True, text=True,
                              check=False, preexec_fn=enter)
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or [
                f"ended with {done.returncode}"]
            raise RuntimeError(reason[0])
        return json.loads(done.stdout)

    def run_one(self, number: int, case: Case, engine: dict) -> dict:
        row = {"engine": engine["name"], **dataclasses.asdict(case),
               "round": number, "error": ""}
        directory = self.work / "run"
        shutil.rmtree(directory, ignore_errors=True)
        try:
            base = None
            if not self.workloads[case.workload]["empty"]:
                base = self.base(engine, case)
            if base is None:
                directory.mkdir(parents=True)
            else:
                copy_into_memory(base, directory)
            figures = self.call(engine, case, directory, number)
            figures["latency_ns"] = " ".join(
                f"{fraction:.6g}:{ns:.0f}"
                for fraction, ns in figures["latency_ns"])
            row.update(figures)
            if row["wrong"] and engine["survives"] != "nothing":
                row["error"] = f"{row['wrong']} wrong values"
        except RuntimeError as error:
            row["error"] = str(error)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        return row

    def load_all(self):
        """Makes all stores to begin with, which need no quiet machine."""
        for _, case, engine in self.schedule():
            if not self.workloads[case.workload]["empty"]:
                self.base(engine, case)

    def run(self) -> bool:
        """Returns whether all is done."""
        self.read_done()
        for number, case, engine in self.schedule():
            key = self.key(engine["name"], case, number)
            if key in self.done:
                continue
            if self.deadline and time.monotonic() > self.deadline:
                return False
            row = self.run_one(number, case, engine)
            self.write(row)
            print(f"{number + 1} {case.workload:10} {case.threads} "
                  f"{'limited ' if case.limited else ''}"
                  f"{engine['name']:14} {describe(row)}", flush=True)
        return True

    # --- the CSV

    @staticmethod
    def key(engine: str, case: Case, number: int):
        return (engine, *(str(v) for v in dataclasses.astuple(case)),
                str(number))

    def read_done(self):
        environment_path = self.csv_path.with_suffix(".json")
        if not self.csv_path.exists():
            environment_path.write_text(
                json.dumps(self.environment, indent=2) + "\n")
            return
        before = json.loads(environment_path.read_text())
        for name in ("commit", "preset", "cpu", "kernel"):
            if before[name] != self.environment[name]:
                sys.exit(f"{self.csv_path} is of another {name}; remove it, "
                         "or name another file with --csv")
        before["rounds"] = max(before["rounds"], self.rounds)
        environment_path.write_text(json.dumps(before, indent=2) + "\n")
        fields = [f.name for f in dataclasses.fields(Case)]
        with open(self.csv_path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                self.done.add((row["engine"], *(row[f] for f in fields),
                               row["round"]))

    def write(self, row: dict):
        is_new = not self.csv_path.exists()
        with open(self.csv_path, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if is_new:
                writer.writeheader()
            writer.writerow({c: row.get(c, "") for c in COLUMNS})

    # --- the environment

    def look_around(self, preset_name: str) -> dict:
        def output(*command):
            done = subprocess.run(command, capture_output=True, text=True,
                                  check=False)
            return done.stdout.strip()

        here = pathlib.Path(__file__).resolve().parent
        self.work.mkdir(parents=True, exist_ok=True)
        cpu = [line.split(":")[1].strip() for line in open(
            "/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")]
        # What tools/bench itself replaces is not a change.
        changed = output("git", "-C", here, "status", "--porcelain",
                         "--untracked-files=no", "--", ":/",
                         ":(top,exclude)bench/results",
                         ":(top,exclude)bench/report.*")
        return {
            "preset": preset_name,
            "rounds": self.rounds,
            "seconds": self.preset.seconds,
            "fill_seconds": self.preset.fill_seconds,
            "date": datetime.date.today().isoformat(),
            "commit": output("git", "-C", here, "rev-parse", "--short=12",
                             "HEAD") + (" and changes" if changed else ""),
            "cpu": cpu[0] if cpu else platform.machine(),
            "cores": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE")
            * os.sysconf("SC_PHYS_PAGES"),
            "kernel": platform.release(),
            "file_system": output("findmnt", "-no", "FSTYPE,OPTIONS", "-T",
                                  str(self.work)),
            "limit": self.limit.problem or "memory cgroup",
            "engines": self.engines,
            "workloads": self.listing["workloads"],
        }


COLUMNS = [
    "engine", "workload", "keys", "value_size", "threads", "limited", "round",
    "error", "rate", "other_rate", "seconds", "operations", "calls", "p50_ns",
    "p99_ns", "p999_ns", "p9999_ns", "max_ns", "open_seconds",
    "anonymous_bytes", "cached_bytes", "disk_bytes", "logical_bytes",
    "written_bytes", "put_bytes", "audited", "wrong", "acknowledged", "lost",
    "latency_ns"]


def describe(row: dict) -> str:
    if row["error"]:
        return f"FAILED: {row['error']}"
    if row["workload"] == "reopen":
        return f"{row['open_seconds']:.3f} s"
    if row["workload"] == "kill":
        return (f"{row['open_seconds']:.3f} s, {row['lost']} of "
                f"{row['acknowledged']} lost")
    return f"{1e9 / row['rate']:.0f} ns"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", required=True, help="compare_bench")
    parser.add_argument("--preset", default="short",
                        choices=["short", "bars", "threads", "large",
                                 "values", "full", "smoke"])
    parser.add_argument("--csv", required=True)
    parser.add_argument("--directory", required=True,
                        help="where the stores go")
    parser.add_argument("--rounds", type=int, help="instead of the preset's")
    parser.add_argument("--engines", nargs="*", help="only these")
    parser.add_argument("--stop-after", type=float, metavar="SECONDS",
                        help="stop between two runs; call again to go on")
    parser.add_argument("--load", action="store_true",
                        help="only make the stores to begin with, and keep "
                        "them")
    parser.add_argument("--keep", action="store_true",
                        help="leave the stores to begin with, for later calls")
    arguments = parser.parse_args()
    runner = Runner(arguments)
    try:
        if arguments.load:
            runner.load_all()
        elif not runner.run():
            print("stopped; call again to go on")
    finally:
        runner.limit.close()
        if not (arguments.keep or arguments.load):
            shutil.rmtree(arguments.directory, ignore_errors=True)


if __name__ == "__main__":
    main()
