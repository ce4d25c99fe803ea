"""What the patterns of paths may contain beside Starlette's own kinds of parameters."""

from starlette.convertors import IntegerConvertor, register_url_convertor


class Number(IntegerConvertor):
    """A number of up to 40 digits, so that no word of a path, such as `search`, is taken for one."""

    regex = "-?[0-9]{1,40}"


def register() -> None:
    """Make `{name:number}` known in this process: where the routes are, and in the proxies, which match them too."""
    register_url_convertor("number", Number())
