"""Create every table.

Revision 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915 -- one statement for each table and index
    """Apply."""
    op.create_table(
        "ending_warning",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_ending_warning")),
    )
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=254), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("identity", sa.String(length=64), nullable=True),
        sa.Column("certificate_name", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("certificate_name", name=op.f("uq_account_certificate_name")),
        sa.UniqueConstraint("identity", name=op.f("uq_account_identity")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
    )
    op.create_table(
        "audit",
        sa.Column("chain", sa.String(length=32), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("chain", "position", name=op.f("pk_audit")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"], unique=False)
    op.create_index(op.f("ix_audit_name"), "audit", ["name"], unique=False)
    op.create_table(
        "revocation_object",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.Column("octets", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_revocation_object")),
    )
    op.create_index(
        op.f("ix_revocation_object_kept_at"), "revocation_object", ["kept_at"], unique=False
    )
    op.create_table(
        "revocation_source",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("issuer", sa.LargeBinary(), nullable=True),
        sa.Column("wanted_at", sa.BigInteger(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_reason", sa.String(length=64), nullable=True),
        sa.Column("fetched_at", sa.BigInteger(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["sha256"],
            ["revocation_object.sha256"],
            name=op.f("fk_revocation_source_sha256_revocation_object"),
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_revocation_source")),
    )
    for column in ("next_try_at", "sha256", "wanted_at"):
        op.create_index(
            op.f(f"ix_revocation_source_{column}"), "revocation_source", [column], unique=False
        )
    op.create_table(
        "mailbox",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("address_key", sa.String(length=254), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("rpps", sa.String(length=11), nullable=True),
        sa.Column("finess", sa.String(length=9), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("quota_octets", sa.BigInteger(), nullable=False),
        sa.Column("used_octets", sa.BigInteger(), nullable=False),
        sa.Column("next_uid", sa.BigInteger(), nullable=False),
        sa.Column("client_certificate", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox")),
        sa.UniqueConstraint("address_key", name=op.f("uq_mailbox_address_key")),
    )
    op.create_index(op.f("ix_mailbox_rpps"), "mailbox", ["rpps"], unique=False)
    op.create_table(
        "message",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("sender", sa.String(length=254), nullable=True),
        sa.Column("sender_key", sa.String(length=254), nullable=True),
        sa.Column("internet_message_id", sa.Text(), nullable=False),
        sa.Column("envelope_id", sa.Text(), nullable=True),
        sa.Column("size_octets", sa.BigInteger(), nullable=False),
        sa.Column("blob_ref", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("report", sa.String(length=16), nullable=True),
        sa.Column("software", sa.String(length=64), nullable=True),
        sa.Column("summary", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
    )
    op.create_index(
        "ix_message_actor_accepted_at", "message", ["actor", "accepted_at"], unique=False
    )
    op.create_index(op.f("ix_message_blob_ref"), "message", ["blob_ref"], unique=False)
    is_set = sa.column("envelope_id").is_not(None)
    op.create_index(
        op.f("ix_message_envelope_id"),
        "message",
        ["envelope_id"],
        unique=False,
        sqlite_where=is_set,
        postgresql_where=is_set,
    )
    op.create_index(
        op.f("ix_message_internet_message_id"), "message", ["internet_message_id"], unique=False
    )
    op.create_index(op.f("ix_message_sender_key"), "message", ["sender_key"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("put_aside_at", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.String(length=254), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("sender_domain", sa.String(length=254), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("size_octets", sa.BigInteger(), nullable=False),
        sa.Column("blob_ref", sa.Text(), nullable=False),
        sa.Column("submission", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
    )
    op.create_index(op.f("ix_quarantine_blob_ref"), "quarantine", ["blob_ref"], unique=False)
    op.create_index(
        op.f("ix_quarantine_put_aside_at"), "quarantine", ["put_aside_at"], unique=False
    )
    op.create_table(
        "patient_letter",
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("mailbox_key", sa.String(length=254), nullable=False),
        sa.Column("patient_key", sa.String(length=254), nullable=False),
        sa.Column("internet_message_id", sa.Text(), nullable=False),
        sa.Column("may_be_answered", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name=op.f("fk_patient_letter_message_id")
        ),
        sa.PrimaryKeyConstraint(
            "message_id", "mailbox_key", "patient_key", name=op.f("pk_patient_letter")
        ),
    )
    op.create_index(
        "ix_patient_letter_pair", "patient_letter", ["mailbox_key", "patient_key"], unique=False
    )
    op.create_table(
        "document_record",
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name=op.f("fk_document_record_message_id")
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_document_record")),
    )
    op.create_table(
        "document_key",
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name=op.f("fk_document_key_message_id")
        ),
        sa.PrimaryKeyConstraint("message_id", "kind", "key", name=op.f("pk_document_key")),
    )
    op.create_index(op.f("ix_document_key_key"), "document_key", ["key"], unique=False)
    op.create_table(
        "correspondent",
        sa.Column("address_key", sa.String(length=254), nullable=False),
        sa.Column("signer_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("signer_subject", sa.Text(), nullable=False),
        sa.Column("capabilities", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address_key", name=op.f("pk_correspondent")),
    )
    op.create_table(
        "trust_list",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("generated_at", sa.BigInteger(), nullable=False),
        sa.Column("loaded_at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("xml", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_trust_list")),
    )
    op.create_table(
        "trust_source",
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("last_modified", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_trust_source")),
    )
    op.create_table(
        "acceptance",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name=op.f("fk_acceptance_message_id")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_acceptance")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_acceptance_accepted_at"), "acceptance", ["accepted_at"], unique=False)
    op.create_index(op.f("ix_acceptance_message_id"), "acceptance", ["message_id"], unique=False)
    op.create_table(
        "account_token",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_account_token_account_id")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_account_token")),
    )
    op.create_index(
        op.f("ix_account_token_account_id"), "account_token", ["account_id"], unique=False
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("recipient_key", sa.String(length=254), nullable=False),
        sa.Column("domain", sa.String(length=254), nullable=False),
        sa.Column("route", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("claimed_by", sa.String(length=32), nullable=True),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("blob_ref", sa.Text(), nullable=True),
        sa.Column("notify", sa.String(length=64), nullable=False),
        sa.Column("original_recipient", sa.Text(), nullable=True),
        sa.Column("returns", sa.String(length=4), nullable=True),
        sa.Column("delay_told", sa.Boolean(), nullable=False),
        sa.Column("last_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("last_code", sa.String(length=64), nullable=True),
        sa.Column("last_detail", sa.Text(), nullable=True),
        sa.Column("last_host", sa.String(length=254), nullable=True),
        sa.Column("last_status", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name=op.f("fk_delivery_message_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    is_set = sa.column("blob_ref").is_not(None)
    op.create_index(
        op.f("ix_delivery_blob_ref"),
        "delivery",
        ["blob_ref"],
        unique=False,
        sqlite_where=is_set,
        postgresql_where=is_set,
    )
    is_queued = sa.text("state = 'queued'")
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["next_attempt_at"],
        unique=False,
        sqlite_where=is_queued,
        postgresql_where=is_queued,
    )
    op.create_index(
        "ix_delivery_destination",
        "delivery",
        ["domain", "next_attempt_at"],
        unique=False,
        sqlite_where=is_queued,
        postgresql_where=is_queued,
    )
    op.create_index(op.f("ix_delivery_message_id"), "delivery", ["message_id"], unique=False)
    op.create_table(
        "destination",
        sa.Column("domain", sa.String(length=254), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=False),
        sa.Column("probed_until", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("host", sa.String(length=254), nullable=True),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_destination")),
    )
    op.create_table(
        "deposit",
        sa.Column("mailbox_id", sa.String(length=32), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("folder", sa.String(length=64), nullable=False),
        sa.Column("seen", sa.Boolean(), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("deposited_at", sa.BigInteger(), nullable=False),
        sa.Column("receipt_sent_at", sa.BigInteger(), nullable=True),
        sa.Column("blob_ref", sa.Text(), nullable=True),
        sa.Column("summary", sa.LargeBinary(), nullable=True),
        sa.Column("size_octets", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_deposit_mailbox_id")),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_deposit_message_id")),
        sa.PrimaryKeyConstraint("mailbox_id", "uid", name=op.f("pk_deposit")),
        sa.UniqueConstraint(
            "mailbox_id", "message_id", "role", name=op.f("uq_deposit_mailbox_id_message_id_role")
        ),
        sqlite_with_rowid=False,
    )
    is_set = sa.column("blob_ref").is_not(None)
    op.create_index(
        op.f("ix_deposit_blob_ref"),
        "deposit",
        ["blob_ref"],
        unique=False,
        sqlite_where=is_set,
        postgresql_where=is_set,
    )
    op.create_index("ix_deposit_listing", "deposit", ["mailbox_id", "folder", "uid"], unique=False)
    op.create_index(op.f("ix_deposit_message_id"), "deposit", ["message_id"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_idempotency_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name=op.f("fk_idempotency_message_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"], unique=False)
    op.create_table(
        "draft",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("mailbox_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("send_at", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("message_id", sa.String(length=32), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_draft_account_id")),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_draft_mailbox_id")),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_draft_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draft")),
    )
    op.create_index("ix_draft_due", "draft", ["state", "send_at"], unique=False)
    op.create_index("ix_draft_listing", "draft", ["mailbox_id", "id"], unique=False)
    op.create_index(op.f("ix_draft_message_id"), "draft", ["message_id"], unique=False)
    op.create_table(
        "upload",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("draft_id", sa.String(length=32), nullable=True),
        sa.Column("size_octets", sa.BigInteger(), nullable=False),
        sa.Column("offset_octets", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_upload_account_id")),
        sa.ForeignKeyConstraint(["draft_id"], ["draft.id"], name=op.f("fk_upload_draft_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_index(op.f("ix_upload_account_id"), "upload", ["account_id"], unique=False)
    op.create_index(op.f("ix_upload_draft_id"), "upload", ["draft_id"], unique=False)
    op.create_index(op.f("ix_upload_expires_at"), "upload", ["expires_at"], unique=False)
    op.create_table(
        "upload_piece",
        sa.Column("upload_id", sa.String(length=32), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("length_octets", sa.BigInteger(), nullable=False),
        sa.Column("blob_ref", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name=op.f("fk_upload_piece_upload_id")
        ),
        sa.PrimaryKeyConstraint("upload_id", "start", name=op.f("pk_upload_piece")),
    )
    op.create_index(op.f("ix_upload_piece_blob_ref"), "upload_piece", ["blob_ref"], unique=False)
    op.create_table(
        "mailbox_right",
        sa.Column("mailbox_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_mailbox_right_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_mailbox_right_mailbox_id")
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "account_id", "name", name=op.f("pk_mailbox_right")),
    )
    op.create_index(
        op.f("ix_mailbox_right_account_id"), "mailbox_right", ["account_id"], unique=False
    )
    op.create_table(
        "delivery_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("host", sa.String(length=254), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_delivery_event_delivery_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_event")),
    )
    op.create_index(
        op.f("ix_delivery_event_delivery_id"), "delivery_event", ["delivery_id"], unique=False
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("delivery_id", sa.String(length=32), nullable=True),
        sa.Column("mailbox_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_notice_delivery_id")
        ),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailbox.id"], name=op.f("fk_notice_mailbox_id")),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_notice_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
    )
    op.create_index(op.f("ix_notice_due_at"), "notice", ["due_at"], unique=False)
    op.create_index(op.f("ix_notice_message_id"), "notice", ["message_id"], unique=False)
    op.create_table(
        "directory_certificate",
        sa.Column(
            "subject",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "fingerprint",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("not_after_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "fingerprint"),
    )
    op.create_table(
        "directory_certificate_question",
        sa.Column(
            "address_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ask_again_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("address_key"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "directory_certificate_question_asked",
        "directory_certificate_question",
        ["asked_at"],
        unique=False,
    )
    op.create_table(
        "directory_publication",
        sa.Column(
            "address_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("declared_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("is_there", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("address_key"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "directory_publication_state", "directory_publication", ["state", "next_at"], unique=False
    )
    op.create_table(
        "directory_code",
        sa.Column("list", sa.String(), nullable=False),
        sa.Column(
            "code",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("label", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("list", "code"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "directory_declared_mailbox",
        sa.Column(
            "address_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column(
            "domain",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("national_id", sa.String(), nullable=False),
        sa.Column("role_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "organization_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("responsible", sa.Text(), nullable=False),
        sa.Column("paperless", sa.String(), nullable=False),
        sa.Column("liste_rouge", sa.Boolean(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=True),
        sa.Column("is_closed", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address_key"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "directory_declared_mailbox_changed",
        "directory_declared_mailbox",
        ["changed_at"],
        unique=False,
    )
    op.create_index(
        "directory_declared_mailbox_domain", "directory_declared_mailbox", ["domain"], unique=False
    )
    op.create_table(
        "directory_generation",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "directory_gone",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("born", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("identifier", sa.String(), nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", "born"),
        sqlite_with_rowid=False,
    )
    op.create_index("directory_gone_at", "directory_gone", ["gone_at", "id"], unique=False)
    op.create_table(
        "directory_mailbox",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("born", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column(
            "address_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column(
            "domain",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("practitioner_id", sa.BigInteger(), nullable=True),
        sa.Column("role_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "organization_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=True,
        ),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("responsible", sa.Text(), nullable=False),
        sa.Column("paperless", sa.String(), nullable=False),
        sa.Column("liste_rouge", sa.Boolean(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=True),
        sa.Column("masked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", "born"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "directory_mailbox_address", "directory_mailbox", ["address_key", "id"], unique=False
    )
    op.create_index(
        "directory_mailbox_changed", "directory_mailbox", ["changed_at", "id"], unique=False
    )
    op.create_index("directory_mailbox_domain", "directory_mailbox", ["domain"], unique=False)
    op.create_index(
        "directory_mailbox_gone",
        "directory_mailbox",
        ["gone"],
        unique=False,
        sqlite_where=sa.text("gone < 2147483647"),
        postgresql_where=sa.text("gone < 2147483647"),
    )
    op.create_index(
        "directory_mailbox_organization",
        "directory_mailbox",
        ["organization_key", "id"],
        unique=False,
    )
    op.create_index(
        "directory_mailbox_practitioner",
        "directory_mailbox",
        ["practitioner_id", "id"],
        unique=False,
    )
    op.create_table(
        "directory_organization",
        sa.Column(
            "key", sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("born", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("in_finess", sa.Boolean(), nullable=False),
        sa.Column("finess_facts", sa.Integer(), nullable=False),
        sa.Column("mention", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("trade_name", sa.Text(), nullable=False),
        sa.Column(
            "name_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "trade_name_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("finess", sa.String(), nullable=False),
        sa.Column("finess_legal", sa.String(), nullable=False),
        sa.Column("siret", sa.String(), nullable=False),
        sa.Column("siren", sa.String(), nullable=False),
        sa.Column("technical_id", sa.String(), nullable=False),
        sa.Column("old_id", sa.String(), nullable=False),
        sa.Column(
            "parent_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("sector", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("legal_status", sa.String(), nullable=False),
        sa.Column("ape", sa.String(), nullable=False),
        sa.Column("phone", sa.String(), nullable=False),
        sa.Column("phone2", sa.String(), nullable=False),
        sa.Column("fax", sa.String(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("street", sa.Text(), nullable=False),
        sa.Column("complement", sa.Text(), nullable=False),
        sa.Column(
            "postcode",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column(
            "city_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("commune", sa.String(), nullable=False),
        sa.Column(
            "department",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("key", "born"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "directory_organization_changed",
        "directory_organization",
        ["changed_at", "id"],
        unique=False,
    )
    op.create_index(
        "directory_organization_city", "directory_organization", ["city_key", "key"], unique=False
    )
    op.create_index(
        "directory_organization_finess", "directory_organization", ["finess"], unique=False
    )
    op.create_index(
        "directory_organization_siren",
        "directory_organization",
        ["siren"],
        unique=False,
        sqlite_where=sa.text("siren <> ''"),
        postgresql_where=sa.text("siren <> ''"),
    )
    op.create_index(
        "directory_organization_gone",
        "directory_organization",
        ["gone"],
        unique=False,
        sqlite_where=sa.text("gone < 2147483647"),
        postgresql_where=sa.text("gone < 2147483647"),
    )
    op.create_index("directory_organization_id", "directory_organization", ["id"], unique=False)
    op.create_index(
        "directory_organization_name", "directory_organization", ["name_key", "key"], unique=False
    )
    op.create_index(
        "directory_organization_parent",
        "directory_organization",
        ["parent_key", "key"],
        unique=False,
    )
    op.create_index(
        "directory_organization_place",
        "directory_organization",
        ["latitude", "longitude"],
        unique=False,
    )
    op.create_index(
        "directory_organization_siret", "directory_organization", ["siret"], unique=False
    )
    op.create_index(
        "directory_organization_old", "directory_organization", ["old_id"], unique=False
    )
    op.create_index(
        "directory_organization_postcode",
        "directory_organization",
        ["postcode", "key"],
        unique=False,
    )
    op.create_index(
        "directory_organization_trade_name",
        "directory_organization",
        ["trade_name_key", "key"],
        unique=False,
    )
    op.create_table(
        "directory_practitioner",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("born", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("national_id", sa.String(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("given", sa.Text(), nullable=False),
        sa.Column(
            "family_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "given_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("civility", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("profession", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", "born"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "directory_practitioner_changed",
        "directory_practitioner",
        ["changed_at", "id"],
        unique=False,
    )
    op.create_index(
        "directory_practitioner_family",
        "directory_practitioner",
        ["family_key", "given_key", "id"],
        unique=False,
    )
    op.create_index(
        "directory_practitioner_given", "directory_practitioner", ["given_key", "id"], unique=False
    )
    op.create_index(
        "directory_practitioner_profession",
        "directory_practitioner",
        ["profession", "id"],
        unique=False,
    )
    op.create_index(
        "directory_practitioner_gone",
        "directory_practitioner",
        ["gone"],
        unique=False,
        sqlite_where=sa.text("gone < 2147483647"),
        postgresql_where=sa.text("gone < 2147483647"),
    )
    op.create_table(
        "directory_role",
        sa.Column("practitioner_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("born", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "organization_key",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("profession", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("activity", sa.String(), nullable=False),
        sa.Column("function", sa.String(), nullable=False),
        sa.Column("section", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("practitioner_id", "id", "born"),
        sqlite_with_rowid=False,
    )
    op.create_index("directory_role_changed", "directory_role", ["changed_at", "id"], unique=False)
    op.create_index(
        "directory_role_gone",
        "directory_role",
        ["gone"],
        unique=False,
        sqlite_where=sa.text("gone < 2147483647"),
        postgresql_where=sa.text("gone < 2147483647"),
    )
    op.create_index("directory_role_id", "directory_role", ["id"], unique=False)
    op.create_index(
        "directory_role_organization",
        "directory_role",
        ["organization_key", "practitioner_id"],
        unique=False,
    )
    op.create_index(
        "directory_role_profession",
        "directory_role",
        ["profession", "practitioner_id"],
        unique=False,
    )
    op.create_table(
        "directory_skill",
        sa.Column("practitioner_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "code",
            sa.String().with_variant(sa.VARCHAR(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("born", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("practitioner_id", "code", "born"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "directory_skill_code", "directory_skill", ["code", "practitioner_id"], unique=False
    )
    op.create_index(
        "directory_skill_gone",
        "directory_skill",
        ["gone"],
        unique=False,
        sqlite_where=sa.text("gone < 2147483647"),
        postgresql_where=sa.text("gone < 2147483647"),
    )
    op.create_table(
        "hl7_route",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("application", sa.String(length=227), nullable=False),
        sa.Column("facility", sa.String(length=227), nullable=False),
        sa.Column("mailbox_key", sa.String(length=254), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("certificate_name", sa.Text(), nullable=True),
        sa.Column("takes_documents", sa.Boolean(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("claimed_by", sa.String(length=32), nullable=True),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hl7_route")),
        sa.UniqueConstraint(
            "application", "facility", name=op.f("uq_hl7_route_application_facility")
        ),
    )
    op.create_table(
        "hl7_request",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("route_id", sa.String(length=32), nullable=False),
        sa.Column("control_id", sa.String(length=199), nullable=False),
        sa.Column("own_application", sa.String(length=227), nullable=False),
        sa.Column("own_facility", sa.String(length=227), nullable=False),
        sa.Column("charset", sa.String(length=16), nullable=False),
        sa.Column("wants_reception", sa.Boolean(), nullable=False),
        sa.Column("wants_reading", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["route_id"], ["hl7_route.id"], name=op.f("fk_hl7_request_route_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hl7_request")),
        sa.UniqueConstraint("digest", name=op.f("uq_hl7_request_digest")),
    )
    op.create_index(op.f("ix_hl7_request_route_id"), "hl7_request", ["route_id"], unique=False)
    op.create_index(
        op.f("ix_hl7_request_received_at"), "hl7_request", ["received_at"], unique=False
    )
    op.create_table(
        "hl7_letter",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("audience", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["hl7_request.id"], name=op.f("fk_hl7_letter_request_id")
        ),
        sa.PrimaryKeyConstraint("request_id", "audience", name=op.f("pk_hl7_letter")),
    )
    op.create_index(op.f("ix_hl7_letter_message_id"), "hl7_letter", ["message_id"], unique=False)
    op.create_table(
        "hl7_recipient",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("recipient_key", sa.String(length=254), nullable=False),
        sa.Column("identifier", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["hl7_request.id"], name=op.f("fk_hl7_recipient_request_id")
        ),
        sa.PrimaryKeyConstraint("request_id", "recipient_key", name=op.f("pk_hl7_recipient")),
    )
    op.create_table(
        "hl7_outgoing",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("route_id", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("request_id", sa.String(length=32), nullable=True),
        sa.Column("delivery_id", sa.String(length=32), nullable=True),
        sa.Column("message_id", sa.String(length=32), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("control_id", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.String(length=2), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["route_id"], ["hl7_route.id"], name=op.f("fk_hl7_outgoing_route_id")
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["hl7_request.id"], name=op.f("fk_hl7_outgoing_request_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hl7_outgoing")),
        sa.UniqueConstraint("subject", name=op.f("uq_hl7_outgoing_subject")),
    )
    op.create_index(
        op.f("ix_hl7_outgoing_request_id"), "hl7_outgoing", ["request_id"], unique=False
    )
    op.create_index(
        op.f("ix_hl7_outgoing_waiting"), "hl7_outgoing", ["state", "route_id", "id"], unique=False
    )
    op.create_table(
        "hl7_intake",
        sa.Column("route_id", sa.String(length=32), nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column("is_answered", sa.Boolean(), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["route_id"], ["hl7_route.id"], name=op.f("fk_hl7_intake_route_id")
        ),
        sa.PrimaryKeyConstraint("route_id", "message_id", name=op.f("pk_hl7_intake")),
    )
    op.create_index(op.f("ix_hl7_intake_taken_at"), "hl7_intake", ["taken_at"], unique=False)
    op.create_index(op.f("ix_hl7_intake_is_answered"), "hl7_intake", ["is_answered"], unique=False)


def downgrade() -> None:  # noqa: PLR0915 -- the same, backwards
    """Take back."""
    for name in ("intake", "outgoing", "recipient", "letter", "request", "route"):
        op.drop_table(f"hl7_{name}")
    op.drop_table("revocation_source")
    op.drop_table("revocation_object")
    op.drop_index(
        "directory_skill_gone",
        table_name="directory_skill",
        sqlite_where=sa.text("gone < 2147483647"),
        postgresql_where=sa.text("gone < 2147483647"),
    )
    op.drop_index("directory_skill_code", table_name="directory_skill")
    op.drop_table("directory_skill")
    op.drop_index("directory_role_profession", table_name="directory_role")
    op.drop_index("directory_role_organization", table_name="directory_role")
    op.drop_index("directory_role_id", table_name="directory_role")
    op.drop_index(
        "directory_role_gone",
        table_name="directory_role",
        sqlite_where=sa.text("gone < 2147483647"),
        postgresql_where=sa.text("gone < 2147483647"),
    )
    op.drop_index("directory_role_changed", table_name="directory_role")
    op.drop_table("directory_role")
    op.drop_index(
        "directory_practitioner_gone",
        table_name="directory_practitioner",
        sqlite_where=sa.text("gone < 2147483647"),
        postgresql_where=sa.text("gone < 2147483647"),
    )
    op.drop_index("directory_practitioner_profession", table_name="directory_practitioner")
    op.drop_index("directory_practitioner_given", table_name="directory_practitioner")
    op.drop_index("directory_practitioner_family", table_name="directory_practitioner")
    op.drop_index("directory_practitioner_changed", table_name="directory_practitioner")
    op.drop_table("directory_practitioner")
    op.drop_index("directory_organization_trade_name", table_name="directory_organization")
    op.drop_index("directory_organization_postcode", table_name="directory_organization")
    op.drop_index("directory_organization_old", table_name="directory_organization")
    op.drop_index("directory_organization_siret", table_name="directory_organization")
    op.drop_index("directory_organization_place", table_name="directory_organization")
    op.drop_index("directory_organization_parent", table_name="directory_organization")
    op.drop_index("directory_organization_name", table_name="directory_organization")
    op.drop_index("directory_organization_id", table_name="directory_organization")
    op.drop_index(
        "directory_organization_gone",
        table_name="directory_organization",
        sqlite_where=sa.text("gone < 2147483647"),
        postgresql_where=sa.text("gone < 2147483647"),
    )
    op.drop_index(
        "directory_organization_siren",
        table_name="directory_organization",
        sqlite_where=sa.text("siren <> ''"),
        postgresql_where=sa.text("siren <> ''"),
    )
    op.drop_index("directory_organization_finess", table_name="directory_organization")
    op.drop_index("directory_organization_city", table_name="directory_organization")
    op.drop_index("directory_organization_changed", table_name="directory_organization")
    op.drop_table("directory_organization")
    op.drop_index("directory_mailbox_practitioner", table_name="directory_mailbox")
    op.drop_index("directory_mailbox_organization", table_name="directory_mailbox")
    op.drop_index(
        "directory_mailbox_gone",
        table_name="directory_mailbox",
        sqlite_where=sa.text("gone < 2147483647"),
        postgresql_where=sa.text("gone < 2147483647"),
    )
    op.drop_index("directory_mailbox_domain", table_name="directory_mailbox")
    op.drop_index("directory_mailbox_changed", table_name="directory_mailbox")
    op.drop_index("directory_mailbox_address", table_name="directory_mailbox")
    op.drop_table("directory_mailbox")
    op.drop_index("directory_gone_at", table_name="directory_gone")
    op.drop_table("directory_gone")
    op.drop_table("directory_generation")
    op.drop_index("directory_declared_mailbox_domain", table_name="directory_declared_mailbox")
    op.drop_index("directory_declared_mailbox_changed", table_name="directory_declared_mailbox")
    op.drop_table("directory_declared_mailbox")
    op.drop_table("directory_code")
    op.drop_index("directory_publication_state", table_name="directory_publication")
    op.drop_table("directory_publication")
    op.drop_index(
        "directory_certificate_question_asked", table_name="directory_certificate_question"
    )
    op.drop_table("directory_certificate_question")
    op.drop_table("directory_certificate")
    op.drop_index(op.f("ix_notice_message_id"), table_name="notice")
    op.drop_index(op.f("ix_notice_due_at"), table_name="notice")
    op.drop_table("notice")
    op.drop_index(op.f("ix_delivery_event_delivery_id"), table_name="delivery_event")
    op.drop_table("delivery_event")
    op.drop_index(op.f("ix_upload_piece_blob_ref"), table_name="upload_piece")
    op.drop_table("upload_piece")
    op.drop_index(op.f("ix_upload_expires_at"), table_name="upload")
    op.drop_index(op.f("ix_upload_draft_id"), table_name="upload")
    op.drop_index(op.f("ix_upload_account_id"), table_name="upload")
    op.drop_table("upload")
    op.drop_index(op.f("ix_draft_message_id"), table_name="draft")
    op.drop_index("ix_draft_listing", table_name="draft")
    op.drop_index("ix_draft_due", table_name="draft")
    op.drop_table("draft")
    op.drop_index(op.f("ix_mailbox_right_account_id"), table_name="mailbox_right")
    op.drop_table("mailbox_right")
    op.drop_index(op.f("ix_idempotency_created_at"), table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_index(op.f("ix_deposit_message_id"), table_name="deposit")
    op.drop_index("ix_deposit_listing", table_name="deposit")
    op.drop_index(op.f("ix_deposit_blob_ref"), table_name="deposit")
    op.drop_table("deposit")
    op.drop_index(op.f("ix_delivery_message_id"), table_name="delivery")
    op.drop_index("ix_delivery_destination", table_name="delivery")
    op.drop_index("ix_delivery_due", table_name="delivery")
    op.drop_index(op.f("ix_delivery_blob_ref"), table_name="delivery")
    op.drop_table("delivery")
    op.drop_table("destination")
    op.drop_index(op.f("ix_account_token_account_id"), table_name="account_token")
    op.drop_table("account_token")
    op.drop_index(op.f("ix_acceptance_message_id"), table_name="acceptance")
    op.drop_index(op.f("ix_acceptance_accepted_at"), table_name="acceptance")
    op.drop_table("acceptance")
    op.drop_index(op.f("ix_document_key_key"), table_name="document_key")
    op.drop_table("document_key")
    op.drop_table("document_record")
    op.drop_index("ix_patient_letter_pair", table_name="patient_letter")
    op.drop_table("patient_letter")
    op.drop_index(op.f("ix_quarantine_put_aside_at"), table_name="quarantine")
    op.drop_index(op.f("ix_quarantine_blob_ref"), table_name="quarantine")
    op.drop_table("quarantine")
    op.drop_table("trust_source")
    op.drop_table("trust_list")
    op.drop_table("correspondent")
    op.drop_index(op.f("ix_message_sender_key"), table_name="message")
    op.drop_index(op.f("ix_message_internet_message_id"), table_name="message")
    op.drop_index(op.f("ix_message_envelope_id"), table_name="message")
    op.drop_index(op.f("ix_message_blob_ref"), table_name="message")
    op.drop_index("ix_message_actor_accepted_at", table_name="message")
    op.drop_table("message")
    op.drop_index(op.f("ix_mailbox_rpps"), table_name="mailbox")
    op.drop_table("mailbox")
    op.drop_index(op.f("ix_audit_name"), table_name="audit")
    op.drop_index(op.f("ix_audit_at"), table_name="audit")
    op.drop_table("audit")
    op.drop_table("account")
    op.drop_table("ending_warning")
