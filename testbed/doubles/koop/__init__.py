"""A KOOP on loopback: the search, the documents, the images and the attachments of Dutch official publications."""

from testbed.doubles.koop.faults import Bucket, Fault, Rule
from testbed.doubles.koop.pictures import Drawings
from testbed.doubles.koop.publications import Richness
from testbed.doubles.koop.server import KoopServer

__all__ = ["Bucket", "Drawings", "Fault", "KoopServer", "Richness", "Rule"]
