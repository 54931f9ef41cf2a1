"""Charts of the comparison's report as inline SVG. Colours are CSS classes, so
that one drawing serves a light and a dark page. Pure functions."""

import dataclasses
import html
import math


@dataclasses.dataclass
class Bar:
    label: str
    value: float
    low: float
    high: float
    css: str  # class of its colour
    text: str  # beside the bar
    second: float = 0  # of a stacked bar: what follows `value`


@dataclasses.dataclass
class Line:
    label: str
    points: list  # of (x, y)
    css: str


ROW = 22
LABEL_WIDTH = 104
TEXT_WIDTH = 78
WIDTH = 460


def text(x, y, content, css="", anchor="start") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
            f'class="{css}">{html.escape(content)}</text>')


def rect(x, y, width, height, css, title="") -> str:
    inner = f"<title>{html.escape(title)}</title>" if title else ""
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" '
            f'height="{height}" rx="2" class="{css}">{inner}</rect>')


def line(x1, y1, x2, y2, css) -> str:
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'class="{css}"/>')


def svg(width, height, parts, label) -> str:
    return (f'<svg viewBox="0 0 {width} {height:.0f}" role="img" '
            f'aria-label="{html.escape(label)}">' + "".join(parts) + "</svg>")


def si(value: float) -> str:
    """A number with three digits and k, M or G."""
    for factor, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor * 0.9995:
            return f"{value / factor:.3g}{name}"
    return f"{value:.3g}"


def seconds(value: float) -> str:
    for factor, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor * 0.9995:
            return f"{value / factor:.3g} {name}"
    return f"{value * 1e9:.3g} ns"


def log_scale(low, high, begin, end):
    """Maps [low, high] to [begin, end]; and the powers of ten within."""
    bottom = math.floor(math.log10(low) + 1e-9)
    # A bar must be seen to begin: a third of a decade before the least.
    if math.log10(low) - bottom < 0.33:
        bottom -= 0.5
    top = math.log10(high) + 0.05
    span = max(top - bottom, 0.5)

    def scale(value):
        at = (math.log10(max(value, 10 ** bottom)) - bottom) / span
        return begin + at * (end - begin)

    ticks = [10 ** e for e in range(math.ceil(bottom), math.floor(top) + 1)]
    return scale, ticks


def linear_scale(high, begin, end):
    step = 10 ** math.floor(math.log10(high))
    step = next(s for s in (step / 5, step / 2, step, 2 * step)
                if high / s <= 6)

    def scale(value):
        return begin + value / high * (end - begin)

    return scale, [i * step for i in range(int(high / step) + 1)]


def bars(label: str, rows: list, tick_text=si, log=True, mark=None) -> str:
    """Horizontal bars, with a whisker from the least to the greatest. `mark`
    is a value at which a line is drawn."""
    left, right = LABEL_WIDTH, WIDTH - TEXT_WIDTH
    high = max(max(r.high, r.value + r.second) for r in rows)
    if log:
        scale, ticks = log_scale(min(r.low for r in rows), high, left, right)
    else:
        scale, ticks = linear_scale(max(high, mark or 0), left, right)
    bottom = len(rows) * ROW + 4
    parts = []
    for tick in ticks:
        parts.append(line(scale(tick), 0, scale(tick), bottom, "grid"))
        parts.append(text(scale(tick), bottom + 14, tick_text(tick), "tick",
                          "middle"))
    for i, row in enumerate(rows):
        y = i * ROW + 4
        emphasis = "peat-name" if row.css == "peat" else "name"
        parts.append(text(left - 8, y + 12, row.label, emphasis, "end"))
        x = scale(row.value)
        parts.append(rect(left, y, x - left, 16, row.css,
                          f"{row.label}: {row.text}"))
        if row.second:
            parts.append(rect(x + 1, y, scale(row.value + row.second) - x - 1,
                              16, row.css + " faint"))
            x = scale(row.value + row.second)
        if row.high > row.low:
            parts.append(line(scale(row.low), y + 8, scale(row.high), y + 8,
                              "whisker"))
            for end in (row.low, row.high):
                parts.append(line(scale(end), y + 4, scale(end), y + 12,
                                  "whisker"))
        parts.append(text(max(x, scale(row.high)) + 6, y + 12, row.text,
                          "value"))
    if mark:
        parts.append(line(scale(mark), 0, scale(mark), bottom, "mark"))
    return svg(WIDTH, bottom + 20, parts, label)


def spread(wanted: list, gap: float, low: float, high: float) -> list:
    """Moves positions apart to `gap`, in their order, within bounds."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [0.0] * len(wanted)
    last = low - gap
    for i in order:
        last = max(wanted[i], last + gap)
        placed[i] = last
    over = last - high
    for i in reversed(order):
        if over <= 0:
            break
        placed[i] = min(placed[i], high)
        high -= gap
    return placed


def percentiles(label: str, lines: list) -> str:
    """Latencies by percentile. x of a point is its fraction, 0 to 1; y is
    seconds."""
    height, left, right, top, bottom = 300, 52, WIDTH - 96, 8, 268
    deepest = 5  # powers of ten of what is above

    def across(fraction):
        depth = min(-math.log10(max(1 - fraction, 10 ** -deepest)), deepest)
        return left + depth / deepest * (right - left)

    low = min(y for entry in lines for _, y in entry.points)
    high = max(y for entry in lines for _, y in entry.points)
    scale, ticks = log_scale(low, high, bottom, top)
    parts = []
    for tick in ticks:
        parts.append(line(left, scale(tick), right, scale(tick), "grid"))
        parts.append(text(left - 6, scale(tick) + 4, seconds(tick), "tick",
                          "end"))
    for depth in range(deepest + 1):
        fraction = 1 - 10 ** -depth
        name = "0" if depth == 0 else f"{100 * fraction:.6g}"
        parts.append(text(across(fraction), bottom + 18, name + "%", "tick",
                          "middle"))
    ends = spread([scale(e.points[-1][1]) for e in lines], 14, top + 4, bottom)
    for entry, y in zip(lines, ends):
        path = " ".join(f"{across(x):.1f},{scale(v):.1f}"
                        for x, v in entry.points)
        title = f"<title>{html.escape(entry.label)}</title>"
        parts.append(f'<polyline points="{path}" class="line {entry.css}">'
                     f"{title}</polyline>")
        last = scale(entry.points[-1][1])
        parts.append(line(right + 1, last, right + 10, y, "leader"))
        parts.append(text(right + 13, y + 4, entry.label,
                          "end-name " + entry.css))
    return svg(WIDTH, height, parts, label)
