"""Keys on a mechanic's phone in Debian's Chromium, with its own virtual authenticator; checked by Python."""

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page

from contracts.crew_key import CrewKeyError, parse_crew_key, verify_crew_key
from contracts.crew_signature import CrewKey, crew_signature
from contracts.person import KeyKind, PersonSignature, Purpose, key_id_of, person_digest
from contracts.signed_visit import SignedVisit, VisitSignature, verify_signed_visit
from tests.cloud.web.test_passkeys import AUTHENTICATOR
from tests.crew.camera import blank_page, phone
from tests.visits import CHAIN_ID, CONTRACT, visit_of

STARTED_AT_S, DEADLINE, NONCE = 1_800_000_000, 1_900_000_000, 1_800_000_000_123
PIN = "280417"
CALL = """async ([name, ...given]) => {
  const keys = await import("/static/crew/keys.js");
  const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const bytes = (text) => Uint8Array.from(text.match(/../g) ?? [], (two) => parseInt(two, 16));
  const texts = (_, value) => (value instanceof Uint8Array ? hex(value) : value);
  try {
    const taken = name === "sign" || name === "chainBytes" ? [bytes(given[0]), ...given.slice(1)] : given;
    return JSON.parse(JSON.stringify((await keys[name](...taken)) ?? null, texts));
  } catch (error) {
    return { refused: error.word ?? String(error) };
  }
}"""


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    with phone(browser) as opened:
        yield opened


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    problems: list[str] = []
    opened = blank_page(context, address, problems)
    yield opened
    opened.close()
    assert problems == []


@pytest.fixture
def device(page: Page) -> tuple[CDPSession, str]:
    """The phone's own authenticator, which checks its person."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable", {"enableUI": False})
    made: Any = session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return session, made["authenticatorId"]


def call(page: Page, name: str, *given: Any) -> Any:
    """A function of keys.js; bytes travel as hex."""
    return page.evaluate(CALL, [name, *given])


def signed_by(page: Page, person: dict[str, Any], **proof: str) -> VisitSignature:
    """The person's signature under the visit of these tests."""
    public = bytes.fromhex(person["public"])
    digest = person_digest(
        chain_id=CHAIN_ID, contract=CONTRACT, purpose=Purpose.VISIT, key_id=key_id_of(public), nonce=NONCE,
        deadline=DEADLINE, body_digest=VISIT.digest(),
    )  # fmt: skip
    answer = call(page, "sign", digest.hex(), person["alias"], proof)
    rs = bytes.fromhex(answer["signature"])
    return VisitSignature(
        public=public,
        kind={"passkey": KeyKind.WEBAUTHN, "software": KeyKind.SOFTWARE}[answer["kind"]],
        signature=PersonSignature(
            key_id=key_id_of(public), nonce=NONCE, deadline=DEADLINE, r=int.from_bytes(rs[:32]),
            s=int.from_bytes(rs[32:]), authenticator_data=bytes.fromhex(answer["authenticatorData"]),
            client_data=bytes.fromhex(answer["clientData"]),
        ),
    )  # fmt: skip


VISIT = visit_of(STARTED_AT_S)


@pytest.mark.usefixtures("device")
def test_both_kinds_sign_and_are_labelled(page: Page) -> None:
    """And their signatures are what files, gateways and contracts take."""
    for kind, key_kind, proof in (("software", KeyKind.SOFTWARE, {"pin": PIN}), ("passkey", KeyKind.WEBAUTHN, {})):
        person = call(page, "make", {"name": "张工", "kind": kind, **proof})
        assert {"name": "张工", "kind": kind, "duty": "mechanic"}.items() <= person.items()
        assert person in call(page, "people")
        signature = signed_by(page, person, **proof)
        assert signature.kind is key_kind
        verify_signed_visit(SignedVisit(chain_id=CHAIN_ID, contract=CONTRACT, visit=VISIT, signatures=(signature,)))
        on_chain = CrewKey(
            duties=1, licence_until_s=DEADLINE, x=int.from_bytes(signature.public[:32]),
            y=int.from_bytes(signature.public[32:]), kind=key_kind,
            **({"rp_id_hash": sha256(b"localhost").digest(), "origin": origin_of(page)} if kind == "passkey" else {}),
        )  # fmt: skip
        packed = crew_signature(on_chain, signature.signature)
        assert call(page, "chainBytes", signature.signature.client_data.hex()) == len(packed.client_data)


def origin_of(page: Page) -> str:
    return "/".join(page.url.split("/")[:3])


def test_a_device_key_cannot_be_read_out_and_survives_a_reload(page: Page) -> None:
    person = call(page, "make", {"name": "李工", "kind": "software", "pin": PIN})
    page.reload()
    verify_signed_visit(
        SignedVisit(chain_id=CHAIN_ID, contract=CONTRACT, visit=VISIT, signatures=(signed_by(page, person, pin=PIN),))
    )
    told = page.evaluate(
        """async (alias) => {
          const { get } = await import("/static/crew/store.js");
          const { key } = await get("keys", alias);
          const out = await crypto.subtle.exportKey("jwk", key).then(() => "read out", () => "kept");
          return [key.extractable, key.type, out];
        }""",
        person["alias"],
    )
    assert told == [False, "private", "kept"]


def test_a_wrong_number_signs_nothing_and_guessing_has_to_wait(page: Page) -> None:
    assert call(page, "make", {"name": "王工", "kind": "software", "pin": "1234"}) == {"refused": "pin_form"}
    person = call(page, "make", {"name": "王工", "kind": "software", "pin": PIN})
    for _ in range(3):
        assert call(page, "sign", "00" * 32, person["alias"], {"pin": "999999"}) == {"refused": "pin_wrong"}
    assert "signature" in call(page, "sign", "00" * 32, person["alias"], {"pin": PIN})
    for _ in range(5):
        assert call(page, "sign", "00" * 32, person["alias"], {"pin": "999999"}) == {"refused": "pin_wrong"}
    assert call(page, "sign", "00" * 32, person["alias"], {"pin": PIN}) == {"refused": "pin_wait"}


def test_a_passkey_without_the_persons_check_signs_nothing(page: Page, device: tuple[CDPSession, str]) -> None:
    session, number = device
    person = call(page, "make", {"name": "赵工", "kind": "passkey"})
    session.send("WebAuthn.setUserVerified", {"authenticatorId": number, "isUserVerified": False})
    assert call(page, "sign", "00" * 32, person["alias"]) == {"refused": "passkey_refused"}
    assert call(page, "make", {"name": "赵工", "kind": "passkey"}) == {"refused": "passkey_refused"}
    session.send("WebAuthn.setUserVerified", {"authenticatorId": number, "isUserVerified": True})
    assert "signature" in call(page, "sign", "00" * 32, person["alias"])


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("kind", ["software", "passkey"])
def test_a_new_key_proves_to_the_office_that_its_phone_holds_it(page: Page, kind: str) -> None:
    person = call(page, "make", {"name": "钱工", "kind": kind, "pin": PIN, "duty": "manager"})
    file = call(page, "enrolment", person["alias"])
    assert "钱工" not in json.dumps(file, ensure_ascii=False)
    key = parse_crew_key(json.dumps(file).encode())
    verify_crew_key(key)
    assert (key.alias.hex(), key.public.hex()) == (person["alias"], person["public"])
    if kind == "passkey":
        assert (key.origin, key.rp_id_hash) == (origin_of(page), sha256(b"localhost").digest())
        with pytest.raises(CrewKeyError, match="another site"):
            verify_crew_key(replace(key, origin="https://elsewhere.example"))
    with pytest.raises(CrewKeyError, match="proof does not hold"):
        verify_crew_key(replace(key, alias=bytes([1]) * 32))


def test_a_signature_that_the_contract_cannot_take_beside_the_others_is_not_kept(page: Page) -> None:
    """Nothing is lost by it: the visit stays as it was, and its person signs with a software key."""
    usual = '{"type":"webauthn.get","challenge":"' + "A" * 43 + f'","origin":"{origin_of(page)}"'
    long = usual + ',"crossOrigin":false,"other_keys_can_be_added_here":"' + "x" * 120 + '"}'
    usual += ',"crossOrigin":false}'
    told = page.evaluate(
        """async (texts) => {
          const { put, get } = await import("/static/crew/store.js");
          const { addSignature } = await import("/static/crew/visits.js");
          const hex = (text) => Array.from(text, (one) => one.charCodeAt(0).toString(16).padStart(2, "0")).join("");
          const signed = texts.map((text) => ({ client_data: hex(text) }));
          const visit = { id: "ab", state: "asked", people: ["1", "2"], manager: "3", signatures: [null, null, null] };
          await put("visits", visit);
          const tries = [];
          for (const [index, one] of signed.entries()) {
            tries.push(await addSignature("ab", index, one).then(() => "kept", (error) => error.word));
          }
          const { signatures } = await get("visits", "ab");
          return [tries, signatures.map((one) => one !== null)];
        }""",
        [usual, long, long],
    )
    assert told == [["kept", "kept", "passkey_long"], [True, True, False]]
