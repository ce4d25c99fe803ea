"""The errors of the catalogue.

CatalogueError
├── CatalogueUnavailable   the database does not answer
├── StoreUnavailable       the store of files does not answer
├── StoreFull              the store or the database is full
├── ContentMissing         a file that the database knows is not in the store
├── ImageNotFound          no image has this id
├── InvalidCursor          the cursor is not from a list in this order
├── InvalidVector          the vector is not finite, is zero, or has the wrong dimension
└── LeaseLost              the image has been leased to another worker, finished or deleted
"""


class CatalogueError(Exception):
    """Base of all errors that the catalogue reports to its caller."""


class CatalogueUnavailable(CatalogueError):
    """The database cannot be reached, is locked or is stopping; the same call may succeed later."""


class StoreUnavailable(CatalogueError):
    """The store cannot be reached or refuses; the same call may succeed later."""


class StoreFull(CatalogueError):
    """The store or the database has no room for another file or row."""


class ContentMissing(CatalogueError):
    """The store does not have this key."""


class ImageNotFound(CatalogueError):
    """There is no image with this id (any more)."""


class InvalidCursor(CatalogueError):
    """The cursor is not from a list in this order."""


class InvalidVector(CatalogueError):
    """The vector cannot be stored or compared."""


class LeaseLost(CatalogueError):
    """The worker no longer holds the image, so its results must be discarded."""
