"""The formats that are read, by Pillow's names, and the plugins that read those which Pillow itself does not."""

import pillow_heif
from pillow_jxl import JpegXLImagePlugin

from deployments.pictures import tiffs

FORMATS = ("JPEG", "PNG", "GIF", "BMP", tiffs.NAME, "WEBP", "AVIF", "HEIF", "JPEG2000", "JXL")
SUPPORTED = "JPEG, PNG, GIF, BMP, TIFF, WebP, HEIC, AVIF, JPEG 2000 and JPEG XL"

# Of a HEIF file only the picture itself is read. A decoder keeps to the thread that calls it, whose time is bounded.
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
JpegXLImagePlugin.DECODE_THREADS = 0
