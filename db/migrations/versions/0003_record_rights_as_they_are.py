"""Rights as they really are: parties, agreements, titles, releases, signals, reviews, and grants with contracts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = (
    "signal_reading",
    "agreement",
    "appearance",
    "document",
    "filing",
    "party",
    "release",
    "review",
    "rights_signal",
    "title",
    "grant_scope",
)


def upgrade() -> None:
    """Apply. Grants on record say no more than a rights table can; no decision rests on a review."""
    op.create_table(
        "agreement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "licence",
                "assignment",
                "waiver",
                "open_licence_notice",
                "public_domain_dedication",
                name="agreementkind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("licensor_ref", sa.Text(), nullable=False),
        sa.Column("licensee_ref", sa.Text(), nullable=False),
        sa.Column("executed_at", db.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("terminated_at", db.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("governing_law", sa.Text(), nullable=False),
        sa.Column("document_sha256", sa.String(length=64), nullable=True),
        sa.Column("amends_ref", sa.Text(), nullable=False),
        sa.Column(
            "table_path", sa.Text(), nullable=False, comment="catalogue, or the command, that states this"
        ),
        sa.Column("table_sha256", sa.String(length=64), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("is_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement")),
    )
    op.create_index(op.f("ix_agreement_ref_id"), "agreement", ["ref", "id"])

    op.create_table(
        "appearance",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column(
            "layer",
            sa.Enum(
                "persons",
                "voice",
                "music",
                "location",
                "marks",
                "embedded_works",
                name="rightslayer",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "presence",
            sa.Enum(
                "none_present",
                "present",
                "unknown",
                name="presence",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "subject", sa.Text(), nullable=False, comment="empty: somebody or something not identified"
        ),
        sa.Column("stated_by", sa.Text(), nullable=False),
        sa.Column(
            "scope",
            sa.Text(),
            nullable=False,
            comment="title:REF, asset:SHA256, path:PATH; empty: everywhere",
        ),
        sa.Column("start_seconds", sa.Double(), nullable=True, comment="null: from the beginning"),
        sa.Column("end_seconds", sa.Double(), nullable=True, comment="exclusive; null: to the end"),
        sa.Column(
            "table_path", sa.Text(), nullable=False, comment="catalogue, or the command, that states this"
        ),
        sa.Column("table_sha256", sa.String(length=64), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("is_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "start_seconds IS NULL OR end_seconds IS NULL OR end_seconds > start_seconds",
            name=op.f("ck_appearance_span_not_empty"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appearance")),
    )
    op.create_index(op.f("ix_appearance_ref_id"), "appearance", ["ref", "id"])
    op.create_index(op.f("ix_appearance_scope_ref_id"), "appearance", ["scope", "ref", "id"])

    op.create_table(
        "document",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("received_at", db.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("received_from", sa.Text(), nullable=False),
        sa.Column(
            "table_path", sa.Text(), nullable=False, comment="catalogue, or the command, that states this"
        ),
        sa.Column("table_sha256", sa.String(length=64), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("is_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "length(sha256) = 64 AND sha256 = lower(sha256)", name=op.f("ck_document_sha256_is_sha256")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document")),
    )
    op.create_index(op.f("ix_document_sha256_id"), "document", ["sha256", "id"])

    op.create_table(
        "filing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("title_ref", sa.Text(), nullable=False),
        sa.Column(
            "acquisition",
            sa.Enum(
                "commissioned",
                "licensed_direct",
                "marketplace",
                "library",
                "user_contributed",
                "public_domain",
                "open_licence",
                "crawled",
                "synthetic",
                "not_stated",
                name="acquisition",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("source_url", sa.Text(), nullable=False),
        sa.Column(
            "restrictions", sa.JSON(), nullable=False, comment="tags such as editorial_only, sports, embargo"
        ),
        sa.Column("embargo_until", db.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column(
            "scope",
            sa.Text(),
            nullable=False,
            comment="title:REF, asset:SHA256, path:PATH; empty: everywhere",
        ),
        sa.Column("start_seconds", sa.Double(), nullable=True, comment="null: from the beginning"),
        sa.Column("end_seconds", sa.Double(), nullable=True, comment="exclusive; null: to the end"),
        sa.Column(
            "table_path", sa.Text(), nullable=False, comment="catalogue, or the command, that states this"
        ),
        sa.Column("table_sha256", sa.String(length=64), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("is_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "start_seconds IS NULL OR end_seconds IS NULL OR end_seconds > start_seconds",
            name=op.f("ck_filing_span_not_empty"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_filing")),
    )
    op.create_index(op.f("ix_filing_ref_id"), "filing", ["ref", "id"])
    op.create_index(op.f("ix_filing_scope_ref_id"), "filing", ["scope", "ref", "id"])

    op.create_table(
        "party",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "person",
                "organisation",
                "estate",
                "guild",
                "collecting_society",
                name="partykind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "is_minor",
            sa.Enum(
                "yes", "no", "unknown", name="is_minor", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column(
            "is_deceased",
            sa.Enum(
                "yes",
                "no",
                "unknown",
                name="is_deceased",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "verified_at",
            db.types.UtcDateTime(timezone=True),
            nullable=True,
            comment="due diligence was done; null: nobody looked",
        ),
        sa.Column("identifiers", sa.JSON(), nullable=False),
        sa.Column(
            "table_path", sa.Text(), nullable=False, comment="catalogue, or the command, that states this"
        ),
        sa.Column("table_sha256", sa.String(length=64), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("is_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_party")),
    )
    op.create_index(op.f("ix_party_ref_id"), "party", ["ref", "id"])

    op.create_table(
        "release",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "person",
                "voice",
                "property",
                "location",
                "music_composition",
                "music_master",
                "mark",
                "artwork",
                name="releasekind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("subject", sa.Text(), nullable=False, comment="party ref or name, as appearances give it"),
        sa.Column("permitted_uses", sa.JSON(), nullable=False),
        sa.Column(
            "covers_training",
            sa.Enum(
                "yes",
                "no",
                "unknown",
                name="covers_training",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "covers_replica",
            sa.Enum(
                "yes",
                "no",
                "unknown",
                name="covers_replica",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
            comment="a digital double may be made",
        ),
        sa.Column(
            "is_replica_described",
            sa.Enum(
                "yes",
                "no",
                "unknown",
                name="is_replica_described",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
            comment="the intended uses of a double are reasonably specific",
        ),
        sa.Column(
            "has_guardian",
            sa.Enum(
                "yes",
                "no",
                "unknown",
                name="has_guardian",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
            comment="a guardian signed for a minor",
        ),
        sa.Column("representation", sa.Text(), nullable=False, comment="counsel, union, or empty"),
        sa.Column("territories", sa.JSON(), nullable=False),
        sa.Column("valid_from", db.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("valid_to", db.types.UtcDateTime(timezone=True), nullable=True, comment="exclusive"),
        sa.Column("document_sha256", sa.String(length=64), nullable=True),
        sa.Column(
            "scope",
            sa.Text(),
            nullable=False,
            comment="title:REF, asset:SHA256, path:PATH; empty: everywhere",
        ),
        sa.Column("start_seconds", sa.Double(), nullable=True, comment="null: from the beginning"),
        sa.Column("end_seconds", sa.Double(), nullable=True, comment="exclusive; null: to the end"),
        sa.Column(
            "table_path", sa.Text(), nullable=False, comment="catalogue, or the command, that states this"
        ),
        sa.Column("table_sha256", sa.String(length=64), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("is_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "start_seconds IS NULL OR end_seconds IS NULL OR end_seconds > start_seconds",
            name=op.f("ck_release_span_not_empty"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
    )
    op.create_index(op.f("ix_release_ref_id"), "release", ["ref", "id"])
    op.create_index(op.f("ix_release_subject"), "release", ["subject"])

    op.create_table(
        "review",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "scope", sa.Text(), nullable=False, comment="clip:ID, asset:SHA256, title:REF or holder:NAME"
        ),
        sa.Column("policy_name", sa.String(length=128), nullable=False),
        sa.Column(
            "verdict",
            sa.Enum(
                "approve",
                "exclude",
                "waive",
                "withdraw",
                name="verdict",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "codes", sa.JSON(), nullable=False, comment="the reasons that are settled; empty: those that held"
        ),
        sa.Column(
            "basis_digest",
            sa.String(length=64),
            nullable=False,
            comment="of the ruling that was looked at; empty: any, as a waiver",
        ),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("expires_at", db.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("confirms_id", sa.Integer(), nullable=True),
        sa.Column("withdraws_id", sa.Integer(), nullable=True),
        sa.Column(
            "is_sample", sa.Boolean(), nullable=False, comment="chosen at random to be looked at again"
        ),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["confirms_id"], ["review.id"], name=op.f("fk_review_confirms_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["withdraws_id"], ["review.id"], name=op.f("fk_review_withdraws_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index(op.f("ix_review_confirms_id"), "review", ["confirms_id"])
    op.create_index(op.f("ix_review_scope_policy_name_id"), "review", ["scope", "policy_name", "id"])

    op.create_table(
        "rights_signal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False, comment="asset:SHA256 or url:URL"),
        sa.Column("protocol", sa.String(length=64), nullable=False),
        sa.Column("protocol_version", sa.String(length=64), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("raw_sha256", sa.String(length=64), nullable=False),
        sa.Column("captured_at", db.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column(
            "validity",
            sa.Enum(
                "valid",
                "invalid",
                "unverifiable",
                name="signalvalidity",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("declaring_party", sa.Text(), nullable=False),
        sa.Column("actions", sa.JSON(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "length(raw_sha256) = 64 AND raw_sha256 = lower(raw_sha256)",
            name=op.f("ck_rights_signal_raw_sha256_is_sha256"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rights_signal")),
    )
    op.create_index(
        op.f("ix_rights_signal_scope_protocol_carrier_id"),
        "rights_signal",
        ["scope", "protocol", "carrier", "id"],
    )

    op.create_table(
        "title",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_ref", sa.Text(), nullable=False, comment="empty: stands alone"),
        sa.Column(
            "table_path", sa.Text(), nullable=False, comment="catalogue, or the command, that states this"
        ),
        sa.Column("table_sha256", sa.String(length=64), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("is_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_title")),
    )
    op.create_index(op.f("ix_title_ref_id"), "title", ["ref", "id"])

    op.create_table(
        "grant_scope",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("grant_ref", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Integer(), nullable=False),
        sa.Column(
            "scope",
            sa.Text(),
            nullable=False,
            comment="title:REF, asset:SHA256, path:PATH; empty: everywhere",
        ),
        sa.Column("start_seconds", sa.Double(), nullable=True, comment="null: from the beginning"),
        sa.Column("end_seconds", sa.Double(), nullable=True, comment="exclusive; null: to the end"),
        sa.Column(
            "table_path", sa.Text(), nullable=False, comment="catalogue, or the command, that states this"
        ),
        sa.Column("table_sha256", sa.String(length=64), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("is_withdrawn", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "start_seconds IS NULL OR end_seconds IS NULL OR end_seconds > start_seconds",
            name=op.f("ck_grant_scope_span_not_empty"),
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["rights_grant.id"], name=op.f("fk_grant_scope_grant_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant_scope")),
    )
    op.create_index(op.f("ix_grant_scope_grant_ref_id"), "grant_scope", ["grant_ref", "id"])
    op.create_index(op.f("ix_grant_scope_scope_grant_ref_id"), "grant_scope", ["scope", "grant_ref", "id"])
    op.create_table(
        "signal_reading",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column(
            "protocols_version",
            sa.String(length=64),
            nullable=False,
            comment="of the list of protocols that were looked for",
        ),
        sa.Column("num_signals", sa.Integer(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("fk_signal_reading_asset_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal_reading")),
    )
    op.create_index(op.f("ix_signal_reading_asset_id"), "signal_reading", ["asset_id"])
    with op.batch_alter_table("decision") as batch:
        batch.add_column(
            sa.Column(
                "upper_grant_ids",
                sa.JSON(),
                nullable=False,
                server_default="[]",
                comment="grants of the titles above, which narrow the one relied on",
            )
        )
        batch.add_column(
            sa.Column(
                "evidence_digest",
                sa.String(length=64),
                nullable=False,
                server_default="",
                comment="of what a held clip is held on: what an approval is given for; empty: not held",
            )
        )
        batch.add_column(
            sa.Column(
                "review_id",
                sa.Integer(),
                nullable=True,
                comment="the reviewer's word that changed the outcome",
            )
        )
        batch.create_foreign_key(
            op.f("fk_decision_review_id"), "review", ["review_id"], ["id"], ondelete="RESTRICT"
        )
    with op.batch_alter_table("rejected_row") as batch:
        batch.add_column(_sheet())
        batch.drop_constraint(op.f("uq_rejected_row_table_sha256_row_number_code_reason"), type_="unique")
        batch.create_unique_constraint(
            "uq_rejected_row_reason", ["table_sha256", "sheet", "row_number", "code", "reason"]
        )
    with op.batch_alter_table("rights_grant") as batch:
        batch.add_column(
            sa.Column(
                "contract",
                sa.JSON(),
                nullable=False,
                server_default="{}",
                comment="what a catalogue says beyond a rights table: db.contracts",
            )
        )
        batch.add_column(_sheet())
    with op.batch_alter_table("snapshot") as batch:
        batch.add_column(
            sa.Column(
                "is_promotable",
                sa.Boolean(),
                nullable=True,
                comment="what is made with it may be released commercially; null: sealed before that was recorded",
            )
        )
    for table, column in _ADDED:
        with op.batch_alter_table(table) as batch:
            batch.alter_column(column, server_default=None)


_ADDED = (
    ("decision", "upper_grant_ids"),
    ("decision", "evidence_digest"),
    ("rejected_row", "sheet"),
    ("rights_grant", "contract"),
    ("rights_grant", "sheet"),
)


def _sheet() -> sa.Column[str]:
    return sa.Column(
        "sheet", sa.Text(), nullable=False, server_default="", comment="empty if the table has one sheet only"
    )


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("snapshot") as batch:
        batch.drop_column("is_promotable")
    with op.batch_alter_table("rights_grant") as batch:
        batch.drop_column("sheet")
        batch.drop_column("contract")
    with op.batch_alter_table("rejected_row") as batch:
        batch.drop_constraint("uq_rejected_row_reason", type_="unique")
        batch.create_unique_constraint(
            op.f("uq_rejected_row_table_sha256_row_number_code_reason"),
            ["table_sha256", "row_number", "code", "reason"],
        )
        batch.drop_column("sheet")
    with op.batch_alter_table("decision") as batch:
        batch.drop_constraint(op.f("fk_decision_review_id"), type_="foreignkey")
        batch.drop_column("review_id")
        batch.drop_column("evidence_digest")
        batch.drop_column("upper_grant_ids")
    for table in reversed(_TABLES):
        op.drop_table(table)
