"""What it is called: the names, schemas, settings and errors that every room shares.

Imports the standard library, pydantic and pyarrow, and nothing of ours.
"""
