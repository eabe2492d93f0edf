"""Postgres, which is the truth: one file a noun, one function a named statement or a transaction. The only room that knows psycopg."""
