"""Hypothesis strategies for trees of config files, and for overrides of them.

A case is `(files, overrides)`: a dict of texts by path, whose primary config is `config.yaml`, and a
list of strings. The texts are written by hand rather than dumped, so that they use what YAML offers:
anchors, merge keys, block scalars, comments. What neither program could mean anything by is rare,
so that most of the cases compose.
"""

from hypothesis import strategies as st

GROUPS = ["a", "b", "a/x", "b/y"]
OPTIONS = ["one", "two"]
KEYS = ["k", "l", "m", "n"]
ODD_KEYS = ["a-b", "a b", "é", '"1"', "'true'", "k.l", "'a: b'", "x/y", "_self_", "'${k}'", '""', "'#'", "? long"]
PACKAGES = ["p", "p.q", "k", "_global_", "_here_", "_group_", "_global_.p", "_group_.p", "p._group_", "a.x"]

SIMPLE = ["1", "k", "l", "text"]
ODD_OPTIONS = ["[]", "missing", "${a}_x", "one.yaml", "???", '"1"', "1", "x/one", "one two", "{k: 1}", '"${nope}"']

SCALARS = """1 -2 0 0.5 1e-7 1e16 .inf -.inf .nan true no off null ~ text '1' "two" 2020-01-01 0x10 017 1_0 1:30 12e03 +1 -.5
'' 'null' 'a:b' "tab\\there" "\\u00e9\\n" 'it''s' a,b ??? [] {} !!str␣1 !!float␣1 !!int␣'3' <<x é [a,␣'b']""".split()
SCALARS = [scalar.replace("␣", " ") for scalar in SCALARS]

INTERPOLATIONS = """${k} ${l} ${.m} ${..k} ${a.k} ${a.x.l} ${p.k} x${k}y ${k}${l} ${${l}} ${a.${l}} ${m[0]} ${m.1} ${.n.k} ${a} ${p}
${oc.select:k} ${oc.select:nope,9} ${oc.select:.l,x} ${oc.select:a.k,${k}} ${oc.env:PIPEGRAD_NO_SUCH,${k}} ${oc.env:PIPEGRAD_NO_SUCH,null}
${oc.decode:${l}} ${oc.decode:'12'} ${oc.create:{k:1}} ${oc.create:[1,x]} ${oc.dict.keys:a} ${oc.dict.values:p} ${oc.deprecated:k} ${oc.select:m.0,${l}} ${oc.select:k.l,1}
${oc.select:..k,7} ${oc.decode:'${k}'} ${oc.dict.keys:n} ${oc.dict.values:.n} ${n.k}-${m} ${oc.select:"m[1]"} ${b} ${oc.select:${l},k}""".split()

STYLES = [
    ["|", "line", "  more"],
    ["|-", "line", "", "after"],
    ["|+", "line", ""],
    [">", "folded", "text", "", "para"],
    [">-", "folded", "text"],
    ["plain", "goes on"],
    ["'quoted", "goes on'"],
    ['"quoted', "goes\\", ' on"'],
]

COMMENTS = ["# note", "#", "# @package k", "  # indented"]


class Writer:
    """Writes one file: a tree of draws that knows the anchors so far."""

    def __init__(self, draw):
        self.draw = draw
        self.anchors = []
        self.named = 0
        self.merges = []

    def pick(self, items):
        return self.draw(st.sampled_from(items))

    def mostly(self, usual, rare, one_in):
        return self.pick(rare if self.chance(one_in) else usual)

    def chance(self, one_in):
        # Shrinks to False.
        return self.draw(st.integers(0, one_in - 1)) == one_in - 1

    def mapping(self, depth, full=False):
        """The lines of a block mapping."""
        lines = []
        keys = self.draw(st.permutations(KEYS) if full else st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True))
        if self.chance(12):
            keys.append(self.pick(ODD_KEYS))
        for key in keys:
            if self.chance(20):
                lines.append(self.pick(COMMENTS))
            lines += self.entry(f"{key}:" if not key.startswith("?") else f"{key}\n:", depth)
        if self.merges and self.chance(3):
            which = self.draw(st.lists(st.sampled_from(self.merges), min_size=1, max_size=2))
            merge = f"*{which[0]}" if len(which) == 1 else f"[{', '.join('*' + one for one in which)}]"
            lines.insert(self.draw(st.integers(0, len(lines))) if depth == 0 else 0, f"<<: {merge}")
        return lines

    def entry(self, head, depth):
        """The lines of `head` (a key, or a dash) and its value."""
        kind = self.draw(st.integers(0, 25))
        anchor = ""
        name = f"n{self.named}"
        if kind and self.chance(8):
            anchor = f" &{name}"
            self.named += 1
        if kind <= 8:
            lines = [f"{head}{anchor} {self.pick(SCALARS)}"]
        elif kind <= 10:
            lines = [f"{head}{anchor} {quoted(self.pick(INTERPOLATIONS), self.draw)}"]
        elif kind <= 15 and depth < 3:
            lines = [f"{head}{anchor}", *indent(self.mapping(depth + 1))]
            if anchor:
                self.merges.append(name)
        elif kind in (16, 17) and depth < 3:
            items = [self.entry("-", depth + 1) for _ in range(self.draw(st.integers(1, 3)))]
            lines = [f"{head}{anchor}", *(line for item in items for line in indent(item))]
        elif kind == 18:
            lines = [f"{head}{anchor} {self.flow(0)}"]
        elif kind == 19:
            first, *rest = self.pick(STYLES)
            lines = [f"{head}{anchor} {first}", *indent(rest)]
        elif kind == 20 and self.anchors:
            return [f"{head} *{self.pick(self.anchors)}"]
        elif kind == 21:
            lines = [head + anchor]
        else:
            lines = [f"{head}{anchor} {self.pick(SIMPLE)}"]
        if anchor:
            self.anchors.append(name)
        return lines

    def flow(self, depth):
        kind = self.draw(st.integers(0, 5 if depth < 2 else 1))
        if kind <= 1:
            return self.pick(["1", "x", "2.5", "null", "'q r'", "${k}", "'???'", "yes"])
        if kind <= 3:
            items = [self.flow(depth + 1) for _ in range(self.draw(st.integers(0, 3)))]
            return f"[{', '.join(items)}]"
        keys = self.draw(st.lists(st.sampled_from(KEYS), max_size=2, unique=True))
        return "{" + ", ".join(f"{key}: {self.flow(depth + 1)}" for key in keys) + "}"

    def defaults(self, base):
        """The lines of a defaults list of a config in the group `base`."""
        entries = [self.default(base) for _ in range(self.draw(st.integers(0, 3)))]
        if base == GROUPS[-1] and not self.chance(20):
            return []
        if self.chance(2):
            entries.insert(self.draw(st.integers(0, len(entries))), "_self_")
        if self.chance(8):
            group = self.group(base)
            entries.append(f"override {group}{self.package(6)}: {self.pick([*OPTIONS, 'null', '[one, two]'])}")
        return ["defaults:", *(f"  - {entry}" for entry in entries)] if entries else []

    def default(self, base):
        group = self.group(base)
        if self.chance(5):
            # A config by its path.
            return f"{group}/{self.pick(OPTIONS)}{self.package(4)}"
        if base and self.chance(6):
            return self.pick(OPTIONS)
        option = self.mostly([*OPTIONS * 3, "null", "[one, two]", "[two]", "${b}"], ODD_OPTIONS, 12)
        keyword = self.pick(["", "", "", "optional "])
        return f"{keyword}{group}{self.package(3)}: {option}"

    def group(self, base):
        """A group as the list of a config in `base` writes it: from the root, or relative."""
        # Later ones only, most of the time: what includes itself never ends.
        later = GROUPS[GROUPS.index(base) + 1 :] if base and not self.chance(40) else GROUPS
        group = self.pick(later or GROUPS[-1:])
        if not base:
            return self.pick(["", "", "/"]) + group
        if group.startswith(base + "/") and self.chance(2):
            return group.removeprefix(base + "/")
        return "/" + group

    def package(self, one_in):
        return f"@{self.pick(PACKAGES)}" if self.chance(one_in) else ""

    def file(self, base, with_list):
        lines = self.mapping(0, full=not base or self.chance(2))
        if with_list:
            listed = self.defaults(base)
            lines = lines + listed if self.chance(8) else listed + lines
        if base and self.chance(6):
            lines.insert(0, f"# @package {self.pick(PACKAGES)}")
        return "\n".join(lines) + "\n"


def quoted(text, draw):
    """`text` as a scalar: plain where YAML allows it, or quoted."""
    plain = not any(c in text for c in ":{}[],'") or draw(st.booleans()) and ": " not in text
    if plain and "\\" not in text:
        return text
    return "'" + text.replace("'", "''") + "'"


def indent(lines):
    return ["  " + line if line else line for text in lines for line in text.split("\n")]


@st.composite
def trees(draw):
    writer = Writer(draw)
    files = {"config.yaml": writer.file("", True)}
    for group in GROUPS:
        for option in OPTIONS:
            if not writer.chance(20):
                files[f"{group}/{option}.yaml"] = Writer(draw).file(group, writer.chance(3))
    return files


VALUES = """5 -1.5 1e3 true null x 'q r' [] {} [1,x,[y]] {k:1} {n:{k:2},q:[3]} ${k} ${a.k} x${k} ??? a\\,b int('3') str(1) bool(no)
'${l}' "'" {} [{k:1}] {k:${l}} '' abc/def 1_000 :x $x a=b float(2) [null] .5""".split()


@st.composite
def overrides(draw):
    """One override: of a group or a value, in all forms."""
    pick = lambda items: draw(st.sampled_from(items))  # noqa: E731
    rare = 8 if draw(st.integers(0, 5)) == 5 else 0
    if draw(st.booleans()):
        group = pick(GROUPS)
        package = draw(st.one_of(st.just(""), st.just(""), st.sampled_from(PACKAGES).map("@{}".format)))
        option = pick([*OPTIONS * 2, *["[one,two]", "[two]"], *["null", "[]", "missing", "{k:1}", "one.yaml", "1", "${k}", "a,b"][:rare]])
        return pick([f"{group}{package}={option}", f"+{group}{package}={option}", f"~{group}{package}", f"~{group}={option}"])
    path = draw(st.lists(st.sampled_from(["k", "l", "m", "n", "a", "b", "x", "p", "0", "q"]), min_size=1, max_size=3))
    key = pick([*KEYS, *KEYS, ".".join(path)])
    return pick([f"{key}=", f"+{key}=", f"++{key}=", f"~{key}="]) + pick(VALUES) if draw(st.integers(0, 5)) else f"~{key}"


cases = st.tuples(trees(), st.lists(overrides(), max_size=2))
