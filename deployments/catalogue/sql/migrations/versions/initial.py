"""Images, their files and their vectors."""

import sqlalchemy as sa
from alembic import op

from deployments.catalogue.sql.tables import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Upgrade to this revision."""
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_blobs"),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(8), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("exif", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("processed_at", UtcDateTime(), nullable=True),
        sa.Column("processing_time_s", sa.Float(53), nullable=True),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.CheckConstraint("status IN ('processing', 'processed', 'failed')", name=op.f("ck_images_status")),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name="fk_images_sha256_blobs"),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_images_sha256", "images", ["sha256"])
    op.create_index("ix_images_status_due_at", "images", ["status", "due_at"])
    op.create_index("ix_images_status_id", "images", ["status", "id"])
    op.create_index("ix_images_status_processing_time_s", "images", ["status", "processing_time_s"])
    op.create_table(
        "vectors",
        sa.Column("weights_id", sa.Text(), nullable=False),
        sa.Column("image_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.Column("values", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_vectors_image_id_images", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("weights_id", "image_id", name="pk_vectors"),
    )
    op.create_index("ix_vectors_image_id", "vectors", ["image_id"])


def downgrade() -> None:
    """Downgrade to the previous revision."""
    op.execute("DROP TABLE IF EXISTS vectors_pgvector")  # created by the search if the extension is installed
    for table in ("vectors", "images", "blobs"):
        op.drop_table(table)
