"""Sweeps against Hydra itself, and job lines against the programs that read them.

The same overrides go to `sweep` and to Hydra's own parser and `BasicSweeper.split_arguments`: chosen
ones, and random ones from a seeded generator. The jobs must be the same, in the same order, text by
text, or both must refuse. Where an override has no value (an empty range), Hydra makes no job, and
`sweep` refuses. Where Hydra hands on a text that its own parser cannot read, `sweep` puts it in quotes.

    pip install 'hydra-core==1.3.*' pytest
    PIPEGRAD_BIN=target/release pytest tools/sweep/tests/peer_sweep.py
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys

import peers
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import create_config_search_path
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from peers import BIN, with_tools

OPTIONS = ["adam", "adamw", "lion", "sgd", "sgd_momentum", "x.y", "a-b"]


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    (folder / "config.yaml").write_text("a: 1\n")
    (folder / "opt").mkdir()
    for option in OPTIONS:
        (folder / "opt" / f"{option}.yaml").write_text("x: 1\n")
    return folder


@pytest.fixture(scope="module")
def hydra(configs):
    """The jobs that Hydra makes of overrides; none where it refuses."""
    Plugins.instance()
    parser = OverridesParser.create(ConfigLoaderImpl(create_config_search_path(str(configs))))

    def reads(text):
        try:
            return parser.parse_override(text) is not None
        except Exception:
            return False

    def jobs(overrides):
        try:
            parsed = parser.parse_overrides(overrides)
            if not all(BasicSweeper.split_arguments([one], None)[0] for one in parsed):
                return [], "an override without a value"
            (batch,) = BasicSweeper.split_arguments(parsed, None)
        except Exception as error:  # Hydra refuses with many types, and not only its own.
            return [], f"{type(error).__name__}: {error}"
        return [[text if reads(text) else quoted(text) for text in job] for job in batch], None

    return jobs


def quoted(text):
    """What `sweep` makes of a text that cannot be read back without quotes."""
    key, text = text.split("=", 1)
    text = re.sub(r"\\([\\()\[\]{}:=, \t])", r"\1", text)
    return f"{key}='" + re.sub(r"(\\*)'", r"\1\1\\'", text) + "'"


def ours(configs, overrides):
    command = [BIN / "sweep", "--no-check", "--json", "--config-path", configs, "--", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, cwd=configs, timeout=60)
    if done.returncode == 0:
        return [json.loads(line)["overrides"] for line in done.stdout.splitlines()], None
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done
    return [], done.stderr


def check(hydra, configs, overrides):
    """Compares the two; tells whether there were jobs to compare."""
    theirs, their_error = hydra(overrides)
    answer, error = ours(configs, overrides)
    if any("shuffle" in one for one in overrides):
        # Another order; a list that was shuffled is one text, whose characters are then the same.
        theirs, answer = (sorted([sorted(text) for text in job] for job in jobs) for jobs in (theirs, answer))
    assert theirs == answer, f"{overrides}\nHydra: {theirs} {their_error}\nours:  {answer} {error}"
    return bool(theirs)


CASES = """
a=1 a=1,2 a=1,b,2.5,true,null a='x',"y",z a=choice(1,2) a=choice(1) a=choice('1','a,b','null') a=choice(null) a=choice()
a=choice(a,null) a=choice(choice(1,2)) a=choice(1,choice(2)) a=1,choice(2,3) a=[choice(1,2)] a=choice([1,2],{a:1}) a=choice(x=1)
a=range(3) a=range(1,3) a=range(3,1) a=range(3,1,-1) a=range(0,1,0.1) a=range(0.0,1.0,0.1) a=range(1,0,-0.1) a=range(1.5,4)
a=range(stop=3,start=1) a=range(start=4) a=range(stop=3) a=range(4,step=2) a=range(1,2,step=0.25) a=range(1,stop=3,start=2)
a=range(true,3) a=range(1,null) a=range(4,null,2) a=range(1,3,null) a=range(1,3,0) a=range(0,1,0.0) a=range(a,b) a=range()
a=range(1,2,3,4) a=range('1',3) a=range(0,1,1e-1) a=range(1e-3,5e-3,1e-3) a=range(1e20,1e20) a=range(100,1000,300) a=range([1],2)
a=range(1e16,1e17,2e16) a=range(-1,1,0.3) a=range(0.3,0.1,-0.05) a=range(0,1e3,250) a=range(1,3,q=1)
a=interval(0,1) a=interval(1) a=tag(interval(0,1)) a=tag(x,choice(1,2)) a=tag(x,y,range(1,3)) a=tag(choice(1,2)) a=tag(1,2) a=tag()
a=tag(1,choice(2)) a=tag(sweep=choice(1,2)) a=tag(x,sweep=choice(1,2)) a=tag('x y',choice(1)) a=tag(x,glob(*)) a=tag(a,tag(b,range(2)))
a=tag(x,null) a=tag(choice(1),choice(2))
a=sort(3,1,2) a=sort(3,1,2,reverse=true) a=sort(b,a) a=sort(b,1) a=sort([3,1,2]) a=sort([3,1,2],reverse=true) a=sort(1) a=sort(x)
a=sort() a=sort(null) a=sort(1,null) a=sort(choice(b,a)) a=sort(choice(1,a)) a=sort(1,0.5,true) a=sort([[2],[1,5],[1]]) a=sort(['b','a'])
a=sort(['b']) a=sort({a:1}) a=sort([1],[2]) a=sort(list=[2,1]) a=sort(sweep=choice(2,1)) a=sort(sweep=[2,1]) a=sort(list=1)
a=sort(sweep=range(5,1,-2)) a=sort(range(1,5)) a=sort(range(1,6,2),reverse=true) a=sort(range(5,1,-2)) a=sort(range(1.0,0.0,-0.25))
a=sort(range(0,1,0.3),reverse=true) a=sort(1,2,reverse=1) a=sort(1,2,reverse=null) a=sort('b','a') a=sort(glob(*)) a=sort(interval(0,1))
a=sort(choice([2],[1])) a=sort(range(5,1)) a=sort(2,1,list=[4,3]) a=sort(sweep=null,list=null) a=sort([b,[1]]) a=sort([[1,a],[1,b]])
a=sort(tag(x,choice(2,1))) a=choice(sort(2,1)) a=choice(shuffle(1,2)) a=choice(sort(choice(2,1))) a=sort([{a:1},{a:1}]) a=sort([true,0])
a=shuffle(1,2,3) a=shuffle([1,2,3]) a=shuffle(1) a=shuffle() a=shuffle(null) a=shuffle(choice(1,2)) a=shuffle(range(5)) a=shuffle('a b')
a=shuffle(list=[1,2]) a=shuffle(sweep=choice(1,2)) a=shuffle(sweep=3) a=shuffle(glob(*)) a=shuffle([[1],2]) a=shuffle(1,range(3))
a=sort(shuffle(3,1)) a=shuffle(sort(3,1)) a=shuffle(interval(0,1)) a=shuffle({a:1}) a=shuffle([]) a=int(shuffle(1.5,2.5))
a=int(1.5,2.5) a=int(choice(1.5,'2')) a=int(range(0.5,3.5)) a=float(range(3)) a=float(range(0,3,2)) a=str(range(3)) a=bool(range(3))
a=str(1,2.5,true) a=str(choice(1,[2,true],{a:false})) a=bool(0,1,true,'false') a=bool(null) a=int(null) a=str(null) a=float(1,null)
a=int(choice(a)) a=int(value=3) a=int(value=choice(1.5,2.5)) a=int(1,value=2) a=int(1,value=null) a=int(value=null) a=int() a=int(x=1)
a=int(interval(0,1)) a=int(glob(*)) a=int(range(2),3) a=int(choice(1),3) a=float('1e3',2) a=str(1e-7,1e16,0.1) a=int(tag(x,choice(1.5,2)))
a=choice(int(1.5,2.5)) a=choice(int(1.5),2) a=bool([null,0],1) a=str({a:{b:1}}) a=int(1e30) a=int(inf) a=int(sort(2.5,1.5))
opt=glob(*) opt=glob(a*) opt=glob([a*,s*]) opt=glob(*,a*) opt=glob(*,exclude=[a*,lion]) opt=glob(include=a*,exclude=*w) opt=glob(q*)
opt=glob('[!a]*') opt=glob('[a-l]*') opt=glob('*[[]*') opt=glob('[!]]*') opt=glob('[]a]*') opt=glob(?d*) opt=glob('sgd') opt=glob(1) opt=glob() opt=glob(a,b,c) opt=glob(null)
opt=glob(*,null) opt=glob(*)a nope=glob(*) opt@x=glob(a*) +opt=glob(a*) opt=choice(glob(*)) opt=adam,sgd
~a ~a=1 ~a=1,2 +a=1,2 ++a=1,2 a@b=1,2 a/b@c.d=x,y a= a='' a=choice('') a='',x a=${b.c},x a=${b.c} a=$x,\\$y a=[1,[2,{a:b}]],{a:[1],b:{}}
a=1_000,1e3,1E-3,.5,5.,inf,-inf,nan,-0.0,0x1,007 a=TRUE,False,Null a=1,,2 a=,1 a=1, a=(1,2) a=f(1) a=choice(1 a=range a=x:y,/p/q.r
a=a\\,b,c a=\\[x\\],y a='it\\'s',"q\\"q" a='a\\\\',b a=choice('a#b',c) a=str("it's") a=choice('a b',c) a=choice('a:b','{x}','[y','z)','p=q') a=a#b
""".split()

SPACED = [
    ["a=1, 2 , 3"], ["a=choice( a b , c )"], ["a=a b,c d"], ["a=' x ',y"], ["a=[ 1 , a b ],{ a b : c }"], ["a=x\ty,z"], ["a=choice ('x\ty')"],
    ["a=range( 1 , 3 )"], ["a=1,2", "b=3,4"], ["a=1,2", "b=3", "c=range(0,2)"], ["a=1,2", "b=3,4", "a=5"], ["a=1", "+a=2,3", "~a"],
    ["a='line\nbreak',x"], ["a=choice('line\nbreak')"], ["a=é,x"], ["a='é',x"], ["a=choice('日本')"], ["a=range(3)", "b=range(0,1,0.5)", "c=x,y"],
    ["a=1,2", "b=range(2,1)"], ["a b=1,2"], [], ["a=shuffle(1,2)", "b=shuffle([1,2])"], ["a=choice('it\\'s \\\\x')"], ["a=1,2", "opt=glob(s*)"],
]  # fmt: skip


@pytest.mark.parametrize("overrides", [[one] for one in CASES] + SPACED, ids=lambda overrides: " ".join(overrides)[:40])
def test_each_form(hydra, configs, overrides):
    if overrides:
        check(hydra, configs, overrides)


class Draw(random.Random):
    """Random overrides: mostly legal ones, of every form."""

    def number(self):
        return self.choice(["0", "1", "-2", "3", "0.5", "2.5", "-1.25", "1e-3", "7e2", "true", "10"])

    def text(self):
        return self.choice(["x", "a b", "b-c", "/p/q.r", "'x y'", '"a,b"', "'it\\'s'", "${k.l}", "a\\,b", "1x", "u:v", "'1'", "$"])

    def element(self, depth=0):
        kind = self.random()
        if kind < 0.35 or depth > 2:
            return self.number()
        if kind < 0.65:
            return self.text()
        if kind < 0.7:
            return "null"
        items = [self.element(depth + 1) for _ in range(self.randint(0, 3))]
        if kind < 0.85:
            return f"[{self.comma().join(items)}]"
        return "{" + self.comma().join(f"{self.choice(['a', 'b c', 'd'])}: {item}" for item in items) + "}"

    def comma(self):
        return self.choice([",", ", "])

    def list(self, make, least=1):
        return self.comma().join(make() for _ in range(self.randint(least, 4)))

    def range(self):
        start, stop = self.choice(["0", "1", "-1", "0.5", "2.0", "5"]), self.choice(["0", "3", "2.5", "-2", "1e1"])
        step = self.choice(["1", "2", "0.5", "0.1", "0.3", "-1", "-0.7", "0.25"])
        forms = [f"{start},{stop},{step}", f"{start},{stop}", stop, f"{start},{stop},step={step}", f"step={step},stop={stop},start={start}"]
        return f"range({self.choice(forms)})"

    def glob(self):
        patterns = ["*", "a*", "*d*", "?d*", "sgd", "'[!a]*'", "'[a-l]*'", "*[x-]*", "q*", "x.y", "[a*,l*]"]
        return f"glob({self.choice(patterns)}" + self.choice([")", f",{self.choice(patterns)})", f",exclude={self.choice(patterns)})"])

    def sweep(self, depth=0):
        if depth > 2:
            return self.range()
        inner = lambda: self.sweep(depth + 1)  # noqa: E731
        cast = self.choice(["int", "float", "str", "bool"])
        make = self.choice([self.number, self.text, self.element])
        reverse = self.choice(["", "", ",reverse=true"])
        return self.choice([
            lambda: self.list(make, 2) if depth == 0 else f"choice({self.list(make)})",
            lambda: f"choice({self.list(make)})",
            self.range,
            lambda: f"sort({inner()}{reverse})",
            lambda: f"sort({self.list(make)}{reverse})",
            lambda: f"sort([{self.list(make)}]{reverse})",
            lambda: f"shuffle({inner()})",
            lambda: f"shuffle([{self.list(self.number)}])",
            lambda: f"tag(t,{inner()})",
            lambda: f"{cast}({inner()})",
            lambda: f"{cast}({self.list(self.number)})",
            lambda: f"choice({inner()})",
        ])()  # fmt: skip

    def override(self):
        if self.random() < 0.15:
            return f"opt={self.glob()}"
        key = self.choice(["a", "b.c", "+d", "++e.f", "~g", "h@i", "j/k", "a"])
        return f"{key}={self.choice([self.sweep, self.sweep, self.element])()}"


def drawn(seed):
    draw = Draw(seed)
    return [draw.override() for _ in range(draw.randint(1, 3))]


@pytest.mark.parametrize("seed", range(600))
def test_random_sweeps(hydra, configs, seed):
    check(hydra, configs, drawn(seed))


def test_enough_random_sweeps_make_jobs(hydra):
    """The generator would prove nothing if Hydra refused what it draws."""
    assert sum(bool(hydra(drawn(seed))[0]) for seed in range(200)) >= 80
    assert sum(hydra(drawn(seed))[1] is not None for seed in range(200)) >= 20


# --- Who reads the lines -----------------------------------------------------------------------

# Values that quoting can get wrong. Each is swept over, next to a plain setting.
VALUES = [
    "plain", "1e-3", "[64,64]", "{a: 1,b: 2}", "'a b'", '"a b"', r"'it\'s'", r'"say \"hi\""', r"'both \' and \"'", "'$HOME `id` $(id)'", r"'a\b'",
    r"'ends\\'", "'*?[x]'", "'~'", "'~/x'", "'!x'", "'#x'", "'a;b|c&d<e>f'", "'tab\there'", "'é 日本'", "${x}", "''", "'  two  '", "'%s {} {1} {=x=}'",
]  # fmt: skip
PRINT = "import json, sys; print(json.dumps(sys.argv[1:]))"
READERS = {
    "xargs": ([], "xargs -r -L1 {program}"),
    "xargs -0": (["--null"], "xargs -r -0 -I@ sh -c '{program} @'"),
    "sh": ([], 'while read -r job; do eval "{program} $job"; done'),
    "bash": ([], "sed 's|^|{program} |' | bash"),
    "parallel": ([], "parallel -k eval {program}"),
    "parallel of commands": ([], "sed 's|^|{program} |' | parallel -k"),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_program_gets_what_a_job_says(tmp_path, reader):
    if not shutil.which(reader.split()[0]):
        pytest.skip(f"{reader.split()[0]} is not installed")
    form, command = READERS[reader]
    values = VALUES + (["'two\nlines'"] if "--null" in form else [])
    overrides = [f"a.b={','.join(values)}", "c=1,2"]
    (tmp_path / "print.py").write_text(PRINT)
    command = command.replace("{program}", f"{sys.executable} print.py")

    def jobs(form):
        sweep = [BIN / "sweep", "--no-check", *form, "--", *overrides]
        return subprocess.run(sweep, capture_output=True, cwd=tmp_path, check=True).stdout

    done = subprocess.run(["sh", "-c", command], input=jobs(form), capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    got = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [json.loads(line)["overrides"] for line in jobs(["--json"]).splitlines()]
    assert len(expected) == 2 * len(values)
    assert got == expected


# --- What is done is left out ------------------------------------------------------------------


def test_a_sweep_goes_on_where_it_ended(tmp_path):
    def shell(command):
        return peers.shell(command, tmp_path).splitlines()

    sweep = "sweep --skip-done runs trainer.max_epochs=1 model.hidden=[4],[8] trainer.seed"
    train = "xargs -r -L1 train rows.npy > /dev/null"
    shell("gen-data rows=200 --to npy | entropy > rows.npy")
    assert len(shell(f"{sweep}=0")) == 2
    shell(f"{sweep}=0 | head -n 1 | {train}")
    (left,) = shell(f"{sweep}=0")
    assert "[8]" in left
    shell(f"{sweep}=0,1 | tee jobs.txt | {train}")
    assert len(shell("cat jobs.txt")) == 3
    assert shell(f"{sweep}=0,1") == shell("sweep --skip-done runs jobs.txt") == []

    def left_out(run):
        return run not in " ".join(shell(f"{sweep}=0,1"))

    run = "model.hidden=[4],trainer.max_epochs=1,trainer.seed=1"
    assert left_out(run)
    config = tmp_path / "runs" / run / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("learning_rate: 0.001", "learning_rate: 0.002"))
    assert not left_out(run)
    config.write_text(text)
    log = tmp_path / "runs" / run / "events.ndjson"
    lines = log.read_text()
    for end in [lines.replace("FINISHED", "KILLED"), "".join(lines.splitlines(True)[:-1]), lines[:-9], ""]:
        log.write_text(end)
        assert not left_out(run)
    log.write_text(lines)
    assert left_out(run)


def test_a_job_that_fails_names_its_run_folder(tmp_path):
    """As the lines are run by xargs, by a shell and by themselves, so that of many jobs the failed one is known."""
    rows = "".join(f'{{"probs":[{i / 50},{1 - i / 50}],"entropy":{i / 50}}}\n' for i in range(50))
    (tmp_path / "rows.ndjson").write_text(rows)
    env = os.environ | {"PATH": with_tools()}
    sweep = "sweep --run-dir runs/s trainer.max_epochs=1 trainer.input_field=probs,nope trainer.seed=0,1"
    folders = [f"runs/s/trainer.input_field=nope,trainer.max_epochs=1,trainer.seed={seed}" for seed in (0, 1)]
    for command in (
        f"{sweep} | xargs -r -L1 -P2 train rows.ndjson --quiet > /dev/null",
        f'{sweep} | while read -r job; do eval "train rows.ndjson --quiet $job" > /dev/null; done; false',
    ):
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True)
        lines = done.stderr.splitlines()
        assert done.returncode != 0 and len([line for line in lines if line.startswith("train: ")]) == 2, done.stderr
        for folder in folders:
            assert len([line for line in lines if f"run folder {folder}" in line]) == 1, done.stderr
