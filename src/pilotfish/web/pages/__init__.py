"""One module a page: its route, and the struct of what its template shows."""
