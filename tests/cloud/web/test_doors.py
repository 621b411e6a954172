"""Signing in by a one-time link, and what the session may and may not do."""

import pytest

from cloud.web.answers import Person
from cloud.web.session import new_token, token_digest
from tests.cloud.web.conftest import SignIn
from tests.cloud.web.reader import Reader
from tests.cloud.web.site import build
from tests.cloud.web.world import COMMITTEE, CREW, DAY_MS, OWNER, World


def test_a_link_opens_one_session_and_no_second(world: World, stranger: Reader) -> None:
    token = world.token_of(OWNER)
    first = stranger.post("/signin", json={"token": token})
    assert first.json() == {"next": "/home"}
    cookie = first.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
    assert stranger.get("/home").status_code == 200
    other = Reader(build(world))
    second = other.post("/signin", json={"token": token})
    assert second.status_code == 401
    assert "set-cookie" not in second.headers


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"token": 7}', b'{"token": "x"}', b"\xff", b"x" * 5000])
def test_a_malformed_sign_in_is_refused(stranger: Reader, body: bytes) -> None:
    assert stranger.post("/signin", content=body).status_code == 401


def test_an_unknown_token_is_refused(stranger: Reader) -> None:
    assert stranger.post("/signin", json={"token": new_token()}).status_code == 401


def test_a_token_has_one_spelling() -> None:
    token = new_token()
    assert token_digest(token) is not None
    last = token[:-1] + ("B" if token[-1] == "A" else "A")
    for other in (token + "=", token[:-1], token.replace(token[0], "+", 1), "é" * 43, ""):
        assert token_digest(other) is None
    assert token_digest(last) != token_digest(token)


def test_only_digests_reach_the_store(world: World, sign_in: SignIn) -> None:
    client = sign_in(OWNER)
    session = client.cookies["minglou_session"]
    assert len(world.sessions) == 1
    assert session.encode() not in world.sessions
    assert all(len(digest) == 32 for digest in world.sessions)


def test_links_of_the_demo_work_on_this_machine_only(world: World) -> None:
    for base, peer in (("http://evil.example", "127.0.0.1"), ("http://localhost", "192.0.2.7")):
        client = Reader(build(world), base_url=base, peer=peer)
        answer = client.post("/signin", json={"token": world.token_of(OWNER)})
        assert (answer.status_code, answer.json()["error"]) == (403, "elsewhere")


def test_another_site_cannot_sign_somebody_in_or_out(world: World, sign_in: SignIn, stranger: Reader) -> None:
    evil = {"origin": "http://evil.example"}
    assert stranger.post("/signin", json={"token": world.token_of(OWNER)}, headers=evil).status_code == 403
    client = sign_in(OWNER)
    assert client.post("/signout", headers=evil).status_code == 403
    assert client.get("/home").status_code == 200


def test_signing_out_ends_the_session_on_both_sides(world: World, sign_in: SignIn) -> None:
    client = sign_in(OWNER)
    kept = client.cookies["minglou_session"]
    client.post("/signout")
    assert world.sessions == {}
    client.cookies.set("minglou_session", kept)
    assert client.get("/home").status_code == 401


def test_a_session_ends_after_its_time(world: World, sign_in: SignIn) -> None:
    client = sign_in(OWNER)
    world.now_ms += 31 * DAY_MS
    answer = client.get("/home", headers={"accept-language": "en"})
    assert answer.status_code == 401
    assert "your session has ended" in answer.text


@pytest.mark.parametrize(("person", "path"), [(OWNER, "/home"), (COMMITTEE, "/site"), (CREW, "/work")])
def test_everybody_has_a_way_home(sign_in: SignIn, person: Person, path: str) -> None:
    client = sign_in(person)
    assert client.get("/").url.path == path


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "evil"])
def test_preferences_lead_nowhere_else(stranger: Reader, back: str) -> None:
    answer = stranger.post("/preferences", data={"view": "elder", "back": back}, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_preferences_change_language_size_and_colour(stranger: Reader) -> None:
    for name, value in (("language", "en"), ("view", "elder"), ("theme", "dark")):
        answer = stranger.post("/preferences", data={name: value, "back": "/lifts"}, follow_redirects=False)
        assert answer.headers["location"] == "/lifts"
    page = stranger.get("/lifts").text
    assert '<html lang="en" data-view="elder" data-theme="dark">' in page
