"""One bus, one question at a time: answers, refusals, segments, repeats and what a bad line does to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.dlt645.connection import Connection, Step, Timing
from devices.dlt645.frame import Frame, encode_frame
from devices.dlt645.request import Answered, NoAnswer, Noise, ReadAddress, ReadData, Refused, Unasked

METER = "000000000161"
TIMING = Timing(retries=2)
READ = ReadData(address=METER, data_id="00010000")
REPLY = encode_frame(Frame(METER, 0x91, bytes.fromhex("00000100 26000000")))


def test_a_question_goes_out_with_wake_up_bytes_as_captured() -> None:
    sent = Connection(TIMING).start(READ, 0.0)
    assert sent == bytes.fromhex("FE FE FE FE 68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16")


def test_an_answer_gives_its_data() -> None:
    connection = Connection(TIMING)
    connection.start(READ, 0.0)
    step = connection.receive(b"\xfe\xfe" + REPLY, 0.1)
    assert step.events == (Answered(request=READ, address=METER, data=bytes.fromhex("26000000")),)
    assert connection.is_idle and connection.deadline is None


def test_the_echo_of_our_own_question_is_ignored() -> None:
    connection = Connection(TIMING)
    echo = connection.start(READ, 0.0)
    assert connection.receive(echo, 0.05).events == ()
    assert isinstance(connection.receive(REPLY, 0.1).events[0], Answered)


def test_an_error_reply_ends_the_question_with_its_reason() -> None:
    connection = Connection(TIMING)
    connection.start(READ, 0.0)
    (event,) = connection.receive(encode_frame(Frame(METER, 0xD1, b"\x02")), 0.1).events
    assert isinstance(event, Refused)
    assert event.says == "no such data"


def test_segments_are_asked_for_and_joined() -> None:
    connection = Connection(TIMING)
    connection.start(READ, 0.0)
    wire_id = READ.wire_data_id
    step = connection.receive(encode_frame(Frame(METER, 0xB1, wire_id + b"one")), 0.1)
    assert step.send.endswith(encode_frame(Frame(METER, 0x12, wire_id + b"\x01")))
    step = connection.receive(encode_frame(Frame(METER, 0xB2, wire_id + b"two\x01")), 0.2)
    assert step.send.endswith(encode_frame(Frame(METER, 0x12, wire_id + b"\x02")))
    step = connection.receive(encode_frame(Frame(METER, 0x92, wire_id + b"three\x02")), 0.3)
    assert step == Step(b"", (Answered(request=READ, address=METER, data=b"onetwothree"),))


def test_a_segment_that_comes_twice_is_not_joined_twice() -> None:
    connection = Connection(TIMING)
    connection.start(READ, 0.0)
    wire_id = READ.wire_data_id
    connection.receive(encode_frame(Frame(METER, 0xB1, wire_id + b"one")), 0.1)
    doubled = encode_frame(Frame(METER, 0xB2, wire_id + b"two\x01"))
    step = connection.receive(doubled + doubled, 0.2)
    assert [type(event) for event in step.events] == [Unasked]
    step = connection.receive(encode_frame(Frame(METER, 0x92, wire_id + b"end\x02")), 0.3)
    assert step.events == (Answered(request=READ, address=METER, data=b"onetwoend"),)


def test_endless_segments_are_given_up() -> None:
    connection = Connection(TIMING)
    small = ReadData(address=METER, data_id="00010000", maximum_bytes=4)
    connection.start(small, 0.0)
    (event,) = connection.receive(encode_frame(Frame(METER, 0xB1, small.wire_data_id + b"12345")), 0.1).events
    assert isinstance(event, NoAnswer)


def test_silence_is_answered_by_repeating_then_giving_up() -> None:
    connection = Connection(TIMING)
    question = connection.start(READ, 0.0)
    sent, now = [], 0.0
    while connection.deadline is not None:
        now = connection.deadline
        step = connection.tick(now)
        sent.append(step.send)
    assert sent == [question, question, b""]
    assert step.events == (NoAnswer(request=READ, tries=3, is_collision=False),)


def test_nothing_happens_before_the_deadline() -> None:
    connection = Connection(TIMING)
    connection.start(READ, 10.0)
    assert connection.deadline is not None and connection.deadline > 10.5
    assert connection.tick(10.4) == Step()


def test_a_damaged_answer_is_asked_for_again_and_counts_as_noise() -> None:
    connection = Connection(TIMING)
    connection.start(READ, 0.0)
    damaged = REPLY[:12] + bytes((REPLY[12] ^ 1,)) + REPLY[13:]
    step = connection.receive(damaged, 0.1)
    assert step.events == (Noise(count=len(REPLY)),)
    assert connection.deadline is not None
    assert connection.tick(connection.deadline).send
    assert isinstance(connection.receive(REPLY, 1.5).events[0], Answered)


def test_garbage_alone_is_a_collision() -> None:
    connection = Connection(Timing(retries=0))
    connection.start(READ, 0.0)
    connection.receive(b"\x00\x68\x42", 0.1)
    assert connection.deadline is not None
    events = connection.tick(connection.deadline).events
    assert events[-1] == NoAnswer(request=READ, tries=1, is_collision=True)


def test_a_line_that_never_falls_silent_does_not_hold_the_bus() -> None:
    connection = Connection(Timing(retries=1))
    connection.start(READ, 0.0)
    now, ended = 0.0, False
    while not ended:
        now += 0.05
        assert now < 10, "still waiting"
        ended = any(isinstance(event, NoAnswer) for event in connection.receive(b"\xaa" * 8, now).events)
    assert connection.is_idle


def test_a_cut_answer_ends_with_the_gap_not_the_whole_timeout() -> None:
    connection = Connection(Timing(reply_timeout_seconds=60.0, gap_seconds=0.5, retries=0))
    connection.start(READ, 0.0)
    connection.receive(REPLY[:9], 0.1)
    assert connection.deadline == pytest.approx(0.6)


def test_another_meters_or_registers_reply_is_not_taken_for_the_answer() -> None:
    connection = Connection(TIMING)
    connection.start(READ, 0.0)
    stranger = encode_frame(Frame("000000000162", 0x91, bytes.fromhex("00000100 99000000")))
    other_register = encode_frame(Frame(METER, 0x91, bytes.fromhex("00010102 0110")))
    events = connection.receive(stranger + other_register, 0.1).events
    assert [type(event) for event in events] == [Unasked, Unasked]
    assert not connection.is_idle


def test_a_late_answer_while_idle_is_reported_and_forgotten() -> None:
    connection = Connection(TIMING)
    assert [type(event) for event in connection.receive(REPLY, 0.1).events] == [Unasked]
    connection.start(READ, 1.0)
    assert not connection.is_idle


def test_half_an_old_frame_does_not_spoil_the_next_answer() -> None:
    connection = Connection(TIMING)
    connection.receive(REPLY[:15], 0.1)
    connection.start(READ, 1.0)
    assert isinstance(connection.receive(REPLY, 1.1).events[-1], Answered)


def test_the_only_meters_address_is_read() -> None:
    connection = Connection(TIMING)
    sent = connection.start(ReadAddress(), 0.0)
    assert sent.endswith(bytes.fromhex("68 AA AA AA AA AA AA 68 13 00 DF 16"))
    reply = encode_frame(Frame(METER, 0x93, bytes.fromhex("610100000000")))
    (event,) = connection.receive(reply, 0.1).events
    assert isinstance(event, Answered)
    assert event.address == METER


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans()), max_size=8))
def test_no_bytes_break_the_connection_and_every_question_ends(chunks: list[tuple[bytes, bool]]) -> None:
    connection = Connection(Timing(retries=1))
    connection.start(READ, 0.0)
    now, ended = 0.0, 0
    for chunk, is_answer in chunks:
        now += 0.1
        step = connection.receive(REPLY if is_answer else chunk, now)
        ended += sum(isinstance(event, Answered | Refused | NoAnswer) for event in step.events)
    while connection.deadline is not None:
        now = connection.deadline
        step = connection.tick(now)
        ended += sum(isinstance(event, Answered | Refused | NoAnswer) for event in step.events)
    assert ended == 1
