"""A crew at work on a phone that dies, loses its page, is reloaded and loses its network at seeded moments.

A walk within the page makes visits one after the other by the steps that the screens take, and tells each step once
the app says that it is kept. After each interruption what was told must still be there; in the end the cloud must have
every visit that the phone put into its outbox once, with every photograph. `run_seed` gives what was lost and what was
doubled; the test and the figures share it.
"""

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, BrowserType, ConsoleMessage, Page
from playwright.sync_api import Error as PlaywrightError

from tests.crew.camera import ARGUMENTS
from tests.crew.network import KINDS, Network, network
from tests.crew.phone import IS_KEPT, PATIENCE_MS, READY, CrewPhone
from tests.crew.site import CODES, CrewSite, crew_site
from tests.plain_http import NO_TLS
from tests.processes import Program, free_port, is_listening, running, wait_until

WALK_MS = (5, 400)  # between two interruptions
# Of a hundred: the browser's whole process group, the page's process, a reload; the rest changes the network.
KILL, CRASH, RELOAD = 15, 40, 70
SIGNERS = 2
PAGES_TRIED = 4

WALK = """([seed, code, pin]) => {
  const walk = async () => {
    const from = (name) => import(`/static/crew/${name}.js`);
    const [visits, lists, store, { needsPhoto }, { reduce }, keys, record, outbox, work] = await Promise.all(
      ["visits", "visitlist", "store", "visit", "photo", "keys", "record", "outbox", "work"].map(from));
    const { fromHex } = await import("/static/verifier/bytes.js");
    const tell = (what) => console.debug(`kept ${JSON.stringify(what)}`);
    const chance = () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed / 2 ** 32;
    };
    const now = () => Math.floor(Date.now() / 1000);
    const { file } = await work.kept();
    const people = (await keys.people()).map((one) => one.alias);

    const begin = async () => {
      const { device, label } = work.deviceOf(file, code);
      const scan = { by: null, sense: "in", place: "car", way: "typed", at: now(), label };
      const visit = await visits.begin({ device: work.deviceFacts(device, file), scan });
      const names = Object.fromEntries(people.map((one) => [one, one.slice(0, 4)]));
      const chosen = { people, names, visitClass: 1, pack: device.packs[0] };
      await visits.advance(visit.id, { type: "start", ...chosen, atS: now() });
      tell({ visit: visit.id, begun: true });
    };
    const photograph = async (id, item) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
      const image = canvas.getContext("2d");
      for (let at = 0; at < 20; at += 1) {
        image.fillStyle = `hsl(${Math.random() * 360} 60% ${Math.random() * 100}%)`;
        image.fillRect(Math.random() * 160, Math.random() * 120, 40, 30);
      }
      const photo = await reduce(await new Promise((done) => canvas.toBlob(done)));
      await visits.addPhoto(id, item.code, photo, now());
      tell({ visit: id, code: item.code, photo: photo.sha256 });
    };
    const answer = async (id, item) => {
      const value = item.limit ? item.limit.min ?? item.limit.max : null;
      const result = chance() < 0.8 ? "ok" : "adjusted";
      await visits.advance(id, { type: "answer", code: item.code, result, value });
      tell({ visit: id, code: item.code, result });
    };
    const list = async (visit) => {
      const held = await lists.openList(visit.id);
      const { items, challenge } = held;
      const open = lists.openItems(held);
      if (!open.length) return visits.advance(visit.id, { type: "end", atS: now(), items, challenge });
      const item = open[Math.floor(chance() * open.length)];
      const lacksPhoto = needsPhoto(item, challenge) && !visit.answers[item.code]?.photos.length;
      return lacksPhoto ? photograph(visit.id, item) : answer(visit.id, item);
    };
    const freeze = async ({ id }) => {
      const contract = { chainId: file.chain_id, address: file.contracts.service_agreements };
      const { frozen } = await visits.freeze(id, { ...(await lists.openList(id)), contract });
      tell({ visit: id, digest: frozen.digest });
    };
    // A PIN cut off while it is checked counts as a wrong one; after a few of them the crew waits, as it is told.
    const patiently = async (act) => {
      try {
        return await act();
      } catch (error) {
        if (error.word !== "pin_wait") throw error;
        console.debug("waits");
        await new Promise((done) => setTimeout(done, error.seconds * 1000));
        return act();
      }
    };
    const sign = async ({ id, frozen, signatures }) => {
      const index = signatures.indexOf(null);
      const person = (await keys.people()).find((one) => one.alias === people[index]);
      const publicKey = fromHex(person.public, 64);
      const [nonce, deadline] = [Date.now(), now() + record.DEADLINE_S];
      const digest = record.digestToSign(frozen, { index, publicKey, nonce, deadline });
      const made = await patiently(() => keys.sign(digest, person.alias, { pin }));
      const signature = record.signatureFile({ publicKey, kind: person.kind, nonce, deadline, ...made });
      const after = await visits.addSignature(id, index, signature);
      tell({ visit: id, signed: index, posted: after.state === "outbox" });
    };
    const steps = { started: list, listing: list, ended: freeze, asked: sign };
    for (;;) {
      const [visit] = await visits.openVisits();
      await (visit ? steps[visit.state](visit) : begin());
      if (chance() < 0.1) outbox.step({ now: true });
    }
  };
  walk().catch((error) => console.debug(`broken ${error.stack}`));
}"""
HELD = """async () => {
  const store = await import("/static/crew/store.js");
  const photos = (await store.all("photos")).map((one) => `${one.visit}/${one.sha256}`);
  const visits = (await store.all("visits")).map((one) => ({
    id: one.id, state: one.state, digest: one.frozen?.digest ?? null, signed: one.signatures.map(Boolean),
    answers: Object.fromEntries(Object.entries(one.answers).map(([code, { result, photos }]) =>
      [code, { result, photos: photos.map((photo) => photo.sha256) }])),
  }));
  return { visits: Object.fromEntries(visits.map((one) => [one.id, one])), photos };
}"""
SEND = "() => import('/static/crew/outbox.js').then((outbox) => outbox.step({ now: true }))"
OPEN = """() => import('/static/crew/outbox.js').then((outbox) => outbox.states())
  .then((all) => all.filter((one) => one.isOpen).length)"""


@dataclass
class Outcome:
    """What became of one walk, or of several together."""

    kills: Counter[str] = field(default_factory=Counter)
    kept: int = 0  # steps that the app called kept
    visits: int = 0  # in the outbox in the end
    photos: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.kills += other.kills
        self.kept += other.kept
        self.visits += other.visits
        self.photos += other.photos
        self.lost += other.lost
        self.doubled += other.doubled


@dataclass
class Walk:
    """One phone's browser, its network, and what its app has called kept."""

    browser_type: BrowserType
    program: Program
    debugging_port: int
    site: CrewSite
    network: Network
    rng: random.Random
    told: list[dict[str, Any]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    is_waiting: bool = False  # for the PIN's next try, in which nobody interrupts
    browser: Browser | None = None
    dead: list[Page] = field(default_factory=list)

    def open(self) -> Page:
        """The app in a new page, of a browser that is started anew where it is gone; the network may stay away."""
        if self.browser is None:
            if not self.program.is_running():
                self.program.restart()
            self.program.wait_ready(lambda: is_listening(self.debugging_port), seconds=30)
            self.browser = self.browser_type.connect_over_cdp(f"http://127.0.0.1:{self.debugging_port}")
        context = self.browser.contexts[0]
        context.set_default_timeout(PATIENCE_MS)
        page = new_page(context)
        page.on("console", self._hear)
        for old in context.pages:
            if old is not page and old not in self.dead:
                with suppress(PlaywrightError):
                    old.close()
        self._show_outbox(page)
        return page

    def _kill_pages(self) -> None:
        """SIGKILL to the processes of this browser's pages, as when a phone is short of memory."""
        assert self.browser is not None
        self.dead += self.browser.contexts[0].pages
        found = self.browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
        for process in found:
            if process["type"] == "renderer":
                with suppress(ProcessLookupError):
                    os.kill(int(process["id"]), signal.SIGKILL)

    def _show_outbox(self, page: Page) -> None:
        try:
            page.goto(f"{self.site.url}/crew#/outbox")
        except PlaywrightError:  # the phone had not kept the app yet
            self.network.kind = "good"
            page.goto(f"{self.site.url}/crew#/outbox")
        page.wait_for_selector(READY, state="attached")

    def _hear(self, message: ConsoleMessage) -> None:
        kind, _, words = message.text.partition(" ")
        if kind == "kept":
            self.told.append(json.loads(words))
            self.is_waiting = False
        elif kind == "waits":
            self.is_waiting = True
        elif kind == "broken":
            self.broken.append(words)

    def go_on(self, page: Page) -> None:
        """Let the crew work until the moment of the next interruption."""
        page.evaluate(WALK, [self.rng.getrandbits(32), CODES["car"], "246813"])
        page.wait_for_timeout(self.rng.uniform(*WALK_MS))
        while self.is_waiting and not self.broken:
            page.wait_for_timeout(WALK_MS[1])

    def interrupt(self, page: Page) -> tuple[str, Page]:
        """One of the things that happen to phones; its name, and the page that stands afterwards."""
        turn = self.rng.randrange(100)
        if turn < KILL:
            self.program.kill()
            self.browser = None  # it hears of it later
            return "kill", self.open()
        if turn < CRASH:
            with page.expect_event("crash"):
                self._kill_pages()
            return "crash", self.open()
        if turn < RELOAD:
            page.reload()
            page.wait_for_selector(READY, state="attached")
            return "reload", page
        self.network.kind = self.rng.choice(KINDS)
        page.reload()
        page.wait_for_selector(READY, state="attached")
        return "flap", page


def new_page(context: BrowserContext) -> Page:
    """A page, though the browser may offer it a process that was just killed once more."""
    for _ in range(PAGES_TRIED):
        with suppress(PlaywrightError):
            return context.new_page()
    return context.new_page()


def missing(told: list[dict[str, Any]], held: dict[str, Any]) -> list[str]:
    """What the app called kept and the phone does not have."""
    lost = []
    last: dict[tuple[str, str], str] = {}
    for one in told:
        visit = held["visits"].get(one["visit"])
        if visit is None:
            lost.append(f"visit {one['visit']}")
            continue
        answers, photo, code = visit["answers"], one.get("photo"), one.get("code", "")
        if photo and not (photo in answers[code]["photos"] and f"{one['visit']}/{photo}" in held["photos"]):
            lost.append(f"photo {photo} of {code}")
        if "digest" in one and visit["digest"] != one["digest"]:
            lost.append(f"record {one['digest']}")
        if "signed" in one and not visit["signed"][one["signed"]]:
            lost.append(f"signature {one['signed']} of {visit['digest']}")
        if one.get("posted") and visit["state"] != "outbox":
            lost.append(f"outbox without {visit['digest']}")
        if "result" in one:
            last[one["visit"], code] = one["result"]
    for (visit_id, code), result in last.items():
        if held["visits"].get(visit_id, {"answers": {}})["answers"].get(code, {}).get("result") != result:
            lost.append(f"answer {result} to {code}")
    return lost


def compared_with_cloud(site: CrewSite, held: dict[str, Any], outcome: Outcome) -> None:
    """Every visit of the outbox once, with its photographs, and no other."""
    posted = {visit["digest"]: visit for visit in held["visits"].values() if visit["state"] == "outbox"}
    kept = site.visits()
    digests = Counter(bundle.visit.digest().hex() for bundle in kept)
    numbers = Counter(
        (one.id, one.number) for bundle in kept for one in (bundle.presence.phones[:1] if bundle.presence else ())
    )
    outcome.visits += len(posted)
    outcome.lost += [f"visit {digest} at the cloud" for digest in posted if digest not in digests]
    outcome.doubled += [f"visit {digest}" for digest, count in digests.items() if count > 1 or digest not in posted]
    outcome.doubled += [f"number {number}" for number, count in numbers.items() if count > 1]
    with httpx.Client(base_url=site.url, trust_env=False, verify=NO_TLS, timeout=60) as client:
        for digest in posted:
            answer = client.get(f"/v1/visits/{digest}").json()
            outcome.lost += [f"photo {name} at the cloud" for name in answer["files_missing"]]
    outcome.photos += sum(len(bundle.checklist.photos) for bundle in kept if bundle.checklist)


@contextmanager
def walking(folder: Path, chromium: Path, browser_type: BrowserType, seed: int) -> Iterator[Walk]:
    """A phone with two people's keys that knows its work, in a browser of its own."""
    front, back, debugging = free_port(), free_port(), free_port()
    command = [
        chromium, *ARGUMENTS, "--headless", f"--remote-debugging-port={debugging}",
        f"--user-data-dir={folder / 'phone'}", "--disable-breakpad", "about:blank",
    ]  # fmt: skip
    with (
        crew_site(folder, port=back, behind=front) as site,
        network(front, back) as carried,
        running(command, name="chromium", output_dir=folder, ready=lambda: is_listening(debugging)) as program,
    ):
        walk = Walk(browser_type, program, debugging, site, carried, random.Random(seed))
        page = walk.open()
        phone = CrewPhone(page, site)
        phone.sign_in(0)
        phone.make_people(*((f"mechanic {at}", "mechanic") for at in range(SIGNERS)))
        page.wait_for_function(IS_KEPT)
        yield walk
        assert walk.broken == [], walk.broken[0]


def run_seed(folder: Path, chromium: Path, browser_type: BrowserType, seed: int, *, kills: int) -> Outcome:
    """One crew whose phone is interrupted so many times."""
    outcome = Outcome()
    folder.mkdir(parents=True, exist_ok=True)
    with walking(folder, chromium, browser_type, seed) as walk:
        page = walk.open()
        for _ in range(kills):
            walk.go_on(page)
            kind, page = walk.interrupt(page)
            outcome.kills[kind] += 1
            outcome.lost += missing(walk.told, page.evaluate(HELD))
        walk.network.kind = "good"
        wait_until(lambda: bool(page.evaluate(SEND)) and page.evaluate(OPEN) == 0, seconds=30, what="an empty outbox")
        held = page.evaluate(HELD)
        outcome.lost += missing(walk.told, held)
        outcome.kept = len(walk.told)
        compared_with_cloud(walk.site, held, outcome)
    return outcome
