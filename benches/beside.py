#!/usr/bin/env python3
"""Compares this tool with other MongoDB migration tools: times complete processes, in turn, on one server.

Each tool gets the same migrations, which do nothing, and a new database in every round. The output is a
Markdown table of medians. The script needs Rust, Node.js 20, Python 3.11 or newer, and access to the npm and
PyPI registries. Everything that it installs and builds is in one folder. It uses the server in MONGO_URI (a
replica set), or else the local server of this repository, which it stops at the end unless it was running
before.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
NPM = ["migrate-mongo", "mongo-migrate-kit", "mongodb"]
PYPI = ["pymongo-migrate", "mongomig"]
REFERENCE = "ours, deployed"

# Prefixes of variables that the tools read.
# They are removed, so that the user's shell does not change the result.
OF_DATABASES = ("MONGO", "MIGRATIONS_", "DO_MONGO_DUMP", "MMK_", "PYMONGO_MIGRATE_")
OF_BUILDS = ("CARGO_TARGET_", "CARGO_BUILD_")

OUR_WORKSPACE = """\
[workspace]
members = ["xtask"]
resolver = "3"

[profile.dev]
debug = "line-tables-only"

[profile.dev.package."*"]
debug = false

[profile.dev.package.xtask]
debug = false

[profile.dev.package.sha2]
opt-level = 3
"""

OUR_PACKAGE = """\
[package]
name = "xtask"
version = "0.0.0"
edition = "2024"
publish = false

[dependencies]
cargo-migrations = {{ path = {path}, default-features = false, features = ["manager"] }}

[build-dependencies]
cargo-migrations = {{ path = {path}, default-features = false }}
"""

OUR_BUILD_SCRIPT = """\
fn main() {
    cargo_migrations::build::embed("../mongomigrations");
}
"""

OUR_MANAGER = """\
use cargo_migrations::prelude::*;

cargo_migrations::embedded!(mod migrations);

struct Migrations;

impl MigrationsManager for Migrations {}

fn main() -> ExitCode {
    cargo_migrations::run(Migrations, migrations::embedded())
}
"""

OUR_MIGRATION = """\
//! Nothing.
use cargo_migrations::prelude::*;

pub async fn up(_: &Database) -> Result<()> {
    Ok(())
}
"""

MIGRATE_MONGO_CONFIG = """\
module.exports = {
  mongodb: { url: process.env.MONGO_URI, databaseName: process.env.MONGO_DATABASE, options: {} },
  migrationsDir: "migrations",
  changelogCollectionName: "changelog",
  lockCollectionName: "changelog_lock",
  lockTtl: 0,
  migrationFileExtension: ".js",
  useFileHash: false,
  moduleSystem: "commonjs",
};
"""

MIGRATE_MONGO_MIGRATION = """\
module.exports = {
  async up(db, client) {},
  async down(db, client) {},
};
"""

MMK_CONFIG = """\
module.exports = {
  uri: process.env.MONGO_URI,
  dbName: process.env.MONGO_DATABASE,
  migrationsDir: "./migrations",
};
"""

MMK_MIGRATION = """\
module.exports = {
  async up({ db, client }) {},
  async down({ db, client }) {},
};
"""

PYMONGO_MIGRATE_MIGRATION = '''\
"""
Nothing.
"""
name = {name!r}
dependencies = {dependencies!r}


def upgrade(db):
    pass


def downgrade(db):
    pass
'''

MONGOMIG_CONFIG = """\
database:
  uri: ${MONGO_URI}
  name: ${MONGO_DATABASE}
migrations:
  directory: migrations
"""

MONGOMIG_ENVIRONMENT = """\
from mongomig import MongoMetadata

target_metadata = MongoMetadata.default(storage="python")
"""

MONGOMIG_MIGRATION = '''\
"""Nothing."""

revision = {name!r}
down_revision = {before!r}
branch_labels = None
depends_on = None
reversible = True
snapshot_hash = None
mongomig_format = 1


def upgrade(ctx):
    pass


def downgrade(ctx):
    pass
'''


class Failed(Exception):
    """An error that is printed without a traceback: what went wrong, and what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclasses.dataclass(frozen=True)
class Tool:
    """A tool, with the command lines that are timed."""

    name: str
    # The folder of its migrations. Tools with the same project share it.
    project: str
    write: Callable[[Path, int], None]
    # Relative paths start at the project's folder.
    execute: list[str]
    status: list[str]
    # The collection in which it records what ran, and the filter for a migration that did.
    registry: str
    registered: dict


@dataclasses.dataclass(frozen=True)
class Ran:
    """The time of one process and its children, in seconds."""

    wall: float
    cpu: float


# By task and by tool, with one entry for each round.
Results = dict[str, dict[str, list[Ran]]]


@dataclasses.dataclass(frozen=True)
class Bench:
    """The folder with everything in it, and the server."""

    folder: Path
    uri: str

    def project(self, tool: Tool, count: int) -> Path:
        """Returns the folder of the tool's project with that many migrations."""
        return self.folder / "projects" / f"{tool.project}-{count}"

    def environment(self, project: Path, database: str) -> dict[str, str]:
        """Returns an environment with the server and the database for every tool."""
        return {
            **clean_environment(),
            "PATH": path_with_plugin(self.folder / "plugin" / "release"),
            "CARGO_TARGET_DIR": str(project / "target"),
            "MONGO_URI": self.uri,
            "MONGO_DATABASE": database,
            "PYMONGO_MIGRATE_URI": self.uri,
            "PYMONGO_MIGRATE_DATABASE": database,
        }

    def ask(self, expression: str) -> str:
        """Evaluates a Python expression with `client`, a pymongo client, and returns the result as text."""
        client = "import os, pymongo; client = pymongo.MongoClient(os.environ['MONGO_URI'])"
        command = [str(self.folder / "venv" / "bin" / "python"), "-c", f"{client}; print({expression})"]
        done = subprocess.run(command, env=self.environment(self.folder, ""), capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"the server does not answer: {last_line(done.stderr)}", "check MONGO_URI")
        return done.stdout.strip()


def clean_environment() -> dict[str, str]:
    """Returns the environment without the variables that the tools read."""
    foreign = OF_DATABASES + OF_BUILDS
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def path_with_plugin(plugin: Path) -> str:
    """Returns PATH with our plugin first.

    It includes cargo's bin folder, which cargo would otherwise put before everything else.
    """
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    return os.pathsep.join([str(plugin), os.environ.get("PATH", os.defpath), str(home / "bin")])


def tools(folder: Path) -> list[Tool]:
    """Returns all tools, ours first."""
    node, python = folder / "node_modules" / ".bin", folder / "venv" / "bin"
    ours = {
        "project": "ours",
        "write": write_ours,
        "registry": "migrations",
        "registered": {"state": "registered"},
    }
    return [
        Tool(
            name=REFERENCE,
            execute=["./manager", "execute", "--quiet"],
            status=["./manager", "show_status", "--quiet"],
            **ours,
        ),
        Tool(
            name="ours, through cargo",
            execute=["cargo", "migrations", "execute", "--quiet"],
            status=["cargo", "migrations", "show_status", "--quiet"],
            **ours,
        ),
        Tool(
            name="migrate-mongo",
            project="migrate-mongo",
            write=write_migrate_mongo,
            execute=[str(node / "migrate-mongo"), "up"],
            status=[str(node / "migrate-mongo"), "status"],
            registry="changelog",
            registered={},
        ),
        Tool(
            name="mongo-migrate-kit",
            project="mongo-migrate-kit",
            write=write_mmk,
            execute=[str(node / "mmk"), "up"],
            status=[str(node / "mmk"), "status"],
            registry="_mmk_migrations",
            registered={"status": "applied"},
        ),
        Tool(
            name="pymongo-migrate",
            project="pymongo-migrate",
            write=write_pymongo_migrate,
            execute=[str(python / "pymongo-migrate"), "migrate", "-m", "migrations"],
            status=[str(python / "pymongo-migrate"), "show", "-m", "migrations"],
            registry="pymongo_migrate",
            registered={"applied": {"$ne": None}},
        ),
        Tool(
            name="mongomig",
            project="mongomig",
            write=write_mongomig,
            execute=[str(python / "mongomig"), "upgrade"],
            status=[str(python / "mongomig"), "current"],
            registry="__mongomig_migrations",
            registered={"status": "applied"},
        ),
    ]


def names(count: int) -> list[str]:
    """Returns the migrations' names, in order."""
    return [f"{number:04}_x" for number in range(1, count + 1)]


def write(path: Path, text: str) -> None:
    """Writes a file unless it has that text: a new modification time would make cargo build it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def write_ours(project: Path, count: int) -> None:
    """Writes a workspace for this tool, with the dependencies in this repository's lock file."""
    write(project / "Cargo.toml", OUR_WORKSPACE)
    # A JSON string is also a TOML string.
    write(project / "xtask" / "Cargo.toml", OUR_PACKAGE.format(path=json.dumps(str(REPOSITORY))))
    write(project / "xtask" / "build.rs", OUR_BUILD_SCRIPT)
    write(project / "xtask" / "src" / "main.rs", OUR_MANAGER)
    shutil.copy(REPOSITORY / "Cargo.lock", project / "Cargo.lock")
    for name in names(count):
        write(project / "mongomigrations" / f"{name}.rs", OUR_MIGRATION)


def write_migrate_mongo(project: Path, count: int) -> None:
    """Writes a project for migrate-mongo."""
    write(project / "migrate-mongo-config.js", MIGRATE_MONGO_CONFIG)
    for name in names(count):
        write(project / "migrations" / f"{name}.js", MIGRATE_MONGO_MIGRATION)


def write_mmk(project: Path, count: int) -> None:
    """Writes a project for mongo-migrate-kit."""
    write(project / "mmk.config.js", MMK_CONFIG)
    for name in names(count):
        write(project / "migrations" / f"{name}.js", MMK_MIGRATION)


def write_pymongo_migrate(project: Path, count: int) -> None:
    """Writes a project for pymongo-migrate, in which every migration depends on the first one.

    Its own `generate` makes a chain, which it walks with nested generators: a chain of 1000 fails with a
    RecursionError.
    """
    first, *others = names(count)
    for name in [first, *others]:
        dependencies = [] if name == first else [first]
        text = PYMONGO_MIGRATE_MIGRATION.format(name=name, dependencies=dependencies)
        write(project / "migrations" / f"{name}.py", text)


def write_mongomig(project: Path, count: int) -> None:
    """Writes a project for mongomig, with a chain of revisions."""
    write(project / "mongomig.yaml", MONGOMIG_CONFIG)
    write(project / "migrations" / "env.py", MONGOMIG_ENVIRONMENT)
    before = None
    for name in names(count):
        text = MONGOMIG_MIGRATION.format(name=name, before=before)
        write(project / "migrations" / "versions" / f"{name}.py", text)
        before = name


def log(text: str) -> None:
    """Prints progress or an error to stderr. Only the table goes to stdout."""
    print(text, file=sys.stderr, flush=True)


def last_line(text: str) -> str:
    """Returns the last line that is not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def must_exist(program: str) -> None:
    """Fails if a program is not on PATH."""
    if shutil.which(program) is None:
        raise Failed(f"{program} was not found", "install it, and add it to PATH")


def set_up(command: list[str], **options) -> None:
    """Runs a step that is not timed. Its output goes to stderr."""
    log(f"$ {' '.join(command)}")
    must_exist(command[0])
    if subprocess.run(command, stdout=sys.stderr, **options).returncode != 0:
        raise Failed(f"`{' '.join(command)}` failed", "see its output above")


def install(folder: Path) -> None:
    """Installs the other tools, unless they are in the folder already."""
    if not all((folder / "node_modules" / package).is_dir() for package in NPM):
        # Without a package.json, npm would install into a package in a parent folder.
        write(folder / "package.json", '{ "private": true }\n')
        set_up(["npm", "install", "--no-fund", "--no-audit", *NPM], cwd=folder)
    if not all((folder / "venv" / "bin" / command).exists() for command in PYPI):
        set_up([sys.executable, "-m", "venv", str(folder / "venv")])
        set_up([str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", *PYPI])


def build_plugin(folder: Path) -> None:
    """Builds `cargo migrations`, as `cargo install` would."""
    manifest = str(REPOSITORY / "Cargo.toml")
    command = ["cargo", "build", "--release", "--bin", "cargo-migrations", "--manifest-path", manifest]
    set_up([*command, "--target-dir", str(folder / "plugin")], cwd=folder, env=clean_environment())


def build_ours(bench: Bench, project: Path) -> None:
    """Builds our manager for deployment and for `cargo migrations`, so that no build is timed."""
    environment = bench.environment(project, "")
    set_up(["cargo", "build", "--release", "--package", "xtask"], cwd=project, env=environment)
    shutil.copy(project / "target" / "release" / "xtask", project / "manager")
    set_up(["cargo", "build", "--package", "xtask"], cwd=project, env=environment)


def prepare(bench: Bench, selected: list[Tool], counts: list[int]) -> None:
    """Writes and builds the projects."""
    if any(tool.project == "ours" for tool in selected):
        build_plugin(bench.folder)
    for count in counts:
        for project, tool in {bench.project(tool, count): tool for tool in selected}.items():
            tool.write(project, count)
            if tool.project == "ours":
                build_ours(bench, project)


def timed(command: list[str], project: Path, environment: dict[str, str], output: Path) -> tuple[int, Ran]:
    """Runs a process to its end. Returns its exit code and its times."""
    with output.open("wb") as file:
        started = time.perf_counter()
        streams = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, cwd=project, env=environment, **streams)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    # `Popen` does not know that `wait4` has waited for the process.
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, Ran(wall, usage.ru_utime + usage.ru_stime)


def run(bench: Bench, tool: Tool, count: int, command: list[str], database: str) -> tuple[Ran, str]:
    """Runs the tool, which must succeed. Returns its times and its output."""
    project = bench.project(tool, count)
    output = bench.folder / "output.txt"
    code, ran = timed(command, project, bench.environment(project, database), output)
    text = output.read_text(errors="replace")
    if code != 0:
        raise Failed(
            f"{tool.name}: `{' '.join(command)}` exited with code {code}: {last_line(text)}",
            "run again with `--keep FOLDER` and see FOLDER/output.txt",
        )
    return ran, text


def check_executed(bench: Bench, tool: Tool, count: int, database: str) -> None:
    """Fails if a tool did not record every migration: it did not do the work of the others."""
    found = bench.ask(f"client[{database!r}][{tool.registry!r}].count_documents({tool.registered!r})")
    if found != str(count):
        raise Failed(
            f"{tool.name} recorded {found} of {count} migrations in {tool.registry}",
            "check whether a new version of it works differently",
        )


def check_status(tool: Tool, count: int, text: str) -> None:
    """Fails if a status does not contain the last migration: then it was not read from this database."""
    last = names(count)[-1]
    if last not in text:
        raise Failed(
            f"the status of {tool.name} does not contain {last}",
            "check whether a new version of it works differently",
        )


@contextlib.contextmanager
def fresh_database(bench: Bench, name: str):
    """Yields the name of a database that only this process uses, and drops it afterwards."""
    name = f"beside_{os.getpid()}_{name}"
    try:
        yield name
    finally:
        bench.ask(f"client.drop_database({name!r})")


def warm_up(bench: Bench, tool: Tool, count: int) -> None:
    """Runs a tool once, so that its files are in the disk cache and Python has compiled them."""
    with fresh_database(bench, f"warm_{tool.project}_{count}") as database:
        run(bench, tool, count, tool.status, database)


def time_once(bench: Bench, tool: Tool, count: int, label: str) -> tuple[Ran, Ran]:
    """Times one execution and one status on a new database."""
    with fresh_database(bench, label) as database:
        execute, _ = run(bench, tool, count, tool.execute, database)
        check_executed(bench, tool, count, database)
        status, text = run(bench, tool, count, tool.status, database)
        check_status(tool, count, text)
    return execute, status


def measure(bench: Bench, selected: list[Tool], counts: list[int], rounds: int) -> Results:
    """Returns the times of each tool for each task, in every round."""
    results: Results = {}
    for count in counts:
        for tool in selected:
            warm_up(bench, tool, count)
        for turn in range(rounds):
            log(f"{count} migrations, round {turn + 1} of {rounds}")
            # Each round begins with another tool, so that no tool always runs first.
            for place in range(len(selected)):
                tool = selected[(turn + place) % len(selected)]
                execute, status = time_once(bench, tool, count, f"{tool.project}_{count}_{turn}_{place}")
                tasks = [f"execute {count} trivial migrations", f"status with {count} registered"]
                for task, ran in zip(tasks, [execute, status], strict=True):
                    results.setdefault(task, {}).setdefault(tool.name, []).append(ran)
    return results


def median(runs: list[Ran]) -> Ran:
    """Returns the median of each time by itself."""
    return Ran(statistics.median(ran.wall for ran in runs), statistics.median(ran.cpu for ran in runs))


def table(selected: list[Tool], results: Results) -> str:
    """Returns the figures as a Markdown table."""
    lines = ["| task | tool | wall | CPU | wall / ours |", "| --- | --- | ---: | ---: | ---: |"]
    for task, of_tools in results.items():
        reference = of_tools.get(REFERENCE)
        for tool in selected:
            ran = median(of_tools[tool.name])
            ratio = f"{ran.wall / median(reference).wall:.2f}" if reference else "–"
            lines.append(f"| {task} | {tool.name} | {ran.wall:.3f} s | {ran.cpu:.3f} s | {ratio} |")
    return "\n".join(lines)


def our_version() -> str:
    """Returns the version in this repository's manifest."""
    found = re.search(r'^version = "(.+)"$', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)
    return found[1] if found else "of unknown version"


def printed(command: list[str]) -> str:
    """Returns the output of a command that prints a version."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def versions(folder: Path) -> str:
    """Returns the versions of everything that influences the figures."""
    python = str(folder / "venv" / "bin" / "python")
    found = [("cargo-migrations", our_version())]
    for package in NPM:
        manifest = json.loads((folder / "node_modules" / package / "package.json").read_text())
        found.append((f"{package} (npm)", manifest["version"]))
    for package in [*PYPI, "pymongo"]:
        code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
        found.append((f"{package} (PyPI)", printed([python, "-c", code])))
    found.append(("Node.js", printed(["node", "--version"]).removeprefix("v")))
    found.append(("Python", printed([python, "--version"]).removeprefix("Python ")))
    return ", ".join(f"{name} {version}" for name, version in found)


def caption(bench: Bench, rounds: int) -> str:
    """Returns the text below the table: how the figures were measured."""
    server = bench.ask("client.server_info()['version']")
    return (
        f"Medians of {rounds} rounds of complete processes, on {os.cpu_count()} cores, MongoDB {server}. "
        f"CPU is user and system time of the process and its children. {versions(bench.folder)}. "
        "mongomig's status (`current`) reads all records and prints the newest. "
        "pymongo-migrate's migrations all depend on the first: a chain of 1000 fails with a RecursionError."
    )


def local_server(task: str) -> str:
    """Runs a task of `cargo migrations` in this repository, and returns its stdout."""
    command = ["cargo", "migrations", task]
    must_exist(command[0])
    # The environment is not cleaned: this is the server that the user would start and stop in this shell.
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(command)}` failed", "see its output above, or set MONGO_URI")
    return done.stdout.strip()


@contextlib.contextmanager
def server():
    """Yields the connection string of a server that runs for as long as it is needed."""
    if uri := os.environ.get("MONGO_URI"):
        yield uri
        return
    if uri := local_server("mongod"):
        yield uri
        return
    try:
        yield local_server("mongod:start")
    finally:
        local_server("mongod:stop")


@contextlib.contextmanager
def working_folder(keep: Path | None):
    """Yields the working folder, which is a temporary one unless it is to be kept."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="compare-") as folder:
            yield Path(folder).resolve()
        return
    folder = keep.resolve()
    # In this repository `cargo migrations` is an alias that runs the plugin through cargo: it takes longer.
    if folder.is_relative_to(REPOSITORY):
        raise Failed(
            f"--keep {keep} is in this repository, whose cargo alias would be timed",
            "choose another folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def at_least_one(text: str) -> int:
    """Parses a number of rounds or migrations."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def numbers(text: str) -> list[int]:
    """Parses numbers separated by commas."""
    return [at_least_one(part) for part in text.split(",")]


def arguments() -> argparse.Namespace:
    """Parses the command line."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument(
        "--rounds", type=at_least_one, default=5, help="how often to time each tool (default: 5)"
    )
    parser.add_argument(
        "--counts",
        type=numbers,
        default=[100, 1000],
        metavar="N,N",
        help="numbers of migrations (default: 100,1000)",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="work in this folder, reuse its content, and keep it"
    )
    parser.add_argument(
        "--without-ours", action="store_true", help="time only the other tools, and do not build this one"
    )
    return parser.parse_args()


def bench(line: argparse.Namespace) -> None:
    """Runs the benchmark and prints the table."""
    with working_folder(line.keep) as folder:
        install(folder)
        with server() as uri:
            here = Bench(folder, uri)
            selected = [tool for tool in tools(folder) if not (line.without_ours and tool.project == "ours")]
            prepare(here, selected, line.counts)
            results = measure(here, selected, line.counts, line.rounds)
            print(f"{table(selected, results)}\n\n{caption(here, line.rounds)}")


def main() -> int:
    """Runs the benchmark, and prints errors without a traceback."""
    try:
        bench(arguments())
    except Failed as failed:
        log(f"error: {failed}")
        if failed.hint:
            log(f"hint: {failed.hint}")
        return 1
    except KeyboardInterrupt:
        log("stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
