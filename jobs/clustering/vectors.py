"""Reads vectors with their ids from parquet files at any fsspec URL, in batches.

From the output of `jobs.koop.ingest` or `jobs.analyze`, the table of images is read. From any other folder, all parquet
files below it are read, except names that start with `_` or `.`, which belong to a job. Rows without a vector, as jobs
write them for images that failed, are left out and counted. Any other fault is refused with a message of one line.
"""

import hashlib
import json
import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from deployments.clustering.components import Indices
from deployments.clustering.dbscan import Floats, Units, has_direction, row_lengths
from jobs.clustering.rows import points_a_block
from jobs.runtime.errors import JobRefused
from jobs.runtime.urls import open_url, public_url, refused

Vectors = NDArray[np.floating]

BATCH = 4096  # rows
# The folders of another job's output; the images are in the first.
OUTPUT = ("images", "manifests")


@dataclass(frozen=True)
class Columns:
    """Names of columns. A column whose name is None is looked up by the names in `ROLES`, and may be missing."""

    id: str
    vector: str
    weights: str | None = None
    picture: str | None = None
    quality: str | None = None


@dataclass(frozen=True)
class Rows:
    """Some rows that have a vector: ids (k,), vectors (k, d) and their lengths (k,); pictures and quality or None."""

    ids: pa.Array
    vectors: Vectors
    lengths: Floats
    pictures: pa.Array | None
    quality: pa.Array | None


@dataclass(frozen=True)
class Points:
    """The ids (n,) of all points, and their pictures and quality (n,) if the input has them."""

    ids: pa.ChunkedArray
    pictures: pa.ChunkedArray | None
    quality: Floats | None


@dataclass(frozen=True)
class Held:
    """All vectors, in blocks of `size` points that may lie in shared memory, and their lengths (n,)."""

    blocks: Sequence[Vectors]
    size: int
    lengths: Floats

    @property
    def dimensions(self) -> int:
        """The numbers of a vector."""
        return int(self.blocks[0].shape[1])

    def units(self, block: int) -> Units:
        """The unit rows of a block."""
        return Units(self.blocks[block], self.lengths[block * self.size : (block + 1) * self.size])

    def some(self, points: Indices) -> Units:
        """A copy of the unit rows of these points (k,)."""
        vectors = np.empty((len(points), self.dimensions), self.blocks[0].dtype)
        number, row = np.divmod(points, self.size)
        for block in np.unique(number):
            there = np.flatnonzero(number == block)
            vectors[there] = self.blocks[block][row[there]]
        return Units(vectors, self.lengths[points])


class Source:
    """The parquet files of an input.

    Attributes:
        shown: the URL without credentials.
        files, folder: the file system, and the folder of the input in it.
        rows: the number of rows in all files, including those without a vector.
        skipped: how many rows without a vector have been read.
        weights: the weights that computed the vectors read so far; None if the files do not say.
        signature: a hash of everything read so far, in hexadecimal.
    """

    def __init__(self, url: str, columns: Columns) -> None:
        """Read the footers of all files.

        Raises:
            JobRefused: there is no parquet file, or a column is missing or has an unsuitable type.
        """
        self.shown, self.skipped, self.weights = public_url(url), 0, None
        self._url = url
        self.files, root = open_url(url)
        self._paths = self._parquet(root)
        self.folder = root if [root] != self._paths else posixpath.dirname(root)
        schemas = [self._footer(path) for path in self._paths]
        self.rows = sum(rows for _, rows in schemas)
        self._columns = self._resolved([schema for schema, _ in schemas], columns)
        self._hash = hashlib.blake2b(digest_size=16)
        self._width = 0

    @property
    def signature(self) -> str:
        return self._hash.hexdigest()

    def read(self) -> Iterator[Rows]:
        """Yield all rows that have a vector, in the order of the names of the files.

        Raises:
            JobRefused: at the first invalid row.
        """
        columns = self._columns
        names = [name for name in vars(columns).values() if name is not None]
        for path in self._paths:
            for read in self._batches(path, list(dict.fromkeys(names))):
                batch = read.filter(pc.is_valid(read.column(columns.vector)))
                self.skipped += len(read) - len(batch)
                if len(batch):
                    yield self._rows(batch, path)

    def _rows(self, batch: pa.RecordBatch, path: str) -> Rows:
        columns = self._columns
        ids = batch.column(columns.id)
        if ids.null_count:
            raise JobRefused(f"{self._of(path)}: a row has a vector and no {columns.id}: every vector needs an id.")
        if columns.weights:
            self._same_weights(pc.unique(batch.column(columns.weights).drop_null()).to_pylist())
        vectors, lengths = self._matrix(batch.column(columns.vector), ids)
        pictures = pc.cast(batch.column(columns.picture), pa.string()) if columns.picture else None
        quality = pc.cast(batch.column(columns.quality), pa.float64(), safe=False) if columns.quality else None
        for column in (ids, pictures, quality):
            self._hash.update(json.dumps(None if column is None else column.to_pylist()).encode())
        self._hash.update(vectors.data)
        return Rows(ids, vectors, lengths, pictures, quality)

    def _matrix(self, lists: pa.Array, ids: pa.Array) -> tuple[Vectors, Floats]:
        """Lists of numbers -> (k, d), and their lengths."""
        widths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
        self._width = self._width or int(widths[0])
        if (empty := np.flatnonzero(widths == 0)).size:
            raise JobRefused(f"The vector of {ids[empty[0]]} has no numbers: leave it out, or null.")
        if (other := np.flatnonzero(widths != self._width)).size:
            raise JobRefused(
                f"The vector of {ids[other[0]]} has {widths[other[0]]} numbers, others have {self._width}: "
                "cluster vectors of one model."
            )
        numbers = lists.flatten()
        if numbers.null_count:
            raise JobRefused(f"A vector of {self.shown} has an empty place in it: write finite numbers only.")
        flat = numbers.to_numpy(zero_copy_only=False)
        vectors: Vectors = flat.astype(np.promote_types(flat.dtype, np.float32), copy=False).reshape(-1, self._width)
        lengths = row_lengths(vectors.astype(np.float64))
        if (unusable := np.flatnonzero(~has_direction(lengths))).size:
            raise JobRefused(
                f"The vector of {ids[unusable[0]]} has no direction: it is zero, or not finite. Leave it out, or null."
            )
        return vectors, lengths

    def _same_weights(self, found: list[Any]) -> None:
        for weights in found:
            self.weights = weights if self.weights is None else self.weights
            if weights != self.weights:
                raise JobRefused(
                    f"{self.shown} has vectors of two models, {self.weights} and {weights}: distances between them "
                    "mean nothing. Cluster those of one."
                )

    def _parquet(self, root: str) -> list[str]:
        try:
            if self.files.isfile(root):
                return [root]
            if all(self.files.isdir(f"{root}/{folder}") for folder in OUTPUT):
                root = f"{root}/{OUTPUT[0]}"
            found = self.files.find(root)
        except Exception as error:  # a file system's own errors are of any type
            raise refused(self._url, "cannot be read", error) from error
        paths = sorted(path for path in found if _is_table(posixpath.relpath(path, root)))
        if not paths:
            raise JobRefused(f"{self.shown} holds no parquet file: name a file, or a folder with some below it.")
        return paths

    def _footer(self, path: str) -> tuple[pa.Schema, int]:
        try:
            with self.files.open(path, "rb") as file:
                parquet = pq.ParquetFile(file)
                return parquet.schema_arrow, parquet.metadata.num_rows
        except Exception as error:
            raise refused(self._url, f"cannot be read at {self._of(path)}", error) from error

    def _batches(self, path: str, names: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            with self.files.open(path, "rb") as file:
                yield from pq.ParquetFile(file).iter_batches(BATCH, columns=names)
        except Exception as error:
            raise refused(self._url, f"cannot be read at {self._of(path)}", error) from error

    def _resolved(self, schemas: Sequence[pa.Schema], columns: Columns) -> Columns:
        given = {role: name for role, name in vars(columns).items() if name is not None}
        for path, schema in zip(self._paths, schemas, strict=True):
            for role, name in given.items():
                if name not in schema.names:
                    raise JobRefused(f"{self._of(path)} has no column {name!r}; it has {', '.join(schema.names)}.")
                if not ROLES[role].fits(schema.field(name).type):
                    raise JobRefused(f"{self._of(path)}: column {name!r} does not hold {ROLES[role].holds}.")
        for name in (columns.id, columns.vector):
            if len(kinds := {str(schema.field(name).type) for schema in schemas}) > 1:
                raise JobRefused(f"{self.shown}: column {name!r} is {' or '.join(sorted(kinds))}, by file: write one.")
        usual: dict[str, Any] = {role: ROLES[role].usual_name(schemas) for role in ROLES if role not in given}
        return replace(columns, **usual)

    def _of(self, path: str) -> str:
        """The name of a file in messages."""
        return self.shown if [path] == self._paths else posixpath.relpath(path, self.folder)


class Takes(Protocol):
    """Stores blocks of vectors."""

    def append(self, block: Vectors) -> None:
        """Add a block, which must not be changed afterwards."""

    def blocks(self) -> Sequence[Vectors]:
        """All blocks, read-only."""


def collect(source: Source, store: Takes) -> tuple[Points, Held]:
    """Read all of a source into blocks.

    Raises:
        JobRefused: it has no vectors, an id occurs twice, or a row is invalid.
    """
    size = points_a_block(source.rows)
    ids, lengths, pictures, quality = list[Any](), list[Floats](), list[Any](), list[Any]()
    block, filled = np.empty((0, 0)), 0
    for rows in source.read():
        ids.append(rows.ids)
        lengths.append(rows.lengths)
        pictures.append(rows.pictures)
        quality.append(rows.quality)
        taken = 0
        while taken < len(rows.vectors):
            if not filled:
                block = np.empty((size, rows.vectors.shape[1]), rows.vectors.dtype)
            part = rows.vectors[taken : taken + size - filled]
            block[filled : filled + len(part)] = part
            taken, filled = taken + len(part), filled + len(part)
            if filled == size:
                store.append(block)
                filled = 0
    if filled:
        store.append(block[:filled])
    if not ids:
        raise JobRefused(f"{source.shown} has no vector: all {source.rows:,} rows have none.")
    points = Points(
        pa.chunked_array(ids),
        None if pictures[0] is None else pa.chunked_array(pictures),
        None if quality[0] is None else pa.chunked_array(quality).to_numpy(),
    )
    _refuse_repeated(points.ids)
    return points, Held(store.blocks(), size, np.concatenate(lengths))


def _refuse_repeated(ids: pa.ChunkedArray) -> None:
    counts = pc.value_counts(ids)
    if len(counts) < len(ids):
        repeated = counts.filter(pc.greater(counts.field("counts"), 1))[0].as_py()
        raise JobRefused(
            f"The id {repeated['values']} occurs {repeated['counts']} times: ids must be unique, name another column."
        )


def _is_table(path: str) -> bool:
    """Whether a path below the input's folder is a parquet file that does not belong to a job."""
    return path.endswith(".parquet") and not any(part.startswith(("_", ".")) for part in path.split("/"))


def _is_vector(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists and pa.types.is_floating(kind.value_type))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


@dataclass(frozen=True)
class Role:
    """The role of a column: the types that it may have, what they hold, and its names in the outputs of other jobs."""

    fits: Callable[[pa.DataType], bool]
    holds: str
    names: tuple[str, ...] = ()

    def usual_name(self, schemas: Sequence[pa.Schema]) -> str | None:
        """The first of the names that is a column with a suitable type in all files."""
        for name in self.names:
            if all(name in schema.names and self.fits(schema.field(name).type) for schema in schemas):
                return name
        return None


# By the fields of `Columns`.
ROLES = {
    "id": Role(lambda kind: _is_text(kind) or bool(pa.types.is_integer(kind)), "texts or whole numbers"),
    "vector": Role(_is_vector, "lists of floating-point numbers"),
    "weights": Role(_is_text, "texts", ("embedding_weights", "weights")),
    "picture": Role(_is_text, "texts", ("kept", "path")),
    "quality": Role(_is_number, "numbers", ("quality_technical",)),
}
