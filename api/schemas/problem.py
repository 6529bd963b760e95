"""How a refusal looks on the wire (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.document import FindingOut


class InvalidField(BaseModel):
    """One field of a request and what is wrong with it."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(description="The field, as a path: `attachments.0.filename`.")
    reason: str = Field(description="What is wrong with it, in English; never its value.")


class Problem(BaseModel):
    """Why a request was refused: for software (`code`), and for people in two languages."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="Where this kind of problem is described.")
    title: str = Field(description="The kind of problem, in two or three words.")
    status: int = Field(description="The HTTP status, repeated.")
    detail: str = Field(description="What happened, in English.")
    code: str = Field(description="Permanent name of the kind of problem; build on this one.")
    detail_fr: str = Field(description="What happened, in French.")
    next_step: str = Field(description="What to do about it, in English.")
    retryable: bool = Field(description="True if the same request may succeed later.")
    errors: list[InvalidField] | None = Field(default=None, description="The fields to blame.")
    findings: list[FindingOut] | None = Field(
        default=None, description="Of a letter: all that is wrong; `where` is a JSON pointer."
    )
    recipient: str | None = Field(default=None, description="The recipient to blame.")
    domain: str | None = Field(default=None, description="The recipient's domain to blame.")
