"""A KOOP on loopback: the search, the documents, the images and the attachments of Dutch official publications."""

from tests.doubles.koop.faults import Bucket, Fault, Rule
from tests.doubles.koop.pictures import Drawings
from tests.doubles.koop.publications import Richness
from tests.doubles.koop.server import KoopServer

__all__ = ["Bucket", "Drawings", "Fault", "KoopServer", "Richness", "Rule"]
