"""One file per resource; each route translates, calls one service, and translates back."""
