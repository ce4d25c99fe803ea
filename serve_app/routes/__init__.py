"""One router per family of routes; thin: parse, call, render."""
