"""Pages of text: letters, articles in columns, tables, lists; scanned straight, or photographed at an angle."""

from PIL import Image, ImageDraw

from training.drawing.chance import Rng, Sketch, between, maybe, pick
from training.drawing.colours import Colour, any_colour, mix, vary
from training.drawing.effects import clouds, light_map, lit
from training.drawing.lettering import fitted, font, paragraph, phrases, sentence, word

PAGE_CAPTIONS = (
    *phrases(("a page of text", "a document", "a text page", "a letter")),
    "text",
    "documents",
    "a scanned document",
    "printed words on paper",
)


def text_page(rng: Rng) -> Sketch:
    """A page, filling the picture or lying on a table."""
    width = int(rng.integers(230, 340))
    height = int(width * between(rng, 0.7, 1.45))
    paper, ink = pick(
        rng, (((255, 255, 255), (20, 20, 25)), ((250, 246, 235), (50, 40, 35)), ((235, 235, 230), (60, 60, 70)))
    )
    if maybe(rng, 0.06):
        paper, ink = (30, 32, 38), (225, 225, 220)
    page = Image.new("RGB", (width, height), vary(rng, paper, 6))
    layout = pick(rng, (article, article, letter, table, listing))
    layout(rng, page, ink)
    if maybe(rng, 0.4):
        page = lit(page, light_map(rng, page.size, between(rng, 0.02, 0.15)))
    if maybe(rng, 0.3):
        page = on_table(rng, page)
    return Sketch(page, PAGE_CAPTIONS, "a page of text")


def article(rng: Rng, page: Image.Image, ink: Colour) -> None:
    """A heading and paragraphs in one to three columns."""
    draw = ImageDraw.Draw(page)
    size, margin, columns = int(rng.integers(7, 15)), page.width * between(rng, 0.03, 0.12), pick(rng, (1, 1, 2, 2, 3))
    top = margin
    if maybe(rng, 0.6):
        draw.text((margin, top), fitted(rng, page.width * 0.7, size * 2), fill=ink, font=font(size * 2))
        top += size * 3
    column = (page.width - 2 * margin) / columns
    for index in range(columns):
        y = top
        while y < page.height - margin:
            lines = min(int(rng.integers(2, 9)), int((page.height - margin - y) / size / 1.35) + 1)
            y = paragraph(rng, draw, (margin + index * column, y), column * 0.92, lines, size, ink) + size * 0.7


def letter(rng: Rng, page: Image.Image, ink: Colour) -> None:
    """An address, a date, a few paragraphs, a signature."""
    draw = ImageDraw.Draw(page)
    size, margin = int(rng.integers(9, 14)), page.width * between(rng, 0.07, 0.14)
    if maybe(rng, 0.6):
        logo = any_colour(rng, (0.4, 0.9), (0.4, 0.9))
        draw.rectangle(
            (margin, margin / 2, margin + page.width * between(rng, 0.1, 0.3), margin / 2 + size * 2), fill=logo
        )
    y = margin + size * 2
    for _ in range(3):
        y = paragraph(rng, draw, (margin, y), page.width * 0.35, 1, size, ink)
    y += size
    while y < page.height - margin - size * 4:
        y = paragraph(rng, draw, (margin, y), page.width - 2 * margin, int(rng.integers(2, 6)), size, ink) + size
    draw.text(
        (margin, page.height - margin - size),
        word(rng).capitalize(),
        fill=mix(ink, (30, 40, 160), 0.5),
        font=font(size),
    )


def table(rng: Rng, page: Image.Image, ink: Colour) -> None:
    """Rows and columns of words and numbers under a heading."""
    draw = ImageDraw.Draw(page)
    size, margin = int(rng.integers(8, 13)), page.width * 0.06
    draw.text((margin, margin), sentence(rng, 3), fill=ink, font=font(size + 4))
    columns, line = int(rng.integers(2, 6)), size * between(rng, 1.5, 2.1)
    column, y = (page.width - 2 * margin) / columns, margin + size * 2.5
    ruled = maybe(rng, 0.6)
    while y < page.height - margin:
        for index in range(columns):
            text = str(int(rng.integers(1, 99999))) if index and maybe(rng, 0.6) else fitted(rng, column * 0.8, size)
            draw.text((margin + index * column + 2, y), text, fill=ink, font=font(size))
        if ruled:
            draw.line((margin, y - 2, page.width - margin, y - 2), fill=mix(ink, (255, 255, 255), 0.5))
        y += line


def listing(rng: Rng, page: Image.Image, ink: Colour) -> None:
    """A heading and numbered or dashed lines, as in a form or a list."""
    draw = ImageDraw.Draw(page)
    size, margin = int(rng.integers(9, 16)), page.width * 0.08
    draw.text((margin, margin), sentence(rng, 2), fill=ink, font=font(size + 6))
    y, number, dashed = margin + size * 2.6, 1, maybe(rng, 0.5)
    while y < page.height - margin:
        draw.text((margin, y), "-" if dashed else f"{number}.", fill=ink, font=font(size))
        y = paragraph(rng, draw, (margin + size * 2, y), page.width * between(rng, 0.4, 0.8), 1, size, ink) + size * 0.3
        number += 1


def on_table(rng: Rng, page: Image.Image) -> Image.Image:
    """The page turned a little, on a surface."""
    base = any_colour(rng, (0.1, 0.6), (0.1, 0.7))
    size = (round(page.width * 1.12), round(page.height * 1.12))
    surface = clouds(rng, size, (base, vary(rng, base, 40)), 5)
    turned = page.convert("RGBA").rotate(between(rng, -9, 9), expand=True, resample=Image.Resampling.BICUBIC)
    surface.paste(turned, ((size[0] - turned.width) // 2, (size[1] - turned.height) // 2), turned)
    return surface
