"""Which warnings about endings were given: each once, whichever process looks, however often."""

from sqlalchemy import Connection, delete, insert, select, update

from mss.store.tables import ending_warning


def claim_warning(connection: Connection, *, key: str, threshold: int) -> bool:
    """Take the right to warn about *key* at *threshold*; False if that was done, or a later one."""
    known = connection.execute(
        select(ending_warning.c.threshold).where(ending_warning.c.key == key)
    ).scalar_one_or_none()
    if known is None:
        connection.execute(insert(ending_warning).values(key=key, threshold=threshold))
        return True
    if known <= threshold:
        return False
    where = ending_warning.c.key == key
    connection.execute(update(ending_warning).where(where).values(threshold=threshold))
    return True


def forget_others(connection: Connection, keys: set[str]) -> None:
    """Forget warnings about what is not in use any more."""
    connection.execute(delete(ending_warning).where(ending_warning.c.key.not_in(keys)))
