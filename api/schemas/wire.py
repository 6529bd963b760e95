"""How every wire model behaves, and the small types that several share."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

# What may stand in a header field: no control character (tab excepted), no line separator of any
# kind, so that no value can end its own line.
_ONE_LINE: Final = r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]*$"

HeaderText = Annotated[str, Field(max_length=2000, pattern=_ONE_LINE)]
AddressText = Annotated[str, Field(min_length=3, max_length=254, pattern=_ONE_LINE)]
NamedAddressText = Annotated[
    str,
    Field(
        min_length=3,
        max_length=600,
        pattern=_ONE_LINE,
        examples=["Dr Anne ESSAI-LEROUX <anne.essai-leroux@cabinets-demo.mssante.fr>"],
    ),
]
MediaType = Annotated[
    str,
    Field(max_length=200, pattern=r"^[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,99}$"),
]


class Request(BaseModel):
    """What a client sends: exact types, and no field that we do not know."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Filter(BaseModel):
    """What a client asks for in the query of an address, where everything is text."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class View(BaseModel):
    """What a client receives; fields may be added, so clients ignore those they do not know."""

    model_config = ConfigDict(frozen=True)
