#!/usr/bin/env python3
"""From the CSV files of run.py: a page with charts, and tables in Markdown.

The page is one file without references: charts are SVG in it.
"""

import argparse
import collections
import csv
import html
import json
import pathlib
import statistics

import charts

TITLES = {
    "fill": "Fill, one put at a time",
    "fill-batch": "Fill in batches of 100",
    "overwrite": "Overwrite",
    "get": "Get, key is there",
    "miss": "Get, key is not there",
    "multi-get": "Get of 64 at once",
    "ycsb-a": "YCSB A: half reads, half updates",
    "ycsb-b": "YCSB B: 95 % reads",
    "ycsb-c": "YCSB C: reads",
    "ycsb-d": "YCSB D: reads of the latest, 5 % inserts",
    "ycsb-e": "YCSB E: pairs, ranges of 1 to 100",
    "ycsb-f": "YCSB F: half reads, half read-modify-writes",
    "dedup": "Dedup: put if absent, 90 % duplicates",
    "counters": "Counters: read, add one, write",
    "durable": "Durable put: each survives power loss",
    "mixed": "Gets beside a thread that overwrites",
    "reopen": "Open after a clean close",
    "kill": "Open after kill -9",
}
# What Peat is held to: its rate over the best peer's that survives kill -9.
BARS = {"fill": 2, "overwrite": 2, "get": 2, "miss": 2, "multi-get": 3,
        "ycsb-a": 2, "ycsb-b": 2, "ycsb-c": 2, "ycsb-d": 2, "ycsb-f": 2,
        "dedup": 2}
DISTRIBUTIONS = ["get", "overwrite", "ycsb-a", "fill", "mixed", "durable"]
NOT_ENGINES = ("nothing", "floor")


class Results:
    """Rows by (workload, keys, value_size, threads, limited) and engine."""

    def __init__(self, path: pathlib.Path):
        self.environment = json.loads(path.with_suffix(".json").read_text())
        self.infos = {e["name"]: e for e in self.environment["engines"]}
        self.groups = collections.defaultdict(
            lambda: collections.defaultdict(list))
        self.failures = []
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["error"]:
                    self.failures.append(row)
                    continue
                group = (row["workload"], int(row["keys"]),
                         int(row["value_size"]), int(row["threads"]),
                         row["limited"] == "True")
                self.groups[group][row["engine"]].append(row)
        self.keys = min((g[1] for g in self.groups), default=0)

    def group(self, workload, threads=1, limited=False, keys=None, size=100):
        found = self.groups.get(
            (workload, keys or self.keys, size, threads, limited), {})
        return {name: rows for name, rows in found.items()
                if name in self.infos}

    def css(self, engine: str) -> str:
        info = self.infos[engine]
        if engine == "Peat":
            return "peat"
        if info["survives"] != "kill -9":
            return "memory" if info["survives"] == "nothing" else "undefined"
        return "verified" if info["verified"] else "unverified"

    def survivors(self, group: dict) -> list:
        return [name for name in group
                if self.infos[name]["survives"] == "kill -9"
                and name not in ("Peat", "floor")]


def numbers(rows: list, column: str) -> list:
    return [float(row[column]) for row in rows]


def median(rows: list, column: str) -> float:
    return statistics.median(numbers(rows, column))


def per_key(rows: list, column: str) -> float:
    """Of a run, for each pair in its store at the end."""
    return statistics.median(
        float(r[column]) / (float(r["logical_bytes"]) / (16 + float(
            r["value_size"]))) for r in rows)


def ratio(rows: list, above: str, below: str) -> float:
    return statistics.median(float(r[above]) / max(float(r[below]), 1)
                             for r in rows)


def unfinished(rows: list, workload: str, keys: int) -> bool:
    return workload.startswith("fill") and min(
        numbers(rows, "operations")) < keys


# --- charts


def rate_chart(results: Results, workload: str, group: dict, keys: int) -> str:
    rows = []
    for name, runs in group.items():
        if name == "nothing":
            continue
        rates = numbers(runs, "rate")
        middle = statistics.median(rates)
        star = " *" if unfinished(runs, workload, keys) else ""
        rows.append(charts.Bar(name, middle, min(rates), max(rates),
                               results.css(name),
                               charts.si(middle) + "/s" + star))
    rows.sort(key=lambda r: -r.value)
    return charts.bars(TITLES[workload], rows)


def open_chart(results: Results, workload: str) -> str:
    rows = []
    for name, runs in results.group(workload).items():
        # What the clock cannot tell from nothing is shown as 0.1 ms.
        times = [max(t, 1e-4) for t in numbers(runs, "open_seconds")]
        middle = statistics.median(times)
        rows.append(charts.Bar(name, middle, min(times), max(times),
                               results.css(name), charts.seconds(middle)))
    rows.sort(key=lambda r: r.value)
    return charts.bars(TITLES[workload], rows, tick_text=charts.seconds)


def memory_chart(results: Results) -> str:
    rows = []
    for name, runs in results.group("get").items():
        if name in NOT_ENGINES:
            continue
        own = per_key(runs, "anonymous_bytes")
        cached = per_key(runs, "cached_bytes")
        rows.append(charts.Bar(name, own, own, own, results.css(name),
                               f"{own:.0f} + {cached:.0f}", cached))
    rows.sort(key=lambda r: r.value + r.second)
    return charts.bars("Memory a key", rows, log=False, mark=116)


def ratio_chart(results: Results, workload: str, above: str, below: str,
                log=False) -> str:
    rows = []
    for name, runs in results.group(workload).items():
        if name in NOT_ENGINES or results.infos[name]["survives"] == "nothing":
            continue
        values = [float(r[above]) / max(float(r[below]), 1) for r in runs]
        middle = statistics.median(values)
        rows.append(charts.Bar(name, middle, min(values), max(values),
                               results.css(name), f"{middle:.2f}"))
    rows.sort(key=lambda r: r.value)
    return charts.bars(f"{above} over {below}", rows, log=log, mark=1,
                       tick_text=lambda v: f"{v:g}")


def latency_chart(results: Results, workload: str, threads: int) -> str:
    lines = []
    names = [n for n in results.infos if n not in ("nothing",)]
    for name, runs in results.group(workload, threads).items():
        if name == "nothing":
            continue
        points = collections.defaultdict(list)
        for row in runs:
            for pair in row["latency_ns"].split():
                fraction, nanoseconds = pair.split(":")
                # Beyond one over the calls there is only the maximum, and
                # beyond 99.999 % no room.
                above = 1 - float(fraction)
                if above >= max(1 / float(row["calls"]), 0.99e-5):
                    points[float(fraction)].append(float(nanoseconds) / 1e9)
        entries = [(f, max(statistics.median(v), 1e-9))
                   for f, v in sorted(points.items())]
        if entries:
            css = "peat" if name == "Peat" else f"c{names.index(name)}"
            lines.append(charts.Line(name, entries, css))
    lines.sort(key=lambda e: e.css == "peat")  # Peat's on top
    return charts.percentiles(TITLES[workload], lines)


# --- tables, as lists of rows of cells; the first is the header


def bar_table(results: Results) -> list:
    table = [["work", "Peat", "best peer that survives kill -9", "ratio",
              "wanted", "met"]]

    def add(work, ours, theirs, value, wanted, at_most=False):
        met = value <= wanted if at_most else value >= wanted
        table.append([work, ours, theirs, f"{value:.2f}",
                      ("at most " if at_most else "") + f"{wanted:g}",
                      "yes" if met else "no"])

    def rate(workload, wanted, threads=1, only=None):
        group = results.group(workload, threads)
        peers = only or results.survivors(group)
        peers = [p for p in peers if p in group]
        if "Peat" not in group or not peers:
            return
        best = max(peers, key=lambda p: median(group[p], "rate"))
        theirs = median(group[best], "rate")
        ours = median(group["Peat"], "rate")
        work = TITLES[workload] + (f", {threads} threads" if threads > 1
                                   else "")
        add(work, charts.si(ours) + "/s", f"{best} {charts.si(theirs)}/s",
            ours / theirs, wanted)

    for workload, wanted in BARS.items():
        rate(workload, wanted)
    rate("ycsb-e", 0.7, only=["LMDB"])
    rate("durable", 0.95, only=["floor"])
    rate("durable", 1)
    rate("durable", 1.3, threads=8)
    killed, clean = results.group("kill"), results.group("reopen")
    if "Peat" in killed and results.survivors(clean):
        best = min(results.survivors(clean),
                   key=lambda p: median(clean[p], "open_seconds"))
        ours = median(killed["Peat"], "open_seconds")
        add(TITLES["kill"], charts.seconds(ours),
            f"(wanted: below 0.3 s; {best} after a clean close "
            + charts.seconds(median(clean[best], "open_seconds")) + ")",
            ours / 0.3, 1, at_most=True)
    return table


def rate_table(results: Results) -> list:
    engines = [n for n in results.infos if n not in NOT_ENGINES]
    table = [["a second, one thread", *engines]]
    for workload in TITLES:
        threads = 2 if workload == "mixed" else 1
        group = results.group(workload, threads)
        if not group or workload in ("reopen", "kill"):
            continue
        cells = [TITLES[workload]]
        for name in engines:
            runs = group.get(name)
            star = "*" if runs and unfinished(runs, workload,
                                              results.keys) else ""
            cells.append(charts.si(median(runs, "rate")) + star if runs
                         else "–")
        table.append(cells)
    return table


def state_table(results: Results) -> list:
    """What is not a rate: memory, disk, opening, what a kill leaves."""
    table = [["engine", "survives kill -9", "verified on read",
              "lost of acknowledged, kills", "own memory a key, bytes",
              "files in page cache a key", "disk over pairs, filled",
              "write amplification, overwrite", "open, clean",
              "open, killed"]]
    groups = {w: results.group(w) for w in ("get", "fill-batch", "overwrite",
                                            "reopen", "kill")}
    for name, info in results.infos.items():
        if name in NOT_ENGINES:
            continue
        runs = {w: g.get(name) for w, g in groups.items()}
        killed = runs["kill"]
        table.append([
            name,
            {"kill -9": "yes", "undefined": "no promise",
             "nothing": "no"}[info["survives"]],
            "yes" if info["verified"] else "no",
            f"{sum(numbers(killed, 'lost')):.0f} of "
            f"{sum(numbers(killed, 'acknowledged')):.0f}, {len(killed)}"
            if killed else "–",
            f"{per_key(runs['get'], 'anonymous_bytes'):.1f}"
            if runs["get"] else "–",
            f"{per_key(runs['get'], 'cached_bytes'):.0f}"
            if runs["get"] else "–",
            f"{ratio(runs['fill-batch'], 'disk_bytes', 'logical_bytes'):.2f}"
            if runs["fill-batch"] and info["survives"] != "nothing" else "–",
            f"{ratio(runs['overwrite'], 'written_bytes', 'put_bytes'):.2f}"
            if runs["overwrite"] and info["survives"] != "nothing" else "–",
            charts.seconds(median(runs["reopen"], "open_seconds"))
            if runs["reopen"] else "–",
            charts.seconds(median(killed, "open_seconds"))
            if killed else "–"])
    return table


def driver_table(results: Results) -> list:
    table = [["ns an operation", "driver alone", "fastest engine", "share"]]
    for workload in TITLES:
        threads = 2 if workload == "mixed" else 1
        group = dict(results.group(workload, threads))
        runs = group.pop("nothing", None)
        rates = {n: median(r, "rate") for n, r in group.items()}
        if not runs or not rates or workload == "mixed":
            continue
        best = max(rates, key=rates.get)
        own = 1e9 / median(runs, "rate")
        table.append([TITLES[workload], f"{own:.0f}",
                      f"{best} {1e9 / rates[best]:.0f}",
                      f"{100 * own * rates[best] / 1e9:.0f} %"])
    return table


def promise_table(results: Results) -> list:
    return [["engine", "version", "after power loss is there",
             "verified on read", "settings, and why"]] + [
        [n, i["version"], i["power_loss"], i["checks"], i["settings"]]
        for n, i in results.infos.items() if n not in NOT_ENGINES]


def markdown(table: list) -> str:
    align = ["---"] + ["--:"] * (len(table[0]) - 1)
    return "\n".join("| " + " | ".join(row) + " |"
                     for row in [table[0], align, *table[1:]]) + "\n"


def html_table(table: list, css="") -> str:
    def cells(row, tag):
        return "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in row)
    body = "".join(
        f'<tr{" class=us" if row[0] == "Peat" else ""}>{cells(row, "td")}</tr>'
        for row in table[1:])
    return (f'<div class="scroll"><table class="{css}"><thead><tr>'
            f'{cells(table[0], "th")}</tr></thead><tbody>{body}</tbody>'
            "</table></div>")


# --- the page


def panel(title: str, chart: str, note="") -> str:
    return (f'<figure><figcaption>{html.escape(title)}'
            f'{" <small>" + html.escape(note) + "</small>" if note else ""}'
            f"</figcaption>{chart}</figure>")


def machine(environment: dict) -> str:
    return (f"{environment['cpu']}, {environment['cores']} cores, "
            f"{environment['memory_bytes'] / 2**30:.0f} GiB, Linux "
            f"{environment['kernel']}, "
            f"{environment['file_system'].split()[0]}, commit "
            f"{environment['commit']}, {environment['date']}")


def rate_panels(results: Results) -> str:
    panels = []
    keys = sorted({(g[1], g[2]) for g in results.groups})
    for group_keys, size in keys:
        for workload in TITLES:
            for threads in (1, 2, 8):
                group = results.group(workload, threads, keys=group_keys,
                                      size=size)
                if not group or workload in ("reopen", "kill"):
                    continue
                notes = []
                if threads > 1 and workload != "mixed":
                    notes.append(f"{threads} threads")
                if len(keys) > 1:
                    notes.append(f"{charts.si(group_keys)} keys, {size} bytes")
                panels.append(panel(
                    TITLES[workload],
                    rate_chart(results, workload, group, group_keys),
                    ", ".join(notes)))
        limited = results.group("get", limited=True, keys=group_keys,
                                size=size)
        if limited:
            panels.append(panel(
                "Get, memory for half of the pairs",
                rate_chart(results, "get", limited, group_keys),
                "memory cgroup of 32 MiB and half of the pairs"))
    return "".join(panels)


def page(results: Results, template: str) -> str:
    latencies = []
    for workload in DISTRIBUTIONS:
        threads = 2 if workload == "mixed" else 1
        if results.group(workload, threads):
            latencies.append(panel(TITLES[workload],
                                   latency_chart(results, workload, threads)))
    state = []
    if results.group("get"):
        state.append(panel("Memory a key, bytes", memory_chart(results),
                           "full: the engine's own; pale: its files in the "
                           "page cache; line: a pair's 116 bytes"))
    for title, work, above, below, log in (
            ("Disk over pairs, after filling", "fill-batch", "disk_bytes",
             "logical_bytes", False),
            ("Written over put, overwrites", "overwrite", "written_bytes",
             "put_bytes", True)):
        if results.group(work):
            state.append(panel(title, ratio_chart(results, work, above, below,
                                                  log)))
    for work in ("reopen", "kill"):
        if results.group(work):
            state.append(panel(TITLES[work], open_chart(results, work),
                               "until the first get has returned"))
    failures = "".join(
        f"<li>{html.escape(r['engine'])}, {html.escape(r['workload'])}, round "
        f"{int(r['round']) + 1}: {html.escape(r['error'])}</li>"
        for r in results.failures)
    environment = results.environment
    fields = {
        "machine": html.escape(machine(environment)),
        "conditions": (
            f"{charts.si(results.keys)} keys of 16 bytes, values of 100; "
            f"{environment['rounds']} rounds; a loop lasts "
            f"{environment['seconds']:g} s at most, a fill "
            f"{environment['fill_seconds']:g} s"),
        "limit": html.escape(environment["limit"]),
        "bars": html_table(bar_table(results), "bars"),
        "rates": rate_panels(results),
        "latencies": "".join(latencies),
        "state": "".join(state),
        "states": html_table(state_table(results)),
        "driver": html_table(driver_table(results)),
        "promises": html_table(promise_table(results), "prose"),
        "failures": f"<ul>{failures}</ul>" if failures else "<p>None.</p>",
    }
    for name, content in fields.items():
        template = template.replace("{{" + name + "}}", content)
    return template


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=pathlib.Path)
    parser.add_argument("--html", type=pathlib.Path)
    parser.add_argument("--markdown", type=pathlib.Path)
    arguments = parser.parse_args()
    results = Results(arguments.csv)
    if arguments.html:
        template = pathlib.Path(__file__).with_name("report_template.html")
        arguments.html.write_text(
            page(results, template.read_text(encoding="utf-8")),
            encoding="utf-8")
    tables = (f"{machine(results.environment)}\n\n"
              + markdown(bar_table(results)) + "\n"
              + markdown(rate_table(results)) + "\n"
              + markdown(state_table(results)) + "\n"
              + markdown(driver_table(results)))
    if arguments.markdown:
        arguments.markdown.write_text(tables, encoding="utf-8")
    else:
        print(tables)


if __name__ == "__main__":
    main()
