"""Alembic's entry: runs the revisions on the connection that `Database.migrate` opened."""

from alembic import context

from zerostart.metadata.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
