"""Writes tables.rs, the constants of the logarithm.

    python3 -m venv /tmp/tables && /tmp/tables/bin/pip install mpmath
    /tmp/tables/bin/python make_tables.py && rustfmt tables.rs

The mantissa's range [LOW, 2 LOW) is cut into intervals of equal width in bits, of which one is centered on 1. Each has a
reciprocal of about its center and the logarithm of that reciprocal, negated. Of a thousand neighbours of the reciprocal
the one is taken whose logarithm is closest to a float: the rounding of the table then does not count. The polynomial is
the minimax one (Remez) of (ln(1 + f) - f) / f² for the relative error of ln(1 + f).
"""

import struct
from pathlib import Path

from mpmath import cos, fabs, linspace, log, log1p, lu_solve, matrix, mp, mpf, pi, polyval

mp.dps = 50
NEIGHBOURS = 500


class Format:
    """A binary float: its name in Rust, its stored mantissa bits, and the choice of table and polynomial."""

    def __init__(self, name, bits, mantissa, entries_log2, degree):
        self.name, self.size, self.mantissa = name, bits, mantissa
        self.entries, self.step, self.degree = 1 << entries_log2, mantissa - entries_log2, degree
        self.codes = ("<d", "<Q") if bits == 64 else ("<f", "<I")

    def round(self, x):
        """The nearest float; by way of f64 for f32, whose second rounding the search absorbs."""
        return struct.unpack(self.codes[0], struct.pack(self.codes[0], float(x)))[0]

    def bits(self, x):
        return struct.unpack(self.codes[1], struct.pack(self.codes[0], x))[0]

    def value(self, bits):
        return struct.unpack(self.codes[0], struct.pack(self.codes[1], bits))[0]

    def error(self, x):
        """Distance from the nearest float in units of its last place."""
        nearest = self.round(x)
        ulp = mpf(self.value(self.bits(abs(nearest)) + 1)) - mpf(abs(nearest))
        return fabs(x - mpf(nearest)) / ulp


def table(fmt):
    """(low, reciprocals, logarithms, range of f)"""
    low = fmt.bits(0.75) - (1 << fmt.step - 1)
    reciprocals, logarithms, ends = [], [], []
    for j in range(fmt.entries):
        first, last = (mpf(fmt.value(low + (i << fmt.step))) for i in (j, j + 1))
        r = 1.0
        if not first < 1 < last:
            middle = fmt.bits(fmt.round(2 / (first + last)))
            near = map(fmt.value, range(middle - NEIGHBOURS, middle + NEIGHBOURS))
            r = min(near, key=lambda r: fmt.error(-log(mpf(r))))
        reciprocals.append(r)
        logarithms.append(0.0 if r == 1.0 else fmt.round(-log(mpf(r))))
        ends += [first * mpf(r) - 1, last * mpf(r) - 1]
    return low, reciprocals, logarithms, (min(ends), max(ends))


def series(f):
    return (log1p(f) - f) / f**2 if fabs(f) > mpf(10) ** -15 else -mpf(1) / 2 + f / 3


def extrema(error, points):
    """Of each run of errors of one sign, the point of the largest."""
    found = []
    for x in points:
        e = error(x)
        if not found or (e > 0) != (found[-1][0] > 0):
            found.append((e, x))
        elif fabs(e) > fabs(found[-1][0]):
            found[-1] = (e, x)
    return found


def minimax(low, high, degree):
    """Coefficients, lowest first, and the largest error of the series times |f|."""
    count = degree + 2
    nodes = [(low + high) / 2 - (high - low) / 2 * cos(pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    for _ in range(12):
        system, values = matrix(count, count), matrix(count, 1)
        for row, x in enumerate(nodes):
            for column in range(degree + 1):
                system[row, column] = x**column
            system[row, degree + 1] = (-1) ** row / fabs(x)
            values[row] = series(x)
        coefficients = list(lu_solve(system, values))[: degree + 1]
        found = extrema(lambda x: (polyval(coefficients[::-1], x) - series(x)) * fabs(x), linspace(low, high, 1501))
        while len(found) > count:
            found.pop(0 if fabs(found[0][0]) < fabs(found[-1][0]) else -1)
        nodes = [x for _, x in found]
    return coefficients, max(fabs(e) for e, _ in found)


def rust(fmt):
    low, reciprocals, logarithms, (least, most) = table(fmt)
    coefficients, error = minimax(least, most, fmt.degree)

    def floats(values):
        return ", ".join(repr(v) for v in map(fmt.shortest, values))

    name = fmt.name
    return f"""
/// Bits of the lower end of the mantissa's range.
pub(crate) const LOW_{name}: u{fmt.size} = {low:#x};
/// The bits that hold a mantissa.
pub(crate) const MANTISSA_{name}: u{fmt.size} = {(1 << fmt.mantissa) - 1:#x};
/// Bits of the mantissa within an interval of the table.
pub(crate) const STEP_{name}: u32 = {fmt.step};
/// About 1/m for each interval of the mantissa m.
pub(crate) static RECIPROCALS_{name}: [{name.lower()}; {fmt.entries}] = [{floats(reciprocals)}];
/// -ln of each reciprocal.
pub(crate) static LOGARITHMS_{name}: [{name.lower()}; {fmt.entries}] = [{floats(logarithms)}];
/// (ln(1 + f) - f) / f² for f in [{float(least):.4f}, {float(most):.4f}], lowest power first: ln(1 + f) within a relative 2^{float(log(error, 2)):.1f}.
pub(crate) const SERIES_{name}: [{name.lower()}; {fmt.degree + 1}] = [{floats(coefficients)}];
"""


def shortest(self, x):
    """The shortest decimal that reads back as the float."""
    rounded = self.round(x)
    if self.size == 64:
        return rounded
    return next(short for digits in range(1, 10) if self.round(short := float(f"{rounded:.{digits}g}")) == rounded)


Format.shortest = shortest

if __name__ == "__main__":
    head = "//! Written by make_tables.py, which describes them.\n"
    body = [rust(Format("F64", 64, 52, 4, 7)), rust(Format("F32", 32, 23, 5, 1))]
    Path(__file__).with_name("tables.rs").write_text(head + "".join(body))
