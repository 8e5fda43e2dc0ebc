"""Runs migrations on the connection that the program hands over."""

from alembic import context

from pilotfish.store.tables import metadata

connection = context.config.attributes["connection"]
renames = connection.dialect.name == "sqlite"
if renames:  # tables that are made anew: views that somebody made of them go on meaning the name, and not the old one
    connection.exec_driver_sql("PRAGMA legacy_alter_table=ON")
try:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
finally:
    if renames:
        connection.exec_driver_sql("PRAGMA legacy_alter_table=OFF")
