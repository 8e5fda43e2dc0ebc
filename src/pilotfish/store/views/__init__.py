"""The database as people read it, by subject: each row a frozen struct whose fields are what REST and exports show."""
