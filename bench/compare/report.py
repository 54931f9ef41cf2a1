#!/usr/bin/env python3
"""From the CSV files of run.py: a page with charts, and tables in Markdown.

Each number of keys and size of values is a chapter of its own, in the order of
the files. The page is one file without references: charts are SVG in it.
"""

import argparse
import collections
import csv
import html
import itertools
import json
import pathlib
import re
import statistics
import sys

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


def machine(environment: dict) -> str:
    return (f"{environment['cpu']}, {environment['cores']} cores, "
            f"{environment['memory_bytes'] / 2**30:.0f} GiB, Linux "
            f"{environment['kernel']}, "
            f"{environment['file_system'].split()[0]}")


class Chapter:
    """Rows of stores of one size, by (workload, threads, limited) and engine."""

    def __init__(self, environment: dict, keys: int, value_size: int):
        self.environment = environment
        self.infos = {e["name"]: e for e in environment["engines"]}
        self.keys = keys
        self.value_size = value_size
        self.groups = collections.defaultdict(
            lambda: collections.defaultdict(list))

    @property
    def threads(self) -> int:
        """The fewest that anything was done by: one, or it was left out."""
        return min(threads for _, threads, _ in self.groups)

    @property
    def title(self) -> str:
        return (f"{charts.si(self.keys)} keys of 16 bytes, values of "
                f"{self.value_size:,}"
                + (f", {self.threads} threads" if self.threads > 1 else ""))

    def main_group(self, workload) -> dict:
        return self.group(workload,
                          2 if workload == "mixed" else self.threads)

    @property
    def conditions(self) -> str:
        environment = self.environment
        return (f"{machine(environment)}, {environment['date']}, commit "
                f"{environment['commit']}; "
                f"{environment['rounds']} "
                f"round{'s' if environment['rounds'] > 1 else ''}; a loop "
                f"lasts {environment['seconds']:g} s at most, a fill "
                f"{environment['fill_seconds']:g} s")

    def group(self, workload, threads=1, limited=False) -> dict:
        return self.groups.get((workload, threads, limited), {})

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


def read(path: pathlib.Path, failures: list) -> list:
    """The chapters of one file; what failed is added to `failures`."""
    environment = json.loads(path.with_suffix(".json").read_text())
    chapters = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["error"]:
                failures.append(row)
                continue
            size = int(row["keys"]), int(row["value_size"])
            chapter = chapters.setdefault(size, Chapter(environment, *size))
            group = (row["workload"], int(row["threads"]),
                     row["limited"] == "True")
            chapter.groups[group][row["engine"]].append(row)
    return list(chapters.values())


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


def rate_chart(chapter: Chapter, workload: str, group: dict) -> str:
    rows = []
    for name, runs in group.items():
        if name == "nothing":
            continue
        rates = numbers(runs, "rate")
        middle = statistics.median(rates)
        star = " *" if unfinished(runs, workload, chapter.keys) else ""
        rows.append(charts.Bar(name, middle, min(rates), max(rates),
                               chapter.css(name),
                               charts.si(middle) + "/s" + star))
    rows.sort(key=lambda r: -r.value)
    return charts.bars(TITLES[workload], rows)


def open_chart(chapter: Chapter, workload: str) -> str:
    rows = []
    for name, runs in chapter.main_group(workload).items():
        # What the clock cannot tell from nothing is shown as 0.1 ms.
        times = [max(t, 1e-4) for t in numbers(runs, "open_seconds")]
        middle = statistics.median(times)
        rows.append(charts.Bar(name, middle, min(times), max(times),
                               chapter.css(name), charts.seconds(middle)))
    rows.sort(key=lambda r: r.value)
    return charts.bars(TITLES[workload], rows, tick_text=charts.seconds)


def memory_chart(chapter: Chapter) -> str:
    rows = []
    for name, runs in chapter.main_group("get").items():
        if name in NOT_ENGINES:
            continue
        own = per_key(runs, "anonymous_bytes")
        cached = per_key(runs, "cached_bytes")
        rows.append(charts.Bar(name, own, own, own, chapter.css(name),
                               f"{own:.0f} + {cached:.0f}", cached))
    rows.sort(key=lambda r: r.value + r.second)
    return charts.bars("Memory a key", rows, log=False,
                       mark=16 + chapter.value_size)


def ratio_chart(chapter: Chapter, workload: str, above: str, below: str,
                log=False) -> str:
    rows = []
    for name, runs in chapter.main_group(workload).items():
        if name in NOT_ENGINES or chapter.infos[name]["survives"] == "nothing":
            continue
        values = [float(r[above]) / max(float(r[below]), 1) for r in runs]
        middle = statistics.median(values)
        rows.append(charts.Bar(name, middle, min(values), max(values),
                               chapter.css(name), f"{middle:.2f}"))
    rows.sort(key=lambda r: r.value)
    return charts.bars(f"{above} over {below}", rows, log=log, mark=1,
                       tick_text=lambda v: f"{v:g}")


def median_latencies(runs: list) -> list:
    """Pairs of a fraction of the calls and the seconds that these take."""
    # Beyond one over the calls there is only the maximum, and beyond 99.999 %
    # no room. As far as all runs go: medians of different runs need not ascend.
    beyond = max(0.99e-5, *(1 / float(row["calls"]) for row in runs))
    points = collections.defaultdict(list)
    for row in runs:
        for pair in row["latency_ns"].split():
            fraction, nanoseconds = pair.split(":")
            if 1 - float(fraction) >= beyond:
                points[float(fraction)].append(float(nanoseconds) / 1e9)
    return [(fraction, max(statistics.median(values), 1e-9))
            for fraction, values in sorted(points.items())]


def latency_chart(chapter: Chapter, workload: str) -> str:
    lines = []
    names = [n for n in chapter.infos if n not in ("nothing",)]
    for name, runs in chapter.main_group(workload).items():
        if name == "nothing":
            continue
        entries = median_latencies(runs)
        if entries:
            css = "peat" if name == "Peat" else f"c{names.index(name)}"
            lines.append(charts.Line(name, entries, css))
    lines.sort(key=lambda e: e.css == "peat")  # Peat's on top
    return charts.percentiles(TITLES[workload], lines)


def title(workload: str, threads: int) -> str:
    # "mixed" says so itself.
    return TITLES[workload] + (f", {threads} threads"
                               if threads > 1 and workload != "mixed" else "")


# --- tables, as lists of rows of cells; the first is the header


def bar_table(chapter: Chapter) -> list:
    table = [["work", "Peat", "best peer that survives kill -9", "ratio",
              "wanted", "met"]]

    def add(work, ours, theirs, value, wanted, at_most=False):
        judged = ["–", "–"]
        if wanted is not None:
            met = value <= wanted if at_most else value >= wanted
            judged = [("at most " if at_most else "") + f"{wanted:g}",
                      "yes" if met else "no"]
        table.append([work, ours, theirs, f"{value:.2f}", *judged])

    def rate(workload, wanted=None, threads=1, only=None):
        group = chapter.group(workload, threads)
        peers = only or chapter.survivors(group)
        peers = [p for p in peers if p in group]
        if "Peat" not in group or not peers:
            return
        best = max(peers, key=lambda p: median(group[p], "rate"))
        theirs = median(group[best], "rate")
        ours = median(group["Peat"], "rate")
        add(title(workload, threads), charts.si(ours) + "/s", f"{best} {charts.si(theirs)}/s",
            ours / theirs, wanted)

    for workload, wanted in BARS.items():
        rate(workload, wanted)
    rate("ycsb-e", 0.7, only=["LMDB"])
    rate("durable", 0.95, only=["floor"])
    rate("durable", 1)
    rate("durable", 1.3, threads=8)
    killed, clean = chapter.group("kill"), chapter.group("reopen")
    if "Peat" in killed and chapter.survivors(clean):
        best = min(chapter.survivors(clean),
                   key=lambda p: median(clean[p], "open_seconds"))
        ours = median(killed["Peat"], "open_seconds")
        add(TITLES["kill"], charts.seconds(ours),
            f"(wanted: below 0.3 s; {best} after a clean close "
            + charts.seconds(median(clean[best], "open_seconds")) + ")",
            ours / 0.3, 1, at_most=True)
    for workload in [*BARS, "ycsb-e"]:
        rate(workload, threads=2)
    return table


def rate_table(chapter: Chapter) -> list:
    engines = [n for n in chapter.infos if n not in NOT_ENGINES]
    table = [["a second", *engines]]
    for threads, workload in itertools.product((1, 2, 8), TITLES):
        group = chapter.group(workload, threads)
        if not group or workload in ("reopen", "kill"):
            continue
        cells = [title(workload, threads)]
        for name in engines:
            runs = group.get(name)
            star = "*" if runs and unfinished(runs, workload,
                                              chapter.keys) else ""
            cells.append(charts.si(median(runs, "rate")) + star if runs
                         else "–")
        table.append(cells)
    return table


def state_table(chapter: Chapter) -> list:
    """What is not a rate: memory, disk, opening, what a kill leaves."""
    table = [["engine", "survives kill -9", "verified on read",
              "lost of acknowledged, kills", "own memory a key, bytes",
              "files in page cache a key", "disk over pairs, filled",
              "write amplification, overwrite", "open, clean",
              "open, killed"]]
    groups = {w: chapter.main_group(w)
              for w in ("get", "fill-batch", "overwrite", "reopen", "kill")}
    for name, info in chapter.infos.items():
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


def driver_table(chapter: Chapter) -> list:
    table = [["ns an operation", "driver alone", "fastest engine", "share"]]
    for workload in TITLES:
        group = dict(chapter.main_group(workload))
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


def promise_table(chapter: Chapter) -> list:
    return [["engine", "version", "after power loss is there",
             "verified on read", "settings, and why"]] + [
        [n, i["version"], i["power_loss"], i["checks"], i["settings"]]
        for n, i in chapter.infos.items() if n not in NOT_ENGINES]


def markdown(table: list) -> str:
    align = ["---"] + ["--:"] * (len(table[0]) - 1)
    return "\n".join("| " + " | ".join(row) + " |"
                     for row in [table[0], align, *table[1:]]) + "\n"


def html_table(table: list, css="") -> str:
    if len(table) == 1:
        return "<p>Not measured.</p>"

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


def rate_panels(chapter: Chapter) -> str:
    panels = []
    for workload in TITLES:
        for threads in (1, 2, 8):
            group = chapter.group(workload, threads)
            if not group or workload in ("reopen", "kill"):
                continue
            note = ""
            if threads > 1 and workload != "mixed":
                note = f"{threads} threads"
            panels.append(panel(TITLES[workload],
                                rate_chart(chapter, workload, group), note))
    limited = chapter.group("get", limited=True)
    if limited:
        panels.append(panel(
            "Get, memory for half of the pairs",
            rate_chart(chapter, "get", limited),
            "memory cgroup of 32 MiB and half of the pairs"))
    return "".join(panels)


def latency_panels(chapter: Chapter) -> str:
    panels = []
    for workload in DISTRIBUTIONS:
        if chapter.main_group(workload):
            panels.append(panel(TITLES[workload],
                                latency_chart(chapter, workload)))
    return "".join(panels)


def state_panels(chapter: Chapter) -> str:
    panels = []
    if chapter.main_group("get"):
        pair = 16 + chapter.value_size
        panels.append(panel("Memory a key, bytes", memory_chart(chapter),
                            "full: the engine's own; pale: its files in the "
                            f"page cache; line: a pair's {pair:,} bytes"))
    for title, work, above, below, log in (
            ("Disk over pairs, after filling", "fill-batch", "disk_bytes",
             "logical_bytes", False),
            ("Written over put, overwrites", "overwrite", "written_bytes",
             "put_bytes", True)):
        if chapter.main_group(work):
            panels.append(panel(title, ratio_chart(chapter, work, above, below,
                                                   log)))
    for work in ("reopen", "kill"):
        if chapter.main_group(work):
            panels.append(panel(TITLES[work], open_chart(chapter, work),
                                "until the first get has returned"))
    return "".join(panels)


def filled(template: str, fields: dict) -> str:
    for name, content in fields.items():
        template = template.replace("{{" + name + "}}", content)
    return template


def section(chapter: Chapter, number: int, template: str) -> str:
    return filled(template, {
        "number": str(number),
        "title": html.escape(chapter.title),
        "conditions": html.escape(chapter.conditions),
        "bars": html_table(bar_table(chapter), "bars"),
        "rates": rate_panels(chapter),
        "latencies": latency_panels(chapter),
        "state": state_panels(chapter),
        "states": html_table(state_table(chapter)),
        "driver": html_table(driver_table(chapter)),
    })


def page(chapters: list, failures: list, template: str) -> str:
    before, repeated, after = re.split("<!-- (?:end of )?chapter -->\n",
                                       template)
    failed = "".join(
        f"<li>{html.escape(r['engine'])}, {html.escape(r['workload'])}, "
        f"{int(r['keys']):,} keys, round {int(r['round']) + 1}: "
        f"{html.escape(r['error'])}</li>" for r in failures)
    links = " · ".join(f'<a href="#chapter{i}">{html.escape(c.title)}</a>'
                       for i, c in enumerate(chapters))
    widest = max(chapters, key=lambda c: len(c.infos))
    return filled(
        before + "".join(section(c, i, repeated)
                         for i, c in enumerate(chapters)) + after, {
            "links": links,
            "limit": html.escape(widest.environment["limit"]),
            "promises": html_table(promise_table(widest), "prose"),
            "failures": f"<ul>{failed}</ul>" if failed else "<p>None.</p>",
        })


def tables(chapters: list) -> str:
    sections = []
    for chapter in chapters:
        sections.append(f"## {chapter.title}\n\n{chapter.conditions}.\n")
        for make in (bar_table, rate_table, state_table, driver_table):
            table = make(chapter)
            if len(table) > 1:
                sections.append(markdown(table))
    return "# Peat beside other engines\n\n" + "\n".join(sections)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", type=pathlib.Path, nargs="+")
    parser.add_argument("--html", type=pathlib.Path)
    parser.add_argument("--markdown", type=pathlib.Path)
    arguments = parser.parse_args()
    failures = []
    chapters = [chapter for path in arguments.csv
                for chapter in read(path, failures)]
    if not chapters:
        sys.exit("no run succeeded")
    if arguments.html:
        template = pathlib.Path(__file__).with_name("report_template.html")
        arguments.html.write_text(
            page(chapters, failures, template.read_text(encoding="utf-8")),
            encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(tables(chapters), encoding="utf-8")
    else:
        print(tables(chapters))


if __name__ == "__main__":
    main()
