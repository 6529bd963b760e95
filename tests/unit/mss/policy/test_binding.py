import pytest

from mss.model.security import Binding
from mss.policy.binding import binding_of

AUTHOR = "anne@cabinets-demo.mssante.fr"
FINESS, SIRET = "1690000001", "300000000000010"
NOBODY = frozenset[str]()


@pytest.mark.parametrize(
    ("addresses", "structure", "mailbox", "operator", "wanted"),
    [
        ((AUTHOR.upper(),), None, NOBODY, NOBODY, Binding.ADDRESS),
        ((AUTHOR,), FINESS, {FINESS}, {FINESS}, Binding.ADDRESS),
        ((), FINESS, {FINESS}, {FINESS}, Binding.DIRECTORY),
        ((), FINESS, {SIRET}, {FINESS}, Binding.OPERATOR),
        (("other@x.fr",), FINESS, NOBODY, {FINESS}, Binding.OPERATOR),
        ((), FINESS, {SIRET}, {SIRET}, Binding.NONE),
        (("other@x.fr",), None, {FINESS}, {FINESS}, Binding.NONE),
        ((), None, NOBODY, NOBODY, Binding.NONE),
    ],
)
def test_the_closest_tie_counts(
    addresses: tuple[str, ...],
    structure: str | None,
    mailbox: frozenset[str],
    operator: frozenset[str],
    wanted: Binding,
) -> None:
    """The certificate itself, then the directory, then who operates the domain; or none."""
    binding = binding_of(
        author_key=AUTHOR,
        signer_addresses=addresses,
        signer_structure=structure,
        mailbox_structures=frozenset(mailbox),
        operator_structures=frozenset(operator),
    )

    assert binding is wanted
