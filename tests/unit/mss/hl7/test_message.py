"""Octets are a message, or the one error; whoever wrote the line ends and the charset."""

import pytest

from mss.hl7.errors import HL7SyntaxError
from mss.hl7.message import MAX_SEGMENTS, MAX_SEPARATORS, HL7Message, parse_hl7, unescape
from mss.hl7.request import decode_base64
from mss.hl7.writing import build_hl7, components, segment

HEAD = "MSH|^~\\&|RIS|Org|PFI|Org|202106060931||MDM^T02^MDM_T02|015|P|2.6|||||FRA"


def message(*segments: str, charset: str = "UNICODE UTF-8", end: str = "\r") -> str:
    """A message of MSH and some segments."""
    return end.join([f"{HEAD}|{charset}", *segments]) + end


def value(read: HL7Message) -> str:
    """PID-5 of a message."""
    found = read.first("PID")
    assert found is not None
    return found.text(5)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\r\n"])
def test_segments_end_as_software_likes(end: str) -> None:
    """The official examples themselves end with LF."""
    read = parse_hl7(message("PID|||||Éloïse", "PV1|1|N", end=end).encode())

    assert [one.name for one in read.segments] == ["MSH", "PID", "PV1"]
    assert value(read) == "Éloïse"


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [
        ("UNICODE UTF-8", "utf-8", "Élœ€"),
        ("unicode utf-8", "utf-8", "Élœ€"),
        ("8859/15", "iso-8859-15", "Élœ€"),
        ("8859/1", "iso-8859-1", "Él¤½"),
        ("8859/15~UNICODE UTF-8", "iso-8859-15", "Élœ€"),
        ("ASCII", "ascii", "Eloise"),
        ("", "utf-8", "Élœ€"),
        ("", "iso-8859-15", "Élœ€"),
    ],
)
def test_letters_are_read_in_the_charset_that_is_declared(
    charset: str, codec: str, text: str
) -> None:
    """8859/1 and 8859/15 have the same octets for ½ and œ; undeclared is UTF-8, or else Latin."""
    read = parse_hl7(message(f"PID|||||{text}", charset=charset).encode(codec))

    assert value(read) == text


def test_a_byte_order_mark_and_blanks_around_are_nothing() -> None:
    """Files that editors wrote begin so."""
    read = parse_hl7(b"\xef\xbb\xbf" + message("PID|||||X").encode() + b"\r\n\0")

    assert read.header.text(10) == "015"


def test_fields_count_as_in_the_standard() -> None:
    """MSH-1 is the separator itself, and what is not there is empty."""
    read = parse_hl7(message("PID|||4711^^^A&1.2.3&ISO^PI~12^^^B").encode())
    (number,) = read.all("PID")

    assert read.header.text(2, 1) != ""
    assert (read.header.text(9, 1), read.header.text(9, 2)) == ("MDM", "T02")
    assert number.repetitions(3) == 2
    assert number.text(3, 4, 2) == "1.2.3"
    assert number.text(3, 4, repetition=2) == "B"
    assert number.components(3) == 5
    assert (number.text(3, 9), number.text(77), number.text(3, 1, 2), number.repetitions(77)) == (
        "", "", "", 0,
    )  # fmt: skip
    assert (number.where(3), number.where()) == ("PID^1^3", "PID^1")


def test_other_separators_are_read() -> None:
    """MSH says which; few use others, and nobody may be misread."""
    octets = message("PID|||||A^B").translate(str.maketrans("|^~\\&", "#$*!%")).encode()
    (person,) = parse_hl7(octets).all("PID")

    assert (person.text(5, 1), person.text(5, 2)) == ("A", "B")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"one\.br\two", "one\ntwo"),
        (r"\H\bold\N\ plain", "bold plain"),
        (r"\X0D\ \XC3A9\ \XE9\ ", "\r é é "),
        (r"\Z1\ \X0\ \Xzz\ 50\100", r"\Z1\ \X0\ \Xzz\ 50\100"),
    ],
)
def test_escapes_are_undone_and_unknown_ones_stay(written: str, read: str) -> None:
    """Whatever is lost here is lost from a letter."""
    assert unescape(written) == read


@pytest.mark.parametrize("text", ["a|b^c~d&e\\f", "\\F\\", "one\rtwo\nthree", "é€", "\\X0D\\"])
def test_what_is_written_is_read_again(text: str) -> None:
    """Nothing in a value separates, and no escape is undone twice."""
    octets = build_hl7([f"{HEAD}|UNICODE UTF-8", segment("PID", {5: components("x", text, "z")})])
    (person,) = parse_hl7(octets).all("PID")

    assert [person.raw(5, number) for number in (1, 2, 3)] == ["x", text, "z"]


@pytest.mark.parametrize(
    "wrapped",
    ["QUJD\nREVG\r\nR0hJ||||||F|", "\nQUJDREVGR0hJ||||||F|", "QUJDREVG\n  R0hJ\n||||||F|"],
)
def test_base64_that_was_wrapped_is_put_together(wrapped: str) -> None:
    """Some engines break lines wherever they are long."""
    text = f"OBX|1|ED|x||^text^XML^Base64^{wrapped}"
    (document,) = parse_hl7(message(text, "NTE|1").encode()).all("OBX")

    assert document.text(5, 5) == "QUJDREVGR0hJ"
    assert document.text(11) == "F"


@pytest.mark.parametrize(
    ("written", "octets"),
    [
        ("QUJDRA==", b"ABCD"),
        ("QUJDRA", b"ABCD"),
        ("QUJDREU", b"ABCDE"),
        ("QUJD\r\nREVG", b"ABCDEF"),
        ("QUJDRA=", b"ABCD"),
        ("QUJDR", None),
        ("QUJD*EVG", None),
        ("QUJDé", None),
        ("QU=JD", None),
        ("", b""),
    ],
)
def test_padding_may_be_missing_and_nothing_else(written: str, octets: bytes | None) -> None:
    """Five of the eleven official messages lack it."""
    assert decode_base64(written, is_strict=True) == octets


def test_a_text_that_was_cut_is_read_as_far_as_it_goes() -> None:
    """An official example cuts the text of its mail."""
    assert decode_base64("QUJDR", is_strict=False) == b"ABC"


REFUSED = {
    "nothing": (b"", "no-header"),
    "rubbish": (b"\xff" * 50, "no-header"),
    "only a name": (b"MSH", "no-header"),
    "no separators": (b"MSH|||||||||", "separators"),
    "separators alike": (b"MSH|^^\\&|a", "separators"),
    "letters as separators": (b"MSHa^~\\&a", "separators"),
    "octets as separators": (b"MSH\xff^~\\&\xff", "separators"),
    "a sixth separator": (b"MSH|^~\\&%|a", "separators"),
    "an unknown charset": (message(charset="UTF-16").encode(), "charset"),
    "a charset with octets": (message(charset="é").encode(), "charset"),
    "octets of another charset": (message("PID|||||É").encode("iso-8859-15"), "octets"),
    "a letter in ASCII": (message("PID|||||É", charset="ASCII").encode(), "octets"),
    "a line that is none": (message("this is no segment").encode(), "segment"),
    "a line after base64": (
        message("OBX|1|ED|x||^a^b^Base64^QUJD||||||F|", "QUJD").encode(),
        "segment",
    ),
    "a name in small letters": (message("pid|||1").encode(), "segment"),
    "a second message": ((message("PID|||1") * 2).encode(), "several-messages"),
    "a batch": (message("BHS|^~\\&|x").encode(), "several-messages"),
    "too many fields": (message("OBX|" + "|" * MAX_SEPARATORS).encode(), "too-many-fields"),
    "too many components": (message("OBX|" + "^" * MAX_SEPARATORS).encode(), "too-many-fields"),
    "too many segments": (message(*["NTE"] * MAX_SEGMENTS).encode(), "too-many-segments"),
}


@pytest.mark.parametrize(("octets", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_message_is_the_one_error(octets: bytes, reason: str) -> None:
    """And its reason goes back in the answer."""
    with pytest.raises(HL7SyntaxError) as refused:
        parse_hl7(octets)

    assert refused.value.reason == reason


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_message_cut_anywhere_is_read_or_refused(cut: int) -> None:
    """Nothing but the declared error leaves."""
    octets = message("PID|||4711^^^A&1.2.3&ISO^PI", "OBX|1|ED|x||^text^XML^Base64^QUJD").encode()
    try:
        read = parse_hl7(octets[:-cut] if cut else octets)
    except HL7SyntaxError:
        return

    assert read.header.name == "MSH"
