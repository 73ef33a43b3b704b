"""`arbig db`: the database tool."""
