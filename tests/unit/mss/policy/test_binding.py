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
        (("other@x.fr",), FINESS, NOBODY, {FINESS}, Binding.NONE),
        (("other@cabinets-demo.mssante.fr",), FINESS, {FINESS}, {FINESS}, Binding.NONE),
        (("cabinets-demo.mssante.fr",), None, NOBODY, NOBODY, Binding.DOMAIN),
        (("@Cabinets-Demo.mssante.fr",), None, NOBODY, NOBODY, Binding.DOMAIN),
        (("demo.mssante.fr",), FINESS, NOBODY, {FINESS}, Binding.OPERATOR),
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


@pytest.mark.parametrize(
    ("domain", "wanted"),
    [
        ("cabinets-demo.mssante.fr", Binding.DOMAIN),
        ("CABINETS-DEMO.mssante.fr", Binding.DOMAIN),
        ("mssante.fr", Binding.NONE),
        ("mail.cabinets-demo.mssante.fr", Binding.NONE),
        ("x-cabinets-demo.mssante.fr", Binding.NONE),
    ],
)
def test_a_certificate_for_a_domain_speaks_for_that_very_domain(
    domain: str, wanted: Binding
) -> None:
    """Neither for its parents, nor as one of its hosts."""
    binding = binding_of(
        author_key=AUTHOR,
        signer_addresses=(),
        signer_domains=(domain,),
        signer_structure=None,
        mailbox_structures=NOBODY,
        operator_structures=NOBODY,
    )

    assert binding is wanted
