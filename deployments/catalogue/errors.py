"""What the catalogue raises.

CatalogueError
├── CatalogueUnavailable   the database does not answer
├── StoreUnavailable       the store of files does not answer
├── StoreFull              neither the store nor the database has room
├── ContentMissing         the store has lost a file that the database knows
├── ImageNotFound          no image has this id
├── InvalidCursor          a cursor that no list of the same order gave
├── InvalidVector          a vector that is not finite or has another length than its model's
└── LeaseLost              the image was given to another worker, finished or deleted meanwhile
"""


class CatalogueError(Exception):
    """Base of everything that the catalogue reports to its caller."""


class CatalogueUnavailable(CatalogueError):
    """The database cannot be reached, is locked or is stopping; the same call may succeed later."""


class StoreUnavailable(CatalogueError):
    """The store cannot be reached or refuses; the same call may succeed later."""


class StoreFull(CatalogueError):
    """There is no room for another file or row."""


class ContentMissing(CatalogueError):
    """The store does not have this key."""


class ImageNotFound(CatalogueError):
    """There is no image with this id, or no longer."""


class InvalidCursor(CatalogueError):
    """The cursor is not one of this list."""


class InvalidVector(CatalogueError):
    """The vector cannot be stored or compared."""


class LeaseLost(CatalogueError):
    """The worker no longer holds the image: what it has computed must be dropped."""
