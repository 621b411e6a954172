"""Signed notes: the specification's own examples, and texts that are almost notes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import ed25519
from contracts.errors import NoteError, SignatureError
from contracts.note import (
    ED25519,
    NOTE_BYTES_MAX,
    Note,
    SignatureLine,
    decode_base64,
    encode_base64,
    format_note,
    format_vkey,
    key_id,
    parse_note,
    parse_vkey,
)

# C2SP signed-note: the example note.
QUASIMODO = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"  # noqa: E501
)
# C2SP tlog-cosignature: a checkpoint with one cosignature.
BEHIND_THE_SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"  # noqa: E501
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"  # noqa: E501
)

names = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "Cc"], exclude_characters="+"), min_size=1)
lines = st.builds(
    SignatureLine,
    name=names,
    key_id=st.binary(min_size=4, max_size=4),
    signature=st.binary(min_size=1, max_size=80),
)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.just("\n"), min_size=1, max_size=60)


def test_the_specifications_note_is_read_and_written_back() -> None:
    note = parse_note(QUASIMODO)
    assert note.text.endswith("\n\ned è subito sera.\n")
    assert [line.name for line in note.signatures] == ["quasimodo.example/salvatore"]
    assert note.signatures[0].key_id.hex() == "367ba04b"
    assert len(note.signatures[0].signature) == 64
    assert format_note(note) == QUASIMODO


def test_the_specifications_cosigned_checkpoint_is_read_and_written_back() -> None:
    note = parse_note(BEHIND_THE_SOFA)
    log, witness = note.signatures
    assert (log.key_id.hex(), witness.key_id.hex()) == ("033de0ae", "8d66cf3f")
    assert int.from_bytes(witness.signature[:8]) == 1679315147
    assert note.signatures_by("witness.example.com/w1", witness.key_id) == (witness.signature,)
    assert note.signatures_by("witness.example.com/w1", log.key_id) == ()
    assert format_note(note) == BEHIND_THE_SOFA


def test_gos_own_note_verifies_under_its_key() -> None:
    # golang.org/x/mod/sumdb/note, note_test.go: PeterNeumann's verifier key and the example it signed.
    name, encoded = "PeterNeumann", "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    typed = decode_base64(encoded)
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    note = parse_note(
        text
        + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"  # noqa: E501
    )
    assert typed[0] == ED25519
    assert key_id(name, ED25519, typed[1:]).hex() == "c74f20a3"
    (signature,) = note.signatures_by(name, bytes.fromhex("c74f20a3"))
    ed25519.verify(typed[1:], text.encode(), signature)
    with pytest.raises(SignatureError):
        ed25519.verify(typed[1:], text.encode() + b"\n", signature)


@given(texts, st.lists(lines, min_size=1, max_size=4))
def test_a_note_survives_its_text(text: str, signatures: list[SignatureLine]) -> None:
    note = Note(text=text + "\n", signatures=tuple(signatures))
    assert parse_note(format_note(note)) == note


@given(st.integers(0, len(BEHIND_THE_SOFA.encode()) - 1), st.integers(0, 255))
def test_a_damaged_note_is_refused_or_still_canonical(position: int, octet: int) -> None:
    damaged = bytearray(BEHIND_THE_SOFA.encode())
    damaged[position] = octet
    try:
        text = bytes(damaged).decode()
        note = parse_note(text)
    except (UnicodeDecodeError, NoteError):
        return
    assert format_note(note) == text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("\n\n— q", "\n— q"), "signature line|empty line"),
        (("IcN", "I N"), "signature line"),
        (("Ic=\n", "Ic=\n\n"), "empty line|signature line"),
        (("wNtIc=\n", "wNtIc="), "ended by a newline"),
        (("wNtIc=\n", "wNtIc=\r\n"), "base64"),
        (("— quasimodo", "- quasimodo"), "em dash"),
        (("— quasimodo", "—  quasimodo"), "em dash"),
        (("quasimodo.example/salvatore", "quasimodo+example"), "plus"),
        (("quasimodo.example/salvatore", "quasimodo\u00a0example"), "space"),
        (("wNtIc=", "wNtId="), "stray bits"),
        (("wNtIc=", "wNtIc"), "base64"),
        (("NnugSzTj", "NnugSz-j"), "base64"),
        (("sera.", "sera.\t"), "control"),
        (("sera.", "s" * NOTE_BYTES_MAX), "over 16384 bytes"),
    ],
)
def test_a_text_that_is_almost_a_note_is_refused(change: tuple[str, str], says: str) -> None:
    text = QUASIMODO.replace(*change)
    if text == QUASIMODO:
        text = QUASIMODO.replace("NnugSzTj", "NnugSz Tj")
    with pytest.raises(NoteError, match=says):
        parse_note(text)


def test_a_signature_of_no_bytes_and_a_note_without_one_are_refused() -> None:
    with pytest.raises(NoteError, match="shorter than its key id"):
        parse_note(f"text\n\n— name {encode_base64(bytes(4))}\n")
    with pytest.raises(NoteError, match="no signature"):
        format_note(Note(text="text\n", signatures=()))
    with pytest.raises(NoteError, match="signature lines; 64"):
        parse_note("text\n\n" + f"— name {encode_base64(bytes(5))}\n" * 65)


def test_the_specifications_verifier_key_is_read_and_written_back() -> None:
    # C2SP signed-note, "Verifier keys", and the note that it verifies.
    text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    key = parse_vkey(text, signature_type=ED25519)
    assert (key.name, key.id.hex(), format_vkey(key)) == ("example.com/foo", "530d903a", text)
    note = parse_note(
        "This is an example message.\n\n"
        "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"  # noqa: E501
    )
    (signature,) = note.signatures_by(key.name, key.id)
    ed25519.verify(key.public, note.text.encode(), signature)


@pytest.mark.parametrize(
    "text",
    [
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",  # another key id
        "example.com/foo+530d903a+BOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",  # a cosigner's key
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U0=",
    ],
)
def test_a_text_that_is_almost_a_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse_vkey(text, signature_type=ED25519)
