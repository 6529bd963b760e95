"""For whom did the signer write? A signed list of recipients, against passing letters on unseen.

A signature says who wrote, not to whom: a reader could encrypt a signed letter again for somebody
else, who would believe that it was addressed to them. So the signer states each recipient's address
together with the certificate that it was encrypted for. The form is that of the German health mail
(KIM), where each letter has it.

    RecipientEmails ::= SET SIZE (1..MAX) OF RecipientEmail
    RecipientEmail  ::= SEQUENCE { emailAddress IA5String, rid RecipientIdentifier }

Errors
    `CmsSyntaxError` for octets that are not such a list, or are too many.
Sources
    gemSMIME_KOMLE 1.7.0, KOM-LE-A_2114, A_2116, A_2117 and A_2127 (id-recipientEmails);
    RFC 5652, 6.2.1 (RecipientIdentifier); Davis, Defective sign and encrypt, USENIX 2001.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from crypto import der
from crypto.certificates import Certificate
from crypto.cms_parts import Attribute, Identifier, read_identifier
from crypto.errors import CmsSyntaxError

RECIPIENT_EMAILS: Final = "1.2.276.0.76.4.173"
MAX_LISTED: Final = 1000
MAX_ADDRESS_OCTETS: Final = 320
IA5_STRING: Final = 0x16


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRecipient:
    """Somebody the signer wrote to.

    Attributes:
        address: As the signer wrote it.
        identifier: Names the certificate that it was to be encrypted for.
    """

    address: str
    identifier: Identifier


def build_recipient_list(recipients: Iterable[tuple[str, Certificate]]) -> bytes:
    """Make the attribute that names *recipients*: address and certificate of each."""
    members = {
        der.sequence(
            der.encode(IA5_STRING, address.encode("ascii")),
            der.sequence(certificate.issuer_der, certificate.serial_der),
        )
        for address, certificate in recipients
    }
    return der.sequence(der.oid(RECIPIENT_EMAILS), der.encode(der.SET, der.set_of(members)))


def parse_recipient_list(octets: bytes) -> tuple[ListedRecipient, ...]:
    """Read RecipientEmails."""
    try:
        members = der.expect(der.parse(octets), der.SET).children()
        if not 1 <= len(members) <= MAX_LISTED:
            raise CmsSyntaxError("recipient-list-size")
        return tuple(map(_listed, members))
    except der.DerSyntaxError as error:
        raise CmsSyntaxError(error.reason) from error


def _listed(element: der.Element) -> ListedRecipient:
    fields = der.Fields(element)
    address = fields.take(IA5_STRING).content
    identifier = read_identifier(fields.take())
    fields.finish()
    if len(address) > MAX_ADDRESS_OCTETS or not address.isascii():
        raise CmsSyntaxError("recipient-list-address")
    return ListedRecipient(address=address.decode("ascii"), identifier=identifier)


def find_recipient_list(attributes: Iterable[Attribute]) -> tuple[ListedRecipient, ...] | None:
    """Find the list among signed *attributes*; None if there is none.

    A list that cannot be read, or stands twice, names nobody: better a warning than a way round.
    """
    stated = [each.values for each in attributes if each.oid == RECIPIENT_EMAILS]
    if not stated:
        return None
    if len(stated) != 1 or len(stated[0]) != 1:
        return ()
    try:
        return parse_recipient_list(stated[0][0])
    except CmsSyntaxError:
        return ()
