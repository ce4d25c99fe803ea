"""Vectors with their ids from parquet files on any fsspec URL, read in batches and held once.

Of the output of `jobs.koop.ingest` or `jobs.analyze` the table of images is read, of any other folder all below it but
names that begin with `_` or `.`, which are a job's own. A row without a vector, as a job writes for an image that
failed, is left out and counted. Anything else that is wrong is refused in one line.
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
    """Names of columns; what is None is looked for under the names of `ROLES`, and need not be there."""

    id: str
    vector: str
    weights: str | None = None
    picture: str | None = None
    quality: str | None = None


@dataclass(frozen=True)
class Rows:
    """Some rows that have a vector: ids (k,), vectors (k, d), their lengths (k,); pictures and quality or None."""

    ids: pa.Array
    vectors: Vectors
    lengths: Floats
    pictures: pa.Array | None
    quality: pa.Array | None


@dataclass(frozen=True)
class Points:
    """What is known of every point: ids (n,), and pictures and quality (n,) where the input has them."""

    ids: pa.ChunkedArray
    pictures: pa.ChunkedArray | None
    quality: Floats | None


@dataclass(frozen=True)
class Held:
    """All vectors, in blocks of `size` that may lie in shared memory, and their lengths (n,)."""

    blocks: Sequence[Vectors]
    size: int
    lengths: Floats

    @property
    def dimensions(self) -> int:
        """Of a vector."""
        return int(self.blocks[0].shape[1])

    def units(self, block: int) -> Units:
        """A block's unit rows."""
        return Units(self.blocks[block], self.lengths[block * self.size : (block + 1) * self.size])

    def some(self, points: Indices) -> Units:
        """The unit rows of these points (k,), copied."""
        vectors = np.empty((len(points), self.dimensions), self.blocks[0].dtype)
        number, row = np.divmod(points, self.size)
        for block in np.unique(number):
            there = np.flatnonzero(number == block)
            vectors[there] = self.blocks[block][row[there]]
        return Units(vectors, self.lengths[points])


class Source:
    """The files of an input, their footers read.

    Attributes:
        shown: the URL without credentials.
        files, folder: the file system, and the input's folder in it.
        rows: in all files, with those that have no vector.
        skipped: rows without a vector that were read.
        weights: the weights that made the vectors that were read; None where the files do not say.
        signature: of everything that was read, in hexadecimal.
    """

    def __init__(self, url: str, columns: Columns) -> None:
        """JobRefused: nothing there, no parquet, or a column is missing or of another type."""
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
        """Every row that has a vector, in the order of the files' names; JobRefused at the first that is wrong."""
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
            raise JobRefused(f"A vector of {self.shown} has an empty place in it: write finite numbers alone.")
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
        """A file's name, for people."""
        return self.shown if [path] == self._paths else posixpath.relpath(path, self.folder)


class Takes(Protocol):
    """Where blocks of vectors go."""

    def append(self, block: Vectors) -> None:
        """Take a block, which nobody writes to any more."""

    def blocks(self) -> Sequence[Vectors]:
        """All of them, to be read."""


def collect(source: Source, store: Takes) -> tuple[Points, Held]:
    """Read all of a source into blocks. JobRefused: it has no vector, or an id twice."""
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
    """Whether a path below the input's folder is a parquet file that is not a job's own."""
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
    """What a column is for: the types that it may have, in words too, and what the outputs of other jobs call it."""

    fits: Callable[[pa.DataType], bool]
    holds: str
    names: tuple[str, ...] = ()

    def usual_name(self, schemas: Sequence[pa.Schema]) -> str | None:
        """The first of the names that is a fitting column of every file."""
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
