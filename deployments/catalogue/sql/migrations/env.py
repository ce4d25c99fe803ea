"""Run by Alembic, within the transaction of `migrate`, which holds the lock."""

from alembic import context

from deployments.catalogue.sql.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
