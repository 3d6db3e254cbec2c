"""What the benchmarks share: a folder with a pack in it, a petrel that runs there, a look at both."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PETREL = os.environ.get("PETREL", str(ROOT / "target/release/petrel"))
SCHEMA = ("    payload_schema:\n      type: object\n      properties:\n        path: {type: string}\n"
          "        status: {type: string}\n        time: {type: string}\n")


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


class Place:
    """A folder with the pack `bench`."""

    def __init__(self, folder, config=""):
        self.folder = Path(folder)
        self.pack = self.folder / "packs/bench"
        for part in ("sensors", "actions", "rules"):
            (self.pack / part).mkdir(parents=True)
        (self.folder / "runtime").mkdir(mode=0o700)
        (self.folder / "petrel.yaml").write_text(config)
        (self.pack / "pack.yaml").write_text("name: bench\ndescription: A load\nversion: 1.0.0\n"
                                             "author: Petrel\nemail: packs@petrel.example\n")

    def path(self, name):
        return self.folder / name

    def sensor(self, name, text, more="", suffix=".sh"):
        """A sensor of this class name; all speak of bench.seen."""
        program = self.pack / f"sensors/{name.lower()}{suffix}"
        program.write_text(text)
        program.chmod(0o755)
        (self.pack / f"sensors/{name.lower()}.yaml").write_text(
            f"class_name: {name}\nentry_point: {program.name}\ndescription: A load\n{more}"
            f"trigger_types:\n  - name: seen\n    description: Seen\n{SCHEMA}")

    def rule(self, action, parameters="{}", criteria="{}"):
        (self.pack / "rules/rule.yaml").write_text(
            f"name: rule\nenabled: true\ntrigger: {{type: bench.seen}}\ncriteria: {criteria}\n"
            f"action: {{ref: {action}, parameters: {parameters}}}\n")

    def command(self, name, cmd, parameters=""):
        (self.pack / f"actions/{name}.yaml").write_text(
            f"name: {name}\nrunner_type: local-shell-cmd\nparameters:\n{parameters}"
            f"  cmd:\n    immutable: true\n    default: >-\n      {cmd}\n")

    def start(self):
        return Petrel(self)


class Petrel:
    """`petrel run` in a place."""

    def __init__(self, place):
        os.environ["XDG_RUNTIME_DIR"] = str(place.path("runtime"))
        at = {"packs": "packs", "configs": "configs", "data": "data", "config": "petrel.yaml"}
        self.options = [f"--{option}={place.path(name)}" for option, name in at.items()]
        self.process = subprocess.Popen([PETREL, "run", *self.options], stdout=subprocess.DEVNULL)
        self.journal = place.path("data/journal.db")
        self.until(self.journal.exists)
        self.db = sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True, timeout=30)

    def until(self, look, every=0.005):
        while not (found := look()):
            if self.process.poll() is not None:
                sys.exit("petrel ended")
            time.sleep(every)
        return found

    def ask(self, question):
        try:
            return self.db.execute(question).fetchall()
        except sqlite3.OperationalError:
            return []

    def number(self, question):
        rows = self.ask(question)
        return rows[0][0] or 0 if rows else 0

    def events(self):
        return self.number("SELECT max(seq) FROM events")

    def rate(self, count):
        """Events a second, from the first that is there to number `count`."""
        first = self.until(self.events)
        begun = time.perf_counter()
        self.until(lambda: self.events() >= count)
        return (count - first) / (time.perf_counter() - begun)

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, which="VmRSS"):
        """MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{which}:")[1].split()[0]) / 1024

    def stop(self):
        self.db.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def cli(place, *words, env=None):
    """`petrel` as a client of the one that runs in a place, or beside it."""
    env = dict(env or os.environ)
    at = {"PACKS": "packs", "CONFIGS": "configs", "DATA": "data", "CONFIG": "petrel.yaml"}
    env.update({f"PETREL_{name}": str(place.path(path)) for name, path in at.items()})
    env["XDG_RUNTIME_DIR"] = str(place.path("runtime"))
    return subprocess.run([PETREL, *words], env=env, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
