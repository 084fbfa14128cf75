"""Lines over two axes as a small SVG. Its colours are readable on light and on dark pages, and it has no
background of its own."""
import html
import math

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 150, 36, 52  # on the right the names of the lines
GREY = "#7b828c"
COLOURS = ["#3b82f6", "#e0701a", "#22a06b", "#a56eff"]


class Axis:
    """From values to pixels. The ticks are the values where there are few, as given, or round numbers."""

    def __init__(self, values, is_log, first_px, last_px, ticks=None):
        self.is_log, self.first_px, self.last_px = is_log, first_px, last_px
        if is_log:
            self.low = 10 ** math.floor(math.log10(min(values)) + 1e-9) if ticks is None else min(values)
            self.high = 10 ** math.ceil(math.log10(max(values)) - 1e-9) if ticks is None else max(values)
            exponents = range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)
            self.ticks = ticks or [10.0 ** each for each in exponents]
        else:
            step = round_up(max(values) / 5)
            self.ticks = ticks or [step * i for i in range(math.ceil(max(values) / step) + 1)]
            self.low, self.high = self.ticks[0], self.ticks[-1]
        if self.low == self.high:
            self.high = self.low * 2 or 1

    def px(self, value):
        low, high = (math.log10(self.low), math.log10(self.high)) if self.is_log else (self.low, self.high)
        share = ((math.log10(value) if self.is_log else value) - low) / (high - low)
        return round(self.first_px + share * (self.last_px - self.first_px), 1)


def round_up(value):
    """The least of 1, 2, 5, 10, 20, ... that is not below."""
    power = 10 ** math.floor(math.log10(value))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= value * (1 - 1e-9))


def text(x, y, words, anchor="middle", colour=GREY, more=""):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}"{more}>{html.escape(words)}</text>'


def line(x1, y1, x2, y2, opacity):
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{GREY}" stroke-opacity="{opacity}"/>'


class Plot:
    def __init__(self, title, x_label, y_label, is_log_x=False, is_log_y=False):
        self.title, self.x_label, self.y_label = title, x_label, y_label
        self.is_log_x, self.is_log_y, self.lines = is_log_x, is_log_y, []

    def add(self, name, points):
        """`points` are (x, y), in order of x."""
        self.lines.append((name, points))

    def render(self):
        places = sorted({x for _, points in self.lines for x, _ in points})
        x_axis = Axis(places, self.is_log_x, LEFT, WIDTH - RIGHT, places)
        y_axis = Axis([y for _, points in self.lines for _, y in points], self.is_log_y, HEIGHT - BOTTOM, TOP)
        parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                 f'font-family="sans-serif" font-size="12" role="img">',
                 f"<title>{html.escape(self.title)}</title>",
                 text(LEFT, 20, self.title, "start", more=' font-weight="bold"')]
        for each in y_axis.ticks:
            y = y_axis.px(each)
            parts += [line(LEFT, y, WIDTH - RIGHT, y, 0.35), text(LEFT - 8, y + 4, f"{each:,.10g}", "end")]
        for each in x_axis.ticks:
            parts += [line(x_axis.px(each), HEIGHT - BOTTOM, x_axis.px(each), HEIGHT - BOTTOM + 5, 1),
                      text(x_axis.px(each), HEIGHT - BOTTOM + 20, f"{each:,.10g}")]
        parts += [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, self.x_label),
                  text(0, 0, self.y_label, more=f' transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)"')]
        parts += self.curves(x_axis, y_axis)
        return "\n".join(parts + ["</svg>"]) + "\n"

    def curves(self, x_axis, y_axis):
        """Each with its name behind its last point, or below the name that is there already."""
        names = []
        for number, (name, points) in enumerate(self.lines):
            colour = COLOURS[number % len(COLOURS)]
            spots = [(x_axis.px(x), y_axis.px(y)) for x, y in points]
            yield (f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
                   + " ".join(f"{x},{y}" for x, y in spots) + '"/>')
            yield from (f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in spots)
            names.append([spots[-1][1], name, colour])
        bottom = 0
        for y, name, colour in sorted(names):
            bottom = max(y, bottom + 15)
            yield text(WIDTH - RIGHT + 10, bottom + 4, name, "start", colour)

    def write(self, path):
        with open(path, "w") as out:
            out.write(self.render())
