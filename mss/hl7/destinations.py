"""Who may get the documents of a request?

The national matrix lists the combinations of masking and destinations that may be mailed; any other
is an error. It leaves out the commonest case of all (nothing masked, to professionals only) and
forbids a copy for the DMP beside a letter to the patient, which an official example asks for: both
pass unless the settings are strict.

Pure: flags in, audiences or an objection out.

Sources
    ANS, CI-SIS, Transmission d'un document CDA-R2 en HL7v2 2.1, règles de gestion MSSanté.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mss.hl7.errors import Condition, Objection
from mss.hl7.request import Flag


class Audience(StrEnum):
    """Whom a letter is for; each gets one of its own."""

    PROFESSIONALS = "professionals"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A line of the matrix: what each flag must be, where it matters."""

    flags: Mapping[Flag, bool]
    audiences: tuple[Audience, ...]

    def fits(self, flags: Mapping[Flag, bool]) -> bool:
        """Tell whether flags are those of this line; one that is not there says no."""
        return all(flags.get(flag, False) is wanted for flag, wanted in self.flags.items())


def _row(text: str, *audiences: Audience, **more: bool) -> _Row:
    """Read a line: MASQUE_PS, INVISIBLE_PATIENT, INVISIBLE_REP_LEGAUX, DESTMSSANTEPS, …PAT."""
    columns = (
        Flag.MASQUE_PS,
        Flag.INVISIBLE_PATIENT,
        Flag.INVISIBLE_REP_LEGAUX,
        Flag.DESTMSSANTEPS,
        Flag.DESTMSSANTEPAT,
    )
    pairs = zip(columns, text, strict=True)
    flags = {flag: letter == "Y" for flag, letter in pairs if letter != "-"}
    flags |= {Flag[name]: wanted for name, wanted in more.items()}
    return _Row(flags=flags, audiences=audiences)


_BOTH: Final = (Audience.PROFESSIONALS, Audience.PATIENT)
# The secret connection is the DMP's: one edition of the guide lets any value pass, another wants N.
PUBLISHED: Final = (
    _row("NNNYY", *_BOTH),
    _row("NYNYN", Audience.PROFESSIONALS),
    _row("-N-NY", Audience.PATIENT, CONNEXION_SECRETE=False, DESTDMP=False),
)
# What the matrix means without saying so. A document that only the patient's legal representatives
# may not see may go to professionals: the official example of a delivered request has it so.
MEANT: Final = (
    _row("NNNYN", Audience.PROFESSIONALS),
    _row("NNYYN", Audience.PROFESSIONALS),
    _row("NYYYN", Audience.PROFESSIONALS),
    _row("-N-NY", Audience.PATIENT, CONNEXION_SECRETE=False),
)


def audiences_of(flags: Mapping[Flag, bool], *, strict: bool) -> tuple[Audience, ...] | Objection:
    """Tell for whom letters are to be written; none if the documents only go to the DMP."""
    wants = [flags.get(one, False) for one in (Flag.DESTMSSANTEPS, Flag.DESTMSSANTEPAT)]
    if not any(wants):
        return ()
    for row in PUBLISHED if strict else (*PUBLISHED, *MEANT):
        if row.fits(flags):
            return row.audiences
    return Objection(
        condition=Condition.APPLICATION,
        where="OBX",
        code="destination-not-allowed",
        text="Masking and destinations do not go together",
    )
