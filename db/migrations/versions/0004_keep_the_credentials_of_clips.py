"""Keep the credentials of published clips, and what they can be found by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Clips that were published before are not in the registry."""
    op.create_table(
        "credential",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("output_id", sa.Integer(), nullable=False),
        sa.Column("manifest_label", sa.String(length=255), nullable=False),
        sa.Column(
            "store_sha256",
            sa.String(length=64),
            nullable=False,
            comment="of the manifest store, kept under this name",
        ),
        sa.Column(
            "essence_sha256",
            sa.String(length=64),
            nullable=False,
            comment="of the coded pictures and sound, without container",
        ),
        sa.Column(
            "mark_id", sa.String(length=16), nullable=True, comment="64 bits in hex; null: no watermark"
        ),
        sa.Column("screen", sa.JSON(), nullable=True, comment="replication screen; null: was not screened"),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "length(essence_sha256) = 64 AND essence_sha256 = lower(essence_sha256)",
            name=op.f("ck_credential_essence_sha256_is_sha256"),
        ),
        sa.CheckConstraint(
            "length(store_sha256) = 64 AND store_sha256 = lower(store_sha256)",
            name=op.f("ck_credential_store_sha256_is_sha256"),
        ),
        sa.ForeignKeyConstraint(
            ["output_id"], ["output_clip.id"], name=op.f("fk_credential_output_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
        sa.UniqueConstraint("output_id", name=op.f("uq_credential_output_id")),
        sa.UniqueConstraint("mark_id", name=op.f("uq_credential_mark_id")),
    )
    op.create_index(op.f("ix_credential_essence_sha256"), "credential", ["essence_sha256"])
    op.create_table(
        "credential_print",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.Integer(), nullable=False),
        sa.Column("bits", sa.LargeBinary(length=32), nullable=False, comment="PDQ, 256 bits"),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["credential.id"],
            name=op.f("fk_credential_print_credential_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential_print")),
    )
    op.create_index(op.f("ix_credential_print_credential_id"), "credential_print", ["credential_id"])


def downgrade() -> None:
    """Revert."""
    op.drop_table("credential_print")
    op.drop_table("credential")
