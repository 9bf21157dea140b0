"""Reads a Dockerfile and a .dockerignore: as much of the two formats as Dockerfile.cuda needs, and an error for the rest.

    parse(text) -> [Stage]      stages with their instructions, continued lines joined, comments left out
    expand(text, values)        ${NAME}, $NAME, ${NAME:-word}, ${NAME:+word}
    Ignore(text).keeps(path)    whether a file of the context is sent
"""

import dataclasses
import json
import re
import shlex


class Mistake(Exception):
    """What a Dockerfile has that is wrong or not known here, with its line."""


@dataclasses.dataclass
class Instruction:
    line: int
    name: str  # in capitals
    text: str  # all behind the flags
    flags: dict  # of --from=x, --chmod=x ...

    def words(self):
        """The JSON array or the words of the text."""
        if self.text.startswith("["):
            return self.array()
        return shlex.split(self.text)

    def array(self):
        try:
            words = json.loads(self.text)
        except json.JSONDecodeError as e:
            raise Mistake(f"line {self.line}: {self.name}: no JSON array: {e}")
        return words

    def command(self):
        """The arguments of RUN, CMD or ENTRYPOINT: of the exec form, or a shell's."""
        return self.array() if self.text.startswith("[") else ["/bin/sh", "-c", self.text]

    def pairs(self):
        """The names and values of ENV and LABEL."""
        for word in shlex.split(self.text):
            name, equals, value = word.partition("=")
            if not equals:
                raise Mistake(f"line {self.line}: {self.name}: NAME=value is expected, not {word}")
            yield name, value


@dataclasses.dataclass
class Stage:
    line: int
    base: str  # as written: an image, or another stage
    name: str
    instructions: list


KNOWN = set("FROM ARG ENV RUN COPY WORKDIR USER LABEL VOLUME ENTRYPOINT CMD HEALTHCHECK STOPSIGNAL".split())
FLAGS = {"COPY": {"from", "chown", "chmod"}, "HEALTHCHECK": {"interval", "timeout", "start-period", "retries"}}


def instructions(text):
    lines, start, parts = text.split("\n"), 0, []
    for number, line in enumerate(lines, 1):
        if line.strip().startswith("#") or not line.strip():
            continue
        if not parts:
            start = number
        more = line.rstrip().endswith("\\")
        # A shell gets a continued RUN as one line, without the backslash and the end of line.
        parts.append(line.rstrip()[:-1] if more else line.rstrip())
        if not more:
            yield instruction(start, "".join(parts).strip())
            parts = []
    if parts:
        raise Mistake(f"line {start}: the file ends within this instruction")


def instruction(line, text):
    name, _, rest = text.partition(" ")
    name, rest, flags = name.upper(), rest.strip(), {}
    if name not in KNOWN:
        raise Mistake(f"line {line}: {name} is not known here")
    while m := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
        if m[1] not in FLAGS.get(name, ()):
            raise Mistake(f"line {line}: {name} --{m[1]} is not known here")
        flags[m[1]] = m[2]
        rest = rest[m.end() :]
    if rest.startswith("--") or "<<" in rest:
        raise Mistake(f"line {line}: {name} with {rest.split()[0]} is not known here")
    return Instruction(line, name, rest, flags)


def parse(text, values=None):
    """The stages. values are build arguments, which count more than the defaults of ARGs before the first FROM."""
    stages, outside = [], {}
    for i in instructions(text):
        if i.name == "FROM":
            words = expand(i.text, outside).split()
            if len(words) == 1:
                words += ["AS", str(len(stages))]
            if len(words) != 3 or words[1].upper() != "AS":
                raise Mistake(f"line {i.line}: FROM image AS name is expected")
            stages.append(Stage(i.line, words[0], words[2], []))
        elif stages:
            stages[-1].instructions.append(i)
        elif i.name == "ARG":
            name, _, default = i.text.partition("=")
            outside[name] = (values or {}).get(name, expand(default, outside))
        else:
            raise Mistake(f"line {i.line}: {i.name} before the first FROM")
    names = [s.name for s in stages]
    if len(set(names)) < len(names):
        raise Mistake(f"two stages have one name: {names}")
    return stages


def expand(text, values):
    """Puts values for variables, as Docker does outside of RUN. A backslash keeps a dollar."""

    def put(m):
        if m[0].startswith("\\"):
            return m[0][1:]
        name = m[1] or m[2]
        value = values.get(name, "")
        if m[3] == "-":
            return value or m[4]
        if m[3] == "+":
            return m[4] if value else ""
        return value

    return re.sub(r"\\\$|\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})", put, text)


class Ignore:
    """The patterns of a .dockerignore: the last one that a path or a folder above it matches decides."""

    def __init__(self, text):
        self.rules = []
        for line in text.splitlines():
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            keep = line.startswith("!")
            pattern = line.lstrip("!").strip("/")
            self.rules.append((re.compile(translate(pattern)), keep))

    def keeps(self, path):
        kept = True
        for rule, keep in self.rules:
            if rule.fullmatch(path):
                kept = keep
        return kept


def translate(pattern):
    """A regular expression for a pattern and all that lies below what it matches."""
    out, i = "", 0
    while i < len(pattern):
        if pattern.startswith("**/", i):
            out, i = out + "(?:.*/)?", i + 3
        elif pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        else:
            c = pattern[i]
            if c in "[\\":
                raise Mistake(f".dockerignore: {pattern}: {c} is not known here")
            out, i = out + {"*": "[^/]*", "?": "[^/]"}.get(c, re.escape(c)), i + 1
    return out + "(?:/.*)?"
