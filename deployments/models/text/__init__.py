"""Text in pictures: lines with their positions, by PP-OCRv6."""
