"""Tell how a match was established; keep detectors, and what became of the sound of an asset."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ADDED = ("kind", "tier", "speed", "is_mirrored", "evidence")


def upgrade() -> None:
    """Apply. Matches on record were verified, at unchanged speed as far as anyone looked."""
    op.create_table(
        "detector",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "length(digest) = 64 AND digest = lower(digest)", name=op.f("ck_detector_digest_is_sha256")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_detector")),
        sa.UniqueConstraint("digest", name=op.f("uq_detector_digest")),
    )
    op.create_table(
        "sound_print",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("engine_digest", sa.String(length=64), nullable=False),
        sa.Column("num_items", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False, comment="empty if the sound can be compared"),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("recorded_at", db.types.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "length(engine_digest) = 64 AND engine_digest = lower(engine_digest)",
            name=op.f("ck_sound_print_engine_digest_is_sha256"),
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("fk_sound_print_asset_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sound_print")),
        sa.UniqueConstraint("asset_id", "engine_digest", name=op.f("uq_sound_print_asset_id_engine_digest")),
    )
    with op.batch_alter_table("match") as batch:
        batch.add_column(sa.Column("kind", _kind(), nullable=False, server_default="picture"))
        batch.add_column(sa.Column("tier", _tier(), nullable=False, server_default="verified"))
        batch.add_column(
            sa.Column(
                "speed",
                sa.Double(),
                nullable=False,
                server_default="1.0",
                comment="seconds of the other side per second of this one",
            )
        )
        batch.add_column(sa.Column("is_mirrored", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(
            sa.Column(
                "evidence",
                sa.JSON(),
                nullable=False,
                server_default="{}",
                comment="the numbers that the score was made of",
            )
        )
    with op.batch_alter_table("match") as batch:
        for name in _ADDED:
            batch.alter_column(name, server_default=None)


def _kind() -> sa.Enum:
    return sa.Enum("picture", "sound", name="matchkind", native_enum=False, create_constraint=True, length=32)


def _tier() -> sa.Enum:
    return sa.Enum(
        "exact",
        "hash",
        "verified",
        "candidate",
        "same-scene",
        name="matchtier",
        native_enum=False,
        create_constraint=True,
        length=32,
    )


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("match") as batch:
        for vocabulary in ("matchkind", "matchtier"):
            batch.drop_constraint(op.f(f"ck_match_{vocabulary}"), type_="check")
        for name in reversed(_ADDED):
            batch.drop_column(name)
    op.drop_table("sound_print")
    op.drop_table("detector")
